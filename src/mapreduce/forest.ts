/**
 * The segments that a host owns (DESIGN 7): partials come in from workers and from the owners of children, are folded in
 * order, committed in the segment's replica group and sent to the parent's owner until it has accepted them. Recovery
 * is top-down and lazy: an owner asks for the children that it has not heard of for a while, by a bundle that is
 * routed to their owners as the first dispatch was; what comes back is the usual report.
 */
import { ChoraleError, errorMessage } from '../core/errors.ts'
import { hashKey } from '../core/ids.ts'
import type { RequestOf } from '../net/message.ts'
import { type Attempt, attemptOf } from './alarm.ts'
import { Commits } from './commits.ts'
import { coverOf } from './cover.ts'
import { failureOf } from './failure.ts'
import type { JobsHost } from './host.ts'
import { askAgain, isKnown, NEVER, segmentsOf, unclaimed } from './inheritance.ts'
import {
  type Child,
  type KeptCommit,
  type LiveJob,
  newSegment,
  noteAble,
  placeKey,
  placeName,
  placeOf,
  type Segment,
} from './job-table.ts'
import { type Commit, type Given, JobResults, JobUp, type Summary, type Up } from './messages.ts'
import { patienceMs, Reports } from './reports.ts'
import type { Roots } from './roots.ts'
import { type Bundle, Router } from './router.ts'
import { childCount, firstChild, hasMany, hasSegment, hasTask, parentIndex } from './segments.ts'
import { mergeSketches, sketchOf } from './sketch.ts'
import { summarize } from './summary.ts'

/** A segment that was handed over is kept for so long, whoever seems to own it. */
const HANDOVER_GRACE_MS = 5_000
/** Children that are asked for in one go; the rest is asked for at the next look. */
const MAX_ASKS = 1_000
/** Attempts of a segment that fail in the job's own code until the job is given up. */
const MAX_FAILURES = 3

type Kept = Pick<KeptCommit, 'digest' | 'by'>

export interface ForestEvents {
  /** Tasks have come into the queue. */
  queued(): void
  /** A worker that has brought its results has nothing else to do. */
  wants(peer: string, message: RequestOf<typeof JobResults>, job: LiveJob): Given
  /** The one child of the level above the top: the job itself. */
  progress(job: LiveJob, summary: Summary): void
  total(job: LiveJob, total: Uint8Array, summary: Summary): void
}

export class Forest {
  readonly router: Router
  readonly #host: JobsHost
  readonly #roots: Roots
  readonly #events: ForestEvents
  readonly #commits: Commits
  readonly #reports: Reports
  #owned: string | undefined

