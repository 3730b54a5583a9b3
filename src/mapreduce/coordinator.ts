/**
 * Jobs by their records: whoever owns a job's key coordinates it (DESIGN 7). It sends the first dispatch, hears from the owner
 * of the top segment, keeps the record and ends the job. Two at once are wasteful, never wrong. Watchers wait here for
 * news.
 */
import { decode, encode } from '../core/cbor.ts'
import { errorMessage } from '../core/errors.ts'
import { hashKey, type Key } from '../core/ids.ts'
import { MAX_WAITERS } from '../core/limits.ts'
import type { RegisterKind } from '../dht/registers.ts'
import { CappedMap } from '../net/capped-map.ts'
import { rangeCover } from './cover.ts'
import { type Failure, failureOf } from './failure.ts'
import type { Forest } from './forest.ts'
import { isHostsFault, type JobsHost } from './host.ts'
import type { LiveJob } from './job-table.ts'
import { JobWatch, type Summary } from './messages.ts'
import {
  currentSpec,
  isTerminal,
  type JobEnding,
  type JobRecord,
  newRecord,
  progressOf,
  type RecordStage,
  terminalState,
} from './record.ts'
import { segmentCount } from './segments.ts'
import { encodeSpec, jobIdOf, jobKey, parseSpec, rootSpec, tasksBefore } from './spec.ts'
import { summarize } from './summary.ts'
import { type HostStanding, surveyHosts } from './survey.ts'
import { addTallies } from './tally.ts'
import type { JobView, Json } from './types.ts'
import { viewOf, views } from './view.ts'

/** How often progress goes into the record, for whoever coordinates next; and as a share of the job's age. */
const SAVE_EVERY_MS = 2_000
const SAVE_SHARE = 1 / 16
const RETRY_MS = 500
/** Input that is out of reach is waited for so long: its hosts may be changing. */
const INPUT_PATIENCE_MS = 120_000
/** A job that nobody has spoken of for so long, or half of the time for which it is known, may be over. */
const QUIET_MS = 5_000
/** A job of which no task has been done for so long, and for this share of its age: hosts are asked why, so often. */
const STALLED_MS = 2_000
const STALLED_SHARE = 1 / 4
const SURVEY_EVERY_MS = 3_000

interface Coordination {
  /** The pass that the job is in. */
  readonly job: LiveJob
  readonly stage: RecordStage | undefined
  /** Of all passes. */
  summary: Summary
  estimate: Json | undefined
  reported: boolean
  /** When there were more tasks done than before. */
  movedAtMs: number
  surveyedAtMs: number
  hosts: readonly HostStanding[] | undefined
  savedAtMs: number
  concluding: boolean
}

export class Coordinator {
  readonly #host: JobsHost
  readonly #forest: Forest
  readonly #kind: RegisterKind<JobRecord>
  readonly #ids = new CappedMap<Key, string>(4096)
  readonly #coordinated = new Map<string, Coordination>()
  readonly #watchers = new Map<string, Set<() => void>>()
  readonly #restoring = new Set<string>()
  #watching = 0

  constructor(host: JobsHost, forest: Forest, kind: RegisterKind<JobRecord>) {
    this.#host = host
    this.#forest = forest
    this.#kind = kind
  }

  start(): void {
    this.#host.registers.onUpdate(this.#kind, (key, job) => this.#look(key, job))
    this.#host.handle(JobWatch, async ({ job, seen, waitMs }) => this.#watch(job, seen, waitMs))
  }

