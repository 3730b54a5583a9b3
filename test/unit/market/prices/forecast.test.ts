import { expect, test } from 'vitest'
import { hashKey } from '../../../../src/core/ids.ts'
import { MAX_OFFER_LIFE_MS } from '../../../../src/core/limits.ts'
import { seededRandom } from '../../../../src/core/random.ts'
import { clearRound } from '../../../../src/market/auction/round.ts'
import { amount } from '../../../../src/market/ledger/state/amount.ts'
import { SLOT_MS } from '../../../../src/market/offers/price-slot.ts'
import { CORE_HOUR_MI } from '../../../../src/market/offers/work.ts'
import { forecast } from '../../../../src/market/prices/forecast.ts'
import { HISTORY_SLOTS, type History, type SlotRecord, withRound } from '../../../../src/market/prices/history.ts'
import { buyEntry, sellEntry } from '../auction/small-books.ts'

const HOUR_MI = BigInt(CORE_HOUR_MI)
const record = (slot: number, price: number, over: Partial<SlotRecord> = {}): SlotRecord => ({
  slot,
  resource: 'process',
  workMi: HOUR_MI,
  value: HOUR_MI * BigInt(Math.round(price)),
  unsoldMi: HOUR_MI,
  unservedMi: 0n,
  ...over,
})
const series = (slots: number, priceIn: (slot: number) => number): History =>
  Array.from({ length: slots }, (_, slot) => record(slot, priceIn(slot)))

test('of no trades there is no forecast', () => {
  expect(forecast([], 'process', 5)).toBeUndefined()
  expect(forecast([record(4, 1, { workMi: 0n, value: 0n })], 'process', 5)).toBeUndefined()
  expect(
    forecast(
      series(10, () => 1000),
      'os',
      11,
    ),
  ).toBeUndefined()
})

test('what never changes is forecast without a spread; after few slots the spread is a guess', () => {
  const told = forecast(
    series(40, () => 1000),
    'process',
    40,
  )!
  expect(told).toMatchObject({ low: 1000n, likely: 1000n, high: 1000n, slots: 40, supplyMi: 2 * CORE_HOUR_MI })
  expect(
    forecast(
      series(5, () => 1000),
      'process',
      5,
    ),
  ).toMatchObject({ low: 500n, high: 2000n, errors: 0 })
})

test('the slot of the day counts, and a new level is followed', () => {
  const season = [0.8, 1, 1.25, 1]
  const daily = series(80, (slot) => 1000 * season[slot % 4]!)
  expect([80, 81, 82, 83].map((slot) => forecast(daily, 'process', slot)!.likely)).toEqual([800n, 1000n, 1250n, 1000n])
  const risen = series(80, (slot) => (slot < 60 ? 1000 : 2000))
  expect(Number(forecast(risen, 'process', 80)!.likely)).toBeGreaterThan(1950)
})

test('eight of ten prices of a market with noise lie in the interval, one slot and eight ahead', () => {
  const random = seededRandom('prices')
  const season = [0.7, 1.1, 1.4, 0.9]
  const noise = Array.from({ length: 500 }, () => random.next() + random.next() + random.next() - 1.5)
  const all = series(500, (slot) => 10_000 * season[slot % 4]! * Math.exp(0.3 * noise[slot]!))
  for (const ahead of [1, 8]) {
    let within = 0
    for (let slot = 112; slot < 500; slot++) {
      const told = forecast(all.slice(slot - 112, slot - ahead + 1), 'process', slot)!
      const price = all[slot]!.value / HOUR_MI
      if (told.low <= price && price <= told.high) within++
    }
    expect(within / 388, `${ahead} ahead`).toBeGreaterThan(0.73)
    expect(within / 388, `${ahead} ahead`).toBeLessThan(0.87)
  }
})

test('rounds of a slot add up, by the level that was asked for, and four weeks are kept', () => {
  const start = 1000 * SLOT_MS
  const window = { fromMs: start, untilMs: start + SLOT_MS }
  const host = sellEntry(
    {
      ...{ kind: 'sell', host: hashKey('host'), coresMilli: 1000, speedMips: 1000, memoryBytes: 8, storeBytes: 0 },
      ...{ level: 'os', minPrice: amount(100n), ...window },
    },
    { account: hashKey('seller'), sequence: 0 },
  )
  const job = (level: 'process' | 'os', hours: number, sequence: number) =>
    buyEntry(
      {
        ...{
          kind: 'buy',
          job: hashKey('job'),
          tasks: hours,
          taskWorkMi: CORE_HOUR_MI,
          memoryBytes: 1,
          replicas: 1,
          level,
        },
        ...{
          maxPrice: amount(200n),
          deadlineMs: window.untilMs,
          minServiceMs: 60_000,
          soonMs: MAX_OFFER_LIFE_MS,
          rate: 'auto' as const,
          ...window,
        },
      },
      { account: hashKey(`buyer ${sequence}`), sequence },
    )
  const round = { ...window, feePpm: 0 }
  const first = clearRound({ sells: [host], buys: [job('os', 1, 1)] }, round)
  const second = clearRound({ sells: first.rest.sells, buys: [job('os', 2, 2), job('process', 9, 3)] }, round)
  const history = withRound(withRound([record(1000 - HISTORY_SLOTS, 5), record(999, 7)], 1000, first), 1000, second)
  expect(history.map(({ slot, resource }) => [slot, resource])).toEqual([
    [999, 'process'],
    [1000, 'process'],
    [1000, 'os'],
  ])
  expect(history.slice(1).map(({ workMi, unsoldMi, unservedMi }) => [workMi, unsoldMi, unservedMi])).toEqual([
    [3n * HOUR_MI, 0n, 6n * HOUR_MI],
    [3n * HOUR_MI, 0n, 0n],
  ])
  expect(history[2]!.value).toBe(HOUR_MI * (first.price! + 2n * second.price!))
})
