/**
 * Rumours of work (Demers et al. 1987, "rumor mongering" with feedback): a host that has a queue, or was given tasks of
 * one that holds more, tells a neighbour. One who had nothing to do is followed by two more; one who is busy ends it. So
 * everybody hears of a job soon that reaches few hosts by dispatch, and next to nothing is sent where all have work.
 */

import { MAX_LIVE_JOBS } from '../core/limits.ts'
import { CappedMap } from '../net/capped-map.ts'
import type { Contact } from '../net/contact.ts'
import type { JobsHost } from './host.ts'
import { JobLoads } from './messages.ts'

/** Hosts that are told for each one that had nothing to do. */
const FOLLOWERS = 2
/** Members that lend nothing pass on what they hear, so far. */
const MAX_HOPS = 3
const SHARED = 8
/** Tasks of its own queue at which a host tells others again. */
const MARKS = [16, 6]

export interface RumourEvents {
  /** Has this host enough to do, and nothing in between for this job? */
  isBusy(job: string): boolean
  /** There are tasks of this job. */
  onWork(job: string, at: Contact): void
}

export class Rumours {
  readonly #host: JobsHost
  readonly #events: RumourEvents
  /** Whom this host has told, by job. */
  readonly #told = new CappedMap<string, Set<string>>(MAX_LIVE_JOBS)
  readonly #reminded = new CappedMap<string, number>(MAX_LIVE_JOBS)
  #neighbours: ReadonlySet<string> = new Set()

  constructor(host: JobsHost, events: RumourEvents) {
    this.#host = host
    this.#events = events
  }

  start(): void {
    const { loads } = this.#host
    this.#host.handle(JobLoads, (message) => {
      const busy = this.#events.isBusy(message.job)
      loads.note(message.loads)
      const at = message.loads.find(({ restMs }) => restMs > 0)
      if (at) this.#events.onWork(message.job, at.contact)
      const hops = message.loads[0]?.hops ?? MAX_HOPS
      if (this.#host.executor.cores === 0 && hops < MAX_HOPS) this.spread(message.job, Number.POSITIVE_INFINITY)
      return { busy, loads: loads.share(SHARED) }
    })
  }

  /** Once for each job: tells so many neighbours, and more as long as they have nothing to do. */
  spread(job: string, width: number): void {
    if (this.#told.get(job)) return
    this.#told.set(job, new Set())
    this.#tell(job, width)
  }

  /** Tells all neighbours again. */
  repeat(job: string): void {
    for (const to of this.#host.overlay.neighbours()) if (!this.#host.isSelf(to)) void this.#ask(job, to, () => {})
  }

  /**
   * The queue comes to its end while others may have ended theirs: tells anybody, once for each of `marks` that the number
   * of tasks has fallen to.
   */
  remind(job: string, tasks: number): void {
    const mark = MARKS.findLastIndex((most) => tasks <= most)
    if (mark < 0 || mark <= (this.#reminded.get(job) ?? -1)) return
    this.#reminded.set(job, mark)
    this.#anybody(job)
  }

  #anybody(job: string): void {
    const { env, overlay } = this.#host
    const neighbours = overlay.neighbours()
    const to = neighbours[env.random.int(Math.max(1, neighbours.length))]
    if (to && !this.#host.isSelf(to)) void this.#ask(job, to, () => this.#anybody(job))
  }

  /** Neighbours that have come lately have heard of nothing yet. */
  greet(job: string | undefined): void {
    const now = new Set(this.#host.overlay.neighbours().map(({ peer }) => peer))
    const before = this.#neighbours
    this.#neighbours = now
    if (job === undefined || before.size === 0) return
    for (const to of this.#untold(job)) if (!before.has(to.peer)) void this.#ask(job, to)
  }

  #tell(job: string, width: number): void {
    let left = width
    for (const to of this.#untold(job)) {
      if (left-- <= 0) return
      void this.#ask(job, to)
    }
  }

  *#untold(job: string): Generator<Contact> {
    const told = this.#told.get(job)
    for (const to of this.#host.overlay.neighbours()) {
      if (this.#host.isSelf(to) || told?.has(to.peer)) continue
      yield to
    }
  }

  async #ask(job: string, to: Contact, next = () => this.#tell(job, FOLLOWERS)): Promise<void> {
    const { loads } = this.#host
    this.#told.get(job)?.add(to.peer)
    const shared = loads.share(SHARED)
    if (!shared.some(({ restMs }) => restMs > 0)) return
    try {
      const reply = await this.#host.ask(to, JobLoads, { job, loads: shared })
      loads.note(reply.loads)
      if (!reply.busy) next()
    } catch {
      this.#tell(job, 1)
    }
  }
}
