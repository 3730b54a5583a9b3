import { expect, test } from 'vitest'
import { decode, encode } from '../../../../src/core/cbor.ts'
import { hashKey, type Key } from '../../../../src/core/ids.ts'
import { MAX_CLAIMED_RANGES, MAX_OFFERS_PER_ACCOUNT, MAX_PRICE, MAX_TRADE_SLOTS } from '../../../../src/core/limits.ts'
import { LEAST_BOND } from '../../../../src/market/ledger/state/allocations/allocation.ts'
import { claimed, contracted } from '../../../../src/market/ledger/state/allocations/claims.ts'
import type { Ranges } from '../../../../src/market/ledger/state/allocations/ranges.ts'
import { type Amount, amount } from '../../../../src/market/ledger/state/amount.ts'
import { ROUND_MS, tradeKey } from '../../../../src/market/ledger/state/book/book.ts'
import { offerIn } from '../../../../src/market/ledger/state/book/offers.ts'
import { restoreState, snapshotChunks } from '../../../../src/market/ledger/state/snapshot.ts'
import { type State, stateRoot, withTrade } from '../../../../src/market/ledger/state/state.ts'
import { type Buy, offerId, signOffer } from '../../../../src/market/offers/offer.ts'
import { MarketBooks } from './market-books.ts'

const market = () => new MarketBooks().supplier('ben').open('anna', 'ally')
const handIn = (books: MarketBooks, ...offers: Uint8Array[]) => books.do('ally', { kind: 'hand-in', offers })
const HOUR_MS = 3_600_000

/** The offer with something else in it, and its old signature. */
function forged(offer: Uint8Array, changes: Record<string, unknown>): Uint8Array {
  const value = decode(offer) as { terms: object }
  return encode({ ...value, terms: { ...value.terms, ...changes } })
}

test('offers that are none, of another network, over, forged, of hosts of others, or in the book come to nothing', () => {
  const books = market()
  const { timeMs } = books.state
  const good = books.sell('ben')
  expect(handIn(books, forged(good, { minPrice: 1 }))).toBe('bad-signature')
  expect(handIn(books, forged(good, { minPrice: -1 })), 'a negative price').toBe('no-offer')
  expect(handIn(books, forged(good, { memoryBytes: 2 ** 50 })), 'more memory than a host has').toBe('no-offer')
  expect(handIn(books, new Uint8Array(20))).toBe('no-offer')
  expect(handIn(books, books.sell('ben', { fromMs: timeMs - HOUR_MS, untilMs: timeMs })), 'in the past').toBe(
    'no-offer',
  )
  expect(handIn(books, books.sell('ben', { host: books.id('host of cleo') })), 'another host').toBe('no-offer')
  expect(handIn(books, books.buy('nobody')), 'no account').toBe('no-offer')
  const elsewhere = new MarketBooks().supplier('ben')
  expect(handIn(books, elsewhere.sell('ben')), 'the same network').toBe('applied')
  expect(handIn(books, good), 'its number was taken by that').toBe('no-offer')
  const other = books.sell('ben')
  expect(handIn(books, new Uint8Array(3), other), 'one of them is good').toBe('applied')
  expect(handIn(books, other), 'it is in the book').toBe('no-offer')
  expect(books.state.book.size).toBe(2)
})

test('an account has so many offers in the book and no more, until one of them leaves', () => {
  const books = market()
  const offers = Array.from({ length: MAX_OFFERS_PER_ACCOUNT + 1 }, () => books.buy('anna'))
  for (const [at, offer] of offers.entries()) {
    expect(handIn(books, offer)).toBe(at < MAX_OFFERS_PER_ACCOUNT ? 'applied' : 'no-offer')
  }
  const id = offerId({ network: books.state.network, account: books.id('anna'), number: 0 })
  expect(books.do('ben', { kind: 'withdraw-offer', offer: id })).toBe('not-allowed')
  expect(books.do('anna', { kind: 'withdraw-offer', offer: hashKey('none') })).toBe('no-offer')
  books.must('anna', { kind: 'withdraw-offer', offer: id })
  expect(books.do('anna', { kind: 'withdraw-offer', offer: id })).toBe('no-offer')
  expect(handIn(books, offers.at(-1)!), 'there is room for one').toBe('applied')
  books.block([], HOUR_MS)
  books.must('ally', { kind: 'match', slot: books.slot })
  expect(books.state.book.size).toBe(0)
  expect(books.state.claims.size).toBe(0)
  expect(handIn(books, books.buy('anna'))).toBe('applied')
})

