/**
 * The published ChordReduce in virtual time (PAPERS 3), without what their machines added: n workers at random places of a
 * ring, tasks with random keys. The stager groups all tasks by next hop and sends each group on in one message, and so on along the
 * fingers; a worker maps its own tasks one after the other, folds what they give, and sends it toward the stager's key,
 * and each node on the way folds for 100 ms before it sends on. The job is over when all has arrived.
 *
 * So the time is that of the worker that hashing gave most, H_n times the mean, and a second or two.
 */
import type { Random } from '../../src/core/env.ts'

const HOP_SECONDS = 0.05
const FOLD_SECONDS = 0.1
/** Fingers reach half a circle, a quarter, and so on. */
const FINGERS = 16

/** Seconds until the stager has the whole result; `seconds` is the work of all tasks together. */
export function designTrial(workers: number, tasks: number, seconds: number, random: Random): number {
  const ids = Float64Array.from({ length: workers }, () => random.next()).sort()
  const counts = new Int32Array(workers)
  for (let task = 0; task < tasks; task++) counts[ownerOf(ids, random.next())]!++
  const stager = random.int(workers)
  const fingers = Array.from(ids, (id) => fingersOf(ids, id))
  let last = 0
  counts.forEach((count, worker) => {
    if (count === 0) return
    const there = hops(ids, fingers, stager, worker) * HOP_SECONDS
    const back = hops(ids, fingers, worker, stager) * (HOP_SECONDS + FOLD_SECONDS)
    last = Math.max(last, there + (count * seconds) / tasks + back)
  })
  return last
}

/** Index of the first id at or after a key. */
export function ownerOf(ids: Float64Array, key: number): number {
  const at = ids.findIndex((id) => id >= key)
  return at < 0 ? 0 : at
}

function fingersOf(ids: Float64Array, id: number): number[] {
  const next = (ids.indexOf(id) + 1) % ids.length
  const far = Array.from({ length: FINGERS }, (_, bit) => ownerOf(ids, (id + 2 ** -(bit + 1)) % 1))
  return [...new Set([...far, next])]
}

const arc = (from: number, to: number) => (to - from + 1) % 1

/** Messages on the greedy way from one worker to another: always the finger nearest to it that does not lie behind it. */
export function hops(ids: Float64Array, fingers: readonly (readonly number[])[], from: number, to: number): number {
  let count = 0
  for (let at = from; at !== to; count++) {
    const goal = arc(ids[at]!, ids[to]!)
    const before = fingers[at]!.filter((finger) => arc(ids[at]!, ids[finger]!) <= goal)
    at = before.reduce(
      (best, finger) => (arc(ids[at]!, ids[finger]!) > arc(ids[at]!, ids[best]!) ? finger : best),
      before[0]!,
    )
  }
  return count
}
