import { expect, test } from 'vitest'
import { lockedOf } from '../../../../src/market/ledger/locked.ts'
import { PATIENCE } from '../../../../src/market/ledger/state/allocations/allocation.ts'
import type { Banker } from '../../../../src/market/ledger/state/state.ts'
import { MarketBooks } from './market-books.ts'

test('what is locked is told by what it is in, and all accounts together have what the ledger holds', () => {
  const books = new MarketBooks()
  books.supplier('ben').open('anna')
  books.mediator('max')
  const id = books.contract('ben', 'anna')
  books.play(id, 'commit', 'supplier')
  const of = (name: string) => lockedOf(books.state, books.id(name))
  const { price, bond, deposit } = books.allocation(id)
  const none = { amount: 0n, count: 0 }
  const bought = { amount: price + bond, count: 1 }
  expect(of('anna')).toEqual({ bonds: none, bought, deposits: none, escrows: none, total: price + bond })
  expect(of('ben')).toMatchObject({ deposits: { amount: deposit, count: 1 }, total: deposit })
  const { bonds } = of('max')
  expect(bonds.count).toBe(1)
  expect(bonds.amount).toBeGreaterThan(0n)

  const { accounts, held } = books.state
  const all = [...accounts.entries()].reduce(
    (sum, [account, { free, granted }]) => sum + free + granted + lockedOf(books.state, account as never).total,
    0n,
  )
  expect(all).toBe(held)

  // What was given notice of is locked still.
  const [[host, banker]] = [...books.state.bankers.entries()].filter(
    ([, each]) => each.account === books.id('max'),
  ) as [[never, Banker]]
  const leaving: Banker = { ...banker, free: 0n as never, granted: 0n as never, leaving: banker }
  const bankers = books.state.bankers.set(host, leaving)
  expect(lockedOf({ ...books.state, bankers }, books.id('max')).bonds).toEqual(bonds)

  books.play(id, 'approve', 'customer')
  books.must('anna', { kind: 'end', allocation: id })
  books.must('owner 1', { kind: 'expire', allocation: id }, PATIENCE.lastWindow + 1)
  expect(of('anna')).toMatchObject({ bought: none, total: 0n })
  expect(of('ben').total).toBe(0n)
})