test('a supplier that replaces its offer as often as it likes is never shut out', () => {
  const books = market()
  for (let i = 0; i < 3 * MAX_OFFERS_PER_ACCOUNT; i++) {
    const sell = books.sell('ben')
    expect(handIn(books, sell)).toBe('applied')
    const [[id]] = [...books.state.book.entries()] as [[Key, unknown]]
    books.must('ben', { kind: 'withdraw-offer', offer: id })
    expect(handIn(books, sell), 'who has its bytes cannot bring it back').toBe('no-offer')
  }
  expect(books.state.book.size).toBe(0)
  expect(books.trade(books.sell('ben'), books.buy('anna'))).toHaveLength(1)
})

test.each<[way: string, leave: (books: MarketBooks, id: Key) => void]>([
  ['withdrawn', (books, id) => books.must('ben', { kind: 'withdraw-offer', offer: id })],
  ['sold out', (books) => expect(books.trade(books.buy('anna', { tasks: 100 }))).toHaveLength(1)],
  [
    'not covered',
    (books) => {
      books.escrow('ben', ['ally'], books.wealth('ben') - 1n, undefined, HOUR_MS)
      expect(books.trade(books.buy('anna'))).toEqual([])
    },
  ],
])('what is %s does not come again, nor what is older and was not in the book; what is in it stays', (_, leave) => {
  const books = market()
  const later = { fromMs: books.state.timeMs + 12 * HOUR_MS, untilMs: books.state.timeMs + 13 * HOUR_MS }
  const [waits, late, first, next] = [books.sell('ben', later), books.sell('ben'), books.sell('ben'), books.sell('ben')]
  const idOf = (number: number) => offerId({ network: books.state.network, account: books.id('ben'), number })
  expect(handIn(books, waits, first)).toBe('applied')
  leave(books, idOf(2))
  expect(books.state.book.get(idOf(2)), 'it has left').toBeUndefined()
  expect(books.state.book.get(idOf(0)), 'with a lower number').toBeDefined()
  expect(handIn(books, first)).toBe('no-offer')
  expect(handIn(books, late)).toBe('no-offer')
  expect(handIn(books, next)).toBe('applied')
  books.must('ben', { kind: 'withdraw-offer', offer: idOf(0) })
  expect(handIn(books, first, late, waits), 'the highest counts').toBe('no-offer')
  // Whoever begins with a snapshot knows it, too.
  const restored = restoreState(books.genesis, stateRoot(books.state), snapshotChunks(books.state))
  expect(restored.spent.get(books.id('ben'))).toBe(2)
})

test('what is in the book until it is too late for it refuses nothing that is older', () => {
  const books = market()
  const older = books.sell('ben', { untilMs: books.state.timeMs + 5 * HOUR_MS })
  const long = changedLife(books, older, 5 * HOUR_MS)
  expect(handIn(books, books.sell('ben'))).toBe('applied')
  books.block([], HOUR_MS)
  books.must('ally', { kind: 'match', slot: books.slot })
  expect(books.state.book.size).toBe(0)
  expect(handIn(books, long)).toBe('applied')
})

/** It expires so much later, signed anew. */
function changedLife(books: MarketBooks, offer: Uint8Array, ms: number): Uint8Array {
  const value = decode(offer) as Parameters<typeof signOffer>[0]
  return signOffer({ ...value, expiresMs: value.expiresMs + ms }, books.keyOf(books.id('ben')))
}

test('both allocators have half of the fee, and who hands in its own pays itself nothing', () => {
  const books = market().open('al')
  const before = { anna: books.wealth('anna'), ally: books.wealth('ally'), al: books.wealth('al') }
  books.must('ally', { kind: 'hand-in', offers: [books.sell('ben')] })
  books.must('al', { kind: 'hand-in', offers: [books.buy('anna')] })
  books.must('ben', { kind: 'match', slot: books.slot })
  expect(books.wealth('ally') - before.ally).toBe(4n)
  expect(books.wealth('al') - before.al).toBe(4n)
  const { escrow } = [...books.state.allocations.entries()][0]![1]
  expect(before.anna - books.wealth('anna')).toBe(8n + escrow.free + escrow.granted)

  const own = market()
  const had = own.wealth('anna')
  own.must('anna', { kind: 'hand-in', offers: [own.buy('anna')] })
  own.must('ally', { kind: 'hand-in', offers: [own.sell('ben')] })
  own.must('ben', { kind: 'match', slot: own.slot })
  const mine = [...own.state.allocations.entries()][0]![1]
  expect(had - own.wealth('anna')).toBe(4n + mine.price + mine.bond)
  const [, granted] = own.purse('anna')
  expect(granted, 'nothing of its grant is freed').toBe(had - 4n - mine.price - mine.bond)
})

