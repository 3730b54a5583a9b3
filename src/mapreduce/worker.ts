/**
 * The working side of a host: keeps its lent cores busy with its own queue first, then with what it pulls from other
 * roots, and brings the results to the owners of their segments until they are committed there (DESIGN 7).
 */
import { errorMessage } from '../core/errors.ts'
import type { Key } from '../core/ids.ts'
import { MAX_WAITERS } from '../core/limits.ts'
import type { Contact } from '../net/contact.ts'
import type { RequestOf } from '../net/message.ts'
import type { Failure } from './failure.ts'
import { inFrames } from './frames.ts'
import { GrantNotes } from './grant-notes.ts'
import { isHostsFault, type JobsHost } from './host.ts'
import { type LiveJob, placeKey } from './job-table.ts'
import type { Loads } from './loads.ts'
import type { LogSender } from './log-sender.ts'
import { type Grant, JobLoads, JobPull, JobRenew, JobResults, type Load, MAX_GRANTS, MAX_ITEMS } from './messages.ts'
import type { RunResult } from './ports.ts'
import type { Lease, Roots } from './roots.ts'
import { countBits, fullMask, hasSegment, tasksOfMask } from './segments.ts'

/** A pull goes out when what is left will take less than this. */
const LOW_WATER_MS = 60
/** Nothing is fetched ahead of tasks that take longer: the wait for the next is nothing beside them. */
const LONG_TASK_MS = 500
/** Results that wait for their commit; beyond it nothing new is begun. */
const MAX_DELIVERIES = 128
const RESULTS_TIMEOUT_MS = 10_000
/** A core rests so long after a failure. */
const FAILED_MS = 100
const RETRY_MS = { first: 200, most: 5_000 }
/** A leaf waits so long at a member for news of queues. */
const LEAF_WAIT_MS = 8_000
const HINTS = 8
/** Hearsay is passed on this often at most. */
const RELAY_MS = 300

interface Work {
  readonly grant: Grant
  readonly job: LiveJob
  /** Who gave it; undefined: this host's own queue. */
  readonly root: Contact | undefined
  /** What its code says, once it runs. */
  notes?: GrantNotes
}

export class Worker {
  readonly #host: JobsHost
  readonly #roots: Roots
  readonly #loads: Loads
  readonly #logs: LogSender
  /** Called when there is something to pass on. */
  readonly #wake: () => void
  readonly #buffer: Work[] = []
  readonly #running = new Set<Work>()
  readonly #delivering = new Set<Work>()
  readonly #waiters = new Set<() => void>()
  #pulling = false
  #stopped = false
  #advertised = 0
  #toldAtMs = 0
  #meanTaskMs: number | undefined
  tasksDone = 0

  constructor(host: JobsHost, roots: Roots, loads: Loads, logs: LogSender, wake: () => void) {
    this.#host = host
    this.#wake = wake
    this.#roots = roots
    this.#loads = loads
    this.#logs = logs
  }

  get busy(): number {
    return this.#running.size
  }

