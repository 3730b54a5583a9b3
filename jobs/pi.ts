/**
 * Pi by Monte Carlo: the share of random points of a square that fall into the circle in it. Each task counts
 * hits among its own points; counts are integers, so the sum is exact.
 *
 * Points come from two interleaved xoroshiro64* generators (Blackman and Vigna 2018), 32 random bits per coordinate,
 * seeded for each task through SHA-256. Interleaved and free of branches, so that the processor overlaps the two.
 */
import { hash } from 'node:crypto'
import { ChoraleError } from '../src/core/errors.ts'
import type { JobModule, Json } from '../src/mapreduce/types.ts'

/** Samples are split into about so many tasks, if the tasks are then neither tiny nor long. */
const USUAL_TASKS = 256
/** 2^22 samples take 10 to 30 ms on a core. */
const TASK_SAMPLES = { least: 2 ** 16, most: 2 ** 22 }
/** Beyond it tasks get longer instead. */
const MAX_TASKS = 2 ** 18
const MAX_SAMPLES = 2 ** 53 - 1

interface PiParams {
  [name: string]: Json
  samples: number
  /** Samples of each task but the last. A power of two. */
  taskSamples: number
}

interface Hits {
  hits: number
  samples: number
}

/** Points in the circle among `count`; 0 <= count < 2^53. */
export function countHits(seed: number, task: number, count: number): number {
  const state = hash('sha256', `chorale pi|${seed}|${task}`, 'buffer')
  let a0 = state.readInt32LE(0)
  let a1 = state.readInt32LE(4) | 1 // all zeros is the one state that must not be
  let b0 = state.readInt32LE(8)
  let b1 = state.readInt32LE(12) | 1
  let total = 0
  for (let left = count; left > 0; left -= 2 ** 30) {
    // An int32 counter, and an int32 loop variable, are what makes it fast.
    const turns = Math.min(left, 2 ** 30) | 0
    let hits = 0
    for (let i = 0; i < turns; i++) {
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
    total += hits
  }
  return total
}

function taskSamplesFor(samples: number): number {
  const usual = 2 ** Math.round(Math.log2(samples / USUAL_TASKS))
  const size = Math.max(TASK_SAMPLES.least, Math.min(TASK_SAMPLES.most, usual))
  return Math.max(size, 2 ** Math.ceil(Math.log2(samples / MAX_TASKS)))
}

const pi: JobModule<PiParams, Hits> = {
  name: 'pi',
  plan(given) {
    const { samples, ...others } = given
    const unknown = Object.keys(others)[0]
    if (unknown !== undefined) throw new ChoraleError('usage', `pi has no parameter "${unknown}": give it samples`)
    if (typeof samples !== 'number' || !Number.isInteger(samples) || samples < 1 || samples > MAX_SAMPLES) {
      throw new ChoraleError(
        'usage',
        `samples must be a whole number from 1 to 2^53 - 1, such as 1e9, not ${String(samples)}`,
      )
    }
    const taskSamples = taskSamplesFor(samples)
    return { params: { samples, taskSamples }, tasks: Math.ceil(samples / taskSamples) }
  },
  map(task, { params: { samples, taskSamples }, seed }) {
    const count = Math.min(taskSamples, samples - task * taskSamples)
    return { hits: countHits(seed, task, count), samples: count }
  },
  reduce(left, right) {
    return { hits: left.hits + right.hits, samples: left.samples + right.samples }
  },
  /** `ci95`: [low, high] of the 95 % confidence interval. */
  finish({ hits, samples }) {
    const share = hits / samples
    const estimate = 4 * share
    const half = 1.96 * 4 * Math.sqrt((share * (1 - share)) / samples)
    return { pi: estimate, ci95: [estimate - half, estimate + half], hits, samples }
  },
}

export default pi
