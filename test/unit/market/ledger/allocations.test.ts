import { expect, test } from 'vitest'
import { hashKey, type Key } from '../../../../src/core/ids.ts'
import {
  CLOSED_MS,
  LEAST_BOND,
  MEDIATOR_FEE,
  MEDIATOR_FINE,
  PATIENCE,
} from '../../../../src/market/ledger/state/allocations/allocation.ts'
import { digestOf, MarketBooks } from './market-books.ts'

/** 80 tasks of 36,000 MI are 0.8 core-hours of reference speed, at 1,000 each: 10 a task. */
const WAGE = 800n

function market(...mediators: string[]): MarketBooks {
  return new MarketBooks()
    .supplier('ben')
    .open('anna')
    .mediator(...mediators)
}

const eleven = Array.from({ length: 11 }, (_, i) => `judge ${i}`)

test('work is committed to, tested, approved and paid, window by window, and the rest goes back', () => {
  const books = market()
  const before = { anna: books.wealth('anna'), ben: books.wealth('ben') }
  const id = books.contract('ben', 'anna')
  const { price, tasks, windowTasks, deposit, bond } = books.allocation(id)
  expect({ price, tasks, windowTasks, bond }).toEqual({ price: WAGE, tasks: 80, windowTasks: 10, bond: LEAST_BOND })
  expect(before.ben - books.wealth('ben')).toBe(deposit)
  for (let window = 0; window < 8; window++) {
    const from = 10 * window
    expect(books.play(id, 'commit', 'supplier', [[from, from + 10]])).toBe('applied')
    expect(books.play(id, 'reveal', 'customer')).toBe('applied')
    expect(books.play(id, 'approve', 'customer')).toBe('applied')
  }
  expect(books.outcome(id)).toBe('done')
  expect(books.state.claims.size, 'the offer holds what was claimed').toBe(1)
  books.withdraw(id)
  expect(books.state.claims.size).toBe(0)
  expect(books.wealth('ben') - before.ben).toBe(WAGE)
  const fee = 8n
  expect(before.anna - books.wealth('anna')).toBe(WAGE + fee)
  expect(books.state.records.get(books.id('ben'))).toEqual({
    ...{ paid: 80, verified: 8, failed: 0, deserted: 0, outvoted: 0 },
  })
})

test('parts of a wage are rounded so that their sum is the price', () => {
  const books = market()
  const id = books.contract('ben', 'anna', { tasks: 70, taskWorkMi: 36_001 })
  const { price } = books.allocation(id)
  const before = books.wealth('ben') + books.allocation(id).deposit
  for (let from = 0; from < 70; from += 7) {
    expect(books.play(id, 'commit', 'supplier', [[from, from + 7]])).toBe('applied')
    expect(books.play(id, 'approve', 'customer')).toBe('applied')
  }
  expect(books.wealth('ben') - before).toBe(price)
})

test('a customer that vanishes after signing, or keeps its nonce back, pays', () => {
  const books = market()
  const id = books.contract('ben', 'anna')
  const before = books.wealth('ben')
  expect(books.play(id, 'commit', 'supplier')).toBe('applied')
  expect(books.do('ben', { kind: 'expire', allocation: id }, PATIENCE.reveal)).toBe('before-deadline')
  books.must('owner 1', { kind: 'expire', allocation: id }, 1)
  expect(books.wealth('ben') - before).toBe(100n)
  expect(books.state.records.get(books.id('ben'))).toMatchObject({ paid: 10, verified: 0 })
  expect(books.play(id, 'commit', 'supplier', [[10, 20]])).toBe('applied')
  expect(books.play(id, 'reveal', 'customer'), 'one nonce was skipped').toBe('applied')
  books.must('ben', { kind: 'expire', allocation: id }, books.untilLate(id))
  expect(books.wealth('ben') - before).toBe(200n)
})

