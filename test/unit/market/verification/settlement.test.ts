import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { amount } from '../../../../src/market/ledger/state/amount.ts'
import { NEW_RECORD } from '../../../../src/market/verification/auto.ts'
import { accuserBond } from '../../../../src/market/verification/formulas.ts'
import {
  type Check,
  type Outcome,
  recordOfChecker,
  recordOfSupplier,
  settle,
  stakesOf,
  termsOf,
} from '../../../../src/market/verification/settlement.ts'

const terms = termsOf(amount(1000n), 100, amount(500n), 11)

test('sizes: fees are the price of a task, bonds are above what a false accusation is worth', () => {
  expect(terms).toEqual({
    payment: 1000n,
    deposit: 500n,
    fee: 10n,
    seats: 11,
    bond: 118n, // 1,110 x 0.0783 / 0.9217 x 1.25, rounded up
    abandonFine: 50n,
  })
  expect(termsOf(amount(1001n), 100, amount(10n), 3)).toMatchObject({ fee: 11n, abandonFine: 10n })
  expect(Number(terms.bond)).toBeGreaterThan(accuserBond(1000 + 110, 0.0783))
  expect(stakesOf(terms, 5)).toEqual({ customer: 1000n + 50n + 110n, supplier: 610n, checker: 228n })
})

const checked = (...checks: Check[]): Outcome => ({ kind: 'checked', checks })

describe('who gets what', () => {
  test.each<[string, Outcome, readonly [supplier: bigint, customer: bigint, mediator: bigint, burnt: bigint]]>([
    ['not checked', { kind: 'unchecked' }, [1610n, 130n, 0n, 0n]],
    ['not seen, nonce kept back', { kind: 'withheld' }, [1610n, 110n, 0n, 20n]],
    ['passed', checked('agreed', 'agreed'), [1610n, 110n, 0n, 0n]],
    ['passed, one checker silent', checked('agreed', 'silent'), [1610n, 120n, 0n, 0n]],
    ['did not come', { kind: 'abandoned' }, [560n, 1130n, 0n, 50n]],
    ['not opened', { kind: 'unopened', answered: [true, false] }, [110n, 1120n, 0n, 500n]],
    ['given in', checked('agreed', 'conceded'), [110n, 1110n, 0n, 500n]],
    ['convicted', checked('convicted', 'unheard'), [0n, 1110n, 10n, 500n]],
    ['acquitted', checked('acquitted', 'agreed'), [1610n, 120n, 10n, 118n]],
    ['accusation withdrawn', checked('withdrawn', 'agreed'), [1610n, 120n, 0n, 118n]],
    ['acquitted, then convicted', checked('acquitted', 'convicted'), [0n, 1120n, 20n, 618n]],
    ['not deterministic', checked('not-deterministic', 'unheard'), [1610n, 0n, 10n, 0n]],
  ])('%s', (_, outcome, [supplier, customer, mediator, burnt]) => {
    expect(settle(terms, 2, outcome)).toMatchObject({ supplier, customer, mediator, burnt })
  })

  test('checkers: the fee, nothing for silence, all is lost for a false accusation', () => {
    const paid = (...checks: Check[]) => settle(terms, checks.length + 1, checked(...checks)).checkers
    expect(paid('agreed', 'silent', 'acquitted', 'withdrawn', 'convicted', 'unheard')).toEqual(
      [238, 228, 0, 110, 238, 238, 228].map(BigInt),
    )
  })

  test('a panel that goes on after its verdict, or more checks than were paid, is a bug', () => {
    expect(() => settle(terms, 2, checked('convicted', 'convicted'))).toThrow('goes on')
    expect(() => settle(terms, 1, checked('agreed', 'agreed'))).toThrow('more checks')
  })
})

