/**
 * The working side of a host: keeps its lent cores busy with its own queue first, then with what it pulls from other
 * roots, and brings the results to the owners of their segments until they are committed there (DESIGN 7).
 */
import { errorMessage } from '../core/errors.ts'
import { MAX_WAITERS } from '../core/limits.ts'
import type { Contact } from '../net/contact.ts'
import { deliver, type Granted } from './delivery.ts'
import type { Failure } from './failure.ts'
import { GrantNotes } from './grant-notes.ts'
import { isHostsFault, type JobsHost } from './host.ts'
import type { LiveJob } from './job-table.ts'
import type { LogSender } from './log-sender.ts'
import { type Given, type Grant, JobPull, JobRenew, MAX_GRANTS } from './messages.ts'
import { Near } from './near.ts'
import type { RunResult } from './ports.ts'
import { renewals, sharesOf } from './renewals.ts'
import type { Roots } from './roots.ts'
import { Rumours } from './rumours.ts'
import { countBits, fullMask, hasMany, hasSegment, segmentCount, tasksOfMask } from './segments.ts'

/** A pull goes out when what is left will take less than this. */
const LOW_WATER_MS = 60
/** Nothing is fetched ahead of tasks that take longer: the wait for the next is nothing beside them. */
const LONG_TASK_MS = 500
/** Results that wait for their commit; beyond it nothing new is begun. */
const MAX_DELIVERIES = 128
/** A core rests so long after a failure. */
const FAILED_MS = 100
/** A leaf waits so long at a member for news of queues. */
const LEAF_WAIT_MS = 8_000
const HINTS = 8
/** Hosts that hear of a job at once, from those to which it is dispatched. */
const FIRST_TOLD = 256
/** An idle host that has heard of no queue asks a neighbour, at first and at last so often. */
const PROBE_MS = { first: 500, most: 4_000 }
/** A grant is renewed no more often than this. */
const RENEW_MS = 1_000

interface Work extends Granted {
  /** What its code says, once it runs. */
  notes?: GrantNotes
  readonly takenAtMs: number
  renewAtMs: number
}

export class Worker {
  readonly #host: JobsHost
  readonly #roots: Roots
  readonly #rumours: Rumours
  readonly #logs: LogSender
  /** Called when there is something to do soon. */
  readonly #wake: () => void
  readonly #buffer: Work[] = []
  readonly #running = new Set<Work>()
  readonly #delivering = new Set<Work>()
  readonly #waiters = new Set<() => void>()
  #pulling = false
  #stopped = false
  #meanTaskMs: number | undefined
  #probeMs = PROBE_MS.first
  #probeAtMs = 0
  readonly #near: Near
  tasksDone = 0

  constructor(host: JobsHost, roots: Roots, logs: LogSender, wake: () => void) {
    this.#host = host
    this.#wake = wake
    this.#roots = roots
    this.#logs = logs
    this.#near = new Near(host, roots)
    this.#rumours = new Rumours(host, () => this.#running.size > 0 && this.#running.size >= host.executor.cores)
  }

  get busy(): number {
    return this.#running.size
  }

  start(): void {
    const host = this.#host
    const { loads } = host
    loads.own = () => {
      const restMs = this.#stopped ? 0 : this.#roots.restMs()
      const { self } = this.#host.overlay
      return self && { contact: self, restMs, ageMs: 0, hops: 0 }
    }
    loads.isLong = () => this.#host.table.isThrifty
    loads.onNews = () => {
      for (const wake of [...this.#waiters]) wake()
      if (!this.#host.table.isThrifty || host.table.live.size === 0) this.#lookSoon()
      this.#wake()
      this.pump()
    }
    this.#host.handle(JobPull, async (message, { from }) => {
      loads.note(message.loads)
      const takes = ({ id }: LiveJob) => !message.refuses.includes(id)
      const given = this.give(from.peer, message.cores, message.knows, takes)
      if (message.waitMs === 0 || given.grants.length > 0 || given.loads.some(({ restMs }) => restMs > 0)) return given
      await this.#wait(message.waitMs)
      return this.give(from.peer, message.cores, message.knows, takes)
    })
    this.#host.handle(JobRenew, (message, { from }) => {
      this.#roots.renew(from.peer, message.held, message.shares)
      if (this.#roots.release(from.peer, message.dropped) > 0) this.newWork()
      return {}
    })
    this.#rumours.start()
  }

