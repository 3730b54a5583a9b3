import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { beforeEach, expect, test } from 'vitest'
import { readRttMatrix } from '../../../sim/latency.ts'
import { checker } from '../../../src/core/codec.ts'
import { seededRandom } from '../../../src/core/random.ts'
import {
  type Coordinate,
  CoordinateSchema,
  isSane,
  MAX_COORDINATE_MS,
  MAX_MOVE_MS,
  MIN_ERROR,
  MIN_HEIGHT_MS,
  moved,
  ORIGIN,
  predictedMs,
  told,
  understood,
} from '../../../src/dht/coordinates.ts'

const axis = fc.double({ min: -MAX_COORDINATE_MS, max: MAX_COORDINATE_MS, noNaN: true })
const coordinate: fc.Arbitrary<Coordinate> = fc.record({
  place: fc.tuple(axis, axis, axis),
  heightMs: fc.double({ min: 0, max: MAX_COORDINATE_MS, noNaN: true }),
  error: fc.double({ min: 0, max: 1, noNaN: true }),
})
/** One that `moved` made: it keeps to tighter bounds than what others may claim. */
const own = coordinate.map((c) => ({
  ...c,
  heightMs: Math.max(c.heightMs, MIN_HEIGHT_MS),
  error: Math.max(c.error, MIN_ERROR),
}))
const wild: fc.Arbitrary<Coordinate> = fc.record({
  place: fc.tuple(fc.double(), fc.double(), fc.double()),
  heightMs: fc.double(),
  error: fc.double(),
})
let random = seededRandom(1)
// Properties draw as often as they like; each test begins anew, so that what one measures hangs on nothing else.
beforeEach(() => {
  random = seededRandom(1)
})
const shift = (a: Coordinate, b: Coordinate) => Math.hypot(...a.place.map((value, i) => value - b.place[i]!))

test('predictions are symmetric, and no shorter than the heights', () => {
  fc.assert(
    fc.property(coordinate, coordinate, (a, b) => {
      expect(predictedMs(a, b)).toBe(predictedMs(b, a))
      expect(predictedMs(a, b)).toBeGreaterThanOrEqual(a.heightMs + b.heightMs)
    }),
  )
})

test('whatever a peer claims and however long it takes, a coordinate stays sane and moves by a bounded step', () => {
  fc.assert(
    fc.property(own, fc.oneof(wild, coordinate), fc.double(), (from, other, rttMs) => {
      const to = moved(from, other, rttMs, random)
      expect(isSane(to)).toBe(true)
      expect(to.error).toBeGreaterThanOrEqual(MIN_ERROR)
      expect(to.heightMs).toBeGreaterThanOrEqual(MIN_HEIGHT_MS)
      expect(shift(from, to)).toBeLessThanOrEqual(MAX_MOVE_MS * (1 + 1e-9))
      expect(Math.abs(to.heightMs - from.heightMs)).toBeLessThanOrEqual(MAX_MOVE_MS * (1 + 1e-9))
    }),
  )
})

test.each([
  ['no number', { ...ORIGIN, place: [Number.NaN, 0, 0] as const }, 10],
  ['infinite', { ...ORIGIN, place: [Number.POSITIVE_INFINITY, 0, 0] as const }, 10],
  ['out of bounds', { ...ORIGIN, place: [0, 2 * MAX_COORDINATE_MS, 0] as const }, 10],
  ['a height below the ground', { ...ORIGIN, heightMs: -1 }, 10],
  ['surer than sure', { ...ORIGIN, error: -1 }, 10],
  ['no time at all', ORIGIN, 0],
  ['a time before', ORIGIN, -5],
  ['no time known', ORIGIN, Number.NaN],
  ['for ever', ORIGIN, Number.POSITIVE_INFINITY],
])('moves nothing: %s', (_, other, rttMs) => {
  expect(moved(ORIGIN, other, rttMs, random)).toBe(ORIGIN)
})

test('a sample brings the prediction nearer to what was measured', () => {
  fc.assert(
    fc.property(own, coordinate, fc.double({ min: 0.1, max: 2000, noNaN: true }), (from, other, rttMs) => {
      const before = predictedMs(from, other)
      // A height cannot fall below the least, so what is predicted cannot fall below the heights.
      fc.pre(rttMs > from.heightMs + other.heightMs + MIN_HEIGHT_MS && shift(from, other) > 1)
      fc.pre(Math.max(...from.place.map(Math.abs)) < MAX_COORDINATE_MS - MAX_MOVE_MS)
      const after = predictedMs(moved(from, other, rttMs, random), other)
      expect(Math.abs(after - rttMs)).toBeLessThanOrEqual(Math.abs(before - rttMs) + 1e-6)
    }),
  )
})

