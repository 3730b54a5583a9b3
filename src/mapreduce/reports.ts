/**
 * Reports up the segment tree (DESIGN 7): a segment's owner tells the owner of its parent what is known of it, at most every
 * 100 ms while it is under way and at once when it is folded, until the total has been accepted.
 */
import { errorMessage } from '../core/errors.ts'
import type { Contact } from '../net/contact.ts'
import { Courier } from './courier.ts'
import type { JobsHost } from './host.ts'
import { type LiveJob, placeKey, placeName, type Segment } from './job-table.ts'
import { JobUp, MAX_ESTIMATE_BYTES, type Summary, type Up } from './messages.ts'
import { isLink } from './packed.ts'
import { parentIndex } from './segments.ts'
import { summarize, summaryBytes } from './summary.ts'

/** Pause before a report that did not arrive is sent again. */
const RETRY_MS = 250

export class Reports {
  readonly #host: JobsHost
  /** Takes the reports of the level above the top. */
  readonly #progress: (job: LiveJob, summary: Summary) => void
  readonly #courier: Courier<Up>
  readonly #dirty = new Set<Segment>()

  constructor(host: JobsHost, progress: (job: LiveJob, summary: Summary) => void) {
    this.#host = host
    this.#progress = progress
    this.#courier = new Courier(
      (to, job, items) => this.#send(to, job, items),
      (item) => summaryBytes(item.summary) + (item.bytes?.length ?? 0),
    )
  }

  /** Something has changed: it goes with the next round. */
  soon(segment: Segment): void {
    segment.dirty = true
    this.#dirty.add(segment)
  }

  /** Something that should not wait for the next report. */
  now(segment: Segment): void {
    this.soon(segment)
    if (!segment.sending && segment.retryAtMs <= this.#host.now()) void this.#report(segment)
  }

  /** Why it takes long. */
  wait(segment: Segment, why: string): void {
    segment.waits = why.slice(0, 500)
    this.soon(segment)
  }

  forget(segment: Segment): void {
    this.#dirty.delete(segment)
  }

  /** Every 100 ms: what has changed goes up. */
  flush(): void {
    const now = this.#host.now()
    for (const segment of [...this.#dirty]) {
      if (!segment.sending && segment.retryAtMs <= now) void this.#report(segment)
    }
  }

  async #report(segment: Segment): Promise<void> {
    const { job } = segment
    segment.sending = true
    segment.dirty = false
    this.#dirty.delete(segment)
    const total = segment.total
    let delivered = false
    try {
      const summary = summarize(segment)
      const estimate = await this.#estimate(segment)
      if (estimate && estimate.length <= MAX_ESTIMATE_BYTES) summary.estimate = estimate
      if (job.ended.signal.aborted) return
      if (segment.level > job.top) {
        delivered = true
        this.#progress(job, summary)
      } else {
        const { level, index } = segment
        const key = placeKey(job, level + 1, parentIndex(job.tree, level, index))
        const owner = await this.#host.ownerOf(job, key)
        delivered = await this.#courier.send(owner, job, { level, index, summary, ...(total && { bytes: total }) })
        if (!delivered) job.owners.delete(key)
      }
    } catch (error) {
      this.#host.log.debug('a report did not arrive', { job: job.id, reason: errorMessage(error) })
    } finally {
      segment.sending = false
      if (delivered && total) segment.accepted = true
      if (!delivered) {
        segment.dirty = true
        segment.retryAtMs = this.#host.now() + RETRY_MS
      }
      const current = job.segments.get(placeName(segment.level, segment.index)) === segment
      if (segment.dirty && current && !job.ended.signal.aborted) {
        this.#dirty.add(segment)
        // The total came while a report was under way.
        if (delivered && segment.total && !total) void this.#report(segment)
      }
    }
  }

  /** A fold over what is there, in order. For people: it need not be complete, nor the same everywhere. */
  async #estimate({ job, total, children }: Segment): Promise<Uint8Array | undefined> {
    if (job.spec.partitions !== undefined) return undefined // nothing can be said of a part of the keys
    if (total) return isLink(total) ? undefined : total
    const parts: Uint8Array[] = []
    for (const child of children) {
      const part = child.bytes ?? child.summary?.estimate
      if (part && part.length <= MAX_ESTIMATE_BYTES && !isLink(part)) parts.push(part)
    }
    // A reduce that fails here fails in the fold too, and that is what must be told.
    if (parts.length === 0 || !job.runsHere) return undefined
    return this.#host.executor.fold(job.spec, parts).catch(() => undefined)
  }

  async #send(to: Contact, job: LiveJob, items: Up[]): Promise<ReadonlySet<Up> | undefined> {
    const reply = await this.#host.askAbout(job, to, JobUp, { job: job.id, items })
    if (reply.moved.length === 0) return undefined
    const moved = new Set(reply.moved.map(([level, index]) => placeName(level, index)))
    return new Set(items.filter((item) => moved.has(placeName(item.level, item.index))))
  }
}