test('a supplier that does not sign, gives up, or never commits loses a tenth of the price if its deposit is larger; the customer nothing', () => {
  const ways: readonly ((books: MarketBooks, id: Key) => void)[] = [
    (books, id) => books.must('ben', { kind: 'end', allocation: id }),
    (books, id) => books.must('ben', { kind: 'expire', allocation: id }, 2 * 3_600_000),
  ]
  for (const way of ways) {
    const books = market()
    const before = { anna: books.wealth('anna'), ben: books.wealth('ben') }
    const id = books.contract('ben', 'anna')
    way(books, id)
    expect(books.outcome(id)).toBe('deserted')
    expect(before.ben - books.wealth('ben')).toBe(WAGE / 10n)
    expect(before.anna - books.wealth('anna'), 'the fee for the match').toBe(8n)
    expect(books.state.records.get(books.id('ben'))).toMatchObject({ deserted: 1, failed: 0 })
  }
})

test('who does not sign bears it', () => {
  for (const absent of ['customer', 'supplier'] as const) {
    const books = market()
    const [id] = books.trade(books.sell('ben'), books.buy('anna'))
    const { deposit, bond } = books.allocation(id!)
    const before = { customer: books.wealth('anna'), supplier: books.wealth('ben') }
    expect(books.play(id!, 'sign', absent === 'customer' ? 'supplier' : 'customer')).toBe('applied')
    expect(books.play(id!, 'commit', 'supplier'), 'it does not run').toBe('wrong-phase')
    books.must('owner 1', { kind: 'expire', allocation: id! }, PATIENCE.sign + 1)
    expect(books.wealth('ben') - before.supplier).toBe(deposit - (absent === 'supplier' ? WAGE / 10n : 0n))
    expect(books.wealth('anna') - before.customer).toBe(WAGE + bond - (absent === 'customer' ? bond / 10n : 0n))
  }
})

test('a supplier that cannot show what it committed to loses its deposit and the window', () => {
  const books = market()
  const before = { anna: books.wealth('anna'), ben: books.wealth('ben') }
  const id = books.contract('ben', 'anna')
  const { deposit } = books.allocation(id)
  expect(books.play(id, 'commit', 'supplier')).toBe('applied')
  expect(books.do('anna', { kind: 'challenge', allocation: id, position: 0 }), 'first the nonce').toBe('wrong-phase')
  expect(books.play(id, 'reveal', 'customer')).toBe('applied')
  expect(books.do('anna', { kind: 'challenge', allocation: id, position: 10 })).toBe('bad-tasks')
  books.must('anna', { kind: 'challenge', allocation: id, position: 9 })
  const { digest, salt, path } = books.commitment(id, 10).open(8)
  expect(books.do('ben', { kind: 'show', allocation: id, digest, salt, path: [...path] })).toBe('no-proof')
  books.must('anna', { kind: 'expire', allocation: id }, PATIENCE.show + 1)
  expect(before.ben - books.wealth('ben')).toBe(deposit)
  expect(before.anna - books.wealth('anna')).toBe(8n)
  expect(books.state.burnt).toBe(deposit)
  expect(books.state.records.get(books.id('ben'))).toMatchObject({ failed: 1, paid: 0 })
})

test('mediators find for the supplier: the window is paid, the bond pays them, and what is left of it is burnt', () => {
  const books = market(...eleven)
  const id = books.contract('ben', 'anna')
  const before = { anna: books.wealth('anna'), ben: books.wealth('ben'), burnt: books.state.burnt }
  const { deposit } = books.allocation(id)
  const panel = books.disputed(id)
  expect(panel.toSorted()).toEqual(eleven.toSorted())
  const right = digestOf(id, 0, 3)
  for (const judge of panel.slice(0, 10)) expect(books.sealed(id, judge, right)).toBe('applied')
  expect(books.told(id, panel[0]!, right), 'not before all have sealed').toBe('wrong-phase')
  books.must('ben', { kind: 'expire', allocation: id }, books.untilLate(id))
  expect(books.told(id, panel[10]!, right), 'it has sealed nothing').toBe('no-proof')
  expect(books.told(id, panel[0]!, hashKey('copied')), 'it has sealed something else').toBe('no-proof')
  const paid = books.wealth(panel[0]!)
  for (const judge of panel.slice(0, 10)) expect(books.told(id, judge, right)).toBe('applied')
  expect(books.outcome(id)).toBe('wronged')
  expect(books.wealth('ben') - before.ben).toBe(deposit + 100n)
  expect(books.wealth('anna') - before.anna).toBe(WAGE - 100n)
  expect(books.wealth(panel[0]!) - paid).toBe(MEDIATOR_FEE)
  expect(books.state.burnt - before.burnt).toBe(LEAST_BOND - 10n * MEDIATOR_FEE)
})

