/**
 * Reports up the segment tree (DESIGN 7): a segment's owner tells the owner of its parent what is known of it, now and
 * then while it is under way and at once when it is folded, until the total has been accepted.
 */
import { errorMessage } from '../core/errors.ts'
import type { Contact } from '../net/contact.ts'
import { Courier } from './courier.ts'
import type { JobsHost } from './host.ts'
import { type LiveJob, placeKey, placeName, type Segment } from './job-table.ts'
import { JobUp, MAX_ESTIMATE_BYTES, type Summary, type Up } from './messages.ts'
import { isLink } from './packed.ts'
import { hasMany, parentIndex, segmentCount } from './segments.ts'
import { summarize, summaryBytes } from './summary.ts'

/**
 * Of jobs with many segments progress is reported the more rarely the older the job and the more segments the level has: while a job gets e times as
 * old, a level sends so many reports for all of its segments, and one segment so many.
 */
const REPORTS_PER_LEVEL = 128
const REPORTS_PER_SEGMENT = 16
const PROGRESS_MS = { least: 100, most: 2_000 }
/** Pause before a report that did not arrive is sent again. */
const RETRY_MS = 250

/** A child that was not heard of for so long, and two reports of progress more, is asked for. */
const PATIENCE_MS = 2_000
const MAX_PATIENCE_MS = 300_000

export function patienceMs(job: LiveJob, level: number, nowMs: number): number {
  if (!hasMany(job.tree, 1)) return PATIENCE_MS
  return Math.min(MAX_PATIENCE_MS, PATIENCE_MS + 2 * progressMs(job, level, nowMs))
}

/** Between two reports of the progress of one segment of a level, ms. */
function progressMs(job: LiveJob, level: number, nowMs: number): number {
  if (level > job.top || !hasMany(job.tree, 1)) return PROGRESS_MS.least
  const count = segmentCount(job.tree, level)
  const ageMs = nowMs - job.openedAtMs
  const byAge = ageMs * Math.max(1 / REPORTS_PER_SEGMENT, count / REPORTS_PER_LEVEL)
  return Math.max(PROGRESS_MS.least, Math.min(PROGRESS_MS.most * count, byAge))
}

interface ReportEvents {
  /** Of the level above the top: the job itself. */
  progress(job: LiveJob, summary: Summary): void
  /** The parent's owner has the total of a segment that is worked on here. */
  known(segment: Segment): void
}

export class Reports {
  readonly #host: JobsHost
  readonly #events: ReportEvents
  readonly #courier: Courier<Up>
  readonly #dirty = new Set<Segment>()

  constructor(host: JobsHost, events: ReportEvents) {
    this.#host = host
    this.#events = events
    this.#courier = new Courier(
      (to, job, items) => this.#send(to, job, items),
      (item) => summaryBytes(item.summary) + (item.bytes?.length ?? 0),
    )
  }

  /** Something has changed: it goes with the next round at which progress is due. */
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
      if (segment.sending || segment.retryAtMs > now) continue
      if (segment.total || now >= segment.reportedAtMs + progressMs(segment.job, segment.level, now)) {
        void this.#report(segment)
      }
    }
  }

  async #report(segment: Segment): Promise<void> {
    const { job } = segment
    segment.sending = true
    segment.dirty = false
    segment.reportedAtMs = this.#host.now()
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
        this.#events.progress(job, summary)
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
    const { loads } = this.#host
    const reply = await this.#host.askAbout(job, to, JobUp, { job: job.id, items, loads: loads.share() })
    loads.note(reply.loads)
    for (const [level, index] of reply.known) {
      const segment = job.segments.get(placeName(level, index))
      if (segment && !segment.total) this.#events.known(segment)
    }
    if (reply.moved.length === 0) return undefined
    const moved = new Set(reply.moved.map(([level, index]) => placeName(level, index)))
    return new Set(items.filter((item) => moved.has(placeName(item.level, item.index))))
  }
}
