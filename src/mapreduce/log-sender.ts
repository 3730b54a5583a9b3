/** The lines that tasks log on this host, on their way to whoever keeps them. What is too much is counted, not sent. */
import { errorMessage } from '../core/errors.ts'
import type { JobsHost } from './host.ts'
import type { LiveJob } from './job-table.ts'
import { JobLog, type Line, MAX_BATCH, MAX_LOST } from './log-messages.ts'
import { jobKey } from './spec.ts'

const RETRY_MS = 1_000
/** Of one batch, until it is given up. */
const TRIES = 5

interface Batch {
  readonly batch: number
  readonly lines: readonly Line[]
  readonly lost: number
}

interface Outbox {
  readonly job: LiveJob
  lines: Line[]
  chars: number
  lost: number
  /** On its way, or to be sent once more as it is. */
  batch: Batch | undefined
  sending: boolean
  nextAtMs: number
  failures: number
}

export class LogSender {
  readonly #host: JobsHost
  readonly #outboxes = new Map<string, Outbox>()
  /** The number of the last batch; later ones are greater, also after a restart. */
  #batches = 0

  constructor(host: JobsHost) {
    this.#host = host
  }

  add(job: LiveJob, task: number, text: string): void {
    let outbox = this.#outboxes.get(job.root)
    if (!outbox) {
      outbox = { job, lines: [], chars: 0, lost: 0, batch: undefined, sending: false, nextAtMs: 0, failures: 0 }
      this.#outboxes.set(job.root, outbox)
    }
    outbox.lines.push({ task, text: text.toWellFormed() })
    outbox.chars += text.length
    trim(outbox)
  }

  /** Every 100 ms: what is due goes out. */
  flush(): void {
    const now = this.#host.now()
    for (const outbox of this.#outboxes.values()) {
      if (!outbox.sending && outbox.nextAtMs <= now) void this.#send(outbox)
    }
  }

  /** The job is over, and so is the wait. */
  dropJob(job: LiveJob): void {
    const outbox = this.#outboxes.get(job.root)
    if (!outbox) return
    outbox.nextAtMs = 0
    if (!outbox.sending) void this.#send(outbox)
  }

  async #send(outbox: Outbox): Promise<void> {
    const { job } = outbox
    outbox.batch ??= this.#nextBatch(outbox)
    const { batch } = outbox
    if (!batch) {
      this.#outboxes.delete(job.root)
      return
    }
    outbox.sending = true
    let pauseMs = RETRY_MS
    let moved = true
    try {
      const keeper = await this.#host.ownerOf(job, jobKey(job.root))
      const reply = await this.#host.ask(keeper, JobLog, { job: job.root, ...batch, lines: [...batch.lines] })
      moved = reply.moved === true
      if (!moved) pauseMs = reply.pauseMs
    } catch (error) {
      this.#host.log.debug('lines of a log did not arrive', { job: job.root, reason: errorMessage(error) })
    }
    if (moved) job.owners.delete(jobKey(job.root))
    outbox.failures = moved ? outbox.failures + 1 : 0
    if (outbox.failures === TRIES) outbox.lost += batch.lost + batch.lines.length
    if (!moved || outbox.failures === TRIES) outbox.batch = undefined
    outbox.sending = false
    outbox.nextAtMs = this.#host.now() + pauseMs
  }

  #nextBatch(outbox: Outbox): Batch | undefined {
    const { lines, lost } = outbox
    if (lines.length === 0) return undefined
    this.#batches = Math.max(this.#batches + 1, this.#host.now())
    Object.assign(outbox, { lines: [], chars: 0, lost: 0, failures: 0 })
    return { batch: this.#batches, lines, lost: Math.min(lost, MAX_LOST) }
  }
}

/** The latest lines are those that are wanted. */
function trim(outbox: Outbox): void {
  while (outbox.lines.length > MAX_BATCH.lines || outbox.chars > MAX_BATCH.chars) {
    outbox.chars -= outbox.lines.shift()!.text.length
    outbox.lost++
  }
}
