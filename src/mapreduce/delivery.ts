/**
 * Brings the results of a grant to the owner of its segment, whoever that is by then, until they are committed there.
 */
import { errorMessage } from '../core/errors.ts'
import type { Key } from '../core/ids.ts'
import type { Contact } from '../net/contact.ts'
import type { Failure } from './failure.ts'
import { inFrames } from './frames.ts'
import type { JobsHost } from './host.ts'
import { type LiveJob, placeKey } from './job-table.ts'
import { type Given, type Grant, JobResults } from './messages.ts'
import type { RunResult } from './ports.ts'
import { hasMany } from './segments.ts'

const RESULTS_TIMEOUT_MS = 10_000
const RETRY_MS = { first: 200, most: 5_000 }

interface Granted {
  readonly grant: Pick<Grant, 'id' | 'segment'>
  readonly job: LiveJob
  /** Whose tasks they are; undefined: this host's own queue's. */
  readonly root: Contact | undefined
}

export interface Delivery {
  readonly work: Granted
  /** The tasks of the grant that this answers. */
  readonly mask: number
  readonly result: RunResult
  readonly failure: Failure | undefined
  /** Cores that have nothing else to do; undefined: nothing is asked for. */
  readonly wants: number | undefined
}

/**
 * Resolves when all is committed, or the job is over. `onGiven` is called once, when something was asked for: with what
 * came, or with nothing when the root did not answer, long before another owner has the results.
 */
export async function deliver(
  host: JobsHost,
  { work, mask, result, failure, wants }: Delivery,
  onGiven: (given: Given | undefined, from: Contact) => void,
): Promise<void> {
  const { grant, job, root } = work
  const timeoutMs = hasMany(job.tree, 1) ? undefined : RESULTS_TIMEOUT_MS
  const over = () => job.ended.signal.aborted || host.signal.aborted
  const parts = inFrames(result.partials, ({ bytes }) => 48 + bytes.length)
  let asks = wants
  let to = root ?? host.overlay.self
  for (const [i, results] of parts.entries()) {
    const more = i < parts.length - 1
    for (let pauseMs = RETRY_MS.first; !over(); pauseMs = Math.min(RETRY_MS.most, pauseMs * 2)) {
      let key: Key | undefined
      let given: Given | undefined
      let arrived = false
      try {
        if (!to) {
          await host.ready(job)
          key = placeKey(job, 1, grant.segment)
          to = await host.ownerOf(job, key)
        }
        const message = {
          job: job.id,
          segment: grant.segment,
          grant: grant.id,
          mask,
          results,
          more,
          tookMs: result.tookMs,
          worker: host.transport.peer,
          ...(failure && { failure }),
          ...(asks !== undefined && !more && { wants: asks }),
        }
        const reply = await host.askAbout(job, to, JobResults, message, { timeoutMs })
        given = reply.given
        arrived = !reply.moved
      } catch (error) {
        host.log.debug('results did not arrive', { job: job.id, reason: errorMessage(error) })
      }
      if (asks !== undefined && root && (!more || !arrived)) {
        asks = undefined
        onGiven(given, root)
      }
      if (arrived) break
      to = undefined
      if (key) job.owners.delete(key)
      await host.env.clock.sleep(pauseMs, { signal: host.signal }).catch(() => {})
    }
  }
  if (asks !== undefined && root) onGiven(undefined, root)
}