test('a round clears a slot, and not at once again, also if nothing came of it', () => {
  const books = market()
  const match = (slot = books.slot, afterMs = 0) => books.do('ally', { kind: 'match', slot }, afterMs)
  const traded = (slot = books.slot) => books.state.trades.get(tradeKey(slot))
  expect(match(), 'the book is empty').toBe('nothing-to-match')
  expect(handIn(books, books.sell('ben'))).toBe('applied')
  expect(match(), 'nobody buys').toBe('applied')
  expect(match()).toBe('round-not-over')
  expect(traded()).toMatchObject({ workMi: 0n, price: 0n })
  expect(handIn(books, books.buy('anna', { maxPrice: 1009n as Amount }))).toBe('applied')
  expect(match(books.slot, ROUND_MS), 'too little, with the fee').toBe('applied')
  expect(books.state.allocations.size).toBe(0)
  expect(handIn(books, books.buy('anna', { tasks: 2 }))).toBe('applied')
  expect(match(books.slot - 1)).toBe('bad-deadline')
  expect(match(books.slot + 9), 'in more than two days').toBe('bad-deadline')
  expect(match(books.slot + 1), 'the offers are of this slot').toBe('applied')
  expect(books.state.allocations.size).toBe(0)
  expect(match(books.slot, ROUND_MS)).toBe('applied')
  expect(handIn(books, books.buy('anna', { tasks: 3 }))).toBe('applied')
  expect(match(books.slot, ROUND_MS)).toBe('applied')
  expect(traded()).toMatchObject({ slot: books.slot, workMi: 5n * 36_000n, price: 1000n })
  expect(match(books.slot, ROUND_MS), 'nothing more').toBe('applied')
  expect(traded(), 'the price is that of the last trade').toMatchObject({ workMi: 5n * 36_000n, price: 1000n })
})

test('two slots that are cleared in one block have allocations of their own', () => {
  const books = market().supplier('cleo')
  const { timeMs } = books.state
  const later = { fromMs: timeMs + 6 * HOUR_MS, untilMs: timeMs + 7 * HOUR_MS }
  const offers = [
    ...[books.sell('ben'), books.buy('anna')],
    ...[books.sell('cleo', later), books.buy('anna', { ...later, deadlineMs: later.untilMs, job: hashKey('later') })],
  ]
  for (const offer of offers) expect(handIn(books, offer)).toBe('applied')
  const { slot } = books
  const both = [
    books.operation('ally', { kind: 'match', slot }),
    books.operation('ben', { kind: 'match', slot: slot + 1 }),
  ]
  expect(books.block(both).applied.results).toEqual(['applied', 'applied'])
  expect(books.state.allocations.size).toBe(2)
})

test('who cannot pay or stake what it offers is out of the book, and the others trade', () => {
  const books = market().supplier('cleo', 'poor').open('broke')
  // Broke has put all that it has into an escrow; poor too.
  for (const name of ['broke', 'poor']) books.escrow(name, ['ally'], 49_999n, undefined, HOUR_MS)
  const offers = [
    books.buy('broke', { maxPrice: 9000n as Amount }),
    books.buy('anna', { maxPrice: 8000n as Amount, tasks: 60 }),
    books.sell('poor', { minPrice: 100n as Amount }),
    books.sell('ben', { minPrice: 1000n as Amount }),
  ]
  for (const offer of offers) expect(handIn(books, offer)).toBe('applied')
  books.must('ally', { kind: 'match', slot: books.slot })
  const made = [...books.state.allocations.entries()].map(([, { customer, supplier, tasks }]) => ({
    pair: [books.nameOf(customer), books.nameOf(supplier)],
    tasks,
  }))
  expect(made).toEqual([{ pair: ['anna', 'ben'], tasks: 60 }])
  const left = [...books.state.book.entries()].map(([, { bytes }]) => books.nameOf(offerIn(bytes)!.account))
  expect(left.sort()).toEqual(['anna', 'ben'])
})

test('who cannot put up what a panel costs sells nothing, however little its work is paid', () => {
  for (const [has, made] of [
    [LEAST_BOND - 1n, 0],
    [LEAST_BOND, 1],
  ] as const) {
    const books = market().supplier('poor')
    books.escrow('poor', ['ally'], books.wealth('poor') - has, undefined, HOUR_MS)
    expect(books.trade(books.sell('poor'), books.buy('anna', { tasks: 1, taskWorkMi: 3600 }))).toHaveLength(made)
    expect(books.wealth('poor')).toBe(made === 0 ? has : 0n)
  }
})

test('what is over is swept out of the book by the next round', () => {
  const books = market().supplier('cleo')
  expect(handIn(books, books.sell('ben'))).toBe('applied')
  books.block([], 2 * HOUR_MS)
  books.trade(books.sell('cleo'), books.buy('anna'))
  const accounts = [...books.state.book.entries()].map(
    ([, { bytes }]) => (decode(bytes) as { account: string }).account,
  )
  expect(accounts).not.toContain(books.id('ben'))
})

