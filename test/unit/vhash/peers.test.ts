/** The choice of peers: DGVH by hand, exact neighbours against a whole triangulation, and points in awkward places. */
import { Delaunay } from 'd3-delaunay'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { hashKey, type Key } from '../../../src/core/ids.ts'
import { cellOf } from '../../../src/vhash/cell.ts'
import { dgvh, longLimit, shortLimit } from '../../../src/vhash/dgvh.ts'
import { longPeers, shortPeers } from '../../../src/vhash/peers.ts'
import { closest, nextHop, type Site } from '../../../src/vhash/route.ts'
import type { Point } from '../../../src/vhash/space.ts'
import { type NamedSpace, spaceNamed } from '../../../src/vhash/spaces.ts'

const site = (id: string, ...point: number[]): Site => ({ id, point })
const ids = (sites: readonly Site[]) => sites.map(({ id }) => id).join(' ')
const placed = (points: readonly Point[]) => points.map((point, i) => ({ id: hashKey(`site ${i}`), point }))
const drawn = ({ space }: NamedSpace, count: number, label = '') =>
  Array.from({ length: count }, (_, i) => hashKey(`${label} ${i}`)).map((id) => ({ id, point: space.pointOf(id) }))

describe('DGVH', () => {
  const { space } = spaceNamed('cube2')
  const self = site('self', 0.5, 0.5)
  const near = site('near', 0.6, 0.5)
  const behind = site('behind', 0.9, 0.5)
  const beside = site('beside', 0.7, 0.65)
  const other = site('other', 0.5, 0.2)

  test('a peer blocks what lies behind it', () => {
    const { accepted, rejected } = dgvh(space, self, [behind, other, near])
    expect([ids(accepted), ids(rejected)]).toEqual(['near other', 'behind'])
  })

  test('only accepted peers block, which a Gabriel test would not ask', () => {
    // The middle of the way to c is nearest to b, but b itself is blocked by a.
    const [a, b, c] = [site('a', 0.6, 0.5), site('b', 0.72, 0.53), site('c', 0.8, 0.7)]
    expect(ids(dgvh(space, self, [a, b]).rejected)).toBe('b')
    expect(space.distance(space.midpoint(self.point, c.point)!, b.point)).toBeLessThan(
      space.distance(space.midpoint(self.point, c.point)!, self.point),
    )
    expect(ids(dgvh(space, self, [c, a]).accepted)).toBe(ids(dgvh(space, self, [c, b, a]).accepted))
  })

  test("UrDHT's variant turns down more", () => {
    expect(ids(dgvh(space, self, [near, beside]).accepted)).toBe('near')
    expect(ids(dgvh(space, self, [site('a', 0.5, 0.72), beside]).accepted)).toBe('a beside')
    expect(ids(dgvh(space, self, [site('a', 0.5, 0.72), beside], 'relative').accepted)).toBe('a')
  })
})

describe.each(['torus2', 'cube2'])('exact neighbours in the plane: %s', (name) => {
  const named = spaceNamed(name)

  test.each([1, 2, 3, 4, 6, 9, 20, 300])('%i nodes: as in the triangulation of all', (count) => {
    const sites = drawn(named, count, name)
    const edges = triangulated(sites, name === 'torus2')
    for (const [i, self] of sites.entries()) {
      const { peers, accepted } = shortPeers(
        named,
        self,
        sites.filter((each) => each !== self),
      )
      expect(ids(peers.slice(0, accepted)).split(' ').filter(Boolean).sort()).toEqual(
        [...edges[i]!].map((j) => sites[j]!.id).sort(),
      )
    }
  })

  test('the cell that is cut by half-spaces has the same neighbours', () => {
    const sites = drawn(named, 200, name)
    const edges = triangulated(sites, name === 'torus2')
    for (const [i, self] of sites.entries()) {
      const others = sites.filter((each) => each !== self)
      const halfSpaces = others.map(({ point }) => {
        const way = point.map((to, k) => {
          const straight = to - self.point[k]!
          return name === 'torus2' ? straight - Math.round(straight) : straight
        })
        return { a: way, b: way.reduce((sum, each) => sum + each * each, 0) / 2 }
      })
      const far = Array.from({ length: 2 }, () => [-1e6, 1e6] as const)
      const bounds = cellOf(halfSpaces, far).bounds.map((j) => others[j]!.id)
      expect(bounds.sort()).toEqual([...edges[i]!].map((j) => sites[j]!.id).sort())
    }
  })
})

test.each([
  ['torus3', 60],
  ['torus3', 8],
  ['torus4', 30],
])('a cell in %s among %i nodes: a candidate is a neighbour if and only if a point says so', (name, nodes) => {
  // Points drawn at random in the torus: whoever is second nearest where self is nearest shares a bound with it.
  const named = spaceNamed(name)
  const sites = drawn(named, nodes, 'witness')
  const self = sites[0]!
  const others = sites.slice(1)
  const exact = new Set(
    named.exact!(
      self.point,
      others.map(({ point }) => point),
    ).neighbours.map((i) => others[i]!.id),
  )
  const witnessed = new Set<Key>()
  for (let i = 0; i < 100_000; i++) {
    const point = named.space.pointOf(hashKey(`w ${i}`))
    const own = named.space.distance(point, self.point)
    const nearer = others.filter((each) => named.space.distance(point, each.point) < own)
    if (nearer.length === 1) witnessed.add(nearer[0]!.id)
  }
  expect([...witnessed].filter((id) => !exact.has(id))).toEqual([])
  // Small faces are seldom met.
  expect([...exact].filter((id) => !witnessed.has(id)).length).toBeLessThanOrEqual(exact.size / 8)
})

