/** What every space must be, whoever adds it: laws of its distance, its midpoints, and where keys come to lie. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { hashKey, keyFromBigint } from '../../../src/core/ids.ts'
import type { Point } from '../../../src/vhash/space.ts'
import { dealt, SPACES, spaceNamed } from '../../../src/vhash/spaces.ts'

const NAMES =
  'ring symmetric xor torus1 torus2 torus3 torus5 torus16 cube1 cube2 cube4 cube16 hyperbolic2 hyperbolic3'.split(' ')
const aKey = fc.bigInt({ min: 0n, max: 2n ** 256n - 1n }).map(keyFromBigint)

describe.each(NAMES)('%s', (name) => {
  const { space, dimensions } = spaceNamed(name)
  const { distance, midpoint, pointOf } = space
  const points = (count: number) => fc.array(aKey.map(pointOf), { minLength: count, maxLength: count })
  const close = (a: number, b: number) => Math.abs(a - b) <= 1e-9 * (1 + Math.abs(a) + Math.abs(b))

  test('distance is a metric, on the clockwise ring without symmetry', () => {
    fc.assert(
      fc.property(points(3), ([a, b, c]) => {
        expect(distance(a!, a!)).toBe(0)
        expect(distance(a!, b!)).toBeGreaterThanOrEqual(0)
        if (String(a) !== String(b)) expect(distance(a!, b!)).toBeGreaterThan(0)
        if (name !== 'ring') expect(distance(a!, b!)).toBe(distance(b!, a!))
        expect(distance(a!, c!)).toBeLessThanOrEqual((distance(a!, b!) + distance(b!, c!)) * (1 + 1e-9) + 1e-12)
      }),
    )
  })

  test('a midpoint is halfway', () => {
    let found = 0
    fc.assert(
      fc.property(points(2), ([a, b]) => {
        const middle = midpoint(a!, b!)
        if (middle === undefined) return
        found++
        expect(close(distance(a!, middle), distance(middle, b!))).toBe(true)
        expect(close(distance(a!, middle), distance(a!, b!) / 2)).toBe(true)
      }),
    )
    if (name !== 'xor') expect(found).toBeGreaterThan(50)
  })

  test('points of keys are uniform: equal numbers in cells of equal measure', () => {
    // Counted along the first coordinate, or the distance from the middle, each cut into ten of equal measure.
    const count = 4000
    const shares = Array.from({ length: count }, (_, i) => share(name, pointOf(hashKey(`uniform ${name} ${i}`))))
    const cells = new Array<number>(10).fill(0)
    for (const each of shares) cells[Math.floor(each * 10)]!++
    const chi2 = cells.reduce((sum, n) => sum + (n - count / 10) ** 2 / (count / 10), 0)
    expect(chi2).toBeLessThan(27.9) // nine degrees of freedom, one in a thousand; the keys are fixed
    // Coordinates have nothing to do with one another.
    if (dimensions > 1) {
      const signs = Array.from({ length: count }, (_, i) => pointOf(hashKey(`uniform ${name} ${i}`)))
      const middle = name.startsWith('hyperbolic') ? 0 : 0.5
      const same = signs.filter((p) => p[0]! > middle === p[dimensions - 1]! > middle).length
      expect(Math.abs(same - count / 2)).toBeLessThan(3.3 * Math.sqrt(count / 4))
    }
  })
})

/** Which share of the space's measure is below the point, in [0, 1). */
function share(name: string, point: Point): number {
  if (name === 'xor') return (point[0]! + point[1]! / 2 ** 26) / 2 ** 26
  if (name === 'hyperbolic2') return area(Math.hypot(...point)) / area(0.96)
  if (name === 'hyperbolic3') return volume(Math.hypot(...point)) / volume(0.96)
  return point[0]!
}

/** Of the disc of that Euclidean radius, over 2 pi. */
const area = (radius: number) => Math.cosh(2 * Math.atanh(radius)) - 1
/** Of the ball, over pi. */
const volume = (radius: number) => Math.sinh(4 * Math.atanh(radius)) - 4 * Math.atanh(radius)

