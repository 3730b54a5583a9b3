import { expect, test } from 'vitest'
import { ChoraleError } from '../../../../src/core/errors.ts'
import { FEE_PPM } from '../../../../src/market/ledger/state/book/book.ts'
import { slotAt, slotStartMs } from '../../../../src/market/offers/price-slot.ts'
import { paymentFor, withoutFee } from '../../../../src/market/offers/work.ts'
import {
  capFault,
  capFor,
  maxPriceFor,
  slotsFor,
  taskWorkMi,
  windowFor,
} from '../../../../src/market/trading/buy-terms.ts'

const NOW_MS = 1_700_000_000_000
const HOUR_MS = 3_600_000

test('at the price that is bid all copies cost no more than the cap, in however many parts', () => {
  for (const maxCost of [40n, 100n, 999n, 2000n, 123_456n, 10n ** 12n]) {
    for (const size of [
      { tasks: 1, replicas: 1, taskWorkMi: 1 },
      { tasks: 16, replicas: 1, taskWorkMi: 10_000 },
      { tasks: 1000, replicas: 3, taskWorkMi: 777_777 },
    ]) {
      const maxPrice = maxPriceFor(maxCost, size)
      if (maxPrice === 0n) continue
      const price = withoutFee(maxPrice, FEE_PPM)
      const copies = size.tasks * size.replicas
      const parts = Math.min(copies, 16)
      let sum = 0n
      for (let i = 0; i < parts; i++) {
        const share = Math.floor(((i + 1) * copies) / parts) - Math.floor((i * copies) / parts)
        const { cost } = paymentFor(price, BigInt(share * size.taskWorkMi), FEE_PPM)
        sum += cost
      }
      expect(sum).toBeLessThanOrEqual(maxCost)
    }
  }
})

test('a cap that is made for a cost lets suppliers have it', () => {
  for (const price of [1n, 10n, 5000n, 10n ** 7n]) {
    for (const size of [
      { tasks: 1, replicas: 1, taskWorkMi: 1 },
      { tasks: 16, replicas: 2, taskWorkMi: 10_000 },
    ]) {
      const work = BigInt(size.tasks * size.replicas * size.taskWorkMi)
      const cap = capFor(paymentFor(price, work, FEE_PPM).cost, size)
      expect(withoutFee(maxPriceFor(cap, size), FEE_PPM)).toBeGreaterThanOrEqual(price)
    }
  }
})

test('work of a task has a quarter more than it took here', () => {
  expect(taskWorkMi(8000, 1000)).toBe(10_000)
  expect(taskWorkMi(0, 1000)).toBe(1)
  expect(() => taskWorkMi(1e9, 5000)).toThrow(ChoraleError)
})

test('when a job may run: now, in a slot with a name, in the cheapest', () => {
  const present = slotAt(NOW_MS) // 18-24
  expect(slotsFor('now', NOW_MS)).toEqual([present])
  expect(slotsFor('18-24', NOW_MS)).toEqual([present])
  expect(slotsFor('06-12', NOW_MS)).toEqual([present + 2])
  expect(slotsFor('cheapest', NOW_MS)).toHaveLength(8)
  const at = (when: 'now' | '06-12', slot: number, deadlineMs?: number) => windowFor({ when, slot, deadlineMs }, NOW_MS)
  expect(at('now', present)).toEqual({ fromMs: NOW_MS, untilMs: NOW_MS + HOUR_MS })
  const startMs = slotStartMs(present + 2)
  expect(at('06-12', present + 2)).toEqual({ fromMs: startMs, untilMs: startMs + HOUR_MS })
  expect(() => at('06-12', present + 2, startMs + 60_000)).toThrow('at least 2 minutes')
  expect(at('now', present, NOW_MS + 110_000).untilMs).toBe(NOW_MS + 110_000)
  const lateMs = slotStartMs(present + 1) - 10 * 60_000
  expect(slotsFor('cheapest', lateMs)[0], 'one with ten minutes left is none').toBe(present + 1)
  expect(slotsFor('now', lateMs)).toEqual([present])
  expect(() => at('now', present, NOW_MS + 40 * 24 * HOUR_MS)).toThrow('31 days')
})

test('why a cap is refused is told with numbers', () => {
  const costs = { low: 1000n, likely: 1500n, high: 2500n }
  expect(capFault(999n, costs, { has: 5000n, bond: 0n })).toBe(
    'a cap of 0.999 credits is too low: the job costs at least 1, likely 1.5 and at most 2.5 credits',
  )
  expect(capFault(2500n, costs, { has: 3500n, bond: 1100n })).toContain('the account has 3.5 credits')
  expect(capFault(2500n, costs, { has: 3600n, bond: 1100n })).toBeUndefined()
})