describe.each('symmetric ring xor torus2 torus3 torus5 cube2 cube3 cube5 hyperbolic2 hyperbolic3'.split(' '))(
  'greedy routing over short and long peers in %s',
  (name) => {
    const named = spaceNamed(name)

    test.each([1, 2, 3, 5, 17, 120])('%i nodes: always ends at the owner', (count) => {
      expectDelivery(named, drawn(named, count, name), 300)
    })

    test('peers are bounded, and none is listed twice', () => {
      const sites = drawn(named, 200, name)
      const self = sites[0]!
      const short = shortPeers(named, self, sites.slice(1))
      const long = longPeers(named, self, sites.slice(1), short.peers).peers
      expect(short.peers.length).toBe(Math.max(short.accepted, shortLimit(named.dimensions)))
      expect(long.length).toBeLessThanOrEqual(longLimit(named.dimensions))
      expect(new Set([...short.peers, ...long]).size).toBe(short.peers.length + long.length)
    })
  },
)

describe.each(['torus2', 'cube2', 'torus3', 'cube3'])('awkward places in %s', (name) => {
  const named = spaceNamed(name)
  const pad = (x: number, y: number) => [x, y, ...new Array<number>(named.dimensions - 2).fill(0.5)]

  test.each<[string, Point[]]>([
    ['two nodes at one point', [pad(0.3, 0.3), pad(0.3, 0.3)]],
    ['all nodes at one point', Array.from({ length: 30 }, () => pad(0.5, 0.5))],
    ['three points, ten nodes at each', Array.from({ length: 30 }, (_, i) => pad(0.2 + 0.3 * (i % 3), 0.1 * (i % 3)))],
    ['on one line', Array.from({ length: 30 }, (_, i) => pad(i / 30, i / 30))],
    ['on a line along an axis', Array.from({ length: 30 }, (_, i) => pad(i / 30, 0.25))],
    ['on a grid', Array.from({ length: 64 }, (_, i) => pad((i % 8) / 8, Math.floor(i / 8) / 8))],
    ['on the border', Array.from({ length: 40 }, (_, i) => pad(i % 2, i / 40))],
    ['in the corners', [pad(0, 0), pad(0, 0.999), pad(0.999, 0), pad(0.999, 0.999), pad(0.5, 0.5)]],
    [
      'on a circle',
      Array.from({ length: 24 }, (_, i) => pad(0.5 + 0.4 * Math.cos(i / 3.8), 0.5 + 0.4 * Math.sin(i / 3.8))),
    ],
  ])('%s', (_, points) => {
    expectDelivery(named, placed(points), 300)
  })

  test('whatever the places', () => {
    const aPoint = fc.array(fc.integer({ min: 0, max: 6 }), {
      minLength: named.dimensions,
      maxLength: named.dimensions,
    })
    fc.assert(
      fc.property(fc.array(aPoint, { minLength: 1, maxLength: 25 }), (points) => {
        expectDelivery(named, placed(points.map((point) => point.map((each) => each / 7))), 12)
      }),
      { numRuns: 60, seed: 5 },
    )
  })
})

/** Everybody knows everybody; lookups of keys and of the nodes' own places. */
function expectDelivery(named: NamedSpace, sites: readonly Site[], lookups: number) {
  const { space } = named
  const peers = new Map(
    sites.map((self) => {
      const others = sites.filter((each) => each !== self)
      const short = shortPeers(named, self, others).peers
      return [self, [...short, ...longPeers(named, self, others, short).peers]]
    }),
  )
  for (let i = 0; i < lookups; i++) {
    const target = i % 4 === 0 ? sites[i % sites.length]!.point : space.pointOf(hashKey(`target ${i}`))
    let at = sites[(i * 7) % sites.length]!
    for (let next: Site | undefined = at; next !== undefined; next = nextHop(space, target, at, peers.get(at)!))
      at = next
    expect(at.id).toBe(closest(space, target, sites)!.id)
  }
}

/** Edges of the triangulation of all points, on the torus of their nine images. */
function triangulated(sites: readonly Site[], wraps: boolean): Set<number>[] {
  const images = wraps ? [0, -1, 1].flatMap((x) => [0, -1, 1].map((y) => [x, y])) : [[0, 0]]
  const all = images.flatMap(([x, y]) => sites.map(({ point }) => [point[0]! + x!, point[1]! + y!]))
  const delaunay = new Delaunay(Float64Array.from(all.flat()))
  return sites.map((_, i) => {
    const edges = new Set([...delaunay.neighbors(i)].map((j) => j % sites.length))
    edges.delete(i)
    return edges
  })
}
