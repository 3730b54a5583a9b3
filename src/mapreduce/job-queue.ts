/** The tasks of one job in the queue of a host (`roots.ts`), and whose turn it is among several jobs. Pure but for what is given. */
import type { CappedMap } from '../net/capped-map.ts'
import type { Crew, Durations } from './durations.ts'
import type { LiveJob, Segment } from './job-table.ts'
import { countBits } from './segments.ts'

export interface Lease {
  readonly id: number
  readonly segment: Segment
  /** Its tasks, but for those that were answered or given back. */
  mask: number
  /** Peer id of whoever was given it; it may have passed on a part. */
  readonly worker: string
  readonly grantedAtMs: number
  renewedAtMs: number
  /** What its worker says is done of it, in tasks. */
  share: number
  /** Tasks that a core has to do until this is done: those given before it in one go, and its own. */
  readonly depth: number
  /** No renewal is expected for so long, ms. */
  termMs: number
}

/** Which jobs' tasks a worker takes. */
export type Takes = (job: LiveJob) => boolean

/** The tasks of one job that this host is root of. */
export interface JobQueue {
  readonly job: LiveJob
  readonly ready: Set<Segment>
  readonly leases: Set<Lease>
  readonly durations: Durations
  /** How long grants were held until they were answered. */
  readonly holds: Durations
  /** What is known of those who were given tasks, by peer id. */
  readonly crews: CappedMap<string, Crew>
  /** What this host's own executor works on: others get other segments, so that theirs are whole. */
  own: Segment | undefined
  waiting: number
  total: number
  /** What workers have spent on it, ms of a core; a newcomer is as far as the one that was served least. */
  servedMs: number
}

/** The one with waiting tasks on which the least time has been spent. */
export function leastServed(queues: Iterable<JobQueue>, takes: Takes, nowMs: number): JobQueue | undefined {
  let least: JobQueue | undefined
  let leastMs = Number.POSITIVE_INFINITY
  for (const queue of queues) {
    if (queue.waiting === 0 || !takes(queue.job)) continue
    const servedMs = servedMsOf(queue, nowMs)
    if (servedMs >= leastMs) continue
    least = queue
    leastMs = servedMs
  }
  return least
}

/** Where a job begins that comes to others: it is owed nothing of what they had before. */
export function startingMs(queues: Iterable<JobQueue>, nowMs: number): number {
  const others = [...queues].map((queue) => servedMsOf(queue, nowMs))
  return others.length > 0 ? Math.min(...others) : 0
}

/** With what is under way, which is taken to last at least as long as such tasks usually do. */
function servedMsOf({ servedMs, leases, durations }: JobQueue, nowMs: number): number {
  let sum = servedMs
  for (const { mask, grantedAtMs } of leases) {
    sum += Math.max(1, nowMs - grantedAtMs, countBits(mask) * (durations.meanMs ?? 0))
  }
  return sum
}

export function lackingMask(segment: Segment): number {
  if (segment.total) return 0
  let mask = 0
  for (let i = 0; i < segment.children.length; i++) if (!segment.children[i]?.bytes) mask |= 1 << i
  return mask
}

export function lackingOf(lease: Lease): number {
  return lease.mask & lackingMask(lease.segment)
}
