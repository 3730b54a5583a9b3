import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  accuserBond,
  allFail,
  customerBond,
  depositRatio,
  detection,
  detectionOf,
  deterrentRate,
  passing,
  replicasNeeded,
  supplierUtility,
  testsToDetect,
} from '../../../../src/market/verification/formulas.ts'

const share = (max = 1) => fc.double({ min: 0, max, noNaN: true })

describe('replicas', () => {
  test.each([
    [0.9, 0.1, 1],
    [0.99, 0.1, 2],
    [0.999, 0.1, 3],
    [0.99, 0.5, 7],
    [0, 0.5, 1],
    [0.999, 0, 1],
  ])('for success %d where one fails with %d: %i', (success, failure, replicas) => {
    expect(replicasNeeded(success, { failure })).toBe(replicas)
  })

  test('are as few as do, and none do against what hits all at once', () => {
    const failures = fc.record({ failure: share(0.95), common: share() })
    fc.assert(
      fc.property(share(0.9999), failures, (success, given) => {
        const replicas = replicasNeeded(success, given)
        if (replicas === undefined) {
          expect(given.failure * given.common).toBeGreaterThanOrEqual((1 - success) * (1 - 1e-9))
          return
        }
        expect(allFail(given, replicas)).toBeLessThanOrEqual((1 - success) * (1 + 1e-9))
        if (replicas > 1) expect(allFail(given, replicas - 1)).toBeGreaterThan((1 - success) * (1 - 1e-9))
      }),
    )
    expect(replicasNeeded(0.99, { failure: 0.1, common: 0.1 })).toBeUndefined()
    expect(replicasNeeded(0.9, { failure: 1 })).toBeUndefined()
    expect(() => replicasNeeded(1, { failure: 0.1 })).toThrow('certainty')
  })

  test('one host fails as often as it fails, whatever is common', () => {
    fc.assert(
      fc.property(share(0.99), share(), (failure, common) => {
        expect(allFail({ failure, common }, 1)).toBeCloseTo(failure, 12)
      }),
    )
  })
})

/** All ways to test n of m tasks of which the first j are skipped, each pass worth g. */
function detectedByEnumeration(tasks: number, skipped: number, tests: number, guess: number): number {
  let sets = 0
  let passed = 0
  for (let mask = 0; mask < 2 ** tasks; mask++) {
    const drawn = Array.from({ length: tasks }, (_, i) => (mask >> i) & 1)
    if (drawn.reduce((sum, bit) => sum + bit, 0) !== tests) continue
    sets++
    const hits = drawn.slice(0, skipped).reduce((sum, bit) => sum + bit, 0)
    passed += hits === 0 ? 1 : guess ** hits
  }
  return 1 - passed / sets
}

describe('tests', () => {
  test('59 find 5 % with 95 %, 0.49 % of 12,000 tasks', () => {
    expect(testsToDetect(0.95, 0.05)).toBe(59)
    expect(59 / 12_000).toBeLessThan(0.005)
    expect(detectionOf({ tasks: 12_000, tests: 59 }, 600)).toBeGreaterThan(0.95)
    expect(detectionOf({ tasks: 12_000, tests: 58 }, 600)).toBeLessThan(0.95)
  })

  test('as few as do', () => {
    const guess = fc.double({ min: 0, max: 0.95, noNaN: true })
    fc.assert(
      fc.property(share(0.9999), fc.double({ min: 0.001, max: 1, noNaN: true }), guess, (probability, x, g) => {
        const tests = testsToDetect(probability, x, g)
        expect(detection(tests, x, g)).toBeGreaterThanOrEqual(probability - 1e-9)
        if (tests > 0) expect(detection(tests - 1, x, g)).toBeLessThan(probability + 1e-9)
      }),
    )
    expect(testsToDetect(0.5, 0)).toBe(Number.POSITIVE_INFINITY)
    expect(testsToDetect(0.5, 1)).toBe(1)
  })

  test('without putting back: as by going through all draws', () => {
    const window = fc.integer({ min: 1, max: 9 }).chain((tasks) =>
      fc.record({
        tasks: fc.constant(tasks),
        skipped: fc.integer({ min: 0, max: tasks }),
        tests: fc.integer({ min: 0, max: tasks }),
        guess: fc.constantFrom(0, 0.3, 1),
      }),
    )
    fc.assert(
      fc.property(window, ({ tasks, skipped, tests, guess }) => {
        const exact = detectedByEnumeration(tasks, skipped, tests, guess)
        expect(detectionOf({ tasks, tests }, skipped, guess)).toBeCloseTo(exact, 10)
      }),
    )
    const half = detectionOf({ tasks: 4, tests: 1.5 }, 2)
    expect(half).toBeCloseTo((detectedByEnumeration(4, 2, 1, 0) + detectedByEnumeration(4, 2, 2, 0)) / 2, 12)
  })

  test('pass by a guess or by a friend', () => {
    expect([passing(0, 0), passing(0.9, 0), passing(0, 0.3)]).toEqual([0, 0.9, 0.3])
    expect(passing(0.5, 0.3)).toBeCloseTo(0.65, 12)
  })
})

