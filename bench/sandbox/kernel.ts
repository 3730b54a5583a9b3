/** The kernel of jobs/pi.ts without its seeding through SHA-256, which a sandbox has not: a job, and a function. */
import { defineJob } from '../../src/mapreduce/define.ts'

export const CHUNK = 2 ** 22

export function countHits(seed: number, task: number): number {
  let a0 = Math.imul(seed + 1, 0x9e3779b1) | 0
  let a1 = Math.imul(task + 1, 0x85ebca6b) | 1
  let b0 = (a0 ^ 0x5bd1e995) | 0
  let b1 = (a1 ^ 0x27d4eb2f) | 1
  let hits = 0
  for (let i = 0; i < CHUNK; i++) {
    const x = Math.imul(a0, 0x9e3779bb) | 0
    const y = Math.imul(b0, 0x9e3779bb) | 0
    a1 ^= a0
    a0 = ((a0 << 26) | (a0 >>> 6)) ^ a1 ^ (a1 << 9)
    a1 = (a1 << 13) | (a1 >>> 19)
    b1 ^= b0
    b0 = ((b0 << 26) | (b0 >>> 6)) ^ b1 ^ (b1 << 9)
    b1 = (b1 << 13) | (b1 >>> 19)
    const u = x * 2 ** -31
    const v = y * 2 ** -31
    hits += ((u * u + v * v < 1) as unknown as number) | 0
  }
  return hits
}

export default defineJob({
  name: 'kernel',
  params: { tasks: 16 },
  split: ({ tasks }) => tasks,
  map: (task, { seed }) => countHits(seed, task),
  reduce: (left, right) => left + right,
})