  /** Every half second: ownership may have come to this host. */
  inspect(): void {
    for (const [key, job] of this.#host.registers.entries(this.#kind)) this.#look(key, job)
    const now = this.#host.now()
    for (const [id, one] of this.#coordinated) {
      const stalledMs = Math.max(STALLED_MS, STALLED_SHARE * (now - one.job.openedAtMs))
      if (one.movedAtMs + stalledMs > now || one.surveyedAtMs + SURVEY_EVERY_MS > now || one.concluding) continue
      one.surveyedAtMs = now
      void this.#survey(id, one)
    }
    for (const job of this.#host.table.live.values()) {
      const before = now - Math.max(QUIET_MS, (now - job.openedAtMs) / 2)
      if (job.touchedAtMs > before || job.askedAtMs > before || this.#coordinated.has(job.root)) continue
      job.askedAtMs = now
      void this.#askWhetherOver(job)
    }
  }

  dropJob(job: LiveJob): void {
    if (this.#coordinated.get(job.root)?.job === job) this.#coordinated.delete(job.root)
  }

  /** The job's key's owner has heard from the top segment's. */
  progress(job: LiveJob, summary: Summary): void {
    const coordination = this.#coordinated.get(job.root)
    if (!coordination) {
      void this.#restore(job)
      return
    }
    if (coordination.job !== job) return
    const { estimate, ...counts } = summary
    this.#hear(coordination, inAll(coordination, counts))
    if (summary.failure) return void this.#fail(job, summary.failure)
    void this.#estimate(job, coordination, estimate).finally(() => this.#notify(job.root))
    const now = this.#host.now()
    const everyMs = Math.max(SAVE_EVERY_MS, SAVE_SHARE * (now - job.openedAtMs))
    if (coordination.savedAtMs + everyMs <= now) this.#save(job, coordination)
  }

  async total(job: LiveJob, total: Uint8Array, summary: Summary): Promise<void> {
    const coordination = this.#coordinated.get(job.root)
    if (!coordination) return this.#restore(job) // once the record is here, so is the total
    if (coordination.job !== job || coordination.concluding) return
    this.#hear(coordination, inAll(coordination, summary))
    try {
      const after = await this.#host.errands.after(job, total, (waits) => {
        coordination.summary = { ...coordination.summary, waits }
        this.#notify(job.root)
      })
      if ('stage' in after) return await this.#advance(coordination, after.stage)
      const value = encode(after.value)
      await this.#conclude(job, { state: 'succeeded', reason: 'all tasks are done', value, digest: hashKey(total) })
    } catch (error) {
      if (job.ended.signal.aborted || this.#host.signal.aborted) return
      await this.#fail(job, this.#failure('finish', errorMessage(error)))
    }
  }

  #failure(phase: Failure['phase'], message: string): Failure {
    return failureOf(phase, this.#host.transport.peer, message)
  }

  #fail(job: LiveJob, failure: Failure): Promise<void> {
    const { message } = failure
    return this.#conclude(job, { state: 'failed', reason: message, failure, digest: hashKey(message) })
  }

  #hear(coordination: Coordination, summary: Summary): void {
    if (summary.done > coordination.summary.done || !coordination.reported) {
      coordination.movedAtMs = this.#host.now()
      coordination.hosts = undefined
    }
    coordination.reported = true
    coordination.summary = summary
  }

  async #survey(id: string, coordination: Coordination): Promise<void> {
    const movedAtMs = coordination.movedAtMs
    const hosts = await surveyHosts(this.#host, coordination.job.id)
    if (coordination.movedAtMs !== movedAtMs || coordination.concluding) return
    coordination.hosts = hosts
    this.#notify(id)
  }

  /** A job as this host knows it; undefined when it has no record of it. */
  view(id: string): JobView | undefined {
    const job = this.#host.registers.local(this.#kind, jobKey(id))
    return job && viewOf(job, this.#coordinated.get(id))
  }

  #look(key: Key, record: JobRecord): void {
    let id = this.#ids.get(key)
    if (!id) this.#ids.set(key, (id = jobIdOf(record.spec)))
    const mine = this.#host.overlay.owns(key)
    const coordination = this.#coordinated.get(id)
    if (terminalState(record)) {
      const pass = coordination?.job ?? this.#host.table.live.get(id)
      if (pass && mine) void this.#forest.router.end(pass)
      this.#host.table.endAll(id)
    } else if (mine && coordination?.stage?.number !== record.stage?.number) this.#begin(id, record, coordination)
    else if (mine && !coordination) this.#begin(id, record, undefined)
    // The forest lets go of the segment too: should the key come back, everything is asked for again.
    else if (!mine && coordination && !coordination.concluding) this.#coordinated.delete(id)
    if (record.stage && this.#coordinated.get(id)?.concluding !== true) {
      this.#host.table.endBefore(id, record.stage.number)
    }
    this.#notify(id)
  }

