import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { bestWay, chooseLong, nearest, nearestFew } from '../../../src/dht/proximity.ts'

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

test('the nearest few: none left out is nearer; the unknown come last; alike, the order given', () => {
  fc.assert(
    fc.property(fc.array(known, { maxLength: 30 }), fc.nat({ max: 35 }), (latencies, count) => {
      const candidates = latencies.map((_, i) => i)
      const chosen = nearestFew(candidates, (i) => latencies[i], count)
      expect(chosen.length).toBe(Math.min(count, candidates.length))
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

describe('long peers', () => {
  const candidate = fc.record({ ms: known, distance: fc.double({ min: 1e-6, max: 10, noNaN: true }) })

  test('are as many as there is room for, of every scale in turn, and of each scale the nearest by latency', () => {
    fc.assert(
      fc.property(fc.array(candidate, { maxLength: 40 }), fc.nat({ max: 45 }), (candidates, cap) => {
        const chosen = chooseLong(
          candidates,
          ({ ms }) => ms,
          ({ distance }) => distance,
          cap,
        )
        expect(chosen.length).toBe(Math.min(cap, candidates.length))
        expect(new Set(chosen).size).toBe(chosen.length)
        const scaleOf = ({ distance }: { distance: number }) => Math.floor(Math.log2(distance))
        const left = candidates.filter((each) => !chosen.includes(each))
        for (const out of left) {
          const beside = chosen.filter((each) => scaleOf(each) === scaleOf(out))
          const ms = (each: { ms: number | undefined }) => each.ms ?? Number.POSITIVE_INFINITY
          for (const inside of beside) expect(ms(inside)).toBeLessThanOrEqual(ms(out))
          // A scale that had to leave somebody out has as many as any other, but for the last turn.
          for (const scale of new Set(chosen.map(scaleOf))) {
            const others = chosen.filter((each) => scaleOf(each) === scale).length
            expect(others).toBeLessThanOrEqual(beside.length + 1)
          }
        }
      }),
    )
  })

  test('one at no distance is a scale of its own', () => {
    const at = { near: 0, far: 1, farther: 1.5 } as const
    const chosen = chooseLong(
      ['near', 'far', 'farther'] as const,
      () => 1,
      (name) => at[name],
      2,
    )
    expect(chosen).toEqual(['far', 'near'])
  })
})

describe('the best way', () => {
  test('where latencies are alike it is the way that leaves least', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat({ max: 5000 }), { minLength: 1 }), fc.nat({ max: 300 }), (lefts, ms) => {
        const same = (left: number) => left
        expect(bestWay(lefts, () => ms, same, ms)).toBe(Math.min(...lefts))
        expect(bestWay(lefts, () => undefined, same, ms)).toBe(Math.min(...lefts))
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
    const ways = { a, b }
    const best = bestWay(
      ['a', 'b'] as const,
      (name) => ways[name].ms,
      (name) => ways[name].left,
      usualMs,
    )
    expect(best).toBe(expected)
  })

  test('no ways, none', () => {
    expect(
      bestWay(
        [],
        () => 1,
        () => 1,
        100,
      ),
    ).toBeUndefined()
  })
})