test('the same point on every machine', () => {
  const key = hashKey('golden')
  const found = Object.fromEntries(
    ['ring', 'xor', 'torus2', 'cube5', 'hyperbolic2'].map((name) => [name, spaceNamed(name).space.pointOf(key)]),
  )
  expect(found).toEqual({
    ring: [0.8646067532750588],
    xor: [58022777, 1276241],
    torus2: [0.8646067532750588, 0.850725561773473],
    cube5: [0.8646067532750585, 0.11567034761084116, 0.2555962427362992, 0.2676183279202782, 0.4890585255673585],
    hyperbolic2: [-0.7027665553987026, 0.6424232156574726],
  })
})

test('what wraps around', () => {
  const { space: torus } = spaceNamed('torus2')
  expect(torus.distance([0.95, 0.5], [0.05, 0.5])).toBeCloseTo(0.1, 12)
  expect(torus.midpoint([0.9, 0.5], [0.2, 0.5])![0]).toBeCloseTo(0.05, 12)
  expect(torus.midpoint([0.25, 0.5], [0.75, 0.5])).toBeUndefined()
  const { space: ring } = spaceNamed('ring')
  expect(ring.distance([0.9], [0.1])).toBeCloseTo(0.2, 12)
  expect(ring.distance([0.1], [0.9])).toBeCloseTo(0.8, 12)
  expect(ring.midpoint([0.9], [0.3])![0]).toBeCloseTo(0.1, 12)
  expect(spaceNamed('cube2').space.distance([0.95, 0.5], [0.05, 0.5])).toBeCloseTo(0.9, 12)
})

test('two points that are close in hyperbolic space keep their digits', () => {
  const { space } = spaceNamed('hyperbolic2')
  expect(space.distance([0, 0], [1e-9, 0])).toBeCloseTo(2e-9, 20)
})

test.each(['torus2', 'torus3', 'cube4', 'torus5'])('dealt digits: the first of them fix a spot of %s', (name) => {
  const { space, dimensions } = dealt(spaceNamed(name))
  const wide = (points: readonly Point[], i: number) => {
    const all = points.map((point) => point[i]!)
    return Math.max(...all) - Math.min(...all)
  }
  const arc = Array.from({ length: 300 }, (_, i) => space.pointOf(`a1b2c3${hashKey(`${i}`).slice(6)}` as never))
  const spot = Array.from({ length: dimensions }, (_, i) => wide(arc, i)).reduce((product, side) => product * side, 1)
  expect(spot).toBeLessThanOrEqual(2 ** -24)
  expect(spot).toBeGreaterThan(2 ** -24 / 2)
  // Nothing is lost of a key, and the points are as uniform as those of the space.
  const keys = Array.from({ length: 2000 }, (_, i) => hashKey(`dealt ${name} ${i}`))
  for (let i = 0; i < dimensions; i++) {
    const low = keys.filter((key) => space.pointOf(key)[i]! < 0.5).length
    expect(Math.abs(low - 1000)).toBeLessThan(3.3 * Math.sqrt(500))
  }
  expect(new Set(keys.map((key) => `${space.pointOf(key)}`)).size).toBe(2000)
})

test('overlays run on torus and cube of two to five dimensions', () => {
  expect(NAMES.filter((name) => spaceNamed(name).live)).toEqual(['torus2', 'torus3', 'torus5', 'cube2', 'cube4'])
})

test.each([
  ['plane', `there is no space 'plane'; there are ${SPACES}`],
  ['', `there is no space ''; there are ${SPACES}`],
  ['torus', "there is no space 'torus': a torus has 1 to 16 dimensions, as in torus2"],
  ['torus0', "there is no space 'torus0': a torus has 1 to 16 dimensions, as in torus2"],
  ['torus17', "there is no space 'torus17': a torus has 1 to 16 dimensions, as in torus2"],
  ['torus02', "there is no space 'torus02': a torus has 1 to 16 dimensions, as in torus2"],
  ['torus-1', `there is no space 'torus-1'; there are ${SPACES}`],
  ['hyperbolic1', "there is no space 'hyperbolic1': a hyperbolic has 2 to 5 dimensions, as in hyperbolic2"],
  ['ring2', "the space ring takes no number of dimensions: 'ring2'"],
])("'%s' is refused in one line", (text, message) => {
  expect(() => spaceNamed(text)).toThrow(expect.objectContaining({ code: 'usage', message }))
})
