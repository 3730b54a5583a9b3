/**
 * Where a host gets tasks from: idle, it asks hosts that are known to have a queue, or were given more than they have begun,
 * and now and then any neighbour (DESIGN 7); busy, it makes even with others, and helps with other jobs.
 */
import { errorMessage } from '../core/errors.ts'
import type { Contact } from '../net/contact.ts'
import type { Asker } from './evening.ts'
import type { JobsHost } from './host.ts'
import { type Given, type Grant, JobPull, MAX_GRANTS } from './messages.ts'
import { Near } from './near.ts'
import { renewals } from './renewals.ts'
import type { Roots } from './roots.ts'
import type { Rumours } from './rumours.ts'

/** A leaf waits so long at a member for news of queues. */
const LEAF_WAIT_MS = 8_000
/** An idle host that has heard of no queue asks a neighbour, at first and at last so often. */
const PROBE_MS = { first: 500, most: 4_000 }
/** A queue that is known to be so many times as long as this host's, and so many tasks, is worth a question. */
const LONGER = { times: 1.3, tasks: 4 }

/** What became of a grant: void is one of a job that is over, or that makes no sense. */
export type Taken = 'taken' | 'refused' | 'void'

export interface PullerEvents {
  take(grant: Grant, spec: Uint8Array | undefined, from: Contact): Promise<Taken>
  /** What this host says of itself. */
  asker(): Asker
  /** There may be something to begin. */
  pump(): void
}

export class Puller {
  readonly #host: JobsHost
  readonly #rumours: Rumours
  readonly #events: PullerEvents
  readonly #near: Near
  #busy = false
  #stopped = false
  #probeMs = PROBE_MS.first
  #probeAtMs = 0

  constructor(host: JobsHost, roots: Roots, rumours: Rumours, events: PullerEvents) {
    this.#host = host
    this.#rumours = rumours
    this.#events = events
    this.#near = new Near(host, roots)
  }

  /** Is there a root nearby that has tasks whose blocks are here, and is busier than this host? */
  look(): boolean {
    return !this.#busy && this.#near.look()
  }

  /** It is asking. */
  get busy(): boolean {
    return this.#busy
  }

  stop(): void {
    this.#stopped = true
  }

  /** The next look for work is not held up by those in vain before it. */
  lookSoon(): void {
    this.#probeMs = PROBE_MS.first
    this.#probeAtMs = 0
  }

  /** What another message brings in place of a pull. */
  async expect<T>(message: (onGiven: (given: Given | undefined, from: Contact) => void) => Promise<T>): Promise<T> {
    this.#busy = true
    return message((given, from) => {
      const received = given ? this.#receive(given, from) : Promise.resolve()
      void received.finally(() => {
        this.#busy = false
        this.#events.pump()
      })
    })
  }

