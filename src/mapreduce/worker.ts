/**
 * The working side of a host: keeps its lent cores busy with what it was given and with its own queue, of the jobs in turn,
 * then with what it pulls from others, and brings the results to the owners of their segments until they are committed there (DESIGN 7).
 */
import { errorMessage } from '../core/errors.ts'
import { MAX_WAITERS } from '../core/limits.ts'
import type { Contact } from '../net/contact.ts'
import { deliver } from './delivery.ts'
import { type Asker, fairShare, hasTooMuch } from './evening.ts'
import type { Failure } from './failure.ts'
import { grantOf, passedOn, specsOf } from './given.ts'
import { GrantNotes } from './grant-notes.ts'
import { Held, type Piece, shareOf, type Work } from './held.ts'
import { isHostsFault, type JobsHost } from './host.ts'
import type { Takes } from './job-queue.ts'
import type { LiveJob } from './job-table.ts'
import type { LogSender } from './log-sender.ts'
import { type Given, type Grant, JobPull, JobRenew, MAX_GRANTS } from './messages.ts'
import type { RunResult } from './ports.ts'
import { Puller, type Taken } from './puller.ts'
import { type Renewed, renewals, sharesOf } from './renewals.ts'
import { LONGER, MAX_TERM_MS, type Roots } from './roots.ts'
import { Rumours } from './rumours.ts'
import { countBits, fullMask, hasMany, hasSegment, segmentCount, tasksOfMask } from './segments.ts'
import { Workload } from './workload.ts'

/** A pull goes out when what is left will take less than this. */
const LOW_WATER_MS = 60
/** Nothing is fetched ahead of tasks that take longer: the wait for the next is nothing beside them. */
const LONG_TASK_MS = 500
/** Results that wait for their commit; beyond it nothing new is begun. */
const MAX_DELIVERIES = 128
/** The first result of a grant waits so long at most for the others. */
const GATHER_MS = 60_000
/** A core rests so long after a failure. */
const FAILED_MS = 100
const HINTS = 8
/** Hosts that hear of a job at once, from those to which it is dispatched. */
const FIRST_TOLD = 256
/** A grant is renewed no more often than this. */
const RENEW_MS = 1_000

export class Worker {
  readonly #host: JobsHost
  readonly #roots: Roots
  readonly #rumours: Rumours
  readonly #puller: Puller
  readonly #logs: LogSender
  /** Called when there is something to do soon. */
  readonly #wake: () => void
  readonly #held = new Held()
  readonly #load: Workload
  readonly #delivering = new Set<Renewed>()
  readonly #waiters = new Set<() => void>()
  #running = 0
  #stopped = false
  tasksDone = 0

