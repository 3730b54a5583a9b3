import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { seededRandom } from '../../../src/core/random.ts'
import {
  arcsOf,
  committeeCaptured,
  densityMiss,
  densityThreshold,
  EPHEMERAL_PORTS,
  erlangAbove,
  erlangBelow,
  expectedTries,
  gapHit,
  gapHitByPrefix,
  gapHitDeviation,
  gapHitGiven,
  groupCaptured,
  identitiesFor,
  ipsFor,
  linksHit,
  majority,
  maskedAddresses,
  maskedInBlock,
  triesDeviation,
} from '../../../src/market/sybil.ts'

/** All words of `honest` times 'h' and `sybils` times 's': the orders in which ids can lie, all equally likely. */
function* orders(honest: number, sybils: number): Generator<string> {
  if (honest === 0 && sybils === 0) yield ''
  if (honest > 0) for (const rest of orders(honest - 1, sybils)) yield `h${rest}`
  if (sybils > 0) for (const rest of orders(honest, sybils - 1)) yield `s${rest}`
}

const average = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length

const small = [1, 2, 3, 4, 5].flatMap((nodes) => [1, 2, 3, 4].map((identities) => ({ nodes, identities })))

/** Of the trapezium rule, fine enough for smooth functions. */
function integral(f: (x: number) => number, from: number, to: number, steps = 200_000): number {
  let sum = (f(from) + f(to)) / 2
  for (let i = 1; i < steps; i++) sum += f(from + ((to - from) * i) / steps)
  return (sum * (to - from)) / steps
}

describe('gaps', () => {
  test.each(small)('every order of $nodes nodes and $identities identities', ({ nodes, identities }) => {
    // One honest node stands at the origin; a gap is hit where an `s` follows an `h`.
    const circles = [...orders(nodes - 1, identities)].map((rest) => `h${rest}`)
    expect(gapHit(nodes, identities)).toBeCloseTo(average(circles.map((c) => (c[1] === 's' ? 1 : 0))), 12)
    const shares = circles.map((c) => (c.match(/hs/g)?.length ?? 0) / nodes)
    expect(gapHit(nodes, identities)).toBeCloseTo(average(shares), 12)
    const variance = average(shares.map((share) => (share - average(shares)) ** 2))
    expect(gapHitDeviation(nodes, identities)).toBeCloseTo(Math.sqrt(variance), 12)
  })

  test('are hit as their size says, on average over the sizes', () => {
    expect(gapHitGiven(0.25, 2)).toBeCloseTo(1 - 0.75 ** 2, 14)
    expect(gapHitGiven(1e-12, 3)).toBeCloseTo(3e-12, 22)
    const [nodes, identities] = [50, 200]
    const hit = integral((x) => gapHitGiven(x, identities) * (nodes - 1) * (1 - x) ** (nodes - 2), 0, 1)
    expect(hit).toBeCloseTo(gapHit(nodes, identities), 6)
  })

  test('with none, one and very many', () => {
    expect([gapHit(1, 1), gapHit(1, 0), gapHit(10, 0), gapHit(10, 1)]).toEqual([1, 0, 0, 0.1])
    expect([gapHitGiven(0, 9), gapHitGiven(1, 1), gapHitGiven(1, 0)]).toEqual([0, 1, 0])
    expect([gapHitDeviation(1, 3), gapHitDeviation(5, 0), gapHitDeviation(5, 1)]).toEqual([0, 0, 0])
    expect(() => gapHit(0, 1)).toThrow('at least one node')
    expect(() => gapHitGiven(1.1, 1)).toThrow('share of the circle')
  })
})

describe('tries', () => {
  test.each(small)('for a gap of $nodes nodes with $identities identities: until the first hit', (each) => {
    const { nodes, identities } = each
    // Of all orders in which the other nodes and the tried ids can come, those in which j ids before have missed.
    let tries = 0
    let squares = 0
    for (let j = 0; j < identities; j++) {
      const circles = [...orders(nodes - 1, j)]
      const missed = circles.filter((rest) => rest[0] !== 's').length / circles.length
      tries += missed
      squares += (2 * j + 1) * missed
    }
    expect(expectedTries(nodes, identities)).toBeCloseTo(tries, 12)
    expect(triesDeviation(nodes, identities)).toBeCloseTo(Math.sqrt(squares - tries ** 2), 6)
  })

  test('are the sum of their terms for any size', () => {
    const sizes = fc.record({
      nodes: fc.integer({ min: 2, max: 2e7 }),
      identities: fc.integer({ min: 0, max: 30_000 }),
    })
    fc.assert(
      fc.property(sizes, ({ nodes, identities }) => {
        let sum = 0
        for (let j = 0; j < identities; j++) sum += (nodes - 1) / (nodes - 1 + j)
        expect(Math.abs(expectedTries(nodes, identities) - sum)).toBeLessThanOrEqual(1e-11 * sum)
      }),
    )
  })

  test('of an attacker who gives up: simulated', () => {
    const random = seededRandom('tries')
    const [nodes, identities, trials] = [20, 60, 20_000]
    let tries = 0
    for (let trial = 0; trial < trials; trial++) {
      let gap = 1
      for (let i = 1; i < nodes; i++) gap = Math.min(gap, random.next())
      let tried = 1
      while (random.next() >= gap && tried < identities) tried++
      tries += tried
    }
    // Deviation of one trial about 22.
    expect(Math.abs(tries / trials - expectedTries(nodes, identities))).toBeLessThan(0.6)
  })
})