  /** Asks until somebody gives tasks, or nobody is known to have any. */
  async pull(): Promise<void> {
    this.#busy = true
    const found = await this.#search().finally(() => {
      this.#busy = false
    })
    if (found) this.#events.pump()
  }

  async #search(): Promise<boolean> {
    const { env, loads, signal, table } = this.#host
    for (;;) {
      const { root, waitMs } = this.#whomToAsk()
      if (!root || this.#stopped || this.#host.executor.cores === 0) return false
      const { refuses } = table.told(MAX_GRANTS)
      const timeoutMs = waitMs > 0 ? waitMs + 5_000 : undefined
      const askedAtMs = this.#host.now()
      try {
        const given = await this.#host.ask(root, JobPull, this.#question(waitMs), { timeoutMs })
        // Whoever has waited for long need not wait before it asks again.
        if (this.#host.now() > askedAtMs + PROBE_MS.first) this.#probeAtMs = 0
        if (await this.#receive(given, root)) return true
        if (waitMs > 0 && refuses.length > 0) await env.clock.sleep(1_000, { signal })
      } catch (error) {
        loads.forget(root)
        if (signal.aborted) return false
        this.#host.log.debug('a pull failed', { reason: errorMessage(error) })
        if (waitMs > 0) await env.clock.sleep(1_000, { signal }).catch(() => {})
      }
    }
  }

  /** Takes tasks over from this host, or any neighbour, if that has more to do; one that has less takes some in turn. */
  async even(from?: Contact): Promise<void> {
    const { env, loads, overlay } = this.#host
    const { restMs, taskMs = 0 } = this.#events.asker()
    this.#busy = true
    const neighbours = overlay.neighbours()
    // Not always one that is known to have more: figures are old, and who has most must meet those with least.
    const known = env.random.int(2) === 0 ? loads.busier(LONGER.times * restMs + LONGER.tasks * taskMs) : undefined
    const to = from ?? known ?? neighbours[env.random.int(Math.max(1, neighbours.length))]
    try {
      if (!to || this.#host.isSelf(to)) return
      const given = await this.#host.ask(to, JobPull, this.#question(0))
      await this.#receive(given, to)
    } catch (error) {
      if (to) loads.forget(to)
      this.#host.log.debug('a pull failed', { reason: errorMessage(error) })
    } finally {
      this.#busy = false
      this.#events.pump()
    }
  }

  /** Asks for tasks of other jobs than these, of which there is enough to do. */
  async help(at: Contact, than: readonly string[]): Promise<void> {
    this.#busy = true
    try {
      const { refuses, ...question } = this.#question(0)
      const message = { ...question, restMs: 0, refuses: [...than, ...refuses].slice(0, MAX_GRANTS) }
      await this.#receive(await this.#host.ask(at, JobPull, message), at)
    } catch (error) {
      this.#host.log.debug('a pull failed', { reason: errorMessage(error) })
    } finally {
      this.#busy = false
      this.#events.pump()
    }
  }

  #question(waitMs: number) {
    const { loads, table } = this.#host
    const { knows, refuses } = table.told(MAX_GRANTS)
    const { cores, ...asker } = this.#events.asker()
    return { ...asker, cores: Math.max(1, cores), knows, refuses, waitMs, loads: loads.share() }
  }

  /** What a host gave. False: no tasks that are taken here. */
  async #receive(given: Given, from: Contact): Promise<boolean> {
    const { loads, table } = this.#host
    const { grants, queued } = given
    loads.note(given.loads)
    for (const id of given.ended ?? []) this.#forget(id)
    const specs = new Map(given.specs.map(({ job, spec }) => [job, spec]))
    const back: Grant[] = []
    let first: Grant | undefined
    for (const grant of grants) {
      const taken = await this.#events.take(grant, specs.get(grant.job), from).catch((): Taken => 'refused')
      if (taken === 'refused') back.push(grant)
      if (taken === 'taken') first ??= grant
    }
    const whyNot = (job: string) => table.live.get(job)?.refusal
    const dropped = back.map(({ id, job, mask, root = from }) => ({ id, root, dropped: mask, why: whyNot(job) }))
    void Promise.allSettled(renewals(this.#host, dropped))
    if (!first) {
      // Others were quicker when nothing came of a queue; it will say when there is more.
      if (queued > 0) loads.avoid(from)
      else loads.forget(from)
      return false
    }
    this.lookSoon()
    if (queued > 0) this.#rumours.spread(first.job, 1)
    return true
  }

  /** Who keeps segments of a job is told of its end in other ways than by anybody. */
  #forget(id: string): void {
    const { table } = this.#host
    if (table.live.get(id)?.segments.size === 0) table.end(id)
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
    if (early && table.isThrifty) return none
    const root = this.#near.pick()
    if (early && !root) return none
    if (!root && overlay.self && table.live.size === 0) return none
    this.#probeAtMs = now + this.#probeMs
    this.#probeMs = Math.min(overlay.self && table.isThrifty ? PROBE_MS.most : PROBE_MS.first, 2 * this.#probeMs)
    if (root) return { root, waitMs: 0 }
    const members = overlay.neighbours()
    return { root: members[env.random.int(members.length)], waitMs: overlay.self ? 0 : LEAF_WAIT_MS }
  }
}
