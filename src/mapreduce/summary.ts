/** Summing up what is known of segments. Pure. */
import type { Segment } from './job-table.ts'
import type { Summary } from './messages.ts'
import { firstChild, taskCount } from './segments.ts'
import { mergeSketches, type Sketch } from './sketch.ts'

/** Of a segment by its owner, from what its children reported; without the estimate. */
export function summarize(segment: Segment): Summary {
  const { tree } = segment.job
  let done = 0
  let reassigned = segment.reassigned
  let alarms = segment.alarms
  let workers: Sketch = segment.workers
  let failure = segment.failure
  const first = firstChild(tree, segment.level, segment.index)
  segment.children.forEach((child, i) => {
    const index = first + i
    if (child.bytes || child.digest) done += taskCount(tree, segment.level - 1, index)
    else done += child.summary?.done ?? 0
    reassigned += child.summary?.reassigned ?? 0
    alarms += child.summary?.alarms ?? 0
    failure ??= child.summary?.failure
    if (child.summary) workers = mergeSketches(workers, child.summary.workers)
  })
  if (segment.total) done = segment.level > segment.job.top ? tree.tasks : taskCount(tree, segment.level, segment.index)
  return { done, reassigned, alarms, workers: [...workers], ...(failure !== undefined && { failure }) }
}
