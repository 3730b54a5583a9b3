import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Amount, amount } from '../../../../src/market/ledger/state/amount.ts'
import { committeeCaptured } from '../../../../src/market/sybil.ts'
import {
  autoRate,
  CAPTURED_SEATS,
  COLLUDERS,
  COST_SHARE,
  depositFor,
  NEW_RECORD,
  NEWCOMER_RATE,
  PANEL_MISLED,
  PROVEN_RATE,
  sampleRate,
  trustRate,
  type WorkRecord,
} from '../../../../src/market/verification/auto.ts'
import { bestCheat, expectedValue, type Game } from '../../../../src/market/verification/cheating.ts'
import { PPM } from '../../../../src/market/verification/draws.ts'
import { testsToDetect } from '../../../../src/market/verification/formulas.ts'
import { PANEL_SEATS } from '../../../../src/market/verification/mediation.ts'
import { termsOf } from '../../../../src/market/verification/settlement.ts'

const MILLION = amount(1_000_000n)
const records = fc.record({ verified: fc.nat(1e6), failed: fc.nat(50), timedOut: fc.nat(50) })

test('the chances of panels are those of their size', () => {
  const share = COLLUDERS / PPM
  const misled = committeeCaptured(share, PANEL_SEATS, 6)
  expect(PANEL_MISLED / PPM).toBeGreaterThan(misled)
  expect(PANEL_MISLED / PPM).toBeLessThan(misled + 1e-4)
  let seats = 6 * misled
  for (let x = 7; x <= PANEL_SEATS; x++) seats += committeeCaptured(share, PANEL_SEATS, x)
  expect(CAPTURED_SEATS / PPM).toBeGreaterThan(seats)
  expect(CAPTURED_SEATS / PPM).toBeLessThan(seats + 2e-4)
})

describe('trust', () => {
  test.each<[Partial<WorkRecord>, number]>([
    [{}, 98_000],
    [{ verified: 27 }, 98_000],
    [{ verified: 57 }, 49_000],
    [{ verified: 297 }, 9800],
    [{ verified: 1e6 }, 9800],
    [{ verified: 297, failed: 1 }, 98_000],
    [{ verified: 10_300, failed: 1 }, 9800],
    [{ verified: 297, timedOut: 1 }, 25_704],
  ])('%o: %i ppm', (record, rate) => {
    expect(trustRate({ ...NEW_RECORD, ...record })).toBe(rate)
  })

  test('is never total, is earned by tests and lost by failures', () => {
    fc.assert(
      fc.property(records, fc.nat(1000), (record, more) => {
        const rate = trustRate(record)
        expect(rate).toBeGreaterThanOrEqual(PROVEN_RATE)
        expect(rate).toBeLessThanOrEqual(NEWCOMER_RATE)
        expect(trustRate({ ...record, verified: record.verified + more })).toBeLessThanOrEqual(rate)
        expect(trustRate({ ...record, failed: record.failed + more })).toBeGreaterThanOrEqual(rate)
        expect(trustRate({ ...record, timedOut: record.timedOut + more })).toBeGreaterThanOrEqual(rate)
      }),
    )
  })
})

const deposits = (tasks: number, guess = 0) =>
  [NEWCOMER_RATE, PROVEN_RATE].map((rate) => Number(depositFor(rate, { tasks, payment: MILLION, guess })) / 1e6)

test('deposits, in payments: large where a window is one task, small where it is many', () => {
  const near = (tasks: number, guess?: number) => deposits(tasks, guess).map((each) => Number(each.toFixed(2)))
  expect(near(1)).toMatchInlineSnapshot(`
    [
      18.85,
      186.83,
    ]
  `)
  expect(near(10)).toMatchInlineSnapshot(`
    [
      1.24,
      17.78,
    ]
  `)
  expect(near(100)).toMatchInlineSnapshot(`
    [
      0.36,
      1.18,
    ]
  `)
  expect(near(1000)).toMatchInlineSnapshot(`
    [
      0.36,
      0.29,
    ]
  `)
  expect(near(1000, 900_000)).toMatchInlineSnapshot(`
    [
      4.11,
      5.62,
    ]
  `)
  expect(depositFor(NEWCOMER_RATE, { tasks: 10, payment: MILLION, guess: PPM })).toBeUndefined()
  expect(depositFor(0, { tasks: 10, payment: MILLION })).toBeUndefined()
})

