/** What a host gives to one that asks for tasks, as it travels: grants of its own queue, and those that it passes on. Pure. */
import type { Contact } from '../net/contact.ts'
import type { Piece } from './held.ts'
import type { Lease } from './job-queue.ts'
import type { LiveJob } from './job-table.ts'
import type { Given, Grant } from './messages.ts'

export function grantOf({ id, segment, mask, termMs }: Lease): Grant {
  return { id, job: segment.job.id, segment: segment.index, mask, termMs }
}

/** `self`: whose tasks they are if they are not another's; undefined for a leaf. */
export function passedOn({ work, mask }: Piece, nowMs: number, self: Contact | undefined): Grant {
  const { grant, job, root = self, takenAtMs, renewAtMs } = work
  const { id, segment } = grant
  const times = { termMs: Math.max(0, renewAtMs - nowMs), ageMs: nowMs - takenAtMs }
  return { id, job: job.id, segment, mask, ...times, ...(root && { root }) }
}

/** Of these jobs, once each, as far as the asker lacks them. */
export function specsOf(jobs: readonly LiveJob[], knows: readonly string[]): Given['specs'] {
  const lacking = new Map(jobs.filter(({ id }) => !knows.includes(id)).map((job) => [job.id, job.specBytes]))
  return [...lacking].map(([job, spec]) => ({ job, spec }))
}
