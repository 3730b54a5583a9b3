/** What becomes of the money, and of the work, when one side is at fault; and that nobody else bears it. */
import { expect, test } from 'vitest'
import { hashKey, type Key } from '../../../../src/core/ids.ts'
import {
  LEAST_BOND,
  MEDIATOR_FEE,
  MEDIATOR_FINE,
  PATIENCE,
} from '../../../../src/market/ledger/state/allocations/allocation.ts'
import type { Amount } from '../../../../src/market/ledger/state/amount.ts'
import { total } from '../../../../src/market/ledger/state/purse.ts'
import { digestOf, MarketBooks } from './market-books.ts'

const HOUR_MS = 3_600_000
const ELEVEN = Array.from({ length: 11 }, (_, i) => `judge ${i}`)
/** Of the match of 80 tasks at 10 each. */
const FEE = 8n
const WAGE = 800n

function market(...mediators: string[]): MarketBooks {
  return new MarketBooks()
    .supplier('ben', 'cleo', 'dora')
    .open('anna')
    .mediator(...mediators)
}

function window(books: MarketBooks, id: Key, from: number, to: number): void {
  expect(books.play(id, 'commit', 'supplier', [[from, to]])).toBe('applied')
  expect(books.play(id, 'approve', 'customer')).toBe('applied')
}

function signed(books: MarketBooks, id: Key): void {
  for (const side of ['customer', 'supplier'] as const) expect(books.play(id, 'sign', side)).toBe('applied')
}

// Mediators ----------------------------------------------------------------------------------------------------------

test('a supplier with enough at stake pays those who convict it, and the customer nothing', () => {
  const books = market(...ELEVEN)
  const [id] = books.trade(
    books.sell('ben', { minPrice: 20_000n as Amount }),
    books.buy('anna', { maxPrice: 40_400n as Amount }),
  )
  signed(books, id!)
  const { deposit, price, bond } = books.allocation(id!)
  const before = { anna: books.wealth('anna'), ben: books.wealth('ben'), burnt: books.state.burnt }
  const panel = books.disputed(id!)
  for (const judge of panel) books.sealed(id!, judge, hashKey('right'))
  for (const judge of panel) books.told(id!, judge, hashKey('right'))
  expect(books.outcome(id!)).toBe('cheated')
  expect(books.wealth('anna') - before.anna).toBe(price + bond)
  expect(books.wealth('ben')).toBe(before.ben)
  expect(books.state.burnt - before.burnt).toBe(deposit - LEAST_BOND)
})

test('a mediator that lies has no fee, loses a part of its bond, and is none any more until it bonds as much again', () => {
  const books = market(...ELEVEN)
  const id = books.contract('ben', 'anna')
  const panel = books.disputed(id)
  const right = digestOf(id, 0, 3)
  const [liar, honest] = [panel[4]!, panel[5]!]
  const findingOf = (judge: string) => (judge === liar ? hashKey('a lie') : right)
  const before = { liar: books.wealth(liar), honest: books.wealth(honest), burnt: books.state.burnt }
  for (const judge of panel) expect(books.sealed(id, judge, findingOf(judge))).toBe('applied')
  for (const judge of panel) expect(books.told(id, judge, findingOf(judge))).toBe('applied')
  expect(books.outcome(id)).toBe('wronged')
  const host = books.id(`host of ${liar}`)
  const { bond } = books.state.settings
  expect(books.wealth(liar)).toBe(before.liar)
  expect(books.wealth(honest) - before.honest).toBe(MEDIATOR_FEE)
  expect(total(books.state.bankers.get(host)!)).toBe(bond - MEDIATOR_FINE)
  expect(books.state.burnt - before.burnt).toBe(MEDIATOR_FINE + LEAST_BOND - 10n * MEDIATOR_FEE)
  expect(books.state.records.get(books.id(liar))).toMatchObject({ outvoted: 1, failed: 0 })
  expect(books.state.records.get(books.id(honest))).toBeUndefined()
  expect(books.state.mediators.get(host)).toBeUndefined()
  expect(books.do(liar, { kind: 'mediate', host, willing: true })).toBe('bond-too-small')
  books.must(liar, { kind: 'bond', host, amount: MEDIATOR_FINE })
  books.must(liar, { kind: 'mediate', host, willing: true })
})