describe('stakes', () => {
  const stakes = fc.record({
    payment: fc.double({ min: 0.1, max: 100, noNaN: true }),
    deposit: fc.double({ min: 0, max: 1000, noNaN: true }),
    cost: fc.double({ min: 0, max: 100, noNaN: true }),
  })
  const tests = fc.integer({ min: 1, max: 60 })

  test('nothing in between is better than all or nothing', () => {
    fc.assert(
      fc.property(stakes, tests, share(), share(), (given, n, guess, processed) => {
        const ends = [0, 1].map((each) => supplierUtility(each, n, given, guess))
        expect(supplierUtility(processed, n, given, guess)).toBeLessThanOrEqual(Math.max(...ends) + 1e-9)
      }),
    )
  })

  test('the deposit at which honest work is as good', () => {
    fc.assert(
      fc.property(share(), tests, share(0.99), (e, n, guess) => {
        const ratio = depositRatio(e, n, guess)
        const at = (deposit: number, processed: number) =>
          supplierUtility(processed, n, { payment: 1, deposit, cost: e }, guess)
        expect(at(ratio, 1)).toBeGreaterThanOrEqual(at(ratio, 0) - 1e-9)
        const less = ratio * 0.99 - 1e-6
        if (ratio > 1e-3) expect(at(less, 1)).toBeLessThan(at(less, 0))
      }),
    )
  })

  test('the published rho = m/n is neither necessary nor enough', () => {
    // 100 tasks of price 1; the published deposit is m/n prices for each task of a window: (m/n) A / m in all.
    const published = { tasks: 100, tests: 20, deposit: 100 / 20 }
    const at = (processed: number, guess: number, deposit: number) =>
      supplierUtility(processed, published.tests, { payment: 100, deposit, cost: 95 }, guess)
    expect(at(1, 0, 0)).toBeGreaterThan(at(0, 0, 0)) // without any deposit
    expect(at(1, 0.99, published.deposit)).toBeLessThan(at(0, 0.99, published.deposit)) // in spite of it
  })

  test('rates: 5 % at 19, 1 % at 99, for work that costs as much as it is paid', () => {
    expect(deterrentRate(1, 19)).toBeCloseTo(0.05, 12)
    expect(deterrentRate(1, 99)).toBeCloseTo(0.01, 12)
    expect(deterrentRate(0.9, 9, 0.5)).toBeCloseTo(0.18, 12)
    fc.assert(
      fc.property(share(), fc.double({ min: 0, max: 500, noNaN: true }), share(0.9), (e, delta, guess) => {
        const rate = deterrentRate(e, delta, guess)
        const gain = e - rate * (1 - guess) * (1 + delta)
        expect(gain).toBeCloseTo(0, 9)
      }),
    )
  })

  test('bonds', () => {
    expect(customerBond(59, 2, 0.5)).toBe(236)
    expect(() => customerBond(1, 1, 0)).toThrow('never caught')
    const bond = accuserBond(100, 0.2)
    expect(0.2 * 100 - 0.8 * bond).toBeCloseTo(0, 12)
  })
})
