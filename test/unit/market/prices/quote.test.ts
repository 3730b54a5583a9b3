import fc from 'fast-check'
import { expect, test } from 'vitest'
import { MAX_AMOUNT } from '../../../../src/market/ledger/state/amount.ts'
import { CORE_HOUR_MI, worth } from '../../../../src/market/offers/work.ts'
import type { Forecast } from '../../../../src/market/prices/forecast.ts'
import { attemptsFor, quote, type Wish } from '../../../../src/market/prices/quote.ts'

const forecast: Forecast = {
  slot: 4001,
  resource: 'process',
  low: 900n,
  likely: 1200n,
  high: 1500n,
  slots: 112,
  errors: 56,
  supplyMi: 50 * CORE_HOUR_MI,
  demandMi: 40 * CORE_HOUR_MI,
}
const wish: Wish = { tasks: 600, taskWorkMi: 60_000, replicas: 1, failure: 0, success: 0.999, feePpm: 0 }

test.each([
  [0.99, 0.1, 0, 2],
  [0.999, 0.1, 0, 3], // 3 exactly, but for the last bits
  [0.999, 0.05, 0, 3],
  [0.99999, 0.5, 0, 17],
  [0.5, 0.1, 0, 1],
  [0.999, 0, 0, 1],
  // Those that strike all at once: with b p >= 1-P nothing helps.
  [0.99, 0.1, 0.1, undefined],
  [0.99, 0.1, 0.05, 3],
  [0.9, 0.05, 1, 1],
])('P = %d, p = %d, common share %d: %s attempts', (success, failure, commonShare, attempts) => {
  expect(attemptsFor(success, failure, commonShare)).toBe(attempts)
})

test('as many attempts as are told reach the probability, and one less does not', () => {
  const probability = fc.double({ min: 0.001, max: 0.999, noNaN: true })
  fc.assert(
    fc.property(probability, probability, (success, failure) => {
      const attempts = attemptsFor(success, failure)!
      expect(failure ** attempts).toBeLessThanOrEqual((1 - success) * (1 + 1e-6))
      if (attempts > 1) expect(failure ** (attempts - 1)).toBeGreaterThan((1 - success) * (1 - 1e-6))
    }),
  )
  expect(() => attemptsFor(1, 0.1)).toThrow('probabilities')
  expect(() => attemptsFor(0.9, Number.NaN)).toThrow('probabilities')
})

test('tasks x time x price, and why', () => {
  // 600 minutes of a core: 10 core-hours.
  const told = quote(wish, forecast)
  expect(told).toMatchObject({ low: 9000n, likely: 12_000n, high: 15_000n, attempts: 1, cheaper: undefined })
  expect(told.reasons).toEqual([
    '600 tasks of 60 s on a core of 1000 MIPS: 10 core-hours',
    '1.2 credits for a core-hour (0.9 to 1.5, in 8 of 10 cases) from 06-12 UTC, by 112 slots of trades',
    'more is offered than wanted (40 core-hours wanted, 50 offered)',
  ])
})

test('replicas, the fee, attempts and scarcity are told and counted', () => {
  const scarce = { ...forecast, demandMi: 60 * CORE_HOUR_MI, errors: 0 }
  const told = quote({ ...wish, replicas: 2, failure: 0.2, feePpm: 10_000 }, scarce)
  expect(told).toMatchObject({ low: 18_180n, likely: 30_300n, attempts: 5 })
  // 1.25 attempts on average; of 1,200 copies hardly ever more than 1.25 (1 + 2 sqrt(0.2 / 1200)) = 1.2823.
  expect(Number(told.high)).toBeCloseTo(1500 * 20 * 1.01 * 1.28227, -1)
  expect(told.reasons).toEqual([
    '600 tasks of 60 s on a core of 1000 MIPS, each on 2 hosts: 20 core-hours',
    '1.2 credits for a core-hour (0.9 to 1.5, a guess) from 06-12 UTC, by 112 slots of trades, and a fee of 1 %',
    '20 % of attempts are lost: 1.25 attempts on average, at most 5 for a task to be done with 99.9 %',
    'more is wanted than offered, so it may wait (60 core-hours wanted, 50 offered)',
  ])
})

test('a slot that costs less is named, when it is worth waiting for', () => {
  const night = { ...forecast, slot: 4008, likely: 900n }
  const late = { ...forecast, slot: 4003, likely: 1150n }
  expect(quote(wish, forecast, [late]).cheaper).toBeUndefined()
  const told = quote(wish, forecast, [late, night])
  expect(told.cheaper).toEqual({ slot: 4008, likely: 9000n })
  expect(told.reasons.at(-1)).toBe('from 00-06 UTC 2 days later it would likely cost 9 credits, 25 % less')
})

test('low is never above likely, nor likely above high, and none beyond what there can be', () => {
  const wishes = fc.record({
    tasks: fc.integer({ min: 1, max: 2 ** 22 }),
    taskWorkMi: fc.integer({ min: 1, max: 3_600_000_000 }),
    replicas: fc.integer({ min: 1, max: 16 }),
    failure: fc.double({ min: 0, max: 0.95, noNaN: true }),
    success: fc.double({ min: 0, max: 0.9999, noNaN: true }),
    feePpm: fc.integer({ min: 0, max: 200_000 }),
  })
  fc.assert(
    fc.property(wishes, fc.bigInt({ min: 1n, max: 10n ** 12n }), (one, price) => {
      const told = quote(one, { ...forecast, low: price, likely: price, high: price })
      expect(told.low <= told.likely && told.likely <= told.high && told.high <= MAX_AMOUNT).toBe(true)
      const once = worth(price, BigInt(one.tasks) * BigInt(one.taskWorkMi) * BigInt(one.replicas)) ?? MAX_AMOUNT
      expect(told.low).toBeGreaterThanOrEqual(once)
    }),
  )
})
