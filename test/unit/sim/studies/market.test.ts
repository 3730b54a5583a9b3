import fc from 'fast-check'
import { expect, test } from 'vitest'
import { mostWelfare } from '../../../../sim/market/optimum.ts'
import { offersOf } from '../../../../sim/market/traders.ts'
import { gains } from '../../../../sim/studies/market/gains.ts'
import { roundOf, tradeAt, welfareOf, withOffers } from '../../../../sim/studies/market/trade.ts'
import { year } from '../../../../sim/studies/market/year.ts'
import { study } from '../../../../sim/studies/market.ts'
import { checkReport } from '../../../../sim/studies/runner/rows.ts'
import { hashKey } from '../../../../src/core/ids.ts'
import { seededRandom } from '../../../../src/core/random.ts'
import type { BuyEntry, Entries, SellEntry } from '../../../../src/market/auction/entries.ts'
import { clearRound } from '../../../../src/market/auction/round.ts'
import { amount } from '../../../../src/market/ledger/state/amount.ts'
import { CORE_HOUR_MI } from '../../../../src/market/offers/work.ts'
import { buyEntry, rounds, sellEntry, smallBooks, T0 } from '../../market/auction/small-books.ts'

const HOUR_MS = 3_600_000
const hour = { fromMs: T0, untilMs: T0 + HOUR_MS }

/** Each host can do one task in the hour, and each job has one: an assignment. */
const assignments: fc.Arbitrary<Entries> = fc
  .tuple(
    fc.array(fc.tuple(fc.integer({ min: 1, max: 30 }), fc.boolean(), fc.integer({ min: 1, max: 4 })), { maxLength: 5 }),
    fc.array(fc.tuple(fc.integer({ min: 1, max: 40 }), fc.boolean(), fc.integer({ min: 1, max: 4 })), { maxLength: 5 }),
  )
  .map(([sells, buys]) => ({
    sells: sells.map(([price, isOs, memoryBytes], i) =>
      sellEntry(
        {
          ...{ kind: 'sell', host: hashKey('host'), coresMilli: 1000, speedMips: 1000, storeBytes: 0, ...hour },
          ...{ memoryBytes, level: isOs ? 'os' : 'process', minPrice: amount(BigInt(price)) },
        },
        { account: hashKey(`seller ${i}`), sequence: i },
      ),
    ),
    buys: buys.map(([price, isOs, memoryBytes], i) =>
      buyEntry(
        {
          ...{ kind: 'buy', job: hashKey('job'), tasks: 1, taskWorkMi: CORE_HOUR_MI, replicas: 1, ...hour },
          ...{ memoryBytes, level: isOs ? 'os' : 'process', maxPrice: amount(BigInt(price)) },
          ...{ deadlineMs: hour.untilMs, minServiceMs: 60_000, soonMs: 3_600_000, rate: 'auto' as const },
        },
        { account: hashKey(`buyer ${i}`), sequence: 100 + i },
      ),
    ),
  }))

/** By trying every assignment. */
function exactWelfare([first, ...others]: readonly SellEntry[], buys: readonly BuyEntry[]): number {
  if (!first) return 0
  const without = exactWelfare(others, buys)
  return buys.reduce((best, buy) => {
    const able =
      first.terms.memoryBytes >= buy.terms.memoryBytes && (first.terms.level === 'os' || buy.terms.level !== 'os')
    if (!able) return best
    const gain = Number(buy.terms.maxPrice - first.terms.minPrice) * CORE_HOUR_MI
    const rest = buys.filter((other) => other !== buy)
    return Math.max(best, gain + exactWelfare(others, rest))
  }, without)
}

test('where nothing is cut the bound is the best of all assignments, and the auction comes near', () => {
  let reached = 0
  let most = 0
  fc.assert(
    fc.property(assignments, (entries) => {
      const exact = exactWelfare(entries.sells, entries.buys)
      expect(mostWelfare(entries, hour)).toBe(exact)
      const welfare = welfareOf(clearRound(entries, { ...hour, feePpm: 0 }).allocations)
      expect(welfare).toBeLessThanOrEqual(exact)
      reached += welfare
      most += exact
    }),
    { seed: 1, numRuns: 150 },
  )
  expect(reached / most).toBeGreaterThan(0.9)
})

