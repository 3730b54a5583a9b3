/** Summing up what is known of segments. Pure. */

import { mergeAlarms } from './alarm.ts'
import { failureBytes } from './failure.ts'
import { placeName, type Segment } from './job-table.ts'
import type { Summary } from './messages.ts'
import { countBits, firstChild, taskCount } from './segments.ts'
import { mergeSketches, type Sketch } from './sketch.ts'
import { addTallies, type Tally, tallyOf } from './tally.ts'

/** Of a segment by its owner, from what its children reported; without the estimate. */
export function summarize(segment: Segment): Summary {
  const { tree } = segment.job
  let done = 0
  let reassigned = segment.reassigned
  let alarms = segment.alarms
  let workers: Sketch = segment.workers
  const name = placeName(segment.level, segment.index)
  let doneBy: Tally = segment.level === 1 ? tallyOf(segment, segment.job.commits.get(name)?.by) : []
  let failure = segment.failure
  let named = segment.named
  let queued = countBits(segment.todo)
  let running = 0
  let partly = segment.partly
  const first = firstChild(tree, segment.level, segment.index)
  // Of level 1: its owner keeps a queue that it does not work on itself.
  const { refusal, refusedElsewhere } = segment.job
  let waits = segment.waits ?? (segment.todo !== 0 ? (refusal ?? refusedElsewhere) : undefined)
  segment.children.forEach((child, i) => {
    const index = first + i
    if (child.bytes || child.digest) done += taskCount(tree, segment.level - 1, index)
    else if (segment.level === 1) running += 1
    else if (child.summary) {
      done += child.summary.done
      queued += child.summary.queued
      running += child.summary.running
      partly += child.summary.partly ?? 0
    }
    reassigned += child.summary?.reassigned ?? 0
    alarms += child.summary?.alarms ?? 0
    failure ??= child.summary?.failure
    named = mergeAlarms(named, child.summary?.named)
    if (!child.bytes && !child.digest) waits ??= child.summary?.waits
    if (child.summary?.doneBy) doneBy = addTallies(doneBy, child.summary.doneBy)
    if (child.summary) workers = mergeSketches(workers, child.summary.workers)
  })
  if (segment.total) done = segment.level > segment.job.top ? tree.tasks : taskCount(tree, segment.level, segment.index)
  partly = Math.round(partly * 100) / 100
  if (segment.total) waits = undefined
  if (segment.total) queued = running = partly = 0
  else if (segment.level === 1) running -= queued
  return {
    done,
    queued,
    running,
    reassigned,
    alarms,
    workers: [...workers],
    ...(doneBy.length > 0 && { doneBy: doneBy.map(([host, tasks]) => [host, tasks]) }),
    ...(partly > 0 && { partly }),
    ...(named.length > 0 && { named: [...named] }),
    ...(failure && { failure }),
    ...(waits !== undefined && { waits }),
  }
}

/** Upper bound of its encoding, bytes. */
export function summaryBytes({ workers, doneBy, estimate, failure, named, waits }: Summary): number {
  const rest = (failure ? failureBytes(failure) : 0) + 512 * (named?.length ?? 0) + 3 * (waits?.length ?? 0)
  return 192 + workers.length * 5 + (doneBy?.length ?? 0) * 15 + (estimate?.length ?? 0) + rest
}
