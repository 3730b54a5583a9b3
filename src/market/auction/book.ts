/**
 * The book of the market: the offers that were let in, each under the number of its coming, with what is left of them. A value
 * that never changes, in Merkle trees like the rest of the ledger's state, so that it can be a part of that.
 *
 * It takes offers whose form, time and signature were found good (`offer.ts`). That a seller's host is linked to its
 * account, and that a buyer has the credits, is for the ledger to check before. Whoever fills the book with offers needs an
 * account for every `MAX_OFFERS_PER_ACCOUNT` of them.
 */
import type { Key } from '../../core/ids.ts'
import { MAX_BOOK_OFFERS, MAX_OFFERS_PER_ACCOUNT } from '../../core/limits.ts'
import type { PublicKey } from '../ledger/keys.ts'
import { withCount } from '../ledger/state/by-account.ts'
import { Tree } from '../ledger/state/tree.ts'
import { type Buy, offerId, type Sell, timeFault, type UnsignedOffer } from '../offers/offer.ts'
import type { BuyEntry, Entries, SellEntry } from './entries.ts'
import { type Cleared, clearRound, type Round } from './round.ts'

export interface Book {
  /** Under their `offerId`. */
  readonly sells: Tree<SellEntry>
  readonly buys: Tree<BuyEntry>
  /** Offers of each account that has any: follows from the two. */
  readonly counts: Tree<number>
  /** Of the next offer that comes. */
  readonly sequence: number
}

export const EMPTY_BOOK: Book = Object.freeze({
  sells: Tree.empty<SellEntry>(),
  buys: Tree.empty<BuyEntry>(),
  counts: Tree.empty<number>(),
  sequence: 0,
})

export const BOOK_FAULTS = {
  'known-offer': 'the book has an offer of this account with this number',
  'too-many-offers': `an account has at most ${MAX_OFFERS_PER_ACCOUNT} offers in the book`,
  'book-full': 'the book is full',
} as const

export type BookFault = keyof typeof BOOK_FAULTS

/** The book with one more offer. */
export function withOffer(book: Book, offer: UnsignedOffer): Book | BookFault {
  const { sells, buys, counts, sequence } = book
  const { account, expiresMs, terms } = offer
  const id = offerId(offer)
  if (sells.get(id) || buys.get(id)) return 'known-offer'
  if ((counts.get(account) ?? 0) >= MAX_OFFERS_PER_ACCOUNT) return 'too-many-offers'
  if (sells.size + buys.size >= MAX_BOOK_OFFERS) return 'book-full'
  const entry = { id, account, sequence, expiresMs }
  const grown = { ...book, counts: withCount(counts, account, 1), sequence: sequence + 1 }
  if (terms.kind === 'sell') return { ...grown, sells: sells.set(id, { ...entry, ...newSell(terms) }) }
  return { ...grown, buys: buys.set(id, { ...entry, ...newBuy(terms) }) }
}

function newSell(terms: Sell): Pick<SellEntry, 'terms' | 'pieces'> {
  const { fromMs, untilMs, coresMilli, memoryBytes } = terms
  return { terms, pieces: [{ fromMs, untilMs, coresMilli, memoryBytes }] }
}

function newBuy(terms: Buy): Pick<BuyEntry, 'terms' | 'left' | 'placed'> {
  return { terms, left: terms.tasks * terms.replicas, placed: [] }
}

/** The book without an offer: it was taken back by its account, or it is over. */
export function withoutOffer(book: Book, id: Key): Book {
  const entry = book.sells.get(id) ?? book.buys.get(id)
  if (!entry) return book
  return {
    ...book,
    sells: book.sells.delete(id),
    buys: book.buys.delete(id),
    counts: withCount(book.counts, entry.account, -1),
  }
}

export function offersOf({ counts }: Book, account: PublicKey): number {
  return counts.get(account) ?? 0
}

/** The offers that can still be traded at this time, in the order in which they came. */
export function entriesAt({ sells, buys }: Book, nowMs: number): Entries {
  const live = <E extends SellEntry | BuyEntry>(tree: Tree<E>): E[] => {
    const entries: E[] = []
    for (const [, entry] of tree.entries()) if (!timeFault(entry, nowMs)) entries.push(entry)
    return entries.sort(byAge)
  }
  return { sells: live(sells), buys: live(buys) }
}

const byAge = (a: SellEntry | BuyEntry, b: SellEntry | BuyEntry) => a.sequence - b.sequence

/** One round over the book: what was traded, and the book with what is left. Offers that are over are dropped. */
export function clearBook(book: Book, round: Round, nowMs: number): { readonly book: Book; readonly cleared: Cleared } {
  const entries = entriesAt(book, nowMs)
  const cleared = clearRound(entries, { ...round, fromMs: Math.max(nowMs, round.fromMs) })
  const sells = updated(book.sells, cleared.rest.sells)
  const buys = updated(book.buys, cleared.rest.buys)
  let { counts } = book
  for (const { account } of [...sells.gone, ...buys.gone]) counts = withCount(counts, account, -1)
  return { book: { ...book, sells: sells.tree, buys: buys.tree, counts }, cleared }
}

/** The tree with these entries and no others, and those that are gone. */
function updated<E extends SellEntry | BuyEntry>(before: Tree<E>, rest: readonly E[]): { tree: Tree<E>; gone: E[] } {
  const left = new Map(rest.map((entry) => [entry.id, entry]))
  const gone: E[] = []
  let tree = before
  for (const [id, entry] of before.entries()) {
    const now = left.get(id)
    if (!now) gone.push(entry)
    if (now !== entry) tree = now ? tree.set(id, now) : tree.delete(id)
  }
  return { tree, gone }
}
