/**
 * Who could work on a job, and who does: asked only when nothing comes of it for a while, of this host and the hosts that it
 * knows. In a network of a few hosts these are all.
 */
import { type Static, Type } from 'typebox'
import { defineMessage, record } from '../net/message.ts'
import type { JobsHost } from './host.ts'
import { JobId } from './spec.ts'

const MAX_ASKED = 16
const PATIENCE_MS = 1_000
const Count = Type.Integer({ minimum: 0, maximum: 2 ** 32 })

const Standing = record({
  /** Lent, and those at work, on whatever job. */
  cores: Count,
  busy: Count,
  /** Tasks of the job that wait in this host's queue, and those that it has given out. */
  queued: Count,
  running: Count,
})
export type Standing = Static<typeof Standing>

export const JobStanding = defineMessage('jobs/standing', {
  request: record({ job: Type.Optional(JobId) }),
  reply: Standing,
})

export interface HostStanding extends Standing {
  /** Peer id. */
  readonly peer: string
}

/** Those who answered, this host included; never rejects. */
export async function surveyHosts(host: JobsHost, job?: string): Promise<HostStanding[]> {
  const { self } = host.overlay
  const known = new Map((self ? [self] : []).concat(host.overlay.neighbours()).map((one) => [one.peer, one]))
  const message = job === undefined ? {} : { job }
  const answers = await Promise.allSettled(
    [...known.values()].slice(0, MAX_ASKED).map(async (contact) => ({
      peer: contact.peer,
      ...(await host.ask(contact, JobStanding, message, { timeoutMs: PATIENCE_MS })),
    })),
  )
  return answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []))
}