test('mediators find for the customer: the deposit pays them, the rest of it is burnt, the window is not paid, and the tasks are free again', () => {
  const books = market(...eleven)
  const before = { anna: books.wealth('anna'), ben: books.wealth('ben'), burnt: books.state.burnt }
  const id = books.contract('ben', 'anna')
  const { deposit } = books.allocation(id)
  expect(deposit, 'all of it is paid 0.8 credits').toBe(LEAST_BOND)
  const panel = books.disputed(id)
  const [right, liars] = [hashKey('right'), 3]
  const findingOf = (at: number) => (at < liars ? digestOf(id, 0, 3) : right)
  for (const [at, judge] of panel.entries()) expect(books.sealed(id, judge, findingOf(at))).toBe('applied')
  for (const [at, judge] of panel.entries()) expect(books.told(id, judge, findingOf(at))).toBe('applied')
  expect(books.outcome(id)).toBe('cheated')
  expect(before.ben - books.wealth('ben')).toBe(deposit)
  expect(before.anna - books.wealth('anna'), 'the fee for the match').toBe(8n)
  // Eight had their fees, and three were fined.
  expect(books.state.burnt - before.burnt).toBe(deposit - 8n * MEDIATOR_FEE + 3n * MEDIATOR_FINE)
  expect(books.left(id), 'for another supplier').toBe(80)
  expect(books.state.records.get(books.id('ben'))).toMatchObject({ failed: 1 })
})

test('a job that is not deterministic: the customer pays, and nobody is fined', () => {
  const books = market(...eleven)
  const id = books.contract('ben', 'anna')
  const { deposit } = books.allocation(id)
  const before = { ben: books.wealth('ben'), burnt: books.state.burnt }
  const panel = books.disputed(id)
  for (const judge of panel) expect(books.sealed(id, judge, 'unstable')).toBe('applied')
  for (const judge of panel) expect(books.told(id, judge, 'unstable')).toBe('applied')
  expect(books.wealth('ben') - before.ben).toBe(deposit + 100n)
  expect(books.state.burnt).toBe(before.burnt)
})

test('without mediators, or with too few that answer, nothing is paid and nobody is fined', () => {
  const alone = market()
  const one = alone.contract('ben', 'anna')
  const before = alone.wealth('ben') + alone.allocation(one).deposit
  expect(alone.disputed(one)).toEqual([])
  expect(alone.outcome(one)).toBe('undecided')
  expect(alone.wealth('ben')).toBe(before)

  const books = market(...eleven)
  const id = books.contract('ben', 'anna')
  const [first] = books.disputed(id)
  expect(books.sealed(id, first!, hashKey('x'))).toBe('applied')
  books.must('ben', { kind: 'expire', allocation: id }, books.untilLate(id))
  const { deposit } = books.allocation(id)
  const then = books.wealth('ben')
  expect(books.told(id, first!, hashKey('x'))).toBe('applied')
  expect(books.outcome(id)).toBe('undecided')
  expect(books.wealth('ben') - then).toBe(deposit)
})

test('in a dispute, who keeps its part of the draw back has lost it', () => {
  for (const silent of ['customer', 'supplier'] as const) {
    const books = market(...eleven)
    const id = books.contract('ben', 'anna')
    const { deposit } = books.allocation(id)
    const before = books.wealth('ben')
    expect(books.play(id, 'commit', 'supplier')).toBe('applied')
    expect(books.play(id, 'reveal', 'customer')).toBe('applied')
    books.must('anna', { kind: 'challenge', allocation: id, position: 3 })
    expect(books.play(id, 'show', 'supplier')).toBe('applied')
    books.must('anna', { kind: 'dispute', allocation: id })
    expect(books.play(id, 'draw', silent === 'customer' ? 'supplier' : 'customer')).toBe('applied')
    books.must('owner 1', { kind: 'expire', allocation: id }, PATIENCE.draw + 1)
    expect(books.wealth('ben') - before).toBe(silent === 'customer' ? deposit + 100n : 0n)
  }
})

