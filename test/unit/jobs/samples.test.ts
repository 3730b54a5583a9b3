/** The sample jobs against what is known of their answers, run whole on this machine's thread. */
import { hash } from 'node:crypto'
import { expect, test } from 'vitest'
import search, { zeroBits } from '../../../jobs/search.ts'
import sweep from '../../../jobs/sweep.ts'
import { finishContext, mapContext } from '../../../sim/job-context.ts'
import { nextRandom, reseed } from '../../../src/mapreduce/task-random.ts'
import type { JobModule, Json } from '../../../src/mapreduce/types.ts'

function whole<P extends { [name: string]: Json }, T>(
  job: JobModule<P, T>,
  given: { [name: string]: Json },
  seed = 1,
): Json {
  const { params, tasks } = job.plan(given)
  const results = Array.from({ length: tasks }, (_, task) => {
    reseed(seed, task)
    return job.map(task, mapContext(params, { seed, random: nextRandom }))
  })
  return job.finish(results.reduce(job.reduce), finishContext(params))
}

test('search finds the smallest nonce', () => {
  const sha256 = (text: string) => hash('sha256', text, 'buffer')
  let smallest = 0
  while (zeroBits(sha256(`hello:${smallest}`)) < 12) smallest++
  const digest = sha256(`hello:${smallest}`).toString('hex')
  expect(digest).toMatch(/^000/)
  expect(whole(search, { text: 'hello', bits: 12 })).toEqual({ nonce: smallest, digest, tried: smallest + 1 })
})

test.each([
  [[0, 0, 0x1f], 19],
  [[0x80], 0],
  [[0, 0], 16],
  [[1], 7],
])('zero bits of %j', (bytes, bits) => expect(zeroBits(new Uint8Array(bytes))).toBe(bits))

test.each([0, 33, 1.5])('search: %d bits are refused', (bits) => {
  expect(() => search.plan({ bits })).toThrow(/bits must be a whole number/)
})

test('the epidemics of sweep are as large as their final size equation says', () => {
  const rows = whole(sweep, { from: 0.5, to: 3, steps: 6, people: 2000, runs: 20 }) as { [name: string]: number }[]
  expect(rows.map(({ reproduction }) => reproduction)).toEqual([0.5, 1, 1.5, 2, 2.5, 3])
  for (const { reproduction, reached, diedOut } of rows) {
    if (reproduction! < 1) expect([reached, diedOut]).toEqual([0, 1])
    if (reproduction! < 1.5) continue
    let size = 1 // z = 1 - e^(-R z)
    for (let i = 0; i < 100; i++) size = 1 - Math.exp(-reproduction! * size)
    expect(reached).toBeCloseTo(size, 1)
    expect(diedOut).toBeLessThan(0.9)
  }
})

test.each([
  [{ from: 0 }, /from must be above 0/],
  [{ to: 0.4 }, /to above from/],
  [{ steps: 1 }, /steps must be/],
  [{ people: 1e7 }, /people must be/],
])('sweep: %j is refused', (params, message) => expect(() => sweep.plan(params as never)).toThrow(message))
