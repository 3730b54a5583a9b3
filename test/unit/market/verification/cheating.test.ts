import { describe, expect, test } from 'vitest'
import { amount } from '../../../../src/market/ledger/state/amount.ts'
import {
  accusationValue,
  bestCheat,
  expectedValue,
  type Game,
  strategies,
} from '../../../../src/market/verification/cheating.ts'
import { supplierUtility } from '../../../../src/market/verification/formulas.ts'
import { termsOf } from '../../../../src/market/verification/settlement.ts'

const game: Game = {
  tasks: 20,
  tests: 3,
  deposit: 0.5,
  costShare: 0.9,
  guess: 0.2,
  colluders: 0,
  seats: 11,
  abandonFine: 0.05,
}

describe('without friends', () => {
  test('it is the utility of the paper at both ends', () => {
    const stakes = { payment: 1, deposit: 0.5, cost: 0.9 }
    expect(expectedValue(game, { kind: 'honest' })).toBeCloseTo(supplierUtility(1, 3, stakes, 0.2), 12)
    const all = { kind: 'skip', skipped: 20, dispute: 'never' } as const
    expect(expectedValue(game, all)).toBeCloseTo(supplierUtility(0, 3, stakes, 0.2), 12)
  })

  test('a panel is of no use, and to go to it costs', () => {
    const of = (dispute: 'never' | 'always' | 'captured') => expectedValue(game, { kind: 'skip', skipped: 5, dispute })
    expect(of('captured')).toBeCloseTo(of('never'), 12)
    expect(of('always')).toBeLessThan(of('never'))
  })
})

test('with friends: what they save, what they let pass, what they are paid', () => {
  const friends = { ...game, colluders: 0.3 }
  const honest = expectedValue(friends, { kind: 'honest' })
  expect(expectedValue(friends, { kind: 'copy' }) - honest).toBeCloseTo((0.3 * 3 * 0.9) / 20, 12)
  const one = (g: Game) => expectedValue(g, { kind: 'skip', skipped: 1, dispute: 'captured' })
  expect(one(friends)).toBeGreaterThan(one({ ...friends, colluders: 0.1 }))
  expect(expectedValue(friends, { kind: 'abandon' })).toBe(-0.05)
  expect(expectedValue(friends, { kind: 'time-out' })).toBeCloseTo(-0.5 + (0.3 * 3) / 20, 12)
})

test('one task, one test, nothing done: by going through all panels', () => {
  const one: Game = { ...game, tasks: 1, tests: 1, guess: 0, colluders: 0.3, deposit: 2 }
  const choose = (k: number): number => (k === 0 ? 1 : (choose(k - 1) * (12 - k)) / k) // of 11
  const of = (dispute: 'captured' | 'always') => {
    let value = 0.3 * 2 // a friend checks: it is paid, and the window, too
    for (let friends = 0; friends <= 11; friends++) {
      const chance = 0.7 * choose(friends) * 0.3 ** friends * 0.7 ** (11 - friends)
      if (friends >= 6) value += chance * (1 + friends)
      else value += chance * (dispute === 'always' ? friends - 11 - 2 : -2)
    }
    return value
  }
  for (const dispute of ['captured', 'always'] as const) {
    expect(expectedValue(one, { kind: 'skip', skipped: 1, dispute })).toBeCloseTo(of(dispute), 12)
  }
})

test('where nothing is tested, cheating is best, and the search finds it', () => {
  expect(bestCheat({ ...game, tests: 0 })).toMatchObject({ strategy: { kind: 'skip', skipped: 20 }, value: 1 })
  const kinds = strategies(1).map((each) => (each.kind === 'skip' ? `${each.skipped} ${each.dispute}` : each.kind))
  expect(kinds).toEqual(['1 never', '1 always', '1 captured', 'time-out', 'abandon'])
})

test('to accuse falsely does not pay with the bonds that are asked for', () => {
  for (const tasks of [1, 10, 100, 1000]) {
    for (const colluders of [0, 0.1, 0.2, 0.3]) {
      const { bond } = termsOf(amount(1_000_000n), tasks, amount(0n), 11)
      const value = accusationValue({ ...game, tasks, colluders }, Number(bond) / 1e6)
      expect(value).toBeLessThan(0)
      expect(accusationValue({ ...game, tasks, colluders: 0.3 }, 0.05)).toBeGreaterThan(0)
    }
  }
})