  /** `before`: this host has coordinated the pass before. */
  #begin(id: string, record: JobRecord, before: Coordination | undefined): void {
    let job: LiveJob | string
    try {
      const bytes = record.stage ? encodeSpec(currentSpec(parseSpec(id, record.spec), record)) : record.spec
      const pass = jobIdOf(bytes)
      job = this.#host.table.open(pass, bytes)
      if (job === 'ended') {
        // Anybody may say so; the record knows better.
        this.#host.table.revive(pass)
        job = this.#host.table.open(pass, bytes)
      }
    } catch (error) {
      this.#host.counters.refusedBundles++
      this.#host.log.warn('cannot coordinate a job', { job: id, reason: errorMessage(error) })
      return
    }
    if (typeof job === 'string') return
    this.#coordinated.set(id, {
      job,
      stage: record.stage,
      summary: { ...record.progress, queued: 0, running: 0 },
      estimate: undefined,
      reported: false,
      movedAtMs: this.#host.now(),
      surveyedAtMs: 0,
      hosts: undefined,
      savedAtMs: this.#host.now(),
      concluding: false,
    })
    const fresh = record.stage ? before !== undefined : !record.started
    const segment = this.#forest.coordinate(job, fresh)
    // The total may have come before the record did, which takes a while to reach a new owner.
    if (segment.total) void this.total(job, segment.total, summarize(segment))
    if (fresh) void this.#dispatch(job)
  }

  async #dispatch(job: LiveJob): Promise<void> {
    const untilMs = this.#host.now() + INPUT_PATIENCE_MS
    for (;;) {
      try {
        await this.#host.ready(job)
        break
      } catch (error) {
        if (job.ended.signal.aborted || this.#host.signal.aborted) return
        const why = `its input cannot be read: ${errorMessage(error)}`
        if (!isHostsFault(error) || this.#host.now() > untilMs) return await this.#fail(job, this.#failure('map', why))
        const coordination = this.#coordinated.get(job.root)
        if (coordination?.job !== job) return
        coordination.summary = { ...coordination.summary, waits: why.slice(0, 400) }
        this.#notify(job.root)
        await this.#host.env.clock.sleep(RETRY_MS, { signal: this.#host.signal }).catch(() => {})
      }
    }
    const cover = rangeCover(0, segmentCount(job.tree, 1))
    void this.#forest.router.dispatch(job, cover, { level: 1, fresh: true, handover: false, hops: 0 })
    if (!job.spec.stage) this.#update(job, { started: true })
  }

  /** To the next pass, once a majority of the record's group knows of it. */
  async #advance(coordination: Coordination, stage: Omit<RecordStage, 'reassigned' | 'doneBy'>): Promise<void> {
    if (coordination.concluding) return
    coordination.concluding = true
    const { job, summary } = coordination
    const progress = progressOf(summary)
    const before = { reassigned: summary.reassigned, ...(summary.doneBy && { doneBy: summary.doneBy }) }
    await this.#record(job, { started: true, progress, stage: { ...stage, ...before } })
    void this.#forest.router.end(job)
    this.#host.table.end(job.id)
  }

  /** Of a job that nobody has spoken of for a while: the message of its end may have missed this host. */
  async #askWhetherOver(job: LiveJob): Promise<void> {
    try {
      const owner = await this.#host.ownerOf(job, jobKey(job.root))
      const { view, stage = 0 } = await this.#host.ask(owner, JobWatch, { job: job.root, seen: '', waitMs: 0 })
      this.#host.table.endBefore(job.root, stage)
      if (view && isTerminal(views.parse(decode(view)).state)) this.#host.table.endAll(job.root)
    } catch (error) {
      this.#host.log.debug('cannot ask about a quiet job', { job: job.id, reason: errorMessage(error) })
    }
  }

  /** Segments report for a job whose record died with all its keepers: their work need not die with it. */
  async #restore(job: LiveJob): Promise<void> {
    const key = jobKey(job.root)
    if (this.#restoring.has(job.root) || this.#host.registers.local(this.#kind, key)) return
    this.#restoring.add(job.root)
    try {
      const known = await this.#host.registers.read(this.#kind, key, { signal: this.#host.signal })
      const { stage } = job.spec
      if (known) return
      const { of: _, tasks: _tasks, ...pass } = stage ?? {}
      this.#update(job, { started: true, ...(stage && { stage: { ...pass, reassigned: 0 } as RecordStage }) })
    } catch (error) {
      this.#host.log.debug('a job record was not found', { job: job.id, reason: errorMessage(error) })
    } finally {
      this.#restoring.delete(job.root)
    }
  }

  async #estimate(job: LiveJob, coordination: Coordination, bytes: Uint8Array | undefined): Promise<void> {
    if (!bytes || !job.runsHere) return
    try {
      coordination.estimate = await this.#host.work.finish(job.spec, bytes, { signal: job.ended.signal })
    } catch {
      // Too little is there for `finish`: the job has no estimate yet.
    }
  }

  #save(job: LiveJob, coordination: Coordination): void {
    coordination.savedAtMs = this.#host.now()
    this.#update(job, { progress: progressOf(coordination.summary) })
  }

  #update(job: LiveJob, change: Partial<JobRecord>): void {
    this.#write(job, change).catch((error) =>
      this.#host.log.debug('a job record was not updated', { job: job.root, reason: errorMessage(error) }),
    )
  }

  #write(job: LiveJob, change: Partial<JobRecord>): Promise<JobRecord> {
    const record = { ...newRecord(encodeSpec(rootSpec(job.spec))), ...change }
    return this.#host.registers.update(this.#kind, jobKey(job.root), record, { signal: this.#host.signal })
  }

  /** Writes the end into the record. */
  async #conclude(job: LiveJob, end: Omit<JobEnding, 'atMs' | 'disputed'>): Promise<void> {
    const coordination = this.#coordinated.get(job.root)
    if (!coordination || coordination.job !== job || coordination.concluding) return
    coordination.concluding = true
    const ending = { ...end, disputed: false, atMs: this.#host.now() }
    await this.#record(job, { started: true, progress: progressOf(coordination.summary), end: ending })
  }

  /** Until a majority of the record's group has it. */
  async #record(job: LiveJob, change: Partial<JobRecord>): Promise<void> {
    while (!this.#host.signal.aborted) {
      try {
        await this.#write(job, change)
        return
      } catch (error) {
        this.#host.log.debug('what became of a job was not recorded', { job: job.root, reason: errorMessage(error) })
        await this.#host.env.clock.sleep(RETRY_MS, { signal: this.#host.signal }).catch(() => {})
      }
    }
  }

  async #watch(id: string, seen: string, waitMs: number) {
    const key = jobKey(id)
    const until = this.#host.now() + waitMs
    for (;;) {
      const owned = this.#host.overlay.owns(key)
      let record = this.#host.registers.local(this.#kind, key)
      if (!record && owned) record = await this.#host.registers.read(this.#kind, key, { signal: this.#host.signal })
      if (!record || (!owned && !terminalState(record))) return { digest: '', ...(!owned && { moved: true as const }) }
      const view = encode(viewOf(record, this.#coordinated.get(id)))
      const digest = hashKey(view)
      const stage = record.stage && { stage: record.stage.number }
      if (digest !== seen) return { view, digest, ...stage }
      const leftMs = until - this.#host.now()
      if (leftMs <= 0 || this.#watching >= MAX_WAITERS || this.#host.signal.aborted) return { digest }
      await this.#news(id, leftMs)
    }
  }

  /** Until something about the job has changed, or the time is over. */
  #news(id: string, ms: number): Promise<void> {
    return new Promise((resolve) => {
      const watchers = this.#watchers.get(id) ?? new Set()
      this.#watchers.set(id, watchers)
      this.#watching++
      const wake = () => {
        if (!watchers.delete(wake)) return
        this.#watching--
        if (watchers.size === 0) this.#watchers.delete(id)
        cancel()
        resolve()
      }
      const cancel = this.#host.env.clock.timer(ms, wake)
      watchers.add(wake)
    })
  }

  #notify(id: string): void {
    for (const wake of [...(this.#watchers.get(id) ?? [])]) wake()
  }

  /** On stop: nobody waits here any longer. */
  stop(): void {
    for (const watchers of [...this.#watchers.values()]) for (const wake of [...watchers]) wake()
  }
}

/** What is known of one pass, with what the passes before came to. */
function inAll({ job, stage }: Coordination, summary: Summary): Summary {
  const doneBy = addTallies(stage?.doneBy ?? [], summary.doneBy ?? [])
  return {
    ...summary,
    done: tasksBefore(rootSpec(job.spec), stage) + summary.done,
    reassigned: (stage?.reassigned ?? 0) + summary.reassigned,
    ...(doneBy.length > 0 && { doneBy: doneBy.map(([host, tasks]) => [host, tasks]) }),
  }
}