test.each([
  { nodes: 1, identities: 1 },
  { nodes: 2, identities: 1 },
  { nodes: 3, identities: 4 },
  { nodes: 12, identities: 5 },
])('links of $nodes nodes captured by $identities identities: simulated', ({ nodes, identities }) => {
  const random = seededRandom('links')
  const [bits, trials] = [6, 20_000]
  const ahead = (from: number, to: number) => (to - from + 2) % 1
  const first = (from: number, ids: readonly number[]) => Math.min(...ids.map((id) => ahead(from, id)))
  let captured = 0
  for (let trial = 0; trial < trials; trial++) {
    const honest = Array.from({ length: nodes }, () => random.next())
    const sybils = Array.from({ length: identities }, () => random.next())
    for (let i = 1; i <= bits; i++) {
      const target = (honest[0]! + 2 ** -i) % 1
      if (first(target, sybils) < first(target, honest)) captured++
    }
  }
  expect(Math.abs(captured / trials / bits - linksHit(nodes, identities, bits))).toBeLessThan(0.008)
})

test('identities and addresses for a share are the fewest that will do', () => {
  expect(ipsFor(0.5, 2e7)).toBe(1221)
  expect([identitiesFor(0.5, 2e7), identitiesFor(0.1, 10), identitiesFor(0, 10)]).toEqual([19_999_999, 1, 0])
  const cases = fc.record({
    nodes: fc.integer({ min: 2, max: 2e7 }),
    share: fc.double({ min: 0.001, max: 0.999, noNaN: true }),
  })
  fc.assert(
    fc.property(cases, ({ nodes, share }) => {
      const identities = identitiesFor(share, nodes)
      expect(gapHit(nodes, identities)).toBeGreaterThanOrEqual(share * (1 - 1e-9))
      expect(gapHit(nodes, identities - 1)).toBeLessThan(share * (1 + 1e-9))
    }),
  )
  expect(() => identitiesFor(1, 10)).toThrow('less than 1')
})

describe('placement by prefix', () => {
  test('counts what the mask leaves', () => {
    expect([32, 30, 24, 16, 8].map(maskedInBlock)).toEqual([1, 4, 256, 16_384, 262_144])
    expect(maskedInBlock(1)).toBe(2 ** 20)
    expect(maskedAddresses(1)).toBeCloseTo(1, 9)
    expect(maskedAddresses(1e9)).toBeCloseTo(2 ** 20, 6)
    expect(arcsOf(1)).toBe(8)
    expect(() => maskedInBlock(33)).toThrow('/1 to /32')
  })

  test.each([
    { nodes: 10_000, masked: 1 },
    { nodes: 3_000_000, masked: 12_500 },
    { nodes: 20_000_000, masked: 2 ** 20 },
  ])('$masked addresses reach a gap of $nodes nodes as the integral over its size says', ({ nodes, masked }) => {
    const [w, arcs] = [2 ** -24, arcsOf(masked)]
    const missed = (x: number) => (nodes - 1) * (1 - x) ** (nodes - 2) * Math.max(1 - x - w, 0) ** arcs
    const longest = 40 / (nodes + arcs)
    expect(gapHitByPrefix(nodes, masked, 1e15)).toBeCloseTo(1 - integral(missed, 0, longest), 7)
  })

  test('gives little more than an identity for each arc, more when gaps are short or addresses are shared', () => {
    expect(gapHitByPrefix(10_000, 1) / gapHit(10_000, 8)).toBeCloseTo(1, 2)
    expect(gapHitByPrefix(2e7, 1) / gapHit(2e7, 8)).toBeGreaterThan(2)
    expect(1 - gapHitByPrefix(100, 2 ** 18)).toBeCloseTo(0.75 ** 2 * (1 - gapHitByPrefix(100, 2 ** 18, 1e15)), 12)
    expect([gapHitByPrefix(9, 0), gapHitByPrefix(9, 2 ** 20)]).toEqual([0, 1])
    expect(() => gapHitByPrefix(9, 2 ** 21)).toThrow('no more addresses')
  })
})

