/**
 * Gets (DESIGN 6): from here, else from the owner of the key or whoever of its group is quickest; a second one is asked
 * when the first takes longer than nearly all did lately. A joiner owns at once and may have nothing yet, so whoever
 * lacks a block is passed over, and before a block is said to be nowhere, those behind the group have been asked too.
 * Bytes are believed only when they are what the key says.
 */
import type { Env } from '../../../core/env.ts'
import { ChoraleError, errorMessage } from '../../../core/errors.ts'
import { hashKey, type Key } from '../../../core/ids.ts'
import { MAX_KNOWN_PEERS } from '../../../core/limits.ts'
import { CappedMap } from '../../../net/capped-map.ts'
import type { Contact } from '../../../net/contact.ts'
import type { ReplyOf } from '../../../net/message.ts'
import type { Transport } from '../../../net/transport.ts'
import type { Overlay, Route } from '../../overlay.ts'
import { mayPass, retryMs, STEP_TIMEOUT_MS } from '../at-owner.ts'
import { majority } from '../quorum.ts'
import { BlockGet, type Copy } from './messages.ts'
import { RecentGets } from './recent.ts'

/** For a get as a whole. */
const GET_DEADLINE_MS = 15_000
/** For one holder to send a block: it may have to read it from a disk, and links may be slow. */
const HOLDER_TIMEOUT_MS = 5_000
/** So often a whole group may say that it has nothing while one of it cannot be reached, before it is believed. */
const UNSURE_TRIES = 6
/** And for so long those may who say that the overlay around them has just changed: `UNSETTLED_MS` of answers.ts and more. */
const UNSETTLED_PATIENCE_MS = 8_000

export interface ReaderParts {
  readonly env: Env
  readonly transport: Transport
  readonly overlay: Overlay
  /** Holders of a key that this host owns, as they told it. */
  holdersOf(key: Key): readonly Contact[]
  hostsOf(contacts: readonly Contact[]): readonly Contact[]
}

/**
 * `unsure`: too few of the group have answered. `unsettled`: they lack it, and the overlay around them has just changed, so
 * that whoever has it may not have told them yet.
 */
type Found = { readonly copy: Copy } | 'absent' | 'unsure' | 'unsettled'

export class Reader {
  readonly counters = { remote: 0, hedged: 0, sentOn: 0, badBlocks: 0, notFound: 0 }
  readonly #parts: ReaderParts
  readonly #flights = new Map<Key, Promise<Copy>>()
  readonly #recent = new RecentGets()
  /** Hosts that sent what they should not: asked last. */
  readonly #strikes = new CappedMap<string, number>(MAX_KNOWN_PEERS)

  constructor(parts: ReaderParts) {
    this.#parts = parts
  }

  flight(key: Key): Promise<Copy> | undefined {
    return this.#flights.get(key)
  }

  /** Many who want one block at a time share one get. Rejects with `not-found`, `timeout` or `no-route`. */
  get(key: Key): Promise<Copy> {
    let flight = this.#flights.get(key)
    if (!flight) {
      flight = this.#get(key).finally(() => this.#flights.delete(key))
      this.#flights.set(key, flight)
    }
    return flight
  }