  constructor(host: JobsHost, roots: Roots, logs: LogSender, wake: () => void) {
    this.#host = host
    this.#wake = wake
    this.#roots = roots
    this.#logs = logs
    this.#load = new Workload(host, roots, this.#held)
    this.#rumours = new Rumours(host, {
      isBusy: (job) => this.#running > 0 && this.#running >= host.executor.cores && !this.#load.helps(job),
      onWork: (job, at) => this.#help(job, at),
    })
    this.#puller = new Puller(host, roots, this.#rumours, {
      take: (grant, spec, from) => this.#take(grant, spec, from),
      asker: () => this.#load.asker(),
      pump: () => this.pump(),
    })
  }

  get busy(): number {
    return this.#running
  }

  /** Tasks that have been begun and are not done. */
  get tasksRunning(): number {
    const masks = this.#held.all().flatMap(({ running }) => [...running.values()])
    return masks.reduce((sum, mask) => sum + countBits(mask), 0)
  }

  start(): void {
    const host = this.#host
    const { loads } = host
    loads.own = () => {
      const restMs = this.#stopped ? 0 : this.#load.asker(() => true).restMs
      const { self } = this.#host.overlay
      return self && { contact: self, restMs, ageMs: 0, hops: 0 }
    }
    loads.isLong = () => host.table.live.size > 0 && host.table.isThrifty
    loads.onNews = () => {
      for (const wake of [...this.#waiters]) wake()
      if (!this.#host.table.isThrifty || host.table.live.size === 0) this.#puller.lookSoon()
      this.#wake()
      this.pump()
    }
    this.#host.handle(JobPull, async (message, { from }) => {
      loads.note(message.loads)
      const { knows, refuses } = message
      const takes = ({ id }: LiveJob) => !refuses.includes(id)
      const give = () => this.give(from.peer, message, knows, takes)
      const given = give()
      if (from.contact && this.#load.evens && hasTooMuch(message, this.#load.asker().restMs)) {
        if (this.#puller.busy) this.#puller.lookSoon()
        else void this.#puller.even(from.contact)
      }
      if (message.waitMs === 0 || given.grants.length > 0 || given.loads.some(({ restMs }) => restMs > 0)) return given
      await this.#wait(message.waitMs)
      return give()
    })
    this.#host.handle(JobRenew, (message, { from }) => {
      this.#roots.renew(from.peer, message.held, message.shares)
      if (this.#roots.release(message.dropped, message.why) > 0) this.newWork()
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

  /** Tells neighbours who came lately that there is work. */
  greet(): void {
    const [job] = this.#roots.waitingJobs()
    this.#rumours.greet(job?.id)
  }

  /** Begins what can be begun. */
  pump(): void {
    if (this.#stopped) return
    const { cores } = this.#host.executor
    if (this.#running < cores && this.#held.waiting() === 0 && this.#puller.look()) {
      void this.#puller.pull().then(() => this.pump())
      return
    }
    while (this.#running < cores && this.#delivering.size < MAX_DELIVERIES) {
      const piece = this.#next()
      if (!piece) break
      this.#running++
      void this.#run(piece)
    }
    if (cores === 0 || this.#puller.busy) return
    if (this.#roots.waiting(this.#load.worksOn) === 0 && this.#isLow(cores)) void this.#puller.pull()
    else if (this.#load.isUneven()) void this.#puller.even()
  }

  /** Is too little held? Whoever takes more than that only keeps it from others. */
  #isLow(cores: number): boolean {
    const waiting = this.#held.waiting()
    if (this.#running < cores && waiting === 0) return true
    const taskMs = this.#held.meanMs
    if (taskMs === undefined || taskMs > LONG_TASK_MS) return false
    return waiting * taskMs < LOW_WATER_MS * cores && this.#held.all().length < MAX_GRANTS
  }

  /** Asks a host that has tasks of a job for some of it. */
  #help(job: string, at: Contact): void {
    if (this.#stopped || this.#puller.busy || this.#host.isSelf(at) || !this.#load.helps(job)) return
    void this.#puller.help(
      at,
      [...this.#held.jobs()].map(({ id }) => id),
    )
  }

  /** Every second: the roots keep what they gave to this host, and get what has waited for long. */
  renew(): void {
    if (this.#host.tryAgain()) this.newWork()
    for (const work of this.#held.all()) this.#bringDue(work, undefined)
    const now = this.#host.now()
    const roots = new Set(this.#held.all().flatMap(({ root, renewAtMs }) => (root && renewAtMs <= now ? root.id : [])))
    const due = this.#held.all().filter(({ root }) => root && roots.has(root.id))
    for (const work of due) {
      const heldMs = hasMany(work.job.tree, 1) ? now - work.takenAtMs : 0
      work.renewAtMs = now + Math.max(RENEW_MS, Math.min(MAX_TERM_MS, LONGER * heldMs))
    }
    for (const renewal of renewals(this.#host, [...due.map(renewed), ...this.#delivering])) renewal.catch(() => {})
    const own = this.#held.all().filter(({ root }) => !root)
    const ids = own.map(({ grant }) => grant.id)
    this.#roots.renew(this.#host.transport.peer, ids, sharesOf(own.map(renewed)))
  }

  /** A root that has lost sight of this host hears at once that it is there. */
  suspect(peer: string): void {
    const grants = [...this.#held.all().map(renewed), ...this.#delivering].filter(({ root }) => root?.peer === peer)
    for (const renewal of renewals(this.#host, grants)) renewal.catch(() => {})
  }

  dropJob(job: LiveJob): void {
    this.#held.dropJob(job)
  }

  /** The cores that are lent have changed. When they are none, what runs is finished, and what is not begun goes back. */
  capacityChanged(): void {
    if (this.#stopped) return
    if (this.#lends) this.#puller.lookSoon()
    else this.#return(this.#held.dropAll())
    for (const job of this.#held.jobs()) if (!this.#host.worksOn(job)) this.#return(this.#held.dropAll(job))
    this.newWork()
  }

  get #lends(): boolean {
    return this.#host.executor.cores > 0
  }

  /** Begins nothing more, brings what is done, and gives back what is not. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#puller.stop()
    for (const wake of [...this.#waiters]) wake()
    const back = this.#held.all().map((work): Renewed => {
      let running = 0
      for (const mask of work.running.values()) running |= mask
      return { id: work.grant.id, root: work.root, dropped: this.#held.drop(work, running) }
    })
    const unsent = this.#held.all().filter((work) => work.done !== 0)
    const done = unsent.map((work) => this.#bring(work, undefined, 0))
    await Promise.allSettled([...renewals(this.#host, back), ...done])
  }

  #next(): Piece | undefined {
    const job = this.#load.next()
    return (job && this.#held.next(job)) ?? this.#ownWork(job)
  }

  #ownWork(of: LiveJob | undefined): Piece | undefined {
    const self = this.#host.transport.peer
    const takes = (job: LiveJob) => (of ? job === of : this.#host.worksOn(job))
    const lease = this.#roots.grant(self, 1, 1, takes)[0] ?? this.#roots.again(self, 1, 1, takes)[0]
    if (!lease) return undefined
    const { job, index } = lease.segment
    if (hasMany(job.tree, 1)) this.#rumours.remind(job.id, this.#roots.waiting())
    const { id, mask, termMs } = lease
    const work = this.#add({ id, job: job.id, segment: index, mask, termMs }, job, undefined)
    work.todo = 0
    return { work, mask }
  }

  /** Tasks of this host's queue, or that were given to it, for another host, and where there are more. */
  give(peer: string, asker: Asker, knows: readonly string[], asked: Takes): Given {
    const takes = (job: LiveJob) => asked(job) && this.#host.admits(job, peer)
    const share = fairShare(
      this.#load.asker(() => true),
      asker,
    )
    const { cores } = asker
    const none = this.#stopped || (share < 1 && asker.restMs > 0)
    let leases = none ? [] : this.#roots.grant(peer, cores, MAX_GRANTS, takes, share)
    const pieces = none || leases.length > 0 ? [] : this.#held.pass(share, MAX_GRANTS, takes)
    if (!none && leases.length + pieces.length === 0) leases = this.#roots.again(peer, cores, MAX_GRANTS, takes)
    for (const { work } of pieces) this.#bringDue(work, undefined)
    const jobs = [...leases.map(({ segment }) => segment.job), ...pieces.map(({ work }) => work.job)]
    const now = this.#host.now()
    const ended = knows.filter((id) => this.#host.table.hasEnded(id))
    return {
      ...(ended.length > 0 && { ended }),
      grants: [...leases.map(grantOf), ...pieces.map((piece) => passedOn(piece, now, this.#host.overlay.self))],
      specs: specsOf(jobs, knows),
      queued: this.#roots.queued() + this.#held.passable,
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

  /** Refused: this host does not do it, and the next pull says so. */
  async #take(grant: Grant, spec: Uint8Array | undefined, from: Contact): Promise<Taken> {
    const job = this.#host.table.open(grant.job, spec)
    if (typeof job === 'string' || !hasSegment(job.tree, 1, grant.segment)) return 'void' // it is over, or nonsense
    if ((grant.mask & ~fullMask(job.tree, 1, grant.segment)) !== 0) return 'void'
    const worksOn = (await this.#host.assess(job)) && this.#host.worksOn(job)
    if (!worksOn || this.#stopped || !this.#lends) return 'refused'
    const root = grant.root ?? from
    this.#add(grant, job, this.#host.isSelf(root) ? undefined : root)
    return 'taken'
  }

  #add(grant: Grant, job: LiveJob, root: Contact | undefined): Work {
    const now = this.#host.now()
    const renewAtMs = now + Math.max(RENEW_MS, grant.termMs)
    const work: Work = {
      ...{ grant, job, root, takenAtMs: now - (grant.ageMs ?? 0), renewAtMs, running: new Map(), todo: grant.mask },
      ...{ done: 0, results: [], tookMs: 0, doneAtMs: 0 },
    }
    this.#held.add(work)
    return work
  }

  async #run({ work, mask }: Piece): Promise<void> {
    const { grant, job } = work
    const notes = new GrantNotes((task, text) => this.#logs.add(job, task, text))
    const over = () => job.ended.signal.aborted || this.#host.signal.aborted
    const tasks = tasksOfMask(job.tree, grant.segment, mask)
    let result: RunResult = { partials: [], tookMs: 0 }
    let failure: Failure | undefined
    work.running.set(notes, mask)
    try {
      const run = { spec: job.spec, segment: grant.segment, mask }
      const { work: computing } = this.#host
      result = await this.#host.compute(job, () => computing.run(run, { signal: job.ended.signal, notes }))
      this.tasksDone += tasks.length
      this.#held.took(result.tookMs, tasks.length)
      this.#load.took(job, result.tookMs)
    } catch (error) {
      if (isHostsFault(error) && !over()) return this.#giveBack(work, notes, error)
      if (!over()) {
        this.#host.counters.failedRuns++
        const reduces = job.spec.stage?.reduce === true
        failure = notes.failure(tasks, this.#host.transport.peer, errorMessage(error), reduces)
      }
    }
    work.running.delete(notes)
    if (!over()) {
      this.#held.ended(work, mask, result, this.#host.now())
      this.#bringDue(work, failure)
    }
    // What fails at once would be given out again at once, and nothing else would be heard any more.
    if (failure !== undefined) await this.#host.env.clock.sleep(FAILED_MS).catch(() => {})
    this.#running--
    this.pump()
    if (work.root && !over() && failure === undefined) this.#help(job.id, work.root)
  }

  /** What this host cannot run is for others, and no failure of the job. */
  #giveBack(work: Work, notes: GrantNotes, error: unknown): void {
    const { job } = work
    this.#running--
    this.#host.leave(job, error)
    const begun = work.running.get(notes) ?? 0
    work.running.delete(notes)
    this.#return([{ work, mask: this.#held.drop(work, begun) }, ...this.#held.dropAll(job)])
    this.pump()
  }

  /** These are for others; what is done of the same grants leaves. */
  #return(pieces: readonly Piece[]): void {
    const back = pieces.map(({ work: { grant, root }, mask }) => ({ id: grant.id, root, dropped: mask }))
    void Promise.allSettled(renewals(this.#host, back))
    const own = back.flatMap(({ id, root, dropped }): [number, number][] => (root ? [] : [[id, dropped]]))
    if (this.#roots.release(own) > 0) this.newWork()
    for (const { work } of pieces) this.#bringDue(work, undefined)
  }

  /** Results leave when all of a grant is done, or the first of them has waited for long. */
  #bringDue(work: Work, failure: Failure | undefined): void {
    if (work.done === 0) return
    const whole = work.todo === 0 && work.running.size === 0
    const waits = this.#host.now() - work.doneAtMs
    if (!whole && failure === undefined && waits < GATHER_MS && hasMany(work.job.tree, 1)) return
    // Where results are acknowledged at once, the next tasks come with the answer. Elsewhere a pull is quicker.
    const idle = this.#held.waiting() === 0 && this.#roots.waiting() === 0 && !this.#puller.busy
    const asks = work.root && hasMany(work.job.tree, 1) && failure === undefined && idle
    void this.#bring(work, failure, asks ? this.#host.executor.cores : 0)
  }

  /** `wants`: cores that have nothing else to do. */
  async #bring(work: Work, failure: Failure | undefined, wants: number): Promise<void> {
    const { mask, result } = this.#held.take(work)
    const { grant, job, root } = work
    const delivery: Renewed = { id: grant.id, root }
    this.#delivering.add(delivery)
    const parcel = { work: { grant, job, root }, mask, result, failure, wants: wants || undefined }
    if (wants > 0) await this.#puller.expect((onGiven) => deliver(this.#host, parcel, onGiven))
    else await deliver(this.#host, parcel, () => {})
    this.#delivering.delete(delivery)
    this.pump()
  }
}

function renewed(work: Work): Renewed {
  return { id: work.grant.id, root: work.root, share: shareOf(work) }
}
