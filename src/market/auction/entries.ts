/** Offers as the auction sees them: in the book under a sequence number, with what is left of them. */
import type { Key } from '../../core/ids.ts'
import type { PublicKey } from '../ledger/keys.ts'
import type { Buy, Sell } from '../offers/offer.ts'
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