test('where most found the job unstable, or too few have answered, no mediator is fined, and the customer pays those who answered', () => {
  for (const [votes, outcome] of [
    [11, 'unstable'],
    [7, 'undecided'],
  ] as const) {
    const books = market(...ELEVEN)
    const id = books.contract('ben', 'anna')
    const { price, bond } = books.allocation(id)
    const before = { anna: books.wealth('anna'), burnt: books.state.burnt }
    const panel = books.disputed(id)
    const most = outcome === 'unstable' ? outcome : digestOf(id, 0, 3)
    const findingOf = (at: number) => (at === 0 ? hashKey('another') : most)
    for (const [at, judge] of panel.slice(0, votes).entries()) books.sealed(id, judge, findingOf(at))
    if (votes < 11) books.must('ben', { kind: 'expire', allocation: id }, books.untilLate(id))
    for (const [at, judge] of panel.slice(0, votes).entries()) books.told(id, judge, findingOf(at))
    expect(books.outcome(id)).toBe(outcome)
    const window = outcome === 'unstable' ? 100n : 0n
    expect(books.wealth('anna') - before.anna).toBe(price + bond - window - BigInt(votes) * MEDIATOR_FEE)
    expect(books.state.burnt).toBe(before.burnt)
    expect(books.state.mediators.size).toBe(11)
  }
})

// Time ---------------------------------------------------------------------------------------------------------------

test('while a supplier waits for its customer its time does not run', () => {
  const books = market()
  const id = books.contract('ben', 'anna')
  const { untilMs } = books.allocation(id)
  expect(books.play(id, 'commit', 'supplier')).toBe('applied')
  books.must('anna', { kind: 'reveal', allocation: id, nonce: books.nonce(id) }, 40_000)
  // Two tests of 36 s on a core of reference speed, three times as long, beyond the usual.
  const patienceMs = PATIENCE.approve + 2 * 3 * 36_000
  books.must('ben', { kind: 'expire', allocation: id }, patienceMs + 1)
  expect(books.allocation(id).untilMs).toBe(untilMs + 40_000 + patienceMs + 1)
  expect(books.allocation(id).phase).toMatchObject({ deadlineMs: untilMs + 40_000 + patienceMs + 1 })
})

// Work of which nothing came -----------------------------------------------------------------------------------------

test('a supplier that gives up is replaced by another, at no second fee, and no task is paid twice', () => {
  const books = market()
  const had = books.wealth('anna')
  const one = books.contract('ben', 'anna')
  window(books, one, 0, 10)
  const ben = books.wealth('ben')
  const { deposit } = books.allocation(one)
  books.must('ben', { kind: 'end', allocation: one })
  expect(books.outcome(one)).toBe('deserted')
  expect(books.wealth('ben') - ben, 'a tenth, although it has done a window').toBe(deposit - WAGE / 10n)
  expect(books.left(one)).toBe(70)
  const [two, ...more] = books.trade(books.sell('ben', { minPrice: 1n as Amount }), books.sell('cleo'))
  expect(more).toEqual([])
  expect(books.sideOf(two!, 'supplier'), 'ben asks for less, and has had its chance').toBe('cleo')
  expect(books.allocation(two!)).toMatchObject({ tasks: 70, fee: 0n, offer: books.allocation(one).offer })
  signed(books, two!)
  expect(books.play(two!, 'commit', 'supplier', [[9, 15]])).toBe('claimed')
  for (let from = 10; from < 80; from += 7) window(books, two!, from, Math.min(80, from + 7))
  expect(books.outcome(two!)).toBe('done')
  const { price } = books.allocation(two!)
  expect(had - books.wealth('anna')).toBe(100n + price + FEE)
  expect(had - books.wealth('anna')).toBeLessThanOrEqual((80n * 2020n) / 100n)
})

test('a supplier that was too slow may try again, and is not paid again for what it was paid for', () => {
  const books = market()
  // It begins with the round, so that its work does not end with the offer.
  const [one] = books.trade(
    books.sell('ben', { fromMs: books.state.timeMs + 2000 }),
    books.buy('anna', { taskWorkMi: 18_000 }),
  )
  signed(books, one!)
  window(books, one!, 0, 10)
  const ben = books.wealth('ben')
  const { deposit, price, untilMs } = books.allocation(one!)
  expect(price).toBeLessThan(deposit)
  books.must('anna', { kind: 'expire', allocation: one! }, untilMs - books.state.timeMs + 1)
  expect(books.outcome(one!)).toBe('deserted')
  expect(books.wealth('ben') - ben).toBe(deposit - price / 10n)
  const [two] = books.trade(books.buy('dora', { maxPrice: 1n as Amount }))
  expect(books.sideOf(two!, 'supplier')).toBe('ben')
  signed(books, two!)
  const own = { kind: 'commit' as const, allocation: two!, window: 0, root: hashKey('root') }
  expect(books.do('ben', { ...own, tasks: [[0, 2]] })).toBe('claimed')
  expect(books.do('ben', { ...own, tasks: [[10, 12]] })).toBe('applied')
})

