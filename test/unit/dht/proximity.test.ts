import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { bestWay, chooseLong, nearest } from '../../../src/dht/proximity.ts'

const known = fc.option(fc.integer({ min: 0, max: 500 }), { nil: undefined })

describe('the nearest of several', () => {
  test.each([
    ['nobody', [], undefined, undefined],
    ['of whom nothing is known', [undefined, undefined], undefined, undefined],
    ['the least', [30, undefined, 10, 20], undefined, 2],
    ['the first of equals', [10, 10], undefined, 0],
    ['none that is much nearer', [95, 90], 100, undefined],
    ['one that is', [95, 89], 100, 1],
    ['no number', [Number.NaN], undefined, undefined],
  ] as const)('%s', (_, latencies, than, expected) => {
    const candidates = latencies.map((_, i) => i)
    expect(nearest(candidates, (i) => latencies[i], than)).toBe(expected)
  })
})

describe('long peers', () => {
  test('are the nearest, and no more than the cap; what is unknown comes last, in the order given', () => {
    fc.assert(
      fc.property(fc.array(known, { maxLength: 30 }), fc.nat({ max: 35 }), (latencies, cap) => {
        const candidates = latencies.map((_, i) => i)
        const chosen = chooseLong(candidates, (i) => latencies[i], cap)
        expect(chosen.length).toBe(Math.min(cap, candidates.length))
        expect(new Set(chosen).size).toBe(chosen.length)
        const ms = (i: number) => latencies[i] ?? Number.POSITIVE_INFINITY
        const left = candidates.filter((i) => !chosen.includes(i))
        for (const out of left) for (const inside of chosen) expect(ms(inside)).toBeLessThanOrEqual(ms(out))
        for (let i = 1; i < chosen.length; i++) {
          const [before, after] = [chosen[i - 1]!, chosen[i]!]
          expect(ms(before) < ms(after) || (ms(before) === ms(after) && before < after)).toBe(true)
        }
      }),
    )
  })

  test('with nothing known at all they are the first candidates', () => {
    expect(chooseLong(['c', 'a', 'b'], () => undefined, 2)).toEqual(['c', 'a'])
  })
})

describe('the best way', () => {
  test('where latencies are alike it is the way that leaves least', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat({ max: 5000 }), { minLength: 1 }), fc.nat({ max: 300 }), (lefts, ms) => {
        const ways = lefts.map((left) => ({ to: left, ms, left }))
        expect(bestWay(ways, ms)).toBe(Math.min(...lefts))
        expect(
          bestWay(
            ways.map(({ to, left }) => ({ to, ms: undefined, left })),
            ms,
          ),
        ).toBe(Math.min(...lefts))
      }),
    )
  })

  test.each([
    // A step of the same length that is much shorter in time is worth it, for what half a hop costs.
    ['near and nearly as far on', { ms: 150, left: 100 }, { ms: 10, left: 150 }, 100, 'b'],
    ['near, but hardly on', { ms: 150, left: 10 }, { ms: 100, left: 500 }, 100, 'a'],
    ['far, but there', { ms: 200, left: 0 }, { ms: 20, left: 200 }, 100, 'a'],
    ['unknown is usual', { ms: 180, left: 50 }, { ms: undefined, left: 50 }, 100, 'b'],
    ['on a fast network hops count more than their times', { ms: 0.9, left: 100 }, { ms: 0.1, left: 200 }, 0.5, 'a'],
  ] as const)('%s', (_, a, b, usualMs, expected) => {
    expect(
      bestWay(
        [
          { to: 'a', ...a },
          { to: 'b', ...b },
        ],
        usualMs,
      ),
    ).toBe(expected)
  })

  test('no ways, none', () => {
    expect(bestWay([], 100)).toBeUndefined()
  })
})