test('no round is better than the bound', () => {
  fc.assert(
    fc.property(smallBooks, rounds, (entries, round) => {
      const { allocations } = clearRound(entries, { ...round, feePpm: 0 })
      expect(welfareOf(allocations)).toBeLessThanOrEqual(mostWelfare(entries, round))
    }),
  )
})

const crowd = { slot: 80_000, sellers: 30, buyers: 30, demand: 1, longestSlots: 2 }
const someEntries = (label: string) =>
  withOffers({ sells: [], buys: [] }, offersOf(crowd, seededRandom(label), label), roundOf(crowd.slot).fromMs, 0)

test('thirty sellers and thirty buyers of all kinds: at least 97 % of the bound, over four books', () => {
  const books = ['a', 'b', 'c', 'd'].map(someEntries)
  const sum = (of: (entries: Entries) => number) => books.reduce((total, entries) => total + of(entries), 0)
  const reached = sum((entries) => welfareOf(clearRound(entries, roundOf(crowd.slot)).allocations))
  expect(reached / sum((entries) => mostWelfare(entries, roundOf(crowd.slot)))).toBeGreaterThan(0.97)
})

test('at a price that was set all trade at it who agree, and the others stay', () => {
  const entries = someEntries('set')
  const price = amount(1200n)
  const { allocations, rest } = tradeAt(price, entries, roundOf(crowd.slot))
  expect(allocations.length).toBeGreaterThan(10)
  for (const { sell, buy, price: paid } of allocations) {
    expect(paid).toBe(price)
    expect(sell.terms.minPrice <= price && price <= buy.terms.maxPrice).toBe(true)
  }
  const dear = entries.sells.filter(({ terms }) => terms.minPrice > price)
  expect(dear.length).toBeGreaterThan(0)
  expect(rest.sells).toEqual(expect.arrayContaining(dear))
  const before = new Map(entries.sells.map(({ id, terms }) => [id, terms]))
  for (const { id, terms } of rest.sells) expect(terms).toBe(before.get(id))
})

test('a small market gains by the auction, balances, and is the same for the same seed', async () => {
  const options = { seed: 1, days: 7, traders: 8, boundEvery: 9 }
  const one = year(options)
  expect(year(options)).toEqual(one)
  expect(BigInt(one.paid)).toBeGreaterThan(0n)
  expect(one.got).toBe(one.paid)
  expect(one.wronged).toBe(0)
  expect(one.reached).toBeLessThanOrEqual(one.bound)
  const { auction, 'random prices': random } = one.markets
  expect(random.welfare / auction.welfare).toBeLessThan(0.9)
  expect(auction.work).toBeLessThan(one.wanted)
  const units = study.units({ seeds: [1], quick: true }).map((unit) => {
    return unit.kind === 'year' ? { ...unit, ...options } : { ...unit, traders: Math.min(unit.traders, 10), tried: 3 }
  })
  const done = []
  for (const unit of units.filter((unit) => unit.kind === 'year' || unit.traders === 10).slice(0, 3)) {
    done.push({ unit, result: await study.run(unit) })
  }
  const report = study.report(done, { seeds: [1], quick: true })
  expect(() => checkReport('market', report)).not.toThrow()
  expect(report.rows.find(({ name }) => name.startsWith('millicredits paid and not received'))).toMatchObject({
    ours: 0,
  })
})

test('with hosts alike false prices gain little, and less where there are more traders', () => {
  const few = gains({ seed: 2, traders: 6, alike: true, tried: 6, bound: true })
  const many = gains({ seed: 2, traders: 40, alike: true, tried: 6, bound: true })
  expect(few.welfare).toBeCloseTo(few.mostWelfare!, -6)
  expect(many.welfare / many.mostWelfare!).toBeGreaterThan(0.999)
  expect(few.largest).toBeGreaterThan(0)
  expect(many.largest).toBeLessThan(few.largest)
  expect(many.meanShare).toBeLessThan(0.01)
})
