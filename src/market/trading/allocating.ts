/**
 * Brings offers from the bulletin board into the ledger's book, and has them matched (DESIGN 10). Any host whose account is open
 * may do both: hosts with a seat look at the board every few seconds, others rarely, and whoever posts an offer hands it
 * in itself. A match is asked for when a dry run of the rule on this node's own copy of the state
 * would trade something: on an idle market nothing happens.
 *
 * The fee of a match goes to whoever handed the offers in, so all have a reason to; a random pause before each step keeps most
 * from doing what another does at the same time, and then the ledger refuses the second.
 */
import { ChoraleError, errorCode, errorMessage } from '../../core/errors.ts'
import type { Key } from '../../core/ids.ts'
import { MAX_OFFERS_PER_ACCOUNT, MAX_OPERATION_BYTES } from '../../core/limits.ts'
import { CappedMap } from '../../net/capped-map.ts'
import { handIn, match } from '../ledger/state/book/book.ts'
import { offerIn } from '../ledger/state/book/offers.ts'
import type { State } from '../ledger/state/state.ts'
import { decodeOffer, type Offer, offerFault, offerId, timeFault } from '../offers/offer.ts'
import { slotAt, slotsOf } from '../offers/price-slot.ts'
import { deadOffersOf, liveEntries } from './in-book.ts'
import type { TradingPorts } from './ports.ts'

/** The board of the present slot, with a seat and without; that of the next slot is read every so many times. */
const LOOK_SEATED_MS = 5_000
const LOOK_MS = 60_000
const NEXT_SLOT_EVERY = 10
/** Before what somebody else has posted is handed in, up to this. */
const OTHERS_MS = 4_000
/** An offer of this host, until it is seen in the book: there may be no room for it now. */
const OWN_AGAIN_MS = 20_000
/** Before a match is asked for: by whom it concerns, up to this, and by others. */
const OWN_MATCH_MS = 500
const OTHERS_MATCH_MS = { least: 3_000, spread: 5_000 }
/** A book that has not changed is tried again: time alone brings an offer into a slot, or out of it. */
const RETRY_MATCH_MS = 30_000
/** Operations hold so much of offers, beside what else they hold. */
const HANDED_BYTES = MAX_OPERATION_BYTES - 512
const HANDED = 16
/** Offers that are remembered, so that none is looked at twice. */
const KNOWN = 65_536
/** Offers of others that wait to be handed in. */
const MAX_WAITING = 1_024
/** Of a board, that are looked at. */
const MAX_READ = 4_096
/** Slots in which a match is tried in one look. */
const MAX_SLOTS = 12
/** Of this account in the book, from which on it sees to it that the book is swept. */
const CROWDED = MAX_OFFERS_PER_ACCOUNT / 2
const PATIENCE_MS = 20_000
/** After the ledger could not be reached. */
const PAUSE_MS = 10_000

interface Waiting {
  readonly bytes: Uint8Array
  readonly dueMs: number
  readonly isOwn?: true
}

export type AllocatorPorts = Pick<TradingPorts, 'env' | 'ledger' | 'wallet' | 'verify' | 'board'>

export class Allocating {
  readonly #ports: AllocatorPorts
  readonly #signal: AbortSignal
  readonly #waiting = new Map<Key, Waiting>()
  readonly #known = new CappedMap<Key, true>(KNOWN)
  /** Hears of every good offer that it sees on the board. */
  readonly #seen: (id: Key, offer: Offer) => void
  #lookMs = 0
  #looks = 0
  #isLooking = false
  #isSending = false
  #restMs = 0
  #tried: State['book'] | undefined
  #triedMs = 0
  #plan: { readonly slot: number; readonly dueMs: number } | undefined

  constructor(ports: AllocatorPorts, signal: AbortSignal, seen: (id: Key, offer: Offer) => void) {
    this.#ports = ports
    this.#signal = signal
    this.#seen = seen
  }

  /**
   * An offer of this host, posted or about to be. It is handed in at once, for who waits for another to do it waits and pays a fee;
   * and again, until it is in the book or over.
   */
  add(id: Key, bytes: Uint8Array): void {
    this.#waiting.set(id, { bytes, dueMs: this.#ports.env.clock.now(), isOwn: true })
  }