test('who volunteers during a dispute is not drawn for it', () => {
  const books = market('judge 0')
  const id = books.contract('ben', 'anna')
  expect(books.play(id, 'commit', 'supplier')).toBe('applied')
  expect(books.play(id, 'reveal', 'customer')).toBe('applied')
  books.must('anna', { kind: 'challenge', allocation: id, position: 3 })
  expect(books.play(id, 'show', 'supplier')).toBe('applied')
  books.must('anna', { kind: 'dispute', allocation: id }, 1)
  books.mediator('friend')
  expect(books.play(id, 'draw', 'supplier')).toBe('applied')
  expect(books.play(id, 'draw', 'customer')).toBe('applied')
  expect(books.allocation(id).phase).toMatchObject({ name: 'sealing', mediators: [books.id('host of judge 0')] })
})

test('tasks are committed to once, in order, as many as were agreed, and by nobody else', () => {
  const books = market()
  const id = books.contract('ben', 'anna')
  const commit = (tasks: [number, number][], window = 0) => {
    const { root } = books.commitment(id, 1)
    return books.do('ben', { kind: 'commit', allocation: id, window, tasks, root })
  }
  expect(commit([[0, 11]]), 'more than a window').toBe('bad-tasks')
  expect(commit([[75, 85]]), 'beyond the job').toBe('bad-tasks')
  expect(commit([[5, 5]])).toBe('bad-tasks')
  expect(
    commit([
      [5, 7],
      [2, 3],
    ]),
    'out of order',
  ).toBe('bad-tasks')
  expect(
    commit([
      [0, 2],
      [2, 4],
    ]),
    'in pieces that are one',
  ).toBe('bad-tasks')
  expect(commit([[0, 4]], 1)).toBe('wrong-step')
  expect(books.do('anna', books.step(id, 'commit', 'supplier'))).toBe('not-allowed')
  expect(
    commit([
      [0, 4],
      [6, 8],
    ]),
  ).toBe('applied')
  expect(commit([[8, 9]]), 'the first is not settled').toBe('wrong-phase')
  const common = { kind: 'approve' as const, allocation: id }
  expect(books.do('anna', { ...common, window: 0, tests: 7 }), 'more tests than tasks').toBe('bad-tasks')
  expect(books.do('anna', { ...common, window: 1, tests: 1 }), 'of another window').toBe('wrong-step')
  expect(books.play(id, 'approve', 'customer')).toBe('applied')
  expect(commit([[3, 5]], 1)).toBe('claimed')
  expect(commit([[4, 6]], 1)).toBe('applied')
})

test('two suppliers of one job are not paid for one task; with two replicas both are, each once', () => {
  for (const replicas of [1, 2]) {
    const books = market().supplier('cleo')
    const sells = ['ben', 'cleo'].map((name) => books.sell(name, { minPrice: 1000n as never }))
    const ids = books.trade(
      ...sells,
      books.buy('anna', { replicas, tasks: replicas === 1 ? 160 : 80, taskWorkMi: 36_000 }),
    )
    const mine = ids.filter((id) => books.sideOf(id, 'supplier') === 'ben')
    const others = ids.filter((id) => books.sideOf(id, 'supplier') === 'cleo')
    if (others.length === 0) throw new Error('the need was to be cut in two')
    for (const id of [mine[0]!, others[0]!]) {
      for (const side of ['customer', 'supplier'] as const) expect(books.play(id, 'sign', side)).toBe('applied')
    }
    expect(books.play(mine[0]!, 'commit', 'supplier', [[0, 5]])).toBe('applied')
    expect(books.play(others[0]!, 'commit', 'supplier', [[4, 8]])).toBe(replicas === 1 ? 'claimed' : 'applied')
    expect(books.play(mine[0]!, 'approve', 'customer')).toBe('applied')
    expect(books.play(mine[0]!, 'commit', 'supplier', [[4, 6]]), 'its own').toBe('claimed')
  }
})