test('late price slots are remembered, early ones forgotten', () => {
  let { state }: { state: State } = market()
  for (let slot = 0; slot < MAX_TRADE_SLOTS + 5; slot++) {
    const none = 0n as Amount
    state = withTrade(state, tradeKey(slot), { slot, atMs: 0, workMi: none, wages: none, price: none })
  }
  expect(state.trades.size).toBe(MAX_TRADE_SLOTS)
  expect(state.trades.get(tradeKey(4))).toBeUndefined()
  expect(state.trades.get(tradeKey(5))).toBeDefined()
})

test('a job may be in many pieces, but not in any number', () => {
  const books = market()
  const parties = { customer: books.id('anna'), supplier: books.id('ben'), job: hashKey('job'), replicas: 1 }
  const every = (step: number, from: number): Ranges =>
    Array.from({ length: MAX_CLAIMED_RANGES }, (_, i) => [from + step * i, from + step * i + 1] as const)
  const state = contracted(books.state, parties)
  const full = claimed(state, parties, every(4, 0))
  if (typeof full === 'string') throw new Error(full)
  expect(claimed(full, parties, [[2, 3]])).toBe('too-many-ranges')
  expect(typeof claimed(full, parties, [[1, 4]]), 'what joins pieces may come').toBe('object')
})

test('what is not there, or is so already', () => {
  const books = market()
  books.mediator('judge')
  const host = books.id('host of judge')
  expect(books.do('judge', { kind: 'mediate', host, willing: true })).toBe('nothing-new')
  expect(books.do('anna', { kind: 'mediate', host, willing: false })).toBe('not-your-host')
  expect(books.do('anna', { kind: 'approve', allocation: hashKey('none'), window: 0, tests: 0 })).toBe('no-allocation')
  const [id] = books.trade(books.sell('ben'), books.buy('anna'))
  expect(books.play(id!, 'sign', 'customer')).toBe('applied')
  expect(books.play(id!, 'sign', 'customer')).toBe('nothing-new')
  expect(books.do('ally', { kind: 'end', allocation: id! })).toBe('not-allowed')
})

test('what is bid is raised by its account only, upward only, and no higher than a price can be', () => {
  const books = market().supplier('cleo')
  const [dear, bid] = [books.sell('ben', { minPrice: amount(5000n) }), books.buy('anna', { maxPrice: amount(1000n) })]
  expect(books.trade(dear, bid), 'too little is bid').toEqual([])
  const idOf = (number: number) => offerId({ network: books.state.network, account: books.id('anna'), number })
  const id = idOf(1)
  const raise = (who: string, maxPrice: bigint, offer = id) =>
    books.do(who, { kind: 'raise-offer', offer, maxPrice: maxPrice as Amount })
  const { root } = books.state.book
  expect(raise('ben', 9000n), 'of another').toBe('not-allowed')
  const sell = offerId({ network: books.state.network, account: books.id('ben'), number: 0 })
  expect(raise('ben', 9000n, sell), 'a seller asks').toBe('not-allowed')
  expect(raise('anna', 9000n, hashKey('none'))).toBe('no-offer')
  expect(raise('anna', 1000n), 'it is bid').toBe('bad-price')
  expect(raise('anna', 999n)).toBe('bad-price')
  expect(raise('anna', BigInt(MAX_PRICE) + 1n)).toBe('bad-price')
  expect(books.state.book.root, 'nothing has changed').toBe(root)
  expect(raise('anna', 6000n)).toBe('applied')
  expect(books.state.book.root).not.toBe(root)
  expect(raise('anna', 5500n), 'below what it was raised to').toBe('bad-price')
  // Whoever begins with a snapshot has it, too, and its old bytes do not bring the old price back.
  const restored = restoreState(books.genesis, stateRoot(books.state), snapshotChunks(books.state))
  expect(restored.book.get(id)).toMatchObject({ maxPrice: 6000n })
  expect(handIn(books, bid)).toBe('no-offer')
  const before = books.wealth('anna')
  const [made] = books.trade()
  const { price, fee, tasks } = books.allocation(made!)
  const perTask = (sum: bigint) => (sum * 3_600_000n) / (BigInt(tasks) * BigInt(buyOf(bid).taskWorkMi))
  expect(perTask(price)).toBeGreaterThanOrEqual(5000n)
  expect(perTask(price + fee)).toBeLessThanOrEqual(6000n + 1n)
  expect(before - books.wealth('anna')).toBe(price + fee + LEAST_BOND)
})

function buyOf(bytes: Uint8Array): Buy {
  return offerIn(bytes)!.terms as Buy
}
