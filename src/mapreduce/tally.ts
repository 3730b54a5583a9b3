/**
 * Who did how many tasks, for whoever pays for them: counted where results come in, by the peer that brought them over its own
 * connection, and summed up the segment tree. What a segment's owner takes over from a dead one counts for nobody, since it
 * cannot know who brought that. Hosts are named by 32 bits of a hash, as in the sketch of workers.
 */
import { Type } from 'typebox'
import { CappedMap } from '../net/capped-map.ts'
import type { Segment } from './job-table.ts'
import { taskCount } from './segments.ts'
import { sketchOf } from './sketch.ts'

/** Hosts that are told apart; of more, those that did most. */
export const MAX_TALLY = 64

/** By host, ascending: its mark, and tasks. */
export type Tally = ReadonlyArray<readonly [host: number, tasks: number]>

const Count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
export const TallySchema = Type.Array(Type.Tuple([Type.Integer({ minimum: 0, maximum: 2 ** 32 - 1 }), Count]), {
  maxItems: MAX_TALLY,
})

/** A function of the peer id, so sharing it is safe. */
const marks = new CappedMap<string, number>(4096)

/** What stands for a peer in a tally. */
export function markOf(peer: string): number {
  let mark = marks.get(peer)
  if (mark === undefined) marks.set(peer, (mark = sketchOf(peer)[0]!))
  return mark
}

/** Of different tasks. */
export function addTallies(a: Tally, b: Tally): Tally {
  return combined(a, b, (x, y) => x + y)
}

/** Of the same tasks, as two have heard of them. */
export function mergeTallies(a: Tally, b: Tally): Tally {
  return combined(a, b, Math.max)
}

function combined(a: Tally, b: Tally, both: (x: number, y: number) => number): Tally {
  if (a.length === 0 || b.length === 0) return a.length === 0 ? b : a
  const tasks = new Map(a)
  for (const [host, count] of b) tasks.set(host, both(tasks.get(host) ?? 0, count))
  return cut([...tasks])
}

function cut(tally: Array<readonly [number, number]>): Tally {
  const most = tally.length > MAX_TALLY ? tally.sort((x, y) => y[1] - x[1] || x[0] - y[0]).slice(0, MAX_TALLY) : tally
  return most.sort((x, y) => x[0] - y[0])
}

/** Of the tasks of a segment of level 1, by its owner. `whole`: who brought the segment's own partial, if anybody did. */
export function tallyOf({ job, level, index, children }: Segment, whole: string | undefined): Tally {
  const tasks = new Map<string, number>()
  const add = (peer: string | undefined, count: number) => {
    if (peer !== undefined && count > 0) tasks.set(peer, (tasks.get(peer) ?? 0) + count)
  }
  let one = 0
  for (const { digest, from } of children) {
    if (!digest) continue
    one++
    add(from, 1)
  }
  add(whole, taskCount(job.tree, level, index) - one)
  return cut([...tasks].map(([peer, count]) => [markOf(peer), count] as const))
}