describe('density', () => {
  test('of exponential gaps', () => {
    expect(erlangBelow(1, 0.3)).toBeCloseTo(1 - Math.exp(-0.3), 15)
    expect(erlangAbove(1, 30) / Math.exp(-30)).toBeCloseTo(1, 12)
    expect(erlangBelow(3, 2)).toBeCloseTo(1 - Math.exp(-2) * (1 + 2 + 2), 14)
    expect([erlangBelow(4, 0), erlangAbove(4, 0), erlangBelow(4, -1)]).toEqual([0, 1, 0])
    const cases = fc.record({ r: fc.integer({ min: 1, max: 500 }), x: fc.double({ min: 0, max: 1000, noNaN: true }) })
    fc.assert(
      fc.property(cases, ({ r, x }) => {
        expect(erlangBelow(r, x) + erlangAbove(r, x)).toBeCloseTo(1, 12)
      }),
    )
  })

  test('alarms as often as it is told, and misses what was published', () => {
    for (const r of [1, 4, 8, 16, 20, 128]) {
      for (const alarms of [1e-9, 1e-4, 0.3]) {
        expect(erlangBelow(r, densityThreshold(r, alarms)) / alarms).toBeCloseTo(1, 9)
      }
    }
    expect(densityMiss(8, 1e-4)).toBeCloseTo(0.25, 2)
    expect(densityMiss(16, 1e-4)).toBeCloseTo(0.0057, 4)
    expect(densityMiss(20, 1e-4)).toBeCloseTo(0.0006, 4)
    // With an honest node in between at every place it is no attack: all but the false alarms.
    expect(densityMiss(8, 1e-4, 8)).toBeCloseTo(1 - 1e-4, 9)
    expect(() => densityThreshold(8, 0)).toThrow('between 0 and 1')
  })
})

describe('capture', () => {
  test.each(small)('of groups in every order of $nodes nodes and $identities identities', ({ nodes, identities }) => {
    const circles = [...orders(nodes, identities)]
    for (let size = 1; size <= Math.min(3, nodes + identities); size++) {
      for (let needed = 0; needed <= size; needed++) {
        const captured = circles.filter((c) => c.slice(0, size).replaceAll('h', '').length >= needed)
        expect(groupCaptured(nodes, identities, size, needed)).toBeCloseTo(captured.length / circles.length, 12)
      }
    }
  })

  test('of committees by share, which large networks come to', () => {
    expect(committeeCaptured(0.3, 4, 4)).toBeCloseTo(0.3 ** 4, 15)
    expect(committeeCaptured(0.3, 64, 1)).toBeCloseTo(1 - 0.7 ** 64, 12)
    expect(committeeCaptured(0.1, 64, 64) / 0.1 ** 64).toBeCloseTo(1, 9)
    expect([committeeCaptured(0, 4, 1), committeeCaptured(1, 4, 4), committeeCaptured(0.5, 4, 5)]).toEqual([0, 1, 0])
    expect(groupCaptured(7e11, 3e11, 64, 22)).toBeCloseTo(committeeCaptured(0.3, 64, 22), 9)
    expect([1, 2, 3, 4, 5].map(majority)).toEqual([1, 2, 2, 3, 3])
    expect(() => groupCaptured(1, 1, 3, 2)).toThrow('not larger')
  })
})

test('probabilities are probabilities up to 20 million nodes, and grow with what the attacker has', () => {
  const cases = fc.record({ nodes: fc.integer({ min: 4, max: 2e7 }), ips: fc.integer({ min: 1, max: 2000 }) })
  fc.assert(
    fc.property(cases, ({ nodes, ips }) => {
      const identities = ips * EPHEMERAL_PORTS
      for (const of of [
        (k: number) => gapHit(nodes, k),
        (k: number) => gapHitGiven(1 / nodes, k),
        (k: number) => gapHitByPrefix(nodes, k, 4e7),
        (k: number) => linksHit(nodes, k, 160),
        (k: number) => groupCaptured(nodes, k, 3, 2),
      ]) {
        expect(of(identities)).toBeGreaterThan(0)
        expect(of(identities)).toBeLessThanOrEqual(1)
        expect(of(identities)).toBeGreaterThanOrEqual(of(identities - 1))
      }
      const tries = expectedTries(nodes, identities)
      expect(tries).toBeGreaterThan(1)
      expect(tries).toBeLessThanOrEqual(identities)
    }),
  )
})
