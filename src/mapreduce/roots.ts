/**
 * The queue of a host: tasks of the level-1 segments that it owns, until they are done (DESIGN 7, "roots keep queues;
 * workers pull"). A grant is a lease: the worker renews it, and what is not renewed is granted anew. When nothing waits,
 * a task that is late gets a second attempt elsewhere. Synchronous; knows no messages.
 */
import type { Random } from '../core/env.ts'
import { CappedMap } from '../net/capped-map.ts'
import { Durations, rateOf } from './durations.ts'
import { type JobQueue, type Lease, lackingMask, lackingOf, leastServed, startingMs, type Takes } from './job-queue.ts'
import { type LiveJob, needsFile, type Segment } from './job-table.ts'
import { childCount, countBits, hasMany, highestBits, lowestBits } from './segments.ts'

/**
 * A grant that has not been renewed for so long after its term is lost. Workers renew within a second after the term.
 */
export const LEASE_MS = 3_500
/** How much work a core is given at once. Short enough that the rest can still go to others. */
const BATCH_MS = 400
const MAX_BATCH_TASKS = 256
/** Of what cannot be passed on, a core of a host that comes from afar is given no more tasks. */
const MOST_STUCK = 3
/** A grant that has been held is renewed when it has been held so many times as long again, but within the longest term. */
export const LONGER = 2
export const MAX_TERM_MS = 60_000
/** A worker may keep a grant waiting behind the one before it. */
const LATE_FLOOR_MS = 400
const LATE_FACTOR = 1.5
const LAST_SHARE = 0.05
/** Two renewals are missing: such a worker is rather dead than slow. */
const SILENT_MS = 2_000

const all: Takes = () => true

export class Roots {
  readonly #queues = new Map<string, JobQueue>()
  readonly #leases = new Map<number, Lease>()
  readonly #self: string
  readonly #random: Random
  readonly #now: () => number
  /** Tasks of all jobs whose first attempt was lost. Second attempts of those that are only late do not count. */
  reassigned = 0

  constructor(self: string, random: Random, now: () => number) {
    this.#self = self
    this.#random = random
    this.#now = now
  }