  constructor(host: JobsHost, roots: Roots, events: ForestEvents) {
    this.#host = host
    this.#roots = roots
    this.#events = events
    this.router = new Router(host, (job, indices, bundle) => this.#accept(job, indices, bundle))
    this.#commits = new Commits(host, {
      committed: (segment) => this.#committed(segment),
      conflict: (segment, level, index, other) => this.#conflict(segment, level, index, other),
    })
    this.#reports = new Reports(host, {
      progress: (job, summary) => events.progress(job, summary),
      known: (segment) => this.#letGo(segment),
    })
  }

  start(): void {
    const host = this.#host
    const { table } = host
    host.handle(JobResults, async (message, { from }) => {
      const job = table.open(message.job, message.spec)
      if (job === 'need') return { need: true as const }
      if (job === 'ended') return { ended: true as const }
      if (!hasSegment(job.tree, 1, message.segment)) throw new ChoraleError('bad-message', 'no such segment')
      const name = placeName(1, message.segment)
      if (!job.segments.has(name)) {
        await host.ready(job)
        if (!this.#owns(job, 1, message.segment)) return { moved: true as const }
        await this.#adopt(job, [message.segment], { level: 1, fresh: false, handover: false, hops: 0 })
      }
      const segment = job.segments.get(name)
      if (!segment) return table.hasEnded(job.id) ? { ended: true as const } : { moved: true as const }
      if (message.failure === undefined) noteAble(job, from.contact)
      await this.#onResults(segment, message, from.peer)
      return message.wants === undefined ? {} : { given: this.#events.wants(from.peer, message, job) }
    })
    host.handle(JobUp, (message, { from }) => {
      const job = table.open(message.job, message.spec)
      if (job === 'need') return { need: true as const, moved: [], known: [], loads: [] }
      if (job === 'ended') return { ended: true as const, moved: [], known: [], loads: [] }
      if (message.items.some(({ bytes }) => bytes)) noteAble(job, from.contact)
      host.loads.note(message.loads)
      const moved = message.items.filter((item) => !this.#onUp(job, item, from.peer)).map(placeOf)
      const known = message.items.filter((item) => !item.bytes && isKnown(job, item)).map(placeOf)
      return { moved, known, loads: host.loads.share() }
    })
    this.#commits.start()
    this.router.start((id) => table.end(id))
  }

  /** Makes this host the owner of the level above the top: the coordinator. */
  coordinate(job: LiveJob, fresh: boolean): Segment {
    const known = job.segments.get(placeName(job.top + 1, 0))
    return known ?? this.#create(job, { level: job.top + 1, fresh, handover: false, hops: 0 }, 0)
  }

  dropJob(job: LiveJob): void {
    for (const segment of job.segments.values()) this.#reports.forget(segment)
    this.#roots.dropJob(job.id)
  }

  /** Every 100 ms: what has changed goes up. */
  report(): void {
    this.#reports.flush()
  }

  /** Every half second: who has not been heard of, and what is no longer ours. */
  inspect(): void {
    const now = this.#host.now()
    let asks = MAX_ASKS
    for (const job of this.#host.table.live.values()) {
      const patience = Array.from({ length: job.top + 2 }, (_, level) => patienceMs(job, level, now))
      const ask = new Map<number, number[]>()
      const lost: Segment[] = []
      for (const segment of job.segments.values()) {
        if (segment.graceUntilMs < now && this.#lost(segment)) {
          lost.push(segment)
          continue
        }
        if (segment.dirty) this.#reports.soon(segment)
        if (segment.level === 1 || segment.total || segment.folding) continue
        for (let i = 0; i < segment.children.length && asks > 0; i++) {
          const child = segment.children[i] as Child
          if (child.bytes || child.heardAtMs + (patience[segment.level - 1] as number) > now) continue
          child.heardAtMs = now
          asks--
          const indices = ask.get(segment.level - 1) ?? []
          indices.push(firstChild(job.tree, segment.level, segment.index) + i)
          ask.set(segment.level - 1, indices)
        }
      }
      for (const segment of lost) this.#handOver(segment)
      for (const [level, indices] of ask) {
        indices.sort((a, b) => a - b)
        void this.router.dispatch(job, coverOf(indices), { level, fresh: false, handover: false, hops: 0 })
      }
    }
  }

  #owns(job: LiveJob, level: number, index: number): boolean {
    return this.#host.overlay.owns(placeKey(job, level, index))
  }

  /** Somebody else owns it now, and there is a way to them. */
  #lost(segment: Segment): boolean {
    const { overlay } = this.#host
    return !overlay.owns(segment.key) && overlay.nextHop(segment.key) !== undefined
  }

  /** Ownership has changed: takes what has come to this host, and asks for what is below. */
  claim(): void {
    const { owned } = this.#host.overlay.regions()
    if (owned === this.#owned) return
    this.#owned = owned
    for (const job of this.#host.table.live.values()) void this.#claim(job).catch(() => {}) // asked for later
  }

  async #claim(job: LiveJob): Promise<void> {
    if (!hasMany(job.tree, 1)) return // their parents' owners ask soon
    for (const [level, indices] of await unclaimed(this.#host, job)) {
      await this.#adopt(job, indices, { level, fresh: false, handover: false, hops: 0 })
      for (const segment of segmentsOf(job, level, indices)) this.#reports.now(segment)
    }
    askAgain(job)
  }

  #letGo(segment: Segment): void {
    segment.job.segments.delete(placeName(segment.level, segment.index))
    this.#reports.forget(segment)
    this.#roots.remove(segment)
  }

  #handOver(segment: Segment): void {
    const { job, level, index } = segment
    this.#letGo(segment)
    if (level > job.top || (segment.total && segment.accepted)) return
    void this.router.dispatch(job, [index, index + 1], { level, fresh: false, handover: false, hops: 0 })
  }

  /** Segments that were dispatched to this host, or asked of it. */
  #accept(job: LiveJob, indices: number[], bundle: Bundle): void {
    const unknown: number[] = []
    for (const index of indices) {
      const segment = job.segments.get(placeName(bundle.level, index))
      if (!segment) unknown.push(index)
      else if (!bundle.fresh) {
        segment.accepted = false
        this.#reports.now(segment)
      }
    }
    const failed = (error: unknown) =>
      this.#host.log.debug('segments were not taken over', { reason: errorMessage(error) })
    if (unknown.length > 0) this.#adopt(job, unknown, bundle).catch(failed)
  }

  /** Takes segments over, after asking the replica groups what has been committed unless this is the first dispatch. */
  async #adopt(job: LiveJob, indices: readonly number[], bundle: Bundle): Promise<void> {
    const absent = indices.filter((index) => !job.commits.has(placeName(bundle.level, index)))
    if (bundle.level === 1) await this.#host.ready(job)
    if (!bundle.fresh && absent.length > 0) await this.#commits.recall(job, bundle.level, absent)
    if (job.ended.signal.aborted || this.#host.signal.aborted) return
    let queued = false
    for (const index of indices) {
      if (job.segments.has(placeName(bundle.level, index))) continue
      const segment = this.#create(job, bundle, index)
      queued ||= segment.todo !== 0
    }
    if (queued) this.#events.queued()
  }

  #create(job: LiveJob, bundle: Bundle, index: number): Segment {
    const { level, fresh, handover } = bundle
    const now = this.#host.now()
    const count = level > job.top ? 1 : childCount(job.tree, level, index)
    const heardAtMs = fresh ? now : NEVER
    const graceUntilMs = handover ? now + HANDOVER_GRACE_MS : 0
    // Of many, one of each family is enough for their parent to be there and wait for them.
    const reportedAtMs = hasMany(job.tree, level) && index % job.tree.fanIn !== 0 ? now : 0
    const segment = newSegment(job, level, index, { count, heardAtMs, graceUntilMs, reportedAtMs })
    job.segments.set(placeName(level, index), segment)
    this.#reports.soon(segment)
    this.#takeCommits(segment)
    if (level === 1 && !segment.total) {
      this.#roots.add(segment)
      if (!fresh && !handover) segment.again = segment.todo
    }
    this.#foldIfWhole(segment)
    return segment
  }

  async #onResults(segment: Segment, message: RequestOf<typeof JobResults>, from: string): Promise<void> {
    const { job } = segment
    const commits: Commit[] = []
    for (const { level, index, bytes } of message.results) {
      if (level === 1 ? index !== segment.index : !hasTask(job.tree, segment.index, index)) {
        throw new ChoraleError('bad-message', 'a result of another segment')
      }
      if (level === 0 && segment.total) {
        // A late attempt. The tasks' own partials are gone, their digests are not.
        const { digest, from: by } = segment.children[index - firstChild(job.tree, 1, segment.index)] as Child
        const other = attemptOf(hashKey(bytes), from)
        if (digest && digest !== other.digest) this.#alarm(segment, level, index, { digest, by }, other)
        continue
      }
      const outcome = this.#host.table.commit(job, level, index, bytes, from)
      if (outcome === 'conflict') this.#conflict(segment, level, index, attemptOf(hashKey(bytes), from))
      if (outcome === 'new') commits.push({ level, index, bytes })
    }
    if (commits.length > 0) segment.workers = mergeSketches(segment.workers, sketchOf(message.worker))
    if (message.failure !== undefined && !segment.total && ++segment.failures >= MAX_FAILURES) {
      segment.failure = message.failure
      this.#reports.now(segment)
    }
    this.#takeCommits(segment)
    if (!message.more) {
      const { grant, mask, tookMs, failure } = message
      if (!this.#roots.answered(grant, mask, from, failure === undefined ? tookMs : undefined))
        this.#host.counters.foreignGrants++
    }
    this.#committed(segment)
    if (segment.todo !== 0) this.#events.queued()
    await this.#commits.replicate(segment, commits)
  }

  #committed(segment: Segment): void {
    if (segment.accepted) return
    this.#takeCommits(segment)
    if (segment.level === 1) this.#roots.settle(segment)
    this.#reports.soon(segment)
    this.#foldIfWhole(segment)
  }

  /**
   * What is committed is what counts, whoever brought it: another owner may have committed here before this host knew
   * that the segment is its own.
   */
  #takeCommits(segment: Segment): void {
    const { job, level, index } = segment
    segment.total ??= job.commits.get(placeName(level, index))?.bytes
    if (segment.total) return
    for (let i = 0; i < segment.children.length; i++) {
      const child = segment.children[i] as Child
      const commit = child.bytes
        ? undefined
        : job.commits.get(placeName(level - 1, firstChild(job.tree, level, index) + i))
      if (!commit) continue
      child.bytes = commit.bytes
      child.digest = commit.digest
      child.from = commit.by
    }
  }

  /** A report about a child. False: this host does not own the parent. */
  #onUp(job: LiveJob, item: Up, from: string): boolean {
    const level = item.level + 1
    const index = parentIndex(job.tree, item.level, item.index)
    if (item.level < 1 || !hasSegment(job.tree, item.level, item.index)) {
      throw new ChoraleError('bad-message', 'no such segment')
    }
    let segment = job.segments.get(placeName(level, index))
    if (!segment) {
      if (!this.#owns(job, level, index)) return false
      segment = this.#create(job, { level, fresh: true, handover: false, hops: 0 }, index)
    }
    const child = segment.children[item.index - firstChild(job.tree, level, index)] as Child
    child.heardAtMs = this.#host.now()
    if (item.bytes) {
      const digest = hashKey(item.bytes)
      if (child.digest && child.digest !== digest) {
        const known = { digest: child.digest, by: child.from }
        this.#alarm(segment, item.level, item.index, known, attemptOf(digest, from))
        return true
      }
      child.digest = digest
      if (!segment.total) child.bytes = item.bytes
    }
    child.from = from
    child.summary = item.summary
    this.#reports.soon(segment)
    if (item.summary.failure !== undefined) this.#reports.now(segment)
    this.#foldIfWhole(segment)
    return true
  }

  #foldIfWhole(segment: Segment): void {
    if (segment.total) {
      this.#finished(segment)
      return
    }
    if (!segment.folding && segment.children.every((child) => child.bytes)) void this.#fold(segment)
  }

  async #fold(segment: Segment): Promise<void> {
    segment.folding = true
    const { job, level, index } = segment
    try {
      const partials = segment.children.map((child) => child.bytes as Uint8Array)
      const fold = () => this.#host.errands.fold(job, segment.key, partials, (why) => this.#reports.wait(segment, why))
      const total = level > job.top ? (partials[0] as Uint8Array) : await fold()
      if (job.ended.signal.aborted || segment.total) return
      if (level > job.top) segment.total = total
      else {
        const { peer } = this.#host.transport
        const outcome = this.#host.table.commit(job, level, index, total, peer)
        if (outcome === 'conflict') this.#conflict(segment, level, index, attemptOf(hashKey(total), peer))
        this.#takeCommits(segment)
        void this.#commits.replicate(segment, [{ level, index, bytes: total }])
      }
      this.#finished(segment)
    } catch (error) {
      if (job.ended.signal.aborted || this.#host.signal.aborted) return
      segment.failure = failureOf('reduce', this.#host.transport.peer, errorMessage(error))
      this.#reports.now(segment)
    } finally {
      segment.folding = false
    }
  }

  #finished(segment: Segment): void {
    // Only the digests are needed from here on, to notice a second result.
    for (const child of segment.children) child.bytes = undefined
    if (segment.level === 1) this.#roots.remove(segment)
    if (segment.level > segment.job.top)
      this.#events.total(segment.job, segment.total as Uint8Array, summarize(segment))
    else if (!segment.accepted) this.#reports.now(segment)
  }

  /** Something else than what is committed here. */
  #conflict(segment: Segment, level: number, index: number, other: Attempt): void {
    const commit = segment.job.commits.get(placeName(level, index))
    this.#alarm(segment, level, index, commit, other)
  }

  #alarm(segment: Segment, level: number, index: number, known: Kept | undefined, other: Attempt): void {
    this.#host.alarm(segment, level, index, [attemptOf(known?.digest, known?.by), other])
    this.#reports.now(segment)
  }
}
