import { expect, test } from 'vitest'
import { rectangleIn, without } from '../../../../src/market/auction/fit.ts'
import { coresAt, freeFrom, soldSteps } from '../../../../src/market/trading/taken.ts'

const piece = { fromMs: 0, untilMs: 1_000_000, coresMilli: 4000, memoryBytes: 4 * 2 ** 29 }
const need = { fromMs: 0, untilMs: 1_000_000, minServiceMs: 60_000, taskWorkMi: 10_000, memoryBytes: 2 ** 29 }

test('what was cut out of an offer is what was sold of it, and as much is free as was not', () => {
  const taken = rectangleIn(piece, 1000, need, 16)!
  const left = without(piece, taken)
  const steps = soldSteps([piece], left)
  for (const atMs of [0, 30_000, 59_999, 60_000, 500_000]) {
    expect(coresAt(steps, atMs) + coresAt(left, atMs)).toBe(4000)
  }
  const sold = [{ allocations: [], steps }]
  expect(freeFrom(4, sold, { unknown: 0, nowMs: 1_000 }).cores).toBe(1)
})

test('an offer ends where more of the host is sold, and what is late or not known keeps its cores', () => {
  const sold = [
    { allocations: [], steps: [{ fromMs: 0, untilMs: 100, coresMilli: 1000 }] },
    { allocations: [], steps: [{ fromMs: 500, untilMs: 900, coresMilli: 2000 }] },
  ]
  expect(freeFrom(4, sold, { unknown: 0, nowMs: 50 })).toEqual({ cores: 3, untilMs: 500 })
  expect(freeFrom(4, sold, { unknown: 0, nowMs: 600 })).toEqual({ cores: 1, untilMs: Number.POSITIVE_INFINITY })
  expect(freeFrom(4, sold, { unknown: 2, nowMs: 50 })).toEqual({ cores: 1, untilMs: 500 })
  expect(freeFrom(2, sold, { unknown: 4, nowMs: 50 }).cores).toBe(0)
})