test('with replicas an account that has given up gets no more copies, and its share goes to a third', () => {
  const books = market()
  const ids = books.trade(books.sell('ben'), books.sell('cleo'), books.buy('anna', { tasks: 40, replicas: 2 }))
  const of = (name: string) => ids.filter((id) => books.sideOf(id, 'supplier') === name)
  for (const id of ids) signed(books, id)
  const { offer, windowTasks } = books.allocation(of('ben')[0]!)
  window(books, of('ben')[0]!, 0, windowTasks)
  window(books, of('cleo')[0]!, 0, windowTasks)
  for (const id of of('ben')) books.must('ben', { kind: 'end', allocation: id })
  expect(books.state.book.get(offer)?.left).toBe(40 - windowTasks)
  const more = books.trade(books.sell('ben'), books.sell('dora'))
  expect(more.map((id) => [books.sideOf(id, 'supplier'), books.allocation(id).tasks])).toEqual([
    ['dora', 40 - windowTasks],
  ])
  signed(books, more[0]!)
  expect(books.play(more[0]!, 'commit', 'supplier', [[0, 1]]), 'paid twice already').toBe('claimed')
  expect(books.play(more[0]!, 'commit', 'supplier', [[windowTasks, windowTasks + 1]])).toBe('applied')
})

test('what a customer does not want any more does not go to another', () => {
  const ways: readonly ((books: MarketBooks, id: Key) => void)[] = [
    (books, id) => books.must('anna', { kind: 'end', allocation: id }),
    (books, id) => books.must('ben', { kind: 'expire', allocation: id }, PATIENCE.sign + 1), // anna is not there
    (books, id) => {
      signed(books, id)
      books.must('anna', { kind: 'end', allocation: id })
      books.must('ben', { kind: 'end', allocation: id })
    },
    (books, id) => {
      books.withdraw(id)
      books.must('ben', { kind: 'end', allocation: id })
    },
  ]
  for (const way of ways) {
    const books = market()
    const [id] = books.trade(books.sell('ben'), books.buy('anna'))
    way(books, id!)
    expect(books.left(id!) ?? 0).toBe(0)
    expect(books.trade(books.sell('cleo'))).toEqual([])
  }
})

test('an offer that is withdrawn lets its claims go, and cannot be handed in again', () => {
  const books = market()
  const offer = books.buy('anna')
  const [id] = books.trade(books.sell('ben'), offer)
  signed(books, id!)
  window(books, id!, 0, 10)
  books.withdraw(id!)
  expect(books.state.claims.size, 'the allocation holds them').toBe(1)
  books.must('ben', { kind: 'end', allocation: id! })
  expect(books.state.claims.size).toBe(0)
  expect(books.do('cleo', { kind: 'hand-in', offers: [offer] })).toBe('no-offer')
})

test('a host that is sold out is not sold twice by handing its offer in again', () => {
  const books = market()
  const sell = books.sell('ben')
  books.trade(sell, books.buy('anna', { tasks: 100 }))
  expect(books.do('cleo', { kind: 'hand-in', offers: [sell] })).toBe('no-offer')
  expect(books.trade(books.buy('dora'))).toEqual([])
})

test('whoever stops when nothing is left for it to do loses nothing', () => {
  const books = market()
  const ids = books.trade(books.sell('ben'), books.sell('cleo'), books.buy('anna'), books.buy('anna'))
  for (const id of ids) signed(books, id)
  const [busy, idle] = [
    ids.find((id) => books.allocation(id).tasks === 80)!,
    ids.find((id) => books.sideOf(id, 'supplier') === 'cleo')!,
  ]
  for (let from = 0; from < 80; from += 10) window(books, busy, from, from + 10)
  const { deposit } = books.allocation(idle)
  const before = books.wealth('cleo')
  books.must('cleo', { kind: 'end', allocation: idle })
  expect(books.outcome(idle)).toBe('ended')
  expect(books.wealth('cleo') - before).toBe(deposit)
  expect(books.state.records.get(books.id('cleo'))).toBeUndefined()
  expect(books.left(idle), 'nor is anybody else to do it').toBe(0)
})

test('nobody holds claims for offers and allocations that are over', () => {
  const books = market()
  const ids = books.trade(books.sell('ben'), books.sell('cleo'), books.buy('anna', { tasks: 40, replicas: 2 }))
  for (const id of ids) signed(books, id)
  window(books, ids[0]!, 0, 5)
  for (const id of ids) books.must('owner 1', { kind: 'expire', allocation: id }, 2 * HOUR_MS)
  expect(books.state.claims.size).toBeGreaterThan(0)
  books.must('owner 1', { kind: 'match', slot: books.slot })
  expect(books.state.claims.size).toBe(0)
  expect(books.state.book.size).toBe(0)
})
