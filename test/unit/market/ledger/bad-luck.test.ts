/** What a market must stand, by name: each test says what becomes of everybody's money. */
import { expect, test } from 'vitest'
import { decode, encode } from '../../../../src/core/cbor.ts'
import { hashKey, type Key } from '../../../../src/core/ids.ts'
import { MAX_OFFERS_PER_ACCOUNT } from '../../../../src/core/limits.ts'
import {
  LEAST_BOND,
  MEDIATOR_FEE,
  MEDIATOR_FINE,
  PATIENCE,
} from '../../../../src/market/ledger/state/allocations/allocation.ts'
import { handIn } from '../../../../src/market/ledger/state/book/book.ts'
import { type Buy, signOffer } from '../../../../src/market/offers/offer.ts'
import { seeds } from '../../../nightly.ts'
import { BUY, digestOf, MarketBooks } from './market-books.ts'

const HOUR_MS = 3_600_000
/** 100,000 at night. */
const OFFERS = seeds(5000).length
const ELEVEN = Array.from({ length: 11 }, (_, i) => `judge ${i}`)
/** 80 tasks at 10 each, in windows of 10; and what the match cost. */
const WAGE = 800n
const WINDOW = 100n
const FEE = 8n

function market(...mediators: string[]): MarketBooks {
  return new MarketBooks()
    .supplier('ben')
    .open('anna')
    .mediator(...mediators)
}

/** What both have more than before, and what was burnt. */
function watch(books: MarketBooks): () => { anna: bigint; ben: bigint; burnt: bigint } {
  const now = () => ({ anna: books.wealth('anna'), ben: books.wealth('ben'), burnt: books.state.burnt })
  const before = now()
  return () => {
    const { anna, ben, burnt } = now()
    return { anna: anna - before.anna, ben: ben - before.ben, burnt: burnt - before.burnt }
  }
}
const NOTHING = { anna: 0n, ben: 0n, burnt: 0n }

/** With other terms, signed anew by its account. */
function changed(
  books: MarketBooks,
  name: string,
  offer: Uint8Array,
  terms: object,
  envelope: object = {},
): Uint8Array {
  const value = decode(offer) as Parameters<typeof signOffer>[0]
  return signOffer({ ...value, ...envelope, terms: { ...value.terms, ...terms } }, books.keyOf(books.id(name)))
}

// Offers -------------------------------------------------------------------------------------------------------------

test.each<{ what: string; bad: (books: MarketBooks) => Uint8Array; result?: string }>([
  {
    what: 'a negative price of a seller',
    bad: (books) => changed(books, 'ben', books.sell('ben'), { minPrice: -1000 }),
  },
  {
    what: 'a negative price of a buyer',
    bad: (books) => changed(books, 'anna', books.buy('anna'), { maxPrice: -1000 }),
  },
  {
    what: 'a window in the past',
    bad: (books) => {
      const { timeMs } = books.state
      return books.sell('ben', { fromMs: timeMs - 2 * HOUR_MS, untilMs: timeMs - HOUR_MS })
    },
  },
  {
    what: 'a window that ends before it begins',
    bad: (books) => books.sell('ben', { untilMs: books.state.timeMs - HOUR_MS }),
  },
  {
    what: 'more memory than any machine has',
    bad: (books) => changed(books, 'ben', books.sell('ben'), { memoryBytes: 2 ** 50 }),
  },
  {
    what: 'a forged signature',
    bad: (books) => encode({ ...(decode(books.sell('ben')) as object), signature: new Uint8Array(64) }),
    result: 'bad-signature',
  },
  {
    what: 'the signature of another account',
    bad: (books) => encode({ ...(decode(books.sell('ben')) as object), account: books.id('anna') }),
    result: 'bad-signature',
  },
  {
    what: 'an offer that has expired',
    bad: (books) => changed(books, 'ben', books.sell('ben'), {}, { expiresMs: books.state.timeMs - 1 }),
  },
])('$what comes to nothing', ({ bad, result = 'no-offer' }) => {
  const books = market()
  const more = watch(books)
  expect(books.do('anna', { kind: 'hand-in', offers: [bad(books)] })).toBe(result)
  expect(books.state.book.size).toBe(0)
  expect(more()).toEqual(NOTHING)
})