/** A window on these terms, as the exact values of strategies see it. */
function gameOf(
  tasks: number,
  rate: number,
  deposit: Amount,
  guess: number,
  colluders: number,
  costShare: number,
): Game {
  const terms = termsOf(MILLION, tasks, deposit, PANEL_SEATS)
  return {
    tasks,
    tests: (rate * tasks) / PPM,
    deposit: Number(deposit) / 1e6,
    costShare,
    guess: guess / PPM,
    colluders,
    seats: PANEL_SEATS,
    abandonFine: Number(terms.abandonFine) / 1e6,
  }
}

const windows = fc.record({
  tasks: fc.oneof(fc.constantFrom(1, 2, 3, 5, 10, 100), fc.integer({ min: 1, max: 400 })),
  guess: fc.constantFrom(0, 0, 100_000, 500_000, 900_000, 990_000),
})

describe('deterrence', () => {
  test('at every record, deposit, window and share of friends the best cheat earns less than honest work', () => {
    const deposit = fc.bigInt({ min: 0n, max: 2n * 10n ** 8n })
    const share = fc.double({ min: 0, max: COLLUDERS / PPM, noNaN: true })
    const cost = fc.double({ min: 0, max: COST_SHARE / PPM, noNaN: true })
    let tried = 0
    fc.assert(
      fc.property(records, deposit, windows, share, cost, (record, put, { tasks, guess }, colluders, costShare) => {
        const rate = autoRate(record, amount(put), { tasks, payment: MILLION, guess })
        if (rate === undefined) return
        tried++
        expect(rate).toBeGreaterThanOrEqual(trustRate(record))
        const game = gameOf(tasks, rate, amount(put), guess, colluders, costShare)
        expect(bestCheat(game).value).toBeLessThan(expectedValue(game, { kind: 'honest' }))
      }),
      { numRuns: 300 },
    )
    expect(tried).toBeGreaterThan(100)
  })

  test('a third less at stake and cheating pays', () => {
    for (const [tasks, rate] of [
      [1, NEWCOMER_RATE],
      [1, PROVEN_RATE],
      [100, PROVEN_RATE],
      [10, NEWCOMER_RATE],
    ] as const) {
      const full = depositFor(rate, { tasks, payment: MILLION })!
      const stake = ((full + MILLION) * 2n) / 3n
      const game = gameOf(tasks, rate, amount(stake - MILLION), 0, 0.3, 0.9)
      expect(bestCheat(game).value).toBeGreaterThan(expectedValue(game, { kind: 'honest' }))
    }
  })

  test('what is at stake is scaled with the payment, and rounded up', () => {
    fc.assert(
      fc.property(windows, fc.integer({ min: PROVEN_RATE, max: PPM }), ({ tasks, guess }, rate) => {
        const large = depositFor(rate, { tasks, payment: MILLION, guess })!
        const small = depositFor(rate, { tasks, payment: amount(1000n), guess })!
        expect(small * 1000n).toBeGreaterThanOrEqual(large)
        expect(small * 1000n - large).toBeLessThanOrEqual(1000n)
      }),
    )
  })

  test('who puts up less is tested more, and with nothing at stake nobody is taken', () => {
    const terms = { tasks: 10, payment: MILLION }
    const standard = depositFor(PROVEN_RATE, terms)!
    const proven = { ...NEW_RECORD, verified: 5000 }
    expect(autoRate(proven, standard, terms)).toBe(PROVEN_RATE)
    const less = autoRate(proven, amount(standard / 4n), terms)!
    expect(less).toBeGreaterThan(3 * PROVEN_RATE)
    expect(depositFor(less, terms)).toBeLessThanOrEqual(standard / 4n)
    expect(autoRate(proven, amount(0n), terms)).toBeUndefined()
    expect(autoRate(NEW_RECORD, standard, { ...terms, guess: PPM })).toBeUndefined()
  })
})

describe('policy sample', () => {
  test('0.49 % of 12,000 tasks', () => {
    expect(sampleRate(50_000, 950_000, 12_000)).toBe(4917)
    expect(() => sampleRate(50_000, PPM, 100)).toThrow('certainty')
  })

  test('as many tests as the formula says, or all tasks', () => {
    const ppm = (min: number, max: number) => fc.integer({ min, max })
    fc.assert(
      fc.property(ppm(1000, PPM), ppm(0, 999_000), ppm(1, 1e5), ppm(0, 950_000), (share, probability, tasks, guess) => {
        const exact = testsToDetect(probability / PPM, share / PPM, guess / PPM)
        const expected = Math.min(exact, tasks)
        const tests = (sampleRate(share, probability, tasks, guess) * tasks) / PPM
        expect(tests).toBeGreaterThanOrEqual(expected - 1e-6)
        expect(tests).toBeLessThan(expected + 1 + tasks / PPM) // one more where a rounding decides
      }),
    )
  })
})
