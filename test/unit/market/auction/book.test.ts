import fc from 'fast-check'
import { expect, test } from 'vitest'
import { hashKey } from '../../../../src/core/ids.ts'
import { MAX_OFFERS_PER_ACCOUNT } from '../../../../src/core/limits.ts'
import {
  type Book,
  clearBook,
  EMPTY_BOOK,
  entriesAt,
  offersOf,
  withOffer,
  withoutOffer,
} from '../../../../src/market/auction/book.ts'
import { clearRound } from '../../../../src/market/auction/round.ts'
import { offerId, type UnsignedOffer } from '../../../../src/market/offers/offer.ts'
import { rounds, smallBooks, T0 } from './small-books.ts'

const network = hashKey('network')
type SmallBook = typeof smallBooks extends fc.Arbitrary<infer E> ? E : never

/** In the order of their sequence, each with a number of its own. */
function offersIn({ sells, buys }: SmallBook): UnsignedOffer[] {
  return [...sells, ...buys]
    .sort((a, b) => a.sequence - b.sequence)
    .map(({ account, terms, expiresMs, sequence }) => ({ network, account, number: sequence, expiresMs, terms }))
}

function bookOf(offers: readonly UnsignedOffer[]): Book {
  return offers.reduce((book, offer) => withOffer(book, offer) as Book, EMPTY_BOOK)
}

const countsOf = ({ counts }: Book) => Object.fromEntries(counts.entries())

test('a round over the book is the round over its offers, and the book then has what is left', () => {
  fc.assert(
    fc.property(smallBooks, rounds, (entries, round) => {
      const book = bookOf(offersIn(entries))
      const before = [book.sells.root, book.buys.root]
      const { book: after, cleared } = clearBook(book, round, T0)
      const plain = clearRound(entriesAt(book, T0), round)
      expect(cleared).toEqual(plain)
      expect([book.sells.root, book.buys.root]).toEqual(before)
      const rest = entriesAt(after, T0)
      const ids = (list: readonly { id: string }[]) => list.map(({ id }) => id).sort()
      expect(ids(rest.sells)).toEqual(ids(plain.rest.sells))
      expect(ids(rest.buys)).toEqual(ids(plain.rest.buys))
      // The counts are those of the offers that are there, one by one.
      const counted: Record<string, number> = {}
      for (const tree of [after.sells, after.buys] as const) {
        for (const [, { account }] of tree.entries()) counted[account] = (counted[account] ?? 0) + 1
      }
      expect(countsOf(after)).toEqual(counted)
    }),
  )
})

const offer = fc
  .sample(smallBooks, { numRuns: 1, seed: 1 })
  .flatMap(offersIn)
  .find(({ terms }) => terms.kind === 'sell')!

test('an offer counts once, and an account has only so many', () => {
  const full = bookOf(Array.from({ length: MAX_OFFERS_PER_ACCOUNT }, (_, number) => ({ ...offer, number })))
  expect(offersOf(full, offer.account)).toBe(MAX_OFFERS_PER_ACCOUNT)
  expect(withOffer(full, { ...offer, number: 3 })).toBe('known-offer')
  expect(withOffer(full, { ...offer, number: 1000 })).toBe('too-many-offers')
  expect(withOffer(full, { ...offer, account: hashKey('else') })).toBeTypeOf('object')
  const freed = withoutOffer(full, offerId({ ...offer, number: 3 }))
  expect(offersOf(freed, offer.account)).toBe(MAX_OFFERS_PER_ACCOUNT - 1)
  expect(withoutOffer(freed, offerId({ ...offer, number: 3 }))).toBe(freed)
  const again = withOffer(freed, { ...offer, number: 3 }) as Book
  expect(again.sequence).toBe(MAX_OFFERS_PER_ACCOUNT + 1)
})

test('what has expired, and what has too little left of its window, is not traded and leaves the book', () => {
  const book = bookOf([{ ...offer, expiresMs: T0 + 1000 }])
  expect(entriesAt(book, T0 + 999)).not.toEqual({ sells: [], buys: [] })
  expect(entriesAt(book, T0 + 1000)).toEqual({ sells: [], buys: [] })
  const round = { fromMs: T0, untilMs: T0 + 720_000, feePpm: 0 }
  expect(clearBook(book, round, T0 + 1000).book).toMatchObject({ sells: { size: 0 }, buys: { size: 0 }, sequence: 1 })
  const late = bookOf([offer])
  expect(entriesAt(late, offer.terms.untilMs - 59_999)).toEqual({ sells: [], buys: [] })
})