test('a signature of an offer that expires in the book binds nobody any more', () => {
  const books = market()
  const more = watch(books)
  const soon = changed(books, 'ben', books.sell('ben'), {}, { expiresMs: books.state.timeMs + 60_000 })
  books.must('anna', { kind: 'hand-in', offers: [soon] })
  books.must('anna', { kind: 'hand-in', offers: [books.buy('anna')] })
  books.must('anna', { kind: 'match', slot: books.slot }, 60_000)
  expect(books.state.allocations.size).toBe(0)
  expect(more()).toEqual(NOTHING)
})

test(`${OFFERS} offers of one account: so many as an account may have are in the book, and they cost nobody anything`, () => {
  const books = market()
  const more = watch(books)
  const { timeMs, network } = books.state
  const account = books.id('anna')
  const until = timeMs + HOUR_MS
  const terms: Buy = { kind: 'buy', ...BUY, job: hashKey('job'), fromMs: timeMs, untilMs: until, deadlineMs: until }
  const offerOf = (number: number) => {
    // As they are when their signatures were found good, which the rule does not look at.
    return encode({ network, account, number, expiresMs: until, terms, signature: new Uint8Array(64) })
  }
  for (let number = 0; number < OFFERS; number += 10) {
    const offers = Array.from({ length: 10 }, (_, i) => offerOf(number + i))
    const operation = { network, account, nonce: 0, action: { kind: 'hand-in' as const, offers } }
    const outcome = handIn(books.state, operation)
    if (typeof outcome === 'string') expect(outcome).toBe('no-offer')
    else books.state = outcome
  }
  expect(books.state.book.size).toBe(MAX_OFFERS_PER_ACCOUNT)
  expect(more()).toEqual(NOTHING)
  expect(books.trade(books.sell('ben')).length, 'and others trade').toBeGreaterThan(0)
})

// Work ---------------------------------------------------------------------------------------------------------------

test('outputs that are committed to twice are paid once', () => {
  const books = market()
  const id = books.contract('ben', 'anna')
  const more = watch(books)
  expect(books.play(id, 'commit', 'supplier', [[0, 10]])).toBe('applied')
  expect(books.play(id, 'commit', 'supplier', [[0, 10]]), 'while the first waits').toBe('wrong-phase')
  expect(books.play(id, 'approve', 'customer')).toBe('applied')
  expect(books.play(id, 'approve', 'customer'), 'the same window').toBe('wrong-phase')
  expect(books.play(id, 'commit', 'supplier', [[0, 10]])).toBe('claimed')
  expect(books.play(id, 'commit', 'supplier', [[9, 19]])).toBe('claimed')
  expect(more()).toEqual({ anna: 0n, ben: WINDOW, burnt: 0n })
})

test('openings that do not match the root: the supplier has nothing but what was paid before, and its deposit is burnt', () => {
  const books = market()
  const more = watch(books)
  const id = books.contract('ben', 'anna')
  const { deposit } = books.allocation(id)
  expect(books.play(id, 'commit', 'supplier')).toBe('applied')
  expect(books.play(id, 'reveal', 'customer')).toBe('applied')
  books.must('anna', { kind: 'challenge', allocation: id, position: 3 })
  const { digest, salt, path } = books.commitment(id, 10).open(3)
  const wrong = [
    { digest: hashKey('another'), salt, path: [...path] },
    { digest, salt: hashKey('another'), path: [...path] },
    { digest, salt, path: path.slice(1) },
    books.commitment(id, 10).open(4),
  ]
  for (const opening of wrong) {
    const { digest, salt, path } = opening
    expect(books.do('ben', { kind: 'show', allocation: id, digest, salt, path: [...path] })).toBe('no-proof')
  }
  books.must('anna', { kind: 'expire', allocation: id }, PATIENCE.show + 1)
  expect(books.outcome(id)).toBe('cheated')
  expect(more()).toEqual({ anna: -FEE, ben: -deposit, burnt: deposit })
})

