/** Offers as the auction sees them: in the book under a sequence number, with what is left of them. */
import type { Key } from '../../core/ids.ts'
import type { PublicKey } from '../ledger/keys.ts'
import { type Buy, offerId, type Sell, type UnsignedOffer } from '../offers/offer.ts'
import type { Piece } from './fit.ts'

interface Entry {
  readonly id: Key
  readonly account: PublicKey
  /** Of the book: whoever came first has the lower one. It decides between equal prices. */
  readonly sequence: number
  readonly expiresMs: number
}

export interface SellEntry extends Entry {
  readonly terms: Sell
  /** What is not sold yet: sub-offers. */
  readonly pieces: readonly Piece[]
}

export interface BuyEntry extends Entry {
  readonly terms: Buy
  /** Copies of tasks that are not placed yet. */
  readonly left: number
  /** Copies that accounts have: none may have more than one of a task. Only of offers with replicas. */
  readonly placed: readonly (readonly [account: PublicKey, copies: number])[]
}

export interface Entries {
  readonly sells: readonly SellEntry[]
  readonly buys: readonly BuyEntry[]
}

/** An offer of which nothing has been traded, as the so-many-th that came. */
export function entryOf(offer: UnsignedOffer, sequence: number): SellEntry | BuyEntry {
  const { account, expiresMs, terms } = offer
  const entry = { id: offerId(offer), account, sequence, expiresMs }
  if (terms.kind === 'buy') return { ...entry, terms, left: terms.tasks * terms.replicas, placed: [] }
  const { fromMs, untilMs, coresMilli, memoryBytes } = terms
  return { ...entry, terms, pieces: [{ fromMs, untilMs, coresMilli, memoryBytes }] }
}

export function isSell(entry: SellEntry | BuyEntry): entry is SellEntry {
  return entry.terms.kind === 'sell'
}

export function isBuy(entry: SellEntry | BuyEntry): entry is BuyEntry {
  return entry.terms.kind === 'buy'
}
