/** Terminal states. */
import type { JobView } from '../../mapreduce/types.ts'

export function isOver(job: JobView): boolean {
  return job.state === 'succeeded' || job.state === 'failed' || job.state === 'cancelled'
}