test('a customer that needs no more leaves the supplier time for what it has done', () => {
  const books = market()
  const id = books.contract('ben', 'anna')
  const before = books.wealth('ben') + books.allocation(id).deposit
  books.must('anna', { kind: 'end', allocation: id })
  expect(books.play(id, 'commit', 'supplier')).toBe('applied')
  expect(books.play(id, 'approve', 'customer')).toBe('applied')
  expect(books.do('anna', { kind: 'expire', allocation: id })).toBe('before-deadline')
  books.must('anna', { kind: 'expire', allocation: id }, PATIENCE.lastWindow + 1)
  expect(books.wealth('ben')).toBe(before + 100n)
})

test('what is over can be read for a day, holds nothing, and does nothing more', () => {
  const books = market()
  const id = books.contract('ben', 'anna', { tasks: 10 })
  const { fee, offer } = books.allocation(id)
  expect(fee).toBe(1n)
  expect(offer).toMatch(/^[0-9a-f]{64}$/)
  expect(books.play(id, 'commit', 'supplier', [[0, 2]])).toBe('applied')
  const steps = (['sign', 'commit', 'reveal', 'approve', 'show', 'draw'] as const).flatMap((kind) =>
    (['customer', 'supplier'] as const).map((side) => [side, books.step(id, kind, side)] as const),
  )
  books.must('ben', { kind: 'expire', allocation: id }, PATIENCE.reveal + 1)
  books.must('ben', { kind: 'end', allocation: id })
  const before = { anna: books.purse('anna'), ben: books.purse('ben') }
  const { escrow, stake, paid, tested } = books.allocation(id)
  expect([escrow, stake]).toEqual([
    { free: 0n, granted: 0n },
    { free: 0n, granted: 0n },
  ])
  expect([paid, tested]).toEqual([2, 0])
  for (const [side, action] of steps) {
    expect(['wrong-phase', 'not-allowed'], action.kind).toContain(books.do(books.sideOf(id, side), action))
  }
  for (const name of ['anna', 'ben']) expect(books.do(name, { kind: 'end', allocation: id })).toBe('wrong-phase')
  expect(books.do('anna', { kind: 'challenge', allocation: id, position: 0 })).toBe('wrong-phase')
  expect(books.do('anna', { kind: 'dispute', allocation: id })).toBe('wrong-phase')
  expect(books.do('owner 1', { kind: 'expire', allocation: id }, CLOSED_MS)).toBe('before-deadline')
  books.must('owner 1', { kind: 'expire', allocation: id }, 1)
  expect(books.state.allocations.size).toBe(0)
  expect({ anna: books.purse('anna'), ben: books.purse('ben') }).toEqual(before)
})

test('rounds of the auction forget what was over long ago', () => {
  const books = market()
  const id = books.contract('ben', 'anna', { tasks: 10 })
  books.must('anna', { kind: 'end', allocation: id })
  books.must('anna', { kind: 'expire', allocation: id }, PATIENCE.lastWindow + 1)
  books.trade(books.buy('anna', { maxPrice: 1n as never }))
  expect(books.outcome(id)).toBe('ended')
  books.block([], CLOSED_MS)
  books.trade(books.buy('anna', { maxPrice: 1n as never }))
  expect(books.state.allocations.size, 'although nothing was traded').toBe(0)
})

test('a customer says how much it tests; what the supplier has at stake does not depend on it', () => {
  const [usual, none, all] = (['auto', 0, 1_000_000] as const).map((rate) => {
    const books = market()
    return books.allocation(books.contract('ben', 'anna', { rate }))
  })
  expect([usual!.rate, none!.rate, all!.rate]).toEqual([98_000, 0, 1_000_000])
  expect(usual!.deposit).toBeGreaterThan(0n)
  expect([none!.deposit, all!.deposit]).toEqual([usual!.deposit, usual!.deposit])
})
