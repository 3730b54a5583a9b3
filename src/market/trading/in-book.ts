/** The ledger's book as traders see it: offers that can still be traded, decoded. */
import type { Key } from '../../core/ids.ts'
import type { BuyEntry, SellEntry } from '../auction/entries.ts'
import { rectangleIn } from '../auction/fit.ts'
import type { PublicKey } from '../ledger/keys.ts'
import type { Amount } from '../ledger/state/amount.ts'
import { FEE_PPM } from '../ledger/state/book/book.ts'
import { offerIn } from '../ledger/state/book/offers.ts'
import type { Booked, State } from '../ledger/state/state.ts'
import { type Buy, timeFault } from '../offers/offer.ts'
import { withoutFee } from '../offers/work.ts'

export interface BookEntries {
  readonly sells: readonly SellEntry[]
  readonly buys: readonly BuyEntry[]
}

/** By state: it never changes. */
const read = new WeakMap<State['book'], BookEntries>()

/** With something left. Expired offers included: the ledger sweeps them at the next round. */
export function entriesOf({ book }: Pick<State, 'book'>): BookEntries {
  const known = read.get(book)
  if (known) return known
  const sells: SellEntry[] = []
  const buys: BuyEntry[] = []
  for (const [id, { bytes, sequence, left, placed, pieces }] of book.entries()) {
    const { account, terms, expiresMs } = offerIn(bytes)!
    const entry = { id, account, sequence, expiresMs }
    if (terms.kind === 'sell') {
      sells.push({ ...entry, terms, pieces })
    } else if (left > 0) buys.push({ ...entry, terms, left, placed })
  }
  const entries = { sells, buys }
  read.set(book, entries)
  return entries
}

export function liveEntries(state: Pick<State, 'book'>, nowMs: number): BookEntries {
  const { sells, buys } = entriesOf(state)
  return { sells: sells.filter((entry) => !timeFault(entry, nowMs)), buys: buys.filter((e) => !timeFault(e, nowMs)) }
}

/** Could this host do a task of it, whatever it costs? Not for its own account. */
export function canServe(
  { account, terms, pieces }: Pick<SellEntry, 'account' | 'terms' | 'pieces'>,
  buyer: PublicKey,
  buy: Buy,
  nowMs: number,
): boolean {
  if (account === buyer || (buy.level === 'os' && terms.level !== 'os')) return false
  const need = { ...buy, fromMs: Math.max(buy.fromMs, nowMs) }
  return pieces.some((piece) => rectangleIn(piece, terms.speedMips, need, 1) !== undefined)
}

/** The least that any host asks for that could do a task of this. */
export function lowestAsk(state: Pick<State, 'book'>, buyer: PublicKey, buy: Buy, nowMs: number): Amount | undefined {
  const able = liveEntries(state, nowMs).sells.filter((entry) => canServe(entry, buyer, buy, nowMs))
  return able.reduce<Amount | undefined>(
    (low, { terms: { minPrice } }) => (low === undefined || minPrice < low ? minPrice : low),
    undefined,
  )
}

/** Of the hosts that could do some of it for its price, the cheapest first: what their free cores do together, in MIPS. */
export function speedsFor(state: Pick<State, 'book'>, buyer: PublicKey, buy: Buy, nowMs: number): number[] {
  const limit = withoutFee(buy.maxPrice, FEE_PPM)
  return liveEntries(state, nowMs)
    .sells.filter((entry) => entry.terms.minPrice <= limit && canServe(entry, buyer, buy, nowMs))
    .sort((a, b) => Number(a.terms.minPrice - b.terms.minPrice) || a.sequence - b.sequence)
    .map(({ terms, pieces }) => (terms.speedMips * Math.max(...pieces.map(({ coresMilli }) => coresMilli))) / 1000)
}

/** The offer as the ledger has it, unless it is over. */
export function openOffer({ book }: Pick<State, 'book'>, id: Key, nowMs: number): Booked | undefined {
  const booked = book.get(id)
  return booked && offerIn(booked.bytes)!.expiresMs > nowMs ? booked : undefined
}

/** Of an account, that are too late and still count as its own: the next round sweeps them. */
export function deadOffersOf({ book }: Pick<State, 'book'>, account: PublicKey, nowMs: number): number {
  let count = 0
  for (const [, { bytes }] of book.entries()) {
    const offer = offerIn(bytes)!
    if (offer.account === account && timeFault(offer, nowMs) !== undefined) count++
  }
  return count
}