  /** An offer of this host that is over. */
  drop(id: Key): void {
    this.#waiting.delete(id)
    this.#ports.board.forget(id)
    this.#known.set(id, true)
  }

  /** When to look again, at the latest: something is due then. */
  get dueMs(): number {
    const { ledger, wallet } = this.#ports
    if (this.#isSending || !ledger.state.accounts.get(wallet.account)) return Number.POSITIVE_INFINITY
    let dueMs = this.#plan?.dueMs ?? Number.POSITIVE_INFINITY
    for (const waiting of this.#waiting.values()) dueMs = Math.min(dueMs, waiting.dueMs)
    return Math.max(dueMs, this.#restMs)
  }

  tick(): void {
    const { env, ledger, wallet } = this.#ports
    const nowMs = env.clock.now()
    if (nowMs >= this.#lookMs && !this.#isLooking) {
      const everyMs = ledger.status().seat === undefined ? LOOK_MS : LOOK_SEATED_MS
      this.#lookMs = nowMs + everyMs * (0.5 + env.random.next())
      void this.#look(nowMs)
    }
    if (this.#isSending || nowMs < this.#restMs || !ledger.state.accounts.get(wallet.account)) return
    const due = this.#dueOffers(nowMs)
    if (due.length > 0) return void this.#handIn(due)
    const slot = this.#dueMatch(nowMs)
    if (slot !== undefined) void this.#act({ kind: 'match', slot })
  }

  async #look(nowMs: number): Promise<void> {
    const { env, board } = this.#ports
    this.#isLooking = true
    using deadline = env.clock.deadline(PATIENCE_MS, this.#signal)
    try {
      const present = slotAt(nowMs)
      const slots = this.#looks++ % NEXT_SLOT_EVERY === 0 ? [present, present + 1] : [present]
      for (const slot of slots) this.#take((await board.read(slot, deadline)).slice(0, MAX_READ))
    } catch (error) {
      if (!this.#signal.aborted) env.log.debug('the board was not read', { reason: errorMessage(error) })
    } finally {
      this.#isLooking = false
    }
  }

  /** By anybody: any bytes. */
  #take(posted: readonly Uint8Array[]): void {
    const { env, ledger, wallet, verify } = this.#ports
    const nowMs = env.clock.now()
    for (const bytes of posted) {
      const offer = decodeOffer(bytes)
      if (typeof offer === 'string') continue
      const id = offerId(offer)
      if (this.#known.get(id) || this.#waiting.has(id) || ledger.state.book.get(id)) continue
      if (offerFault(offer, { network: ledger.network, nowMs, verify }) !== undefined) continue
      this.#seen(id, offer)
      // What this account has taken back must not come in again, and what it offers it hands in itself.
      if (offer.account === wallet.account || this.#waiting.size >= MAX_WAITING) continue
      this.#waiting.set(id, { bytes, dueMs: nowMs + env.random.next() * OTHERS_MS })
    }
  }

  /** That are new and good for the ledger, as many as fit into one operation. */
  #dueOffers(nowMs: number): Uint8Array[] {
    const due: Uint8Array[] = []
    let size = 0
    for (const [id, { bytes, dueMs, isOwn }] of this.#waiting) {
      if (dueMs > nowMs) continue
      if (due.length === HANDED || size + bytes.length > HANDED_BYTES) break
      this.#waiting.delete(id)
      this.#known.set(id, true)
      const mayComeIn = !this.#ports.ledger.state.book.get(id) && !timeFault(offerIn(bytes)!, nowMs)
      if (isOwn && mayComeIn) this.#waiting.set(id, { bytes, dueMs: nowMs + OWN_AGAIN_MS, isOwn })
      if (!this.#isWanted(bytes, nowMs)) continue
      due.push(bytes)
      size += bytes.length
    }
    return due
  }

  /** By the ledger's own rule. */
  #isWanted(bytes: Uint8Array, nowMs: number): boolean {
    const action = { kind: 'hand-in' as const, offers: [bytes] }
    return typeof handIn(this.#stateAt(nowMs), { ...this.#unsigned(), action }) !== 'string'
  }

  #unsigned() {
    const { ledger, wallet } = this.#ports
    return { network: ledger.network, account: wallet.account, nonce: 0 }
  }

  #stateAt(nowMs: number): State {
    const { state } = this.#ports.ledger
    return { ...state, timeMs: Math.max(state.timeMs, Math.floor(nowMs)) }
  }

  async #handIn(offers: Uint8Array[]): Promise<void> {
    const isIn = await this.#act({ kind: 'hand-in', offers })
    if (isIn) return
    const { env, wallet } = this.#ports
    const dueMs = env.clock.now() + PAUSE_MS
    for (const bytes of offers) {
      const offer = offerIn(bytes)!
      // Of its own those that are not over wait anyway.
      if (offer.account !== wallet.account) this.#waiting.set(offerId(offer), { bytes, dueMs })
    }
  }

  /** The slot to clear now. */
  #dueMatch(nowMs: number): number | undefined {
    const { env, ledger } = this.#ports
    const { book } = ledger.state
    if (this.#plan) {
      if (this.#plan.dueMs > nowMs) return undefined
      const { slot } = this.#plan
      this.#plan = undefined
      this.#tried = undefined
      return this.#wouldTrade(slot, nowMs) ? slot : undefined
    }
    if (book === this.#tried && nowMs < this.#triedMs + RETRY_MATCH_MS) return undefined
    this.#tried = book
    this.#triedMs = nowMs
    const slot = this.#slotsToTry(nowMs).find((slot) => this.#wouldTrade(slot, nowMs))
    if (slot === undefined) return this.#needsRoom(nowMs) ? slotAt(nowMs) : undefined
    const { least, spread } = this.#hasOwn() ? { least: 0, spread: OWN_MATCH_MS } : OTHERS_MATCH_MS
    this.#plan = { slot, dueMs: nowMs + least + env.random.next() * spread }
    return undefined
  }

  /** Of offers of both sides, and not too far ahead: the rule refuses others. */
  #slotsToTry(nowMs: number): number[] {
    const { sells, buys } = liveEntries(this.#ports.ledger.state, nowMs)
    const present = slotAt(nowMs)
    const sold = new Set<number>()
    for (const { terms } of sells) for (const slot of slotsOf(terms)) sold.add(slot)
    const slots = new Set<number>()
    for (const { terms } of buys) {
      for (const slot of slotsOf(terms)) if (slot >= present && sold.has(slot)) slots.add(slot)
    }
    return [...slots].sort((a, b) => a - b).slice(0, MAX_SLOTS)
  }

  #wouldTrade(slot: number, nowMs: number): boolean {
    const state = this.#stateAt(nowMs)
    const next = match(state, { ...this.#unsigned(), action: { kind: 'match', slot } })
    return typeof next !== 'string' && next.sequence > state.sequence
  }

  /** Where nothing is traded nobody sweeps the book, and what is over counts as this account's own. */
  #needsRoom(nowMs: number): boolean {
    const { ledger, wallet } = this.#ports
    if ((ledger.state.offersOf.get(wallet.account) ?? 0) < CROWDED) return false
    return deadOffersOf(ledger.state, wallet.account, nowMs) >= CROWDED / 2
  }

  #hasOwn(): boolean {
    const { ledger, wallet } = this.#ports
    return (ledger.state.offersOf.get(wallet.account) ?? 0) > 0
  }

  /** False: it did not come in, and may be tried again. */
  async #act(action: Parameters<TradingPorts['wallet']['act']>[0]): Promise<boolean> {
    const { env, wallet } = this.#ports
    this.#isSending = true
    using deadline = env.clock.deadline(PATIENCE_MS, this.#signal)
    try {
      const { result } = await wallet.act(action, deadline)
      env.log.debug('asked of the ledger', { kind: action.kind, result })
      return true // refused too: then another was faster
    } catch (error) {
      if (!this.#signal.aborted) {
        env.log.debug('not asked of the ledger', {
          kind: action.kind,
          code: errorCode(error),
          reason: errorMessage(error),
        })
      }
      this.#restMs = env.clock.now() + PAUSE_MS
      return false
    } finally {
      this.#isSending = false
    }
  }
}

/** What ends whatever is under way. */
export function leaving(): ChoraleError {
  return new ChoraleError('aborted', 'the host leaves')
}
