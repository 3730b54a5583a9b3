/** The ledger's book as traders see it: offers that can still be traded, decoded. */
import type { Key } from '../../core/ids.ts'
import { type BuyEntry, isSell, type SellEntry } from '../auction/entries.ts'
import { rectangleIn } from '../auction/fit.ts'
import type { PublicKey } from '../ledger/keys.ts'
import type { Amount } from '../ledger/state/amount.ts'
import { FEE_PPM } from '../ledger/state/book/book.ts'
import { entryIn, offerIn } from '../ledger/state/book/offers.ts'
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
  for (const [id, booked] of book.entries()) {
    const entry = entryIn(id, booked)
    if (isSell(entry)) sells.push(entry)
    else if (entry.left > 0) buys.push(entry)
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

/**
 * What the cheapest accounts ask for that could do what is left of it, the lowest first: as many of them as are needed, since
 * none gets two copies of a task, or all that there are. `left`, `placed`: as in the book; without: all of it.
 */
export function asksFor(
  state: Pick<State, 'book'>,
  buyer: PublicKey,
  buy: Buy,
  nowMs: number,
  { left, placed }: Pick<BuyEntry, 'left' | 'placed'> = { left: buy.tasks * buy.replicas, placed: [] },
): Amount[] {
  const lowest = new Map<PublicKey, Amount>()
  for (const entry of liveEntries(state, nowMs).sells) {
    const { account, terms } = entry
    const known = lowest.get(account)
    if ((known === undefined || terms.minPrice < known) && canServe(entry, buyer, buy, nowMs)) {
      lowest.set(account, terms.minPrice)
    }
  }
  const has = new Map(placed)
  const asks: Amount[] = []
  let open = left
  for (const [account, ask] of [...lowest].sort(([, a], [, b]) => Number(a - b))) {
    const room = buy.tasks - (has.get(account) ?? 0)
    if (room <= 0) continue
    if (open <= 0) break
    asks.push(ask)
    open -= room
  }
  return asks
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
