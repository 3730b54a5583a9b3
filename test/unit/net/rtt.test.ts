import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { DEFAULT_RTT, RttEstimator } from '../../../src/net/rtt.ts'

const settings = { minMs: 50, maxMs: 4000, initialMs: 750, marginMs: 10 }

describe('round-trip estimator', () => {
  it('gives an unknown peer the initial deadline', () => {
    const rtt = new RttEstimator(settings)
    expect(rtt.smoothed()).toBeUndefined()
    expect(rtt.timeoutMs()).toBe(750)
  })

  it('begins with the first sample: srtt = R, rttvar = R / 2 (RFC 6298, 2.2)', () => {
    const rtt = new RttEstimator(settings)
    rtt.sample(100)
    expect(rtt.smoothed()).toBe(100)
    expect(rtt.timeoutMs()).toBe(100 + 4 * 50 + 10)
  })

  it('smooths with 1/8 and 1/4 (RFC 6298, 2.3)', () => {
    const rtt = new RttEstimator(settings)
    rtt.sample(100)
    rtt.sample(180)
    expect(rtt.smoothed()).toBe(110)
    expect(rtt.timeoutMs()).toBe(110 + 4 * (50 + (80 - 50) / 4) + 10)
  })

  it('comes down to the minimum on a fast network, so that a dead neighbour is found soon', () => {
    const rtt = new RttEstimator(DEFAULT_RTT)
    for (let i = 0; i < 10; i++) rtt.sample(0.2)
    expect(rtt.timeoutMs()).toBe(DEFAULT_RTT.minMs)
    expect(DEFAULT_RTT.minMs).toBeLessThanOrEqual(200)
  })

  it('doubles with every time-out in a row, up to the maximum, and forgets with the next answer', () => {
    const rtt = new RttEstimator(settings)
    for (let i = 0; i < 40; i++) rtt.sample(20)
    const waits = Array.from({ length: 9 }, () => {
      rtt.timedOut()
      return rtt.timeoutMs()
    })
    expect(waits).toEqual([100, 200, 400, 800, 1600, 3200, 4000, 4000, 4000])
    rtt.sample(20)
    expect(rtt.timeoutMs()).toBe(50)
  })

  it('keeps its bounds whatever happens, clocks that go backwards included', () => {
    const events = fc.array(fc.oneof(fc.constant('timeout'), fc.double({ min: -1e4, max: 1e6, noNaN: true })))
    fc.assert(
      fc.property(events, (list) => {
        const rtt = new RttEstimator(settings)
        for (const event of list) {
          if (typeof event === 'string') rtt.timedOut()
          else rtt.sample(event)
          expect(rtt.timeoutMs()).toBeGreaterThanOrEqual(settings.minMs)
          expect(rtt.timeoutMs()).toBeLessThanOrEqual(settings.maxMs)
          expect(rtt.smoothed() ?? 0).toBeGreaterThanOrEqual(0)
        }
      }),
    )
  })
})