test('a customer that vanishes before it has signed loses a tenth of its bond, and the supplier nothing', () => {
  const books = market()
  const more = watch(books)
  const [id] = books.trade(books.sell('ben'), books.buy('anna'))
  expect(books.play(id!, 'sign', 'supplier')).toBe('applied')
  books.must('ben', { kind: 'expire', allocation: id! }, PATIENCE.sign + 1)
  expect(books.outcome(id!)).toBe('unsigned')
  expect(more()).toEqual({ anna: -FEE - LEAST_BOND / 10n, ben: 0n, burnt: LEAST_BOND / 10n })
})

test('a customer that vanishes after it has signed pays for all that is done', () => {
  const books = market()
  const more = watch(books)
  const id = books.contract('ben', 'anna')
  for (let from = 0; from < 80; from += 10) {
    expect(books.play(id, 'commit', 'supplier', [[from, from + 10]])).toBe('applied')
    books.must('ben', { kind: 'expire', allocation: id }, PATIENCE.reveal + 1)
  }
  expect(books.outcome(id)).toBe('done')
  expect(more()).toEqual({ anna: -FEE - WAGE, ben: WAGE, burnt: 0n })
})

test('a customer that withholds its nonce pays the window unseen, and cannot challenge it', () => {
  const books = market()
  const id = books.contract('ben', 'anna')
  const more = watch(books)
  expect(books.play(id, 'commit', 'supplier')).toBe('applied')
  expect(books.do('anna', { kind: 'challenge', allocation: id, position: 0 })).toBe('wrong-phase')
  expect(books.do('anna', { kind: 'reveal', allocation: id, nonce: hashKey('another') })).toBe('no-proof')
  books.must('ben', { kind: 'expire', allocation: id }, PATIENCE.reveal + 1)
  expect(more()).toEqual({ anna: 0n, ben: WINDOW, burnt: 0n })
  expect(books.allocation(id)).toMatchObject({ paid: 10, tested: 0, phase: { name: 'running' } })
})

test('a supplier that vanishes before it commits loses a tenth of the price; the customer has all back, and its work goes on', () => {
  const books = market()
  const more = watch(books)
  const id = books.contract('ben', 'anna')
  const { untilMs } = books.allocation(id)
  books.must('anna', { kind: 'expire', allocation: id }, untilMs - books.state.timeMs + 1)
  expect(books.outcome(id)).toBe('deserted')
  expect(more()).toEqual({ anna: -FEE, ben: -(WAGE / 10n), burnt: WAGE / 10n })
  expect(books.left(id)).toBe(80)
})

test('a customer whose job is nowhere costs each supplier once a tenth of the price at most, and has paid for the match', () => {
  const books = market().supplier('cleo')
  const long = { untilMs: books.state.timeMs + 5 * HOUR_MS, deadlineMs: books.state.timeMs + 5 * HOUR_MS }
  // Ben does it for 800, and for 10; Cleo for 1,200, which is more than its deposit of 1,100, and for 15.
  for (const [tasks, ofBen, ofCleo, fee] of [
    [80, 80n, 110n, 8n],
    [1, 1n, 1n, 1n],
  ] as const) {
    const job = hashKey(`nowhere ${tasks}`)
    const offer = changed(books, 'anna', books.buy('anna', { ...long, tasks, job }), {}, { expiresMs: long.untilMs })
    const more = watch(books)
    const had = { ben: books.wealth('ben'), cleo: books.wealth('cleo') }
    const sells = () => [books.sell('ben'), books.sell('cleo', { minPrice: 1500n as never })]
    const [first] = books.trade(...sells(), offer)
    for (let id: Key | undefined = first; id; [id] = books.trade(...sells())) {
      expect(books.play(id, 'sign', 'customer')).toBe('applied')
      expect(books.play(id, 'sign', 'supplier')).toBe('applied')
      const { untilMs } = books.allocation(id)
      books.must('owner 1', { kind: 'expire', allocation: id }, untilMs - books.state.timeMs + 1)
      expect(books.outcome(id)).toBe('deserted')
    }
    expect(had.ben - books.wealth('ben')).toBe(ofBen)
    expect(had.cleo - books.wealth('cleo')).toBe(ofCleo)
    expect(more().anna).toBe(-fee)
    books.withdraw(first!)
  }
})

