/**
 * A node of the simulated market: an account with a host, its part in the market, and one operation at a time on its way to
 * the ledger. It comes and goes; what it keeps is its keys, and the tasks that it has done.
 */
import type { Env, Random } from '../../src/core/env.ts'
import type { Key } from '../../src/core/ids.ts'
import type { KeyPair, PublicKey } from '../../src/market/ledger/keys.ts'
import type { Ledger } from '../../src/market/ledger/ledger.ts'
import type { Allocation } from '../../src/market/ledger/state/allocations/allocation.ts'
import { type Amount, least, minus } from '../../src/market/ledger/state/amount.ts'
import { type Action, signersOf, signOperation } from '../../src/market/ledger/state/operation.ts'
import { EMPTY_PURSE, total } from '../../src/market/ledger/state/purse.ts'
import type { State } from '../../src/market/ledger/state/state.ts'
import { type Buy, offerId, type Sell, signOffer, type Terms } from '../../src/market/offers/offer.ts'
import { fakeKeyPair } from '../fake-keys.ts'
import { type Ask, Buying, Mediating } from './buying.ts'
import type { Part } from './cast.ts'
import type { Dispatch } from './dispatch.ts'
import { Supplying } from './supplying.ts'

const TRY_MS = 10_000
/** After an operation of which nothing came. */
const REST_MS = 2000
/** Of a host, and what it offers of it: the rest is for the time in which it is down. */
const OFFERED_MIPS = 800
const OFFER_LIFE_MS = 3_600_000
/** An offer that is not in the book by then is made again. */
const POSTED_MS = 90_000

export interface NodePorts {
  readonly env: Env
  readonly network: Key
  readonly dispatch: Dispatch
  /** A banker's ledger, and what its chain says. */
  chain(node: MarketNode): { readonly ledger: Ledger; readonly state: State }
  /** Allocations in which this account has a part, in the order in which they began. */
  open(account: PublicKey): Iterable<Key>
  readonly ask: Ask
  /** On the bulletin board. */
  post(offer: Uint8Array): void
  /** Undefined: the node does not know. */
  ended(action: Action, result: string | undefined): void
}

export class MarketNode {
  readonly number: number
  readonly part: Part
  readonly keys: KeyPair
  readonly hostKeys: KeyPair
  readonly supplying: Supplying | undefined
  readonly #buying: Buying | undefined
  readonly #mediating: Mediating | undefined
  readonly #ports: NodePorts
  readonly #random: Random
  isUp = true
  #backAtMs = 0
  /** The operation on its way. */
  #sending: AbortController | undefined
  #restsUntilMs = 0
  #tickedMs: number
  #offers = 0
  #posted: { readonly id: Key; readonly number: number; readonly atMs: number } | undefined

  constructor(ports: NodePorts, number: number, part: Part) {
    const { env, dispatch, ask } = ports
    this.#ports = ports
    this.number = number
    this.part = part
    this.keys = fakeKeyPair(`node ${number}`)
    this.hostKeys = fakeKeyPair(`host of node ${number}`)
    this.#random = env.random.fork(`node ${number}`)
    this.#tickedMs = env.clock.now()
    const { role, conduct } = part
    if (role === 'supplier') this.supplying = new Supplying(this.keys, conduct, dispatch)
    if (role === 'customer') this.#buying = new Buying(this.keys, conduct, dispatch, ask)
    if (role === 'mediator') this.#mediating = new Mediating(this.keys, this.hostKeys.publicKey, conduct, dispatch)
  }

  get account(): PublicKey {
    return this.keys.publicKey
  }

  /** Whatever was on its way may come in, or not. */
  goDown(ms: number): void {
    this.isUp = false
    this.#backAtMs = this.#tickedMs + ms
    this.#sending?.abort()
    this.#buying?.restart()
    this.#mediating?.restart()
  }