  async #get(key: Key): Promise<Copy> {
    const { env, overlay } = this.#parts
    const startedAtMs = env.clock.now()
    using deadline = env.clock.deadline(GET_DEADLINE_MS)
    const { signal } = deadline
    let failure: unknown
    for (let attempt = 0, unsure = 0; ; attempt++) {
      try {
        if (attempt > 0) await env.clock.sleep(retryMs(env, attempt), { signal })
        const asked = { signal, group: true, deadlineMs: STEP_TIMEOUT_MS, noCache: attempt > 0 }
        const found = await this.#ask(key, await overlay.lookup(key, asked), signal)
        if (typeof found === 'object') {
          this.#recent.sample(env.clock.now() - startedAtMs)
          this.counters.remote++
          return found.copy
        }
        failure = new ChoraleError('not-found', `nobody of its group has the block ${key}`)
        const young = env.clock.now() - startedAtMs < UNSETTLED_PATIENCE_MS
        if (found === 'unsettled' ? young : found === 'unsure' && ++unsure < UNSURE_TRIES) continue
      } catch (error) {
        if (!signal.aborted && !mayPass(error)) throw error
        if (!signal.aborted) {
          failure = error
          continue
        }
        if (!(failure instanceof ChoraleError && failure.code === 'not-found')) {
          const last = failure === undefined ? '' : `: ${errorMessage(failure)}`
          throw new ChoraleError('timeout', `no holder within ${GET_DEADLINE_MS} ms${last}`, { cause: failure })
        }
      }
      this.counters.notFound++
      throw failure
    }
  }

  async #ask(key: Key, route: Route, signal: AbortSignal): Promise<Found> {
    const { overlay, transport, holdersOf, hostsOf } = this.#parts
    const group = hostsOf(route.replicas).filter(({ peer }) => peer !== transport.peer)
    const own = route.owner.peer === transport.peer
    const race = new Race(this.#parts, this.#recent, this.#strikes, this.counters, key, signal)
    const found = await race.run([...this.#byLikelihood(group, route.owner), ...(own ? holdersOf(key) : [])])
    if (found) return { copy: found }
    const last = group.at(-1)
    if (!last) return 'absent' // alone
    // Several may have joined at once, so that those who have it have fallen out of the group.
    const behind = await overlay.lookup(last.id, { signal, group: true, deadlineMs: STEP_TIMEOUT_MS })
    const more = await race.run(hostsOf(behind.replicas))
    if (more) return { copy: more }
    const known = race.misses + (own ? 1 : 0) >= majority(group.length + (own ? 1 : 0)) && race.failures === 0
    if (!race.settled) return 'unsettled'
    return known ? 'absent' : 'unsure'
  }

  /** Fastest first; the owner before others that we do not know; liars last. */
  #byLikelihood(group: readonly Contact[], owner: Contact): Contact[] {
    const { transport } = this.#parts
    const cost = (host: Contact) =>
      (transport.rtt(host.peer) ?? (host.peer === owner.peer ? 1e6 : 1e7)) + 1e9 * (this.#strikes.get(host.peer) ?? 0)
    const costs = new Map(group.map((host) => [host, cost(host)]))
    return [...group].sort((a, b) => costs.get(a)! - costs.get(b)!)
  }
}

type Counters = Reader['counters']

/** Asks hosts one after the other, the next one early when an answer is late. Nobody twice, except who said to insist. */
class Race {
  misses = 0
  failures = 0
  /** Nobody who lacks it said that its surroundings are changing. */
  settled = true
  readonly #parts: ReaderParts
  readonly #recent: RecentGets
  readonly #strikes: CappedMap<string, number>
  readonly #counters: Counters
  readonly #key: Key
  readonly #signal: AbortSignal
  readonly #asked = new Set<string>()

  constructor(
    parts: ReaderParts,
    recent: RecentGets,
    strikes: CappedMap<string, number>,
    counters: Counters,
    key: Key,
    signal: AbortSignal,
  ) {
    this.#parts = parts
    this.#recent = recent
    this.#strikes = strikes
    this.#counters = counters
    this.#key = key
    this.#signal = signal
  }

  /** Undefined: none of these, nor those whom they named, has it. Rejects when the signal fires. */
  run(hosts: readonly Contact[]): Promise<Copy | undefined> {
    const { env, transport } = this.#parts
    const queue = [...hosts]
    /** They have it, but have sent us on; if that leads nowhere they are asked again. */
    const hot: Contact[] = []
    const controller = new AbortController()
    let open = 0
    let done = false
    return new Promise((resolve, reject) => {
      let cancelHedge = () => {}
      const finish = (end: () => void) => {
        if (done) return
        done = true
        cancelHedge()
        this.#signal.removeEventListener('abort', onAbort)
        controller.abort()
        end()
      }
      const onAbort = () => finish(() => reject(this.#signal.reason))
      const pick = (): [host: Contact, insist: boolean] | undefined => {
        for (let host = queue.shift(); host; host = queue.shift()) {
          if (!this.#asked.has(host.peer) && host.peer !== transport.peer) return [host, false]
        }
        const again = open === 0 ? hot.shift() : undefined
        return again && [again, true]
      }
      const next = (): void => {
        const picked = done ? undefined : pick()
        if (!picked) {
          if (open === 0) finish(() => resolve(undefined))
          return
        }
        const [host, insist] = picked
        open++
        this.#asked.add(host.peer)
        cancelHedge()
        cancelHedge = env.clock.timer(this.#recent.p95Ms(), () => {
          if (queue.some(({ peer }) => !this.#asked.has(peer))) this.#counters.hedged++
          if (queue.length > 0) next()
        })
        const options = { signal: controller.signal, timeoutMs: HOLDER_TIMEOUT_MS }
        transport.request(host, BlockGet, { key: this.#key, insist }, options).then(
          (reply) => {
            open--
            if (done) return
            const copy = this.#judge(host, reply)
            if (copy) return finish(() => resolve(copy))
            if (reply.hot) {
              this.#counters.sentOn++
              hot.push(host)
            }
            queue.unshift(...reply.ask)
            next()
          },
          () => {
            open--
            if (done) return
            this.failures++
            next()
          },
        )
      }
      if (this.#signal.aborted) return onAbort()
      this.#signal.addEventListener('abort', onAbort, { once: true })
      next()
    })
  }

  #judge(host: Contact, { copy, hot, settled }: ReplyOf<typeof BlockGet>): Copy | undefined {
    if (copy && copy.key === this.#key && hashKey(copy.bytes) === this.#key) return copy
    if (copy) {
      this.#counters.badBlocks++
      this.#strikes.set(host.peer, (this.#strikes.get(host.peer) ?? 0) + 1)
    }
    if (hot) return undefined
    this.misses++
    this.settled &&= settled
    return undefined
  }
}
