import fc from 'fast-check'
import { expect, test } from 'vitest'
import { hashKey } from '../../../../src/core/ids.ts'
import { MAX_AMOUNT } from '../../../../src/market/ledger/state/amount.ts'
import {
  boardKey,
  SLOT_MS,
  shardOf,
  slotAt,
  slotName,
  slotOfDay,
  slotStartMs,
  slotsOf,
} from '../../../../src/market/offers/price-slot.ts'
import { CORE_HOUR_MI, paymentFor, withoutFee, worth } from '../../../../src/market/offers/work.ts'

const prices = fc.bigInt({ min: 1n, max: 10n ** 12n })
const works = fc.bigInt({ min: 1n, max: 10n ** 10n })
const fees = fc.integer({ min: 0, max: 500_000 })

test('a core-hour of reference speed costs its price, and a fee of 1 % is a hundredth of it', () => {
  expect(CORE_HOUR_MI * 1e6).toBe(3.6e12)
  expect(paymentFor(1500n, BigInt(CORE_HOUR_MI), 10_000)).toEqual({ cost: 1515n, wage: 1500n, fee: 15n })
  expect(paymentFor(1500n, 1n, 10_000)).toEqual({ cost: 1n, wage: 1n, fee: 0n })
  expect(worth(10n ** 12n, 10n ** 18n)).toBeUndefined()
  expect(worth(MAX_AMOUNT, BigInt(CORE_HOUR_MI))).toBe(MAX_AMOUNT)
})

test('payments are balanced, never below the price, and less than a millicredit above price and fee', () => {
  fc.assert(
    fc.property(prices, works, fees, (price, work, feePpm) => {
      const { cost, wage, fee } = paymentFor(price, work, feePpm)
      expect(cost).toBe(wage + fee)
      expect(fee).toBeGreaterThanOrEqual(0n)
      const hours = BigInt(CORE_HOUR_MI)
      expect(wage * hours - price * work).toBeGreaterThanOrEqual(0n)
      const exact = price * work * BigInt(1_000_000 + feePpm)
      expect(cost * hours * 1_000_000n - exact).toBeGreaterThanOrEqual(0n)
      expect(cost * hours * 1_000_000n - exact).toBeLessThan(hours * 1_000_000n)
    }),
  )
})

test('at the highest price without the fee a buyer pays no more than its maximum; a millicredit higher it would', () => {
  fc.assert(
    fc.property(prices, works, fees, (most, work, feePpm) => {
      const price = withoutFee(most, feePpm)
      expect(paymentFor(price, work, feePpm).cost).toBeLessThanOrEqual(worth(most, work)!)
      expect((price + 1n) * BigInt(1_000_000 + feePpm)).toBeGreaterThan(most * 1_000_000n)
    }),
  )
})

test('four slots a day in UTC, and a window touches each that it has a part of', () => {
  const midnight = Date.UTC(2026, 10, 22)
  const slot = slotAt(midnight)
  expect(slotStartMs(slot)).toBe(midnight)
  expect([0, 1, 2, 3, 4].map((i) => slotOfDay(slot + i))).toEqual([0, 1, 2, 3, 0])
  expect([0, 1, 2, 3].map(slotName)).toEqual(['00-06', '06-12', '12-18', '18-24'])
  expect(slotAt(midnight - 1)).toBe(slot - 1)
  expect(slotsOf({ fromMs: midnight - 1, untilMs: midnight + SLOT_MS })).toEqual([slot - 1, slot])
  expect(slotsOf({ fromMs: midnight, untilMs: midnight + 1 })).toEqual([slot])
})

test('keys of the board differ by slot and shard, and offers spread evenly over shards', () => {
  const keys = [0, 1, 2].flatMap((slot) => [0, 1, 2].map((shard) => boardKey(slot, shard)))
  expect(new Set(keys).size).toBe(9)
  expect(boardKey(1, 2)).toBe(keys[5])
  expect(() => boardKey(-1, 0)).toThrow('price slot')
  expect(() => boardKey(0, 1024)).toThrow('shard')
  const counts = [0, 0, 0, 0]
  for (let i = 0; i < 4000; i++) counts[shardOf(hashKey(`offer ${i}`), 4)]!++
  for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(120) // four standard deviations
})