test('who is surer moves less', () => {
  const other: Coordinate = { place: [30, 0, 0], heightMs: 1, error: 0.5 }
  const step = (error: number) => shift(ORIGIN, moved({ ...ORIGIN, error }, other, 100, random))
  expect(step(0.05)).toBeLessThan(step(0.2))
  expect(step(0.2)).toBeLessThan(step(1))
})

test('two in one place part, in any direction', () => {
  const seen = new Set(Array.from({ length: 20 }, () => Math.sign(moved(ORIGIN, ORIGIN, 50, random).place[0])))
  expect(seen).toEqual(new Set([-1, 1]))
})

test('told and understood: to a tenth of a millisecond, and within the schema', () => {
  const { check } = checker(CoordinateSchema)
  fc.assert(
    fc.property(coordinate, (c) => {
      const wire = told(c)
      expect(check(wire)).toBe(true)
      expect(wire.some((value) => Object.is(value, -0))).toBe(false)
      const back = understood(wire)
      expect(isSane(back)).toBe(true)
      expect(shift(c, back)).toBeLessThan(0.1)
      expect(told(back)).toEqual(wire)
    }),
  )
  for (const bad of [[], [0, 0, 0, 0], [0, 0, 0, -1, 0], [0, 0, 0, 0, 101], [0.5, 0, 0, 0, 0], [1e6, 0, 0, 0, 0]]) {
    expect(check(bad)).toBe(false)
  }
})

/** Every host measures one of its peers per round. The relative errors of all predictions, sorted. */
function learn(rttMs: (a: number, b: number) => number, peers: readonly number[][], rounds: number): number[] {
  const at = peers.map(() => ORIGIN)
  for (let round = 0; round < rounds; round++) {
    for (let a = 0; a < at.length; a++) {
      const b = peers[a]![random.int(peers[a]!.length)]!
      at[a] = moved(at[a]!, understood(told(at[b]!)), rttMs(a, b) * (1 + 0.1 * random.next()), random)
    }
  }
  const errors = at.flatMap((from, a) =>
    at.slice(0, a).map((to, b) => Math.abs(predictedMs(from, to) - rttMs(a, b)) / rttMs(a, b)),
  )
  return errors.filter((error) => Number.isFinite(error)).sort((x, y) => x - y)
}

const someOf = (hosts: number, count: number) =>
  Array.from({ length: hosts }, (_, a) => Array.from({ length: count }, () => (a + 1 + random.int(hosts - 1)) % hosts))

test('hosts in space behind access links are predicted from a few peers each, jitter of 10 % and all', () => {
  const hosts = Array.from({ length: 60 }, () => ({
    place: [300 * random.next(), 300 * random.next(), 100 * random.next()] as const,
    heightMs: 1 + 20 * random.next(),
    error: 1,
  }))
  const errors = learn((a, b) => predictedMs(hosts[a]!, hosts[b]!), someOf(60, 12), 400)
  expect(errors[errors.length >> 1]).toBeLessThan(0.08)
})

test('a liar pulls a host away by a bounded step per sample, and honest samples bring it back', () => {
  const liar: Coordinate = { place: [9000, 9000, 9000], heightMs: 0, error: 0 }
  const honest = Array.from({ length: 8 }, (_, i) => ({
    place: [(i & 1) * 80, (i & 2) * 40, (i & 4) * 20] as const,
    heightMs: 2,
    error: 0.1,
  }))
  const truth: Coordinate = { place: [30, 50, 20], heightMs: 5, error: 0.1 }
  let at: Coordinate = truth
  for (let i = 0; i < 200; i++) {
    at = moved(at, honest[i % 8]!, predictedMs(truth, honest[i % 8]!), random)
    if (i % 8 === 0) at = moved(at, liar, 1, random)
  }
  for (let i = 0; i < 400; i++) at = moved(at, honest[i % 8]!, predictedMs(truth, honest[i % 8]!), random)
  for (const other of honest) expect(predictedMs(at, other)).toBeCloseTo(predictedMs(truth, other), -1)
})

const planetlab = fileURLToPath(new URL('../../../../shared/data/planetlab-490-rtt-ms.tsv.gz', import.meta.url))

test.skipIf(!existsSync(planetlab))(
  '490 PlanetLab hosts with 24 peers each: half of all predictions within 12 %',
  () => {
    const { rttMs, size } = readRttMatrix(planetlab)
    const errors = learn((a, b) => rttMs[a * size + b]!, someOf(size, 24), 200)
    expect(errors[errors.length >> 1]).toBeLessThan(0.12)
  },
)