  tick(nowMs: number): void {
    const sinceMs = nowMs - this.#tickedMs
    this.#tickedMs = nowMs
    if (!this.isUp) {
      this.isUp = nowMs >= this.#backAtMs
      return
    }
    const { state, ledger } = this.#ports.chain(this)
    const open = new Map<Key, Allocation>()
    for (const id of this.#ports.open(this.account)) {
      const allocation = state.allocations.get(id)
      if (allocation) open.set(id, allocation)
    }
    this.supplying?.work(open, sinceMs, nowMs)
    if (this.#sending || nowMs < this.#restsUntilMs) return
    const action = this.#next(state, open, Math.max(nowMs, state.timeMs))
    if (action) void this.#send(action, state, ledger)
  }

  #next(state: State, open: ReadonlyMap<Key, Allocation>, blockTimeMs: number): Action | undefined {
    const settling = this.#settling(state)
    if (settling) return settling
    if (this.supplying) this.#sell(state, blockTimeMs)
    for (const [id, allocation] of open) {
      const action =
        this.supplying?.step(id, allocation, state, blockTimeMs) ??
        this.#buying?.step(id, allocation, blockTimeMs) ??
        this.#mediating?.step(id, allocation, blockTimeMs)
      if (action) return action
    }
    return this.#buying?.withdraw(state)
  }

  /** What it has to do before it takes part. */
  #settling(state: State): Action | undefined {
    const host = this.hostKeys.publicKey
    if (!state.accounts.get(this.account)) return { kind: 'open' }
    if (!state.hosts.get(host)) return { kind: 'link', host }
    if (!this.#mediating) return undefined
    const lacks = minus(state.settings.bond, least(state.settings.bond, total(state.bankers.get(host) ?? EMPTY_PURSE)))
    if (lacks > 0n) return { kind: 'bond', host, amount: lacks }
    return state.mediators.get(host) === undefined ? { kind: 'mediate', host, willing: true } : undefined
  }

  isSettled(state: State): boolean {
    return this.#settling(state) === undefined
  }

  /** One core for an hour, and again when that is sold or was never handed in. */
  #sell(state: State, nowMs: number): void {
    const posted = this.#posted
    const booked = posted && state.book.get(posted.id)
    const isSold = posted && posted.number <= (state.spent.get(this.account) ?? -1)
    if (posted && !isSold && (booked || nowMs < posted.atMs + POSTED_MS)) return
    const terms: Sell = {
      kind: 'sell',
      host: this.hostKeys.publicKey,
      coresMilli: 1000,
      speedMips: OFFERED_MIPS,
      memoryBytes: 2 ** 30,
      storeBytes: 0,
      level: 'process',
      fromMs: Math.floor(nowMs),
      untilMs: Math.floor(nowMs) + OFFER_LIFE_MS,
      minPrice: BigInt(20_000 + this.#random.int(30_000)) as Amount,
    }
    this.#posted = { ...this.#offer(terms, terms.untilMs), atMs: nowMs }
  }

  /** A customer's. */
  offerJob(terms: Buy, expiresMs: number): void {
    this.#buying!.offered(this.#offer(terms, expiresMs).id)
  }

  /** Signs and posts one. */
  #offer(terms: Terms, expiresMs: number): { readonly id: Key; readonly number: number } {
    const { network, post } = this.#ports
    const number = this.#offers++
    const unsigned = { network, account: this.account, number, expiresMs, terms }
    post(signOffer(unsigned, this.keys))
    return { id: offerId(unsigned), number }
  }

  async #send(action: Action, state: State, ledger: Ledger): Promise<void> {
    const { env, network, ended } = this.#ports
    const nonce = state.accounts.get(this.account)?.nonce ?? 0
    const unsigned = { network, account: this.account, nonce, action }
    const keys = signersOf(unsigned).map((id) => (id === this.account ? this.keys : this.hostKeys))
    const sending = new AbortController()
    this.#sending = sending
    let result: string | undefined
    using deadline = env.clock.deadline(TRY_MS, sending.signal)
    try {
      result = (await ledger.submit(signOperation(unsigned, keys), { signal: deadline.signal })).result
    } catch {
      // It may come in all the same: the ledger says so at the next look.
    }
    this.#sending = undefined
    if (result !== 'applied') this.#restsUntilMs = env.clock.now() + REST_MS
    ended(action, result)
  }
}