  /** The queue of this host has grown. */
  newWork(): void {
    this.pump()
    if (this.#roots.waiting() === 0) return
    for (const wake of [...this.#waiters]) wake()
    for (const { id, tree } of this.#roots.waitingJobs()) {
      this.#rumours.spread(id, Math.ceil(FIRST_TOLD / segmentCount(tree, 1)))
    }
  }

  /** Every second: a queue that will soon be empty should be so sooner. Where there are many segments, it lasts. */
  advertise(): void {
    const small = this.#roots.waitingJobs().find(({ tree }) => !hasMany(tree, 1))
    if (small) this.#rumours.repeat(small.id)
  }

  /** The next look for work is not held up by those in vain before it. */
  #lookSoon(): void {
    this.#probeMs = PROBE_MS.first
    this.#probeAtMs = 0
  }

  /** Tells neighbours who came lately that there is work. */
  greet(): void {
    const [job] = this.#roots.waitingJobs()
    this.#rumours.greet(job?.id)
  }

  /** Begins what can be begun. */
  pump(): void {
    if (this.#stopped) return
    const { cores } = this.#host.executor
    if (!this.#pulling && this.#buffer.length === 0 && this.#running.size < cores && this.#near.look()) {
      void this.#pull().then(() => this.pump())
      return
    }
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
    const taskMs = this.#meanTaskMs
    if (taskMs === undefined || taskMs > LONG_TASK_MS) return false
    if (this.#buffer.length === 0) return true
    if (this.#buffer.length >= MAX_GRANTS) return false
    const tasks = this.#buffer.reduce((sum, { grant }) => sum + countBits(grant.mask), 0)
    return tasks * taskMs < LOW_WATER_MS * cores
  }

  /** Every second: the roots keep what they gave to this host. */
  renew(): void {
    if (this.#host.tryAgain()) this.newWork()
    const now = this.#host.now()
    const due = this.#held().filter((work) => work.renewAtMs <= now)
    for (const work of due) {
      const heldMs = hasMany(work.job.tree, 1) ? now - work.takenAtMs : 0
      work.renewAtMs = now + Math.max(RENEW_MS, heldMs)
    }
    for (const renewal of renewals(this.#host, due, false)) renewal.catch(() => {})
    const own = [...this.#running].filter(({ root }) => !root)
    const ids = own.map(({ grant }) => grant.id)
    this.#roots.renew(this.#host.transport.peer, ids, sharesOf(own))
  }

  /** A root that has lost sight of this host hears at once that it is there. */
  suspect(peer: string): void {
    const works = this.#held().filter(({ root }) => root?.peer === peer)
    for (const renewal of renewals(this.#host, works, false)) renewal.catch(() => {})
  }

  #held(): Work[] {
    return [...this.#buffer, ...this.#running, ...this.#delivering].filter(({ root }) => root)
  }

  dropJob(job: LiveJob): void {
    for (let i = this.#buffer.length - 1; i >= 0; i--) if (this.#buffer[i]?.job === job) this.#buffer.splice(i, 1)
  }

  /** Begins nothing more, and gives back what was not begun. */
  async stop(): Promise<void> {
    this.#stopped = true
    for (const wake of [...this.#waiters]) wake()
    const back = [...this.#buffer.splice(0), ...this.#running]
    await Promise.allSettled(renewals(this.#host, back, true))
  }

  #ownWork(): Work | undefined {
    const lease = this.#roots.grant(this.#host.transport.peer, 1, 1, runsHere)[0]
    if (!lease) return undefined
    const { job, index } = lease.segment
    if (hasMany(job.tree, 1)) this.#rumours.remind(job.id, this.#roots.waiting())
    const grant = { id: lease.id, job: job.id, segment: index, mask: lease.mask, termMs: lease.termMs }
    return { grant, job, root: undefined, takenAtMs: 0, renewAtMs: 0 }
  }

  /** Tasks of this host's queue, for a worker with so many cores, and where there are more. */
  give(peer: string, cores: number, knows: readonly string[], takes: (job: LiveJob) => boolean): Given {
    const leases = this.#stopped ? [] : this.#roots.grant(peer, cores, MAX_GRANTS, takes)
    const specs = new Map<string, Uint8Array>()
    for (const { segment } of leases) {
      if (!knows.includes(segment.job.id)) specs.set(segment.job.id, segment.job.specBytes)
    }
    return {
      grants: leases.map(({ id, segment, mask, termMs }) => {
        return { id, job: segment.job.id, segment: segment.index, mask, termMs }
      }),
      specs: [...specs].map(([job, spec]) => ({ job, spec })),
      queued: this.#roots.queued(),
      loads: this.#host.loads.share(HINTS),
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
    const { env, executor, loads, signal, table } = this.#host
    this.#pulling = true
    try {
      for (;;) {
        const { root, waitMs } = this.#whomToAsk()
        if (!root || this.#stopped) return
        const { knows, refuses } = table.told(MAX_GRANTS)
        const cores = Math.max(1, executor.cores)
        const timeoutMs = waitMs > 0 ? waitMs + 5_000 : undefined
        const askedAtMs = this.#host.now()
        try {
          const message = { cores, knows, refuses, waitMs, loads: loads.share() }
          const given = await this.#host.ask(root, JobPull, message, { timeoutMs })
          // Whoever has waited for long need not wait before it asks again.
          if (this.#host.now() > askedAtMs + PROBE_MS.first) this.#probeAtMs = 0
          if (await this.#receive(given, root, refuses.length > 0)) {
            this.#pulling = false
            return this.pump()
          }
          if (waitMs > 0 && refuses.length > 0) await env.clock.sleep(1_000, { signal })
        } catch (error) {
          loads.forget(root)
          if (signal.aborted) return
          this.#host.log.debug('a pull failed', { reason: errorMessage(error) })
          if (waitMs > 0) await env.clock.sleep(1_000, { signal }).catch(() => {})
        }
      }
    } finally {
      this.#pulling = false
    }
  }

  /** What a root gave. False: no tasks that are taken here. */
  async #receive(given: Given, root: Contact, picky: boolean): Promise<boolean> {
    const { loads } = this.#host
    const { grants, queued } = given
    loads.note(given.loads)
    const specs = new Map(given.specs.map(({ job, spec }) => [job, spec]))
    const back: number[] = []
    for (const grant of grants) if (!(await this.#take(grant, specs.get(grant.job), root))) back.push(grant.id)
    if (back.length > 0) {
      void this.#host.ask(root, JobRenew, { held: [], dropped: back, shares: [] }).catch(() => {})
    }
    const [first] = grants
    if (!first || back.length === grants.length) {
      // Others were quicker when nothing came of a queue; it will say when there is more.
      if (queued > 0 && (picky || back.length > 0)) loads.avoid(root)
      else loads.forget(root)
      return false
    }
    this.#lookSoon()
    if (queued > 0) this.#rumours.spread(first.job, 1)
    return true
  }

  /**
   * A host that is known to have a queue; else, now and then while there are jobs, any neighbour. A leaf, of which nobody
   * knows, waits at a member for news.
   */
  #whomToAsk(): { root: Contact | undefined; waitMs: number } {
    const { env, overlay, table } = this.#host
    const now = this.#host.now()
    const none = { root: undefined, waitMs: 0 }
    const early = now < this.#probeAtMs
    if (early && this.#host.table.isThrifty) return none
    const root = this.#near.pick()
    if (early && !root) return none
    if (!root && overlay.self && table.live.size === 0) return none
    this.#probeAtMs = now + this.#probeMs
    this.#probeMs = Math.min(
      overlay.self && this.#host.table.isThrifty ? PROBE_MS.most : PROBE_MS.first,
      2 * this.#probeMs,
    )
    if (root) return { root, waitMs: 0 }
    const members = overlay.neighbours()
    return { root: members[env.random.int(members.length)], waitMs: overlay.self ? 0 : LEAF_WAIT_MS }
  }

  /** False: this host does not take it, and the next pull says so. */
  async #take(grant: Grant, spec: Uint8Array | undefined, root: Contact): Promise<boolean> {
    const job = this.#host.table.open(grant.job, spec)
    if (typeof job === 'string' || !hasSegment(job.tree, 1, grant.segment)) return true // it is over, or nonsense
    if (!(await this.#host.assess(job))) return false
    if ((grant.mask & ~fullMask(job.tree, 1, grant.segment)) !== 0) return true
    const now = this.#host.now()
    this.#buffer.push({ grant, job, root, takenAtMs: now, renewAtMs: now + Math.max(RENEW_MS, grant.termMs) })
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
    if (root) void Promise.allSettled(renewals(this.#host, [work], true))
    else if (this.#roots.release(this.#host.transport.peer, [grant.id]) > 0) this.newWork()
    this.pump()
  }

  async #deliver(work: Work, result: RunResult, failure: Failure | undefined): Promise<void> {
    const { job, root } = work
    // Where results are acknowledged at once, the next tasks come with the answer. Elsewhere a pull is quicker.
    const idle = this.#buffer.length === 0 && this.#roots.waiting() === 0 && !this.#pulling
    const asks = root && hasMany(job.tree, 1) && failure === undefined && idle
    if (asks) this.#pulling = true
    const wants = asks ? Math.max(1, this.#host.executor.cores) : undefined
    await deliver(this.#host, { work, result, failure, wants }, (given, from) => {
      const received = given ? this.#receive(given, from, false) : Promise.resolve()
      void received.finally(() => {
        this.#pulling = false
        this.pump()
      })
    })
    this.#delivering.delete(work)
    this.pump()
  }
}

function runsHere(job: LiveJob): boolean {
  return job.runsHere
}