/** Any outcome of a window with at most so many tests. */
const outcomes = fc.oneof(
  fc.constant<Outcome>({ kind: 'unchecked' }),
  fc.constant<Outcome>({ kind: 'abandoned' }),
  fc.constant<Outcome>({ kind: 'withheld' }),
  fc.array(fc.boolean(), { maxLength: 6 }).map((answered): Outcome => ({ kind: 'unopened', answered })),
  fc
    .record({
      checks: fc.array(fc.constantFrom<Check>('agreed', 'silent', 'conceded', 'withdrawn', 'acquitted', 'unheard'), {
        maxLength: 5,
      }),
      last: fc.constantFrom<Check[]>([], ['convicted'], ['not-deterministic']),
    })
    .map(({ checks, last }): Outcome => ({ kind: 'checked', checks: [...checks, ...last] })),
)
const anyTerms = fc
  .record({
    payment: fc.bigInt({ min: 0n, max: 10n ** 12n }),
    tasks: fc.integer({ min: 1, max: 10_000 }),
    deposit: fc.bigInt({ min: 0n, max: 10n ** 14n }),
    seats: fc.constantFrom(0, 1, 3, 11),
  })
  .map(({ payment, tasks, deposit, seats }) => termsOf(amount(payment), tasks, amount(deposit), seats))

test('what was put up is what is paid out and burnt, and nobody gains by a fine', () => {
  fc.assert(
    fc.property(anyTerms, outcomes, fc.nat(3), (given, outcome, spare) => {
      const checks = outcome.kind === 'checked' ? outcome.checks : outcome.kind === 'unopened' ? outcome.answered : []
      const tests = checks.length + spare
      const put = stakesOf(given, tests)
      const { supplier, customer, checkers, mediator, burnt } = settle(given, tests, outcome)
      const out = checkers.reduce((sum: bigint, each) => sum + each, 0n) + supplier + customer + burnt
      expect(out + mediator * BigInt(given.seats)).toBe(put.customer + put.supplier + put.checker * BigInt(tests))
      expect(customer).toBeLessThanOrEqual(put.customer)
      expect(supplier).toBeLessThanOrEqual(put.supplier + given.payment)
      for (const each of checkers) expect(each).toBeLessThanOrEqual(put.checker + given.fee)
    }),
  )
})

test('to be silent when tested is no better than to be found', () => {
  fc.assert(
    fc.property(anyTerms, (given) => {
      const unopened = settle(given, 1, { kind: 'unopened', answered: [true] }).supplier
      expect(unopened).toBe(settle(given, 1, checked('conceded')).supplier)
      expect(unopened).toBeLessThanOrEqual(settle(given, 1, { kind: 'abandoned' }).supplier)
    }),
  )
})

test('a customer that keeps its nonce back has no more than one that has all tested, and has them agree', () => {
  fc.assert(
    fc.property(anyTerms, fc.nat(5), (given, tests) => {
      const seen = settle(given, tests, { kind: 'checked', checks: Array.from({ length: tests }, () => 'agreed') })
      expect(settle(given, tests, { kind: 'withheld' }).customer).toBe(seen.customer)
    }),
  )
})

test('records: passed tests count, one failed window wipes out the others of it', () => {
  const record = { verified: 5, failed: 1, timedOut: 2 }
  expect(recordOfSupplier(NEW_RECORD, checked('agreed', 'acquitted', 'silent'))).toEqual({ ...NEW_RECORD, verified: 2 })
  expect(recordOfSupplier(record, checked('agreed', 'convicted'))).toEqual({ ...record, failed: 2 })
  expect(recordOfSupplier(record, { kind: 'unopened', answered: [] })).toEqual({ ...record, failed: 2 })
  expect(recordOfSupplier(record, { kind: 'abandoned' })).toEqual({ ...record, timedOut: 3 })
  expect(recordOfSupplier(record, { kind: 'unchecked' })).toEqual(record)
  expect(recordOfSupplier(record, checked('not-deterministic'))).toEqual(record)
  expect(recordOfChecker(record, 'acquitted').failed).toBe(2)
  expect(recordOfChecker(record, 'silent').timedOut).toBe(3)
  expect(recordOfChecker(record, 'agreed')).toEqual(record)
})