  /** Takes a segment's lacking tasks into the queue. */
  add(segment: Segment): void {
    let queue = this.#queues.get(segment.job.id)
    if (!queue) {
      queue = {
        job: segment.job,
        ready: new Set(),
        leases: new Set(),
        durations: new Durations(),
        holds: new Durations(),
        crews: new CappedMap(512),
        own: undefined,
        waiting: 0,
        total: 0,
        servedMs: startingMs(this.#queues.values(), this.#now()),
      }
      this.#queues.set(segment.job.id, queue)
    }
    queue.total += childCount(segment.job.tree, 1, segment.index)
    this.#setTodo(queue, segment, lackingMask(segment))
  }

  /** The segment is done, or no longer this host's. */
  remove(segment: Segment): void {
    const queue = this.#queues.get(segment.job.id)
    if (!queue) return
    this.#setTodo(queue, segment, 0)
    for (const lease of [...queue.leases]) if (lease.segment === segment) this.#forget(queue, lease)
  }

  dropJob(id: string): void {
    const queue = this.#queues.get(id)
    if (!queue) return
    for (const lease of queue.leases) this.#leases.delete(lease.id)
    this.#queues.delete(id)
  }

  /** Tasks that somebody could be given now. */
  queued(): number {
    let count = 0
    for (const queue of this.#queues.values()) {
      count += queue.waiting
      if (queue.waiting === 0) for (const lease of this.#late(queue, undefined)) count += countBits(lackingOf(lease))
    }
    return count
  }

  /** Jobs of which tasks wait. */
  *waitingJobs(): Generator<LiveJob> {
    for (const queue of this.#queues.values()) if (queue.waiting > 0) yield queue.job
  }

  /** Tasks that wait, of the jobs that `takes` says; not the late ones. */
  waiting(takes: Takes = all): number {
    let count = 0
    for (const queue of this.#queues.values()) if (takes(queue.job)) count += queue.waiting
    return count
  }

  /**
   * Tasks for a worker with so many free cores, and at most so many grants. Bigger from a busier root: a quarter of what
   * waits, or what keeps the cores busy for a while, whichever is less. All of one job, of those that it takes: the one on
   * which the least time has been spent, so that a job of long tasks takes no more from the others than its share.
   * `share`: so many tasks of a large job are fair.
   */
  grant(worker: string, cores: number, maxGrants: number, takes: Takes = all, share = 0): Lease[] {
    const leases: Lease[] = []
    const next = leastServed(this.#queues.values(), takes, this.#now())
    if (next) this.#grantWaiting(next, worker, cores, maxGrants, share, leases)
    return leases
  }

  /** Second attempts of tasks that are late, for an idle worker. */
  again(worker: string, cores: number, maxGrants: number, takes: Takes = all): Lease[] {
    const leases: Lease[] = []
    for (const queue of this.#queues.values()) {
      if (queue.waiting > 0 || !takes(queue.job)) continue
      if (leases.length > 0) return leases
      for (const late of [...this.#late(queue, worker)]) {
        if (leases.length >= Math.min(cores, maxGrants)) return leases
        // Whoever has them begins with the first: one that it will come to last is not done twice for nothing.
        const lacking = lackingOf(late)
        const mask = hasMany(queue.job.tree, 1) ? highestBits(lacking, 1) : lacking
        const lost = late.worker !== this.#self && this.#now() - late.renewedAtMs > late.termMs + SILENT_MS
        leases.push(this.#lease(queue, late.segment, mask, worker, lost ? mask : 0, countBits(mask)))
      }
    }
    return leases
  }

  #grantWaiting(
    queue: JobQueue,
    worker: string,
    cores: number,
    maxGrants: number,
    fair: number,
    leases: Lease[],
  ): void {
    tellRefusal(queue.job, undefined)
    if (queue.crews.get(worker)?.cores !== cores) queue.crews.set(worker, { cores, taskMs: undefined })
    const meanMs = queue.durations.meanMs
    const perCore = meanMs === undefined ? 1 : Math.max(1, Math.min(MAX_BATCH_TASKS, Math.floor(BATCH_MS / meanMs)))
    const share = this.#share(queue, worker, fair)
    const batch = Math.min(perCore * cores, Math.max(cores, Math.ceil(queue.waiting / 4)))
    let budget = Math.max(batch, share)
    const largest = share > 0 ? budget : Math.max(1, Math.min(perCore, Math.ceil(budget / cores)))
    let given = 0
    for (const segment of this.#inOrder(queue, worker)) {
      while (segment.todo !== 0 && budget > 0 && leases.length < maxGrants) {
        const mask = lowestBits(segment.todo, Math.min(budget, largest))
        const tasks = countBits(mask)
        budget -= tasks
        given += tasks
        this.#setTodo(queue, segment, segment.todo & ~mask)
        const depth = Math.max(tasks, Math.ceil(given / cores))
        leases.push(this.#lease(queue, segment, mask, worker, mask & segment.again, depth))
      }
      // A few tasks more are not worth another message with their results.
      if (budget <= 0 || leases.length >= maxGrants || (share > 0 && 4 * budget < given)) return
    }
  }

  /** This host's own executor finishes what it has begun; others take the rest first. */
  *#inOrder(queue: JobQueue, worker: string): Generator<Segment> {
    const { own, ready } = queue
    const first = worker === this.#self ? own : undefined
    if (first && ready.has(first)) yield first
    for (const segment of ready) {
      if (segment === own) continue
      if (worker === this.#self) queue.own = segment
      yield segment
    }
    if (own && own !== first && ready.has(own)) yield own
  }

  /**
   * Of a large job a worker that comes from afar gets its share, so that it need not come often. What cannot be passed on
   * is given more carefully: half of what would be its own if the queue were shared out now among all who work on it, by
   * their speed (weighted factoring, Hummel et al. 1996).
   */
  #share(queue: JobQueue, worker: string, fair: number): number {
    const { job, crews, durations, waiting } = queue
    if (worker === this.#self || durations.meanMs === undefined || !hasMany(job.tree, 1)) return 0
    if (!needsFile(job.spec)) return Math.min(MAX_BATCH_TASKS, fair)
    const cores = crews.get(worker)?.cores ?? 1
    const share = (waiting * rateOf(crews.get(worker), durations)) / (2 * this.#rate(queue, worker))
    return Math.ceil(Math.min(cores * MOST_STUCK, Math.max(share, Math.min(cores, waiting / 2))))
  }

  /**
   * How long the queue will last, as far as it is of the jobs that `takes` says, with those who work on it now, ms; of large
   * jobs others have taken their parts along.
   */
  restMs(cores: number, takes: Takes = all): number {
    let restMs = 0
    for (const queue of this.#queues.values()) {
      const { job, crews, durations, waiting } = queue
      if (!takes(job)) continue
      const alone = hasMany(job.tree, 1) && !needsFile(job.spec)
      const rate = alone ? Math.max(1, cores) * rateOf(crews.get(this.#self), durations) : this.#rate(queue, this.#self)
      restMs += waiting / rate
    }
    return Math.min(Number.MAX_SAFE_INTEGER, Math.ceil(restMs))
  }

  /** Tasks per millisecond of all who have tasks of the queue, and one more. */
  #rate(queue: JobQueue, worker: string): number {
    const names = new Set([worker])
    for (const lease of queue.leases) names.add(lease.worker)
    let sum = 0
    for (const name of names) sum += rateOf(queue.crews.get(name), queue.durations)
    return sum
  }

  /**
   * Somebody is at work on these still. Who knows the id of a grant was given it, by this host or by one that was; only
   * what the first says of how far it is counts.
   */
  renew(worker: string, ids: readonly number[], shares: readonly (readonly [number, number])[] = []): void {
    for (const id of ids) {
      const lease = this.#leases.get(id)
      if (!lease) continue
      lease.renewedAtMs = this.#now()
      if (hasMany(lease.segment.job.tree, 1)) {
        lease.termMs = Math.min(MAX_TERM_MS, LONGER * (lease.renewedAtMs - lease.grantedAtMs))
      }
    }
    for (const [id, share] of shares) {
      const lease = this.#leases.get(id)
      if (lease?.worker === worker && lease.share !== share) this.#setShare(lease, share)
    }
  }

  /** Of the tasks of a job that wait here, and those that were given out. */
  countsOf(id: string): { queued: number; running: number } {
    const queue = this.#queues.get(id)
    let running = 0
    for (const lease of queue?.leases ?? []) running += countBits(lackingOf(lease))
    return { queued: queue?.waiting ?? 0, running }
  }

  /**
   * Whoever was given them will not do these tasks of these grants; `why`: for their code. Returns how many must be done
   * again.
   */
  release(dropped: ReadonlyArray<readonly [id: number, mask: number]>, why?: string): number {
    let lost = 0
    for (const [id, mask] of dropped) {
      const lease = this.#leases.get(id)
      if (!lease) continue
      if (why !== undefined) tellRefusal(lease.segment.job, why)
      lost += this.#giveUp(lease, mask)
    }
    return lost
  }

  /** A worker is out of reach: its grants must be renewed soon, or are lost. */
  suspect(worker: string, graceMs: number): void {
    const at = this.#now() - LEASE_MS + graceMs
    for (const lease of this.#leases.values()) {
      if (lease.worker === worker) lease.renewedAtMs = Math.min(lease.renewedAtMs, at - lease.termMs)
    }
  }

  /** Grants that were not renewed go back into the queue. Returns the number of tasks. */
  expire(): number {
    const before = this.#now() - LEASE_MS
    let lost = 0
    for (const lease of [...this.#leases.values()]) {
      if (lease.worker !== this.#self && lease.renewedAtMs + lease.termMs < before)
        lost += this.#giveUp(lease, lease.mask)
    }
    return lost
  }

  /**
   * These tasks of a grant have been answered, with results or without. What was not brought goes back into the queue.
   * `tookMs`: all of them together; undefined if they failed. False: there is no such grant.
   */
  answered(id: number, mask: number, worker: string, tookMs: number | undefined): boolean {
    const lease = this.#leases.get(id)
    if (!lease) return false
    const queue = this.#queues.get(lease.segment.job.id)
    lease.renewedAtMs = this.#now()
    const tasks = countBits(lease.mask & mask)
    if (queue && tookMs !== undefined && tasks > 0) {
      queue.holds.add(lease.renewedAtMs - lease.grantedAtMs, 1)
      queue.durations.add(tookMs, tasks)
      const crew = queue.crews.get(worker)
      if (crew) crew.taskMs = tookMs / tasks
      queue.servedMs += tookMs
    }
    this.#giveUp(lease, mask)
    return true
  }

  /** Some of a segment's tasks are done: nobody needs to be given them. */
  settle(segment: Segment): void {
    const queue = this.#queues.get(segment.job.id)
    if (queue) this.#setTodo(queue, segment, segment.todo & lackingMask(segment))
  }

  /** `lost`: the tasks among them that somebody else was given before, in vain. */
  #lease(queue: JobQueue, segment: Segment, mask: number, worker: string, lost: number, depth: number): Lease {
    const now = this.#now()
    // What is little work is better watched closely, and tells how far it is with each renewal.
    const eachMs = hasMany(queue.job.tree, 1) ? (queue.crews.get(worker)?.taskMs ?? queue.durations.meanMs ?? 0) : 0
    const termMs = Math.min(MAX_TERM_MS, Math.ceil(1.25 * depth * eachMs))
    const id = this.#random.int(2 ** 21) * 2 ** 32 + this.#random.int(2 ** 32)
    const lease: Lease = { id, segment, mask, worker, grantedAtMs: now, renewedAtMs: now, share: 0, depth, termMs }
    this.#leases.set(lease.id, lease)
    queue.leases.add(lease)
    const again = countBits(lost)
    if (again > 0) {
      this.reassigned += again
      segment.reassigned += again
      segment.dirty = true
    }
    segment.again |= mask
    return lease
  }

  /** These of its tasks are nobody's any more, as far as they are not done. Returns how many. */
  #giveUp(lease: Lease, mask: number): number {
    const { segment } = lease
    const queue = this.#queues.get(segment.job.id)
    if (!queue) {
      this.#leases.delete(lease.id)
      return 0
    }
    let lost = lackingOf(lease) & mask & ~segment.todo
    lease.mask &= ~mask
    if (lease.mask === 0) this.#forget(queue, lease)
    else this.#setShare(lease, 0) // what is done of it counts as such now; the next renewal says the rest
    for (const other of queue.leases) if (other.segment === segment) lost &= ~other.mask
    if (lost === 0) return 0
    this.#setTodo(queue, segment, segment.todo | lost)
    return countBits(lost)
  }

  #setShare(lease: Lease, share: number): void {
    const { segment } = lease
    segment.partly = Math.max(0, segment.partly + share - lease.share)
    segment.dirty = true
    lease.share = share
  }

  #forget(queue: JobQueue, lease: Lease): void {
    if (lease.share > 0) this.#setShare(lease, 0)
    this.#leases.delete(lease.id)
    queue.leases.delete(lease)
  }

  #setTodo(queue: JobQueue, segment: Segment, todo: number): void {
    queue.waiting += countBits(todo) - countBits(segment.todo)
    segment.todo = todo
    if (todo === 0) queue.ready.delete(segment)
    else queue.ready.add(segment)
  }

  /** Grants that are late, by whoever is not the asker, and that nobody else has too. */
  *#late(queue: JobQueue, asker: string | undefined): Generator<Lease> {
    const p95Ms = queue.durations.p95Ms()
    if (p95Ms === undefined) return
    const now = this.#now()
    let running = 0
    for (const lease of queue.leases) running += countBits(lackingOf(lease))
    const factor = running <= Math.max(1, LAST_SHARE * queue.total) ? 1 : LATE_FACTOR
    for (const lease of queue.leases) {
      const lacking = lackingOf(lease)
      if (lacking === 0 || lease.worker === asker) continue
      // What was passed on waits behind what others had already.
      const usualMs = Math.max(p95Ms * lease.depth, hasMany(queue.job.tree, 1) ? (queue.holds.p95Ms() ?? 0) : 0)
      if (now - lease.grantedAtMs < LATE_FLOOR_MS + factor * usualMs) continue
      let alone = true
      for (const other of queue.leases) {
        if (other !== lease && other.segment === lease.segment && (other.mask & lacking) !== 0) alone = false
      }
      if (alone) yield lease
    }
  }
}

/** Why hosts that were given tasks will not do them goes up with the next report. */
function tellRefusal(job: LiveJob, why: string | undefined): void {
  if (job.refusedElsewhere === why) return
  job.refusedElsewhere = why
  for (const segment of job.segments.values()) segment.dirty = true
}