  start(): void {
    this.#host.handle(JobPull, async (message, { from }) => {
      const takes = ({ id }: LiveJob) => !message.refuses.includes(id)
      let leases = this.#stopped ? [] : this.#roots.grant(from.peer, message.cores, MAX_GRANTS, takes)
      if (leases.length === 0 && message.waitMs > 0 && this.#loads.hints(1).length === 0) {
        await this.#wait(message.waitMs)
        if (!this.#stopped) leases = this.#roots.grant(from.peer, message.cores, MAX_GRANTS, takes)
      }
      return this.#pullReply(leases, message.knows)
    })
    this.#host.handle(JobRenew, (message, { from }) => {
      this.#roots.renew(from.peer, message.held, message.shares)
      if (this.#roots.release(from.peer, message.dropped) > 0) this.newWork()
      return {}
    })
    this.#host.handle(JobLoads, (message) => {
      this.#noteLoads(message.loads)
      return {}
    })
  }

  /** The queue of this host has grown. */
  newWork(): void {
    this.pump()
    if (this.#roots.waiting() > 0) {
      for (const wake of [...this.#waiters]) wake()
      if (this.#advertised === 0) this.advertise()
    }
  }

  /** Begins what can be begun. */
  pump(): void {
    if (this.#stopped) return
    const { cores } = this.#host.executor
    while (this.#running.size < cores && this.#delivering.size < MAX_DELIVERIES) {
      const work = this.#buffer.shift() ?? this.#ownWork()
      if (!work) break
      if (work.job.ended.signal.aborted) continue
      this.#running.add(work)
      void this.#run(work)
    }
    if (cores > 0 && !this.#pulling && this.#roots.waiting(runsHere) === 0 && this.#isLow(cores)) void this.#pull()
  }

  /** Is there too little in the buffer? Whoever takes more than that only keeps it from others. */
  #isLow(cores: number): boolean {
    if (this.#running.size < cores && this.#buffer.length === 0) return true
    if (this.#meanTaskMs === undefined || this.#meanTaskMs > LONG_TASK_MS) return false
    if (this.#buffer.length === 0) return true
    if (this.#buffer.length >= MAX_GRANTS) return false
    const tasks = this.#buffer.reduce((sum, { grant }) => sum + countBits(grant.mask), 0)
    return tasks * this.#meanTaskMs < LOW_WATER_MS * cores
  }

  /** Tells neighbours about this host's queue, and what they told. */
  advertise(): void {
    const queued = this.#stopped ? 0 : this.#roots.queued()
    const self = this.#host.overlay.self
    const loads = this.#loads.takeNews()
    if (self && (queued > 0 || this.#advertised > 0)) loads.push({ contact: self, queued, hops: 0 })
    this.#advertised = queued
    if (loads.length > 0) this.#tellLoads(loads)
  }

  /** What was heard and not passed on yet, and that this host's queue is empty again. */
  relay(): void {
    if (this.#host.now() < this.#toldAtMs + RELAY_MS) return
    if (this.#advertised > 0 && this.#roots.waiting() === 0) this.advertise()
    const loads = this.#loads.takeNews()
    if (loads.length > 0) this.#tellLoads(loads)
  }

  /** Every second: the roots keep what they gave to this host. */
  renew(): void {
    if (this.#host.tryAgain()) this.newWork()
    const held = [...this.#buffer, ...this.#running, ...this.#delivering]
    for (const renewal of this.#renewals(held, false)) renewal.catch(() => {})
    const own = [...this.#running].filter(({ root }) => !root)
    const ids = own.map(({ grant }) => grant.id)
    this.#roots.renew(this.#host.transport.peer, ids, sharesOf(own))
  }

  dropJob(job: LiveJob): void {
    for (let i = this.#buffer.length - 1; i >= 0; i--) if (this.#buffer[i]?.job === job) this.#buffer.splice(i, 1)
  }

  /** Begins nothing more, and gives back what was not begun. */
  async stop(): Promise<void> {
    this.#stopped = true
    for (const wake of [...this.#waiters]) wake()
    const back = [...this.#buffer.splice(0), ...this.#running]
    await Promise.allSettled(this.#renewals(back, true))
  }

  #renewals(works: readonly Work[], dropped: boolean): Promise<unknown>[] {
    const groups = new Map<string, { to: Contact; works: Work[] }>()
    for (const work of works) {
      const { root } = work
      if (!root) continue
      const name = `${root.id}|${root.incarnation}`
      const group = groups.get(name)
      if (!group) groups.set(name, { to: root, works: [work] })
      else if (group.works.length < MAX_ITEMS) group.works.push(work)
    }
    return [...groups.values()].map(({ to, works }) => {
      const ids = works.map(({ grant }) => grant.id)
      const message = dropped
        ? { held: [], dropped: ids, shares: [] }
        : { held: ids, dropped: [], shares: sharesOf(works) }
      return this.#host.ask(to, JobRenew, message)
    })
  }

  #ownWork(): Work | undefined {
    const lease = this.#roots.grant(this.#host.transport.peer, 1, 1, runsHere)[0]
    if (!lease) return undefined
    const { job, index } = lease.segment
    return { grant: { id: lease.id, job: job.id, segment: index, mask: lease.mask }, job, root: undefined }
  }

  #pullReply(leases: readonly Lease[], knows: readonly string[]) {
    const specs = new Map<string, Uint8Array>()
    for (const { segment } of leases) {
      if (!knows.includes(segment.job.id)) specs.set(segment.job.id, segment.job.specBytes)
    }
    return {
      grants: leases.map(({ id, segment, mask }) => ({ id, job: segment.job.id, segment: segment.index, mask })),
      specs: [...specs].map(([job, spec]) => ({ job, spec })),
      queued: this.#roots.queued(),
      loads: this.#loads.hints(HINTS),
    }
  }

  #noteLoads(loads: readonly Load[]): void {
    let news = false
    for (const load of loads) news = this.#loads.note(load) || news
    if (!news) return
    for (const wake of [...this.#waiters]) wake()
    this.#wake()
    this.pump()
  }

  #tellLoads(loads: Load[]): void {
    this.#toldAtMs = this.#host.now()
    const told = new Set<string>()
    for (const to of this.#host.overlay.neighbours()) {
      if (told.has(to.peer) || this.#host.isSelf(to)) continue
      told.add(to.peer)
      this.#host.ask(to, JobLoads, { loads }).catch(() => {})
    }
  }

  /** Until there is something to tell those who wait here. */
  #wait(ms: number): Promise<void> {
    if (this.#waiters.size >= MAX_WAITERS) return Promise.resolve()
    return new Promise((resolve) => {
      const wake = () => {
        cancel()
        this.#waiters.delete(wake)
        resolve()
      }
      const cancel = this.#host.env.clock.timer(ms, wake)
      this.#waiters.add(wake)
    })
  }

  async #pull(): Promise<void> {
    this.#pulling = true
    try {
      for (;;) {
        const { root, waitMs } = this.#whomToAsk()
        if (!root || this.#stopped) return
        const { knows, refuses } = this.#host.table.told(MAX_GRANTS)
        const cores = Math.max(1, this.#host.executor.cores)
        const timeoutMs = waitMs > 0 ? waitMs + 5_000 : undefined
        try {
          const reply = await this.#host.ask(root, JobPull, { cores, knows, refuses, waitMs }, { timeoutMs })
          if (reply.queued === 0) this.#loads.forget(root)
          else this.#loads.note({ contact: root, queued: reply.queued, hops: 0 })
          for (const load of reply.loads) this.#loads.note(load)
          const specs = new Map(reply.specs.map(({ job, spec }) => [job, spec]))
          const back: number[] = []
          for (const grant of reply.grants) {
            if (!(await this.#take(grant, specs.get(grant.job), root))) back.push(grant.id)
          }
          if (back.length > 0)
            void this.#host.ask(root, JobRenew, { held: [], dropped: back, shares: [] }).catch(() => {})
          if (reply.grants.length > back.length) {
            this.#pulling = false
            return this.pump()
          }
          if (reply.queued > 0 && refuses.length > 0) this.#loads.avoid(root)
          else if (reply.queued > 0) this.#loads.forget(root) // others were quicker; it will say when there is more
          if (waitMs > 0 && refuses.length > 0) await this.#host.env.clock.sleep(1_000, { signal: this.#host.signal })
        } catch (error) {
          this.#loads.forget(root)
          if (this.#host.signal.aborted) return
          this.#host.log.debug('a pull failed', { reason: errorMessage(error) })
          if (waitMs > 0) await this.#host.env.clock.sleep(1_000, { signal: this.#host.signal }).catch(() => {})
        }
      }
    } finally {
      this.#pulling = false
    }
  }

  /** A host that is known to have a queue; a leaf, of which nobody knows, waits at a member for such news. */
  #whomToAsk(): { root: Contact | undefined; waitMs: number } {
    const { random } = this.#host.env
    const root = this.#loads.pick(random)
    if (root || this.#host.overlay.self) return { root, waitMs: 0 }
    const members = this.#host.overlay.neighbours()
    return { root: members[random.int(members.length)], waitMs: LEAF_WAIT_MS }
  }

  /** False: this host does not take it, and the next pull says so. */
  async #take(grant: Grant, spec: Uint8Array | undefined, root: Contact): Promise<boolean> {
    const job = this.#host.table.open(grant.job, spec)
    if (typeof job === 'string' || !hasSegment(job.tree, 1, grant.segment)) return true // it is over, or nonsense
    if (!(await this.#host.assess(job))) return false
    if ((grant.mask & ~fullMask(job.tree, 1, grant.segment)) === 0) this.#buffer.push({ grant, job, root })
    return true
  }

  async #run(work: Work): Promise<void> {
    const { grant, job } = work
    const tasks = countBits(grant.mask)
    let result: RunResult = { partials: [], tookMs: 0 }
    let failure: Failure | undefined
    const notes = new GrantNotes((task, text) => this.#logs.add(job, task, text))
    work.notes = notes
    try {
      const run = { spec: job.spec, segment: grant.segment, mask: grant.mask }
      const { work: computing } = this.#host
      result = await this.#host.compute(job, () => computing.run(run, { signal: job.ended.signal, notes }))
      this.tasksDone += tasks
      const eachMs = result.tookMs / tasks
      this.#meanTaskMs = this.#meanTaskMs === undefined ? eachMs : this.#meanTaskMs + (eachMs - this.#meanTaskMs) / 8
    } catch (error) {
      if (isHostsFault(error) && !job.ended.signal.aborted && !this.#host.signal.aborted) {
        return this.#giveBack(work, error)
      }
      if (!job.ended.signal.aborted && !this.#host.signal.aborted) {
        this.#host.counters.failedRuns++
        const failed = tasksOfMask(job.tree, grant.segment, grant.mask)
        const reduces = job.spec.stage?.reduce === true
        failure = notes.failure(failed, this.#host.transport.peer, errorMessage(error), reduces)
      }
    }
    if (!job.ended.signal.aborted && !this.#host.signal.aborted) {
      this.#delivering.add(work)
      void this.#deliver(work, result, failure)
    }
    // What fails at once would be given out again at once, and nothing else would be heard any more.
    if (failure !== undefined) await this.#host.env.clock.sleep(FAILED_MS).catch(() => {})
    this.#running.delete(work)
    this.pump()
  }

  /** What this host cannot run is for others, and no failure of the job. */
  #giveBack(work: Work, error: unknown): void {
    const { job, root, grant } = work
    this.#running.delete(work)
    this.#host.leave(job, error)
    if (root) void Promise.allSettled(this.#renewals([work], true))
    else if (this.#roots.release(this.#host.transport.peer, [grant.id]) > 0) this.newWork()
    this.pump()
  }

  /** Keeps the results until the owner of the segment has committed them, whoever that is by then. */
  async #deliver(work: Work, result: RunResult, failure: Failure | undefined): Promise<void> {
    const { grant, job } = work
    const parts = inFrames(result.partials, ({ bytes }) => 48 + bytes.length)
    for (const [i, results] of parts.entries()) {
      await this.#deliverPart(work, {
        job: job.id,
        segment: grant.segment,
        grant: grant.id,
        results,
        more: i < parts.length - 1,
        tookMs: result.tookMs,
        worker: this.#host.transport.peer,
        ...(failure && { failure }),
      })
    }
    this.#delivering.delete(work)
    this.pump()
  }

  async #deliverPart({ grant, job, root }: Work, message: RequestOf<typeof JobResults>): Promise<void> {
    let to = root ?? this.#host.overlay.self
    let key: Key | undefined
    for (let pauseMs = RETRY_MS.first; !job.ended.signal.aborted && !this.#host.signal.aborted; ) {
      try {
        if (!to) {
          await this.#host.ready(job)
          key = placeKey(job, 1, grant.segment)
          to = await this.#host.ownerOf(job, key)
        }
        const reply = await this.#host.askAbout(job, to, JobResults, message, { timeoutMs: RESULTS_TIMEOUT_MS })
        if (!reply.moved) break
      } catch (error) {
        this.#host.log.debug('results did not arrive', { job: job.id, reason: errorMessage(error) })
      }
      to = undefined
      if (key) job.owners.delete(key)
      await this.#host.env.clock.sleep(pauseMs, { signal: this.#host.signal }).catch(() => {})
      pauseMs = Math.min(RETRY_MS.most, pauseMs * 2)
    }
  }
}

function runsHere(job: LiveJob): boolean {
  return job.runsHere
}

/** Of the grants whose code tells how far it is. */
function sharesOf(works: readonly Work[]): [number, number][] {
  return works.flatMap(({ grant, notes }): [number, number][] =>
    notes?.share === undefined ? [] : [[grant.id, notes.share]],
  )
}
