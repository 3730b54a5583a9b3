/**
 * How segments change hands. A host that stops hands over what it has. When one dies, the owners of the parents ask for what
 * they have not heard of; but where there are many they cannot ask often, so the heir looks itself which segments of the
 * jobs that it knows are its own now. What the parents' owners have already, they say, and it is let go again.
 */

import type { Contact } from '../net/contact.ts'
import { coverOf } from './cover.ts'
import type { JobsHost } from './host.ts'
import { type LiveJob, placeKey, placeName, type Segment } from './job-table.ts'
import type { Router } from './router.ts'
import { firstChild, parentIndex, segmentCount } from './segments.ts'

/** When a child was last heard of that is to be asked for at once. */
export const NEVER = Number.NEGATIVE_INFINITY

/** Segments of a job that this host owns and does not work on, by level. Rejects when the job's input is out of reach. */
export async function unclaimed(host: JobsHost, job: LiveJob): Promise<Map<number, number[]>> {
  const found = new Map<number, number[]>()
  await host.ready(job)
  for (let level = 1; level <= job.top; level++) {
    const indices: number[] = []
    const count = segmentCount(job.tree, level)
    for (let index = 0; index < count; index++) {
      if (job.segments.has(placeName(level, index))) continue
      if (host.overlay.owns(placeKey(job, level, index))) indices.push(index)
    }
    if (indices.length > 0) found.set(level, indices)
  }
  return found
}

export function segmentsOf(job: LiveJob, level: number, indices: readonly number[]): Segment[] {
  return indices.flatMap((index) => job.segments.get(placeName(level, index)) ?? [])
}

/** A parent that its first child has made known here may have lost what the others had told. */
export function askAgain(job: LiveJob): void {
  for (const { level, children } of job.segments.values()) {
    if (level > 1) for (const child of children) child.heardAtMs = NEVER
  }
}

/** A host is out of reach: what it was to report is asked for at the next look. */
export function askAfter(host: JobsHost, peer: string): void {
  for (const job of host.table.live.values()) {
    for (const segment of job.segments.values()) {
      for (const child of segment.children) if (child.from === peer && !child.bytes) child.heardAtMs = NEVER
    }
  }
}

/** Does this host, as the owner of the parent, have a segment's total? */
export function isKnown(job: LiveJob, { level, index }: { level: number; index: number }): boolean {
  const parent = parentIndex(job.tree, level, index)
  const segment = job.segments.get(placeName(level + 1, parent))
  const child = segment?.children[index - firstChild(job.tree, level + 1, parent)]
  return segment?.total !== undefined || child?.bytes !== undefined
}

/** On a polite stop: every unfinished segment goes to the next of its replica group. */
export async function handOverAll(host: JobsHost, router: Router): Promise<void> {
  const sends: Promise<unknown>[] = []
  for (const job of host.table.live.values()) {
    const groups = new Map<string, { to: Contact; level: number; indices: number[] }>()
    for (const segment of job.segments.values()) {
      if (segment.level > job.top || (segment.total && segment.accepted)) continue
      const to = host.overlay.replicas(segment.key).find((contact) => !host.isSelf(contact))
      if (!to) continue
      const name = `${segment.level}|${to.id}`
      const group = groups.get(name)
      if (group) group.indices.push(segment.index)
      else groups.set(name, { to, level: segment.level, indices: [segment.index] })
    }
    for (const { to, level, indices } of groups.values()) {
      sends.push(router.handOver(job, to, coverOf(indices.sort((a, b) => a - b)), level))
    }
  }
  await Promise.allSettled(sends)
}