test('a supplier that vanishes with an offer in the book is not matched with the same job again and again', () => {
  const books = market()
  const [id] = books.trade(books.sell('ben'), books.buy('anna', { tasks: 10 }))
  expect(books.play(id!, 'sign', 'customer')).toBe('applied')
  books.must('anna', { kind: 'expire', allocation: id! }, PATIENCE.sign + 1)
  expect(books.left(id!)).toBe(10)
  books.must('anna', { kind: 'match', slot: books.slot }, HOUR_MS / 60)
  expect(books.running).toEqual([])
  books.supplier('cleo')
  const [other] = books.trade(books.sell('cleo', { minPrice: 2000n as never }))
  expect(books.sideOf(other!, 'supplier')).toBe('cleo')
})

test('a job that is not deterministic on purpose: the window is paid, its customer pays the mediators, nobody is fined', () => {
  const books = market(...ELEVEN)
  const id = books.contract('ben', 'anna')
  const { deposit, bond } = books.allocation(id)
  const more = watch(books)
  const panel = books.disputed(id)
  // Each of them finds something else, or that two runs of its own differ.
  const findingOf = (at: number) => (at % 2 === 0 ? ('unstable' as const) : hashKey(`finding ${at}`))
  for (const [at, judge] of panel.entries()) expect(books.sealed(id, judge, findingOf(at))).toBe('applied')
  for (const [at, judge] of panel.entries()) expect(books.told(id, judge, findingOf(at))).toBe('applied')
  expect(books.outcome(id)).toBe('unstable')
  const fees = 11n * MEDIATOR_FEE
  expect(more()).toEqual({ anna: WAGE + bond - WINDOW - fees, ben: deposit + WINDOW, burnt: 0n })
  expect(books.left(id), 'others would quarrel over it, too').toBe(0)
})

test('a mediator that lies changes nothing, and pays for it; five of eleven neither', () => {
  for (const liars of [1, 5]) {
    const books = market(...ELEVEN)
    const id = books.contract('ben', 'anna')
    const { deposit, bond } = books.allocation(id)
    const more = watch(books)
    const panel = books.disputed(id)
    const right = digestOf(id, 0, 3)
    const findingOf = (at: number) => (at < liars ? hashKey('what the customer wants') : right)
    for (const [at, judge] of panel.entries()) expect(books.sealed(id, judge, findingOf(at))).toBe('applied')
    for (const [at, judge] of panel.entries()) expect(books.told(id, judge, findingOf(at))).toBe('applied')
    expect(books.outcome(id)).toBe('wronged')
    const fees = BigInt(11 - liars) * MEDIATOR_FEE
    const fines = BigInt(liars) * MEDIATOR_FINE
    const burnt = bond - fees + fines
    expect(more()).toEqual({ anna: WAGE - WINDOW, ben: deposit + WINDOW, burnt })
    expect(books.state.mediators.size).toBe(11 - liars)
  }
})

test('a mediator that copies another, or tells something else than it has sealed, is not heard, and has no fee', () => {
  const books = market(...ELEVEN)
  const id = books.contract('ben', 'anna')
  const panel = books.disputed(id)
  const right = digestOf(id, 0, 3)
  for (const judge of panel)
    expect(books.sealed(id, judge, judge === panel[0] ? hashKey('a guess') : right)).toBe('applied')
  const before = books.wealth(panel[0]!)
  expect(books.told(id, panel[0]!, right)).toBe('no-proof')
  for (const judge of panel.slice(1)) expect(books.told(id, judge, right)).toBe('applied')
  books.must('ben', { kind: 'expire', allocation: id }, PATIENCE.verdict + 1)
  expect(books.outcome(id)).toBe('wronged')
  expect(books.wealth(panel[0]!)).toBe(before)
})
