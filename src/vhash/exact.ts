/**
 * The exact neighbours of a node in the spaces whose bisectors are flat in some chart: Delaunay edges in the plane, bounds
 * of the Voronoi cell elsewhere.
 */
import { boundsOf, cellOf, type HalfSpace } from './cell.ts'
import { planeNeighbours, torusNeighbours } from './delaunay.ts'
import type { Point } from './space.ts'
import { torusWay } from './spaces/torus.ts'

/** Indices of the neighbours among others, none of which is at the place of self or of one another. */
export type Exact = (self: Point, others: readonly Point[]) => number[]

export function exactOnTorus(dimensions: number): Exact {
  if (dimensions === 2) return (self, others) => torusNeighbours(others.map((other) => torusWay(self, other)))
  // Half of the way around is as far as one's own images: the cell ends there.
  const box = Array.from({ length: dimensions }, () => [-0.5, 0.5] as const)
  return (self, others) => {
    const ways = others.map((other) => torusWay(self, other))
    const cell = cellOf(ways.map(towards), box)
    // In a small network a cell reaches so far that a node may bound it from behind too.
    const images = imagesBehind(ways, cell.reach)
    const cutting = cell.cutBy(images.map(({ halfSpace }) => halfSpace)).map((at) => images[at]!)
    if (cutting.length === 0) return cell.bounds
    const all = [...cell.bounds.map((i) => ({ i, halfSpace: towards(ways[i]!) })), ...cutting]
    const found = cellOf(
      all.map(({ halfSpace }) => halfSpace),
      box,
    ).bounds
    return [...new Set(found.map((at) => all[at]!.i))].sort((i, j) => i - j)
  }
}

/**
 * The images of nodes, reached the other way around in some of the dimensions, that may cut a cell. The image is nearer
 * than the node itself only where the cell reaches farther than halfway between the two, in each dimension that was turned.
 * How far the cell reaches is asked along the axes and the diagonals only: of a direction with signs s and least part m, it
 * reaches no farther than m s and the rest take it.
 */
function imagesBehind(ways: readonly (readonly number[])[], reach: (direction: readonly number[]) => number) {
  const dimensions = ways[0]?.length ?? 0
  const along = (axis: number, sign: number) => Array.from({ length: dimensions }, (_, i) => (i === axis ? sign : 0))
  const axes = Array.from({ length: dimensions }, (_, axis) => [reach(along(axis, -1)), reach(along(axis, 1))] as const)
  const diagonals = Array.from({ length: 1 << dimensions }, (_, signs) =>
    reach(Array.from({ length: dimensions }, (_, i) => ((signs >> i) & 1 ? 1 : -1))),
  )
  const images: { i: number; halfSpace: HalfSpace }[] = []
  for (const [i, way] of ways.entries()) {
    let turnable = 0
    for (let axis = 0; axis < dimensions; axis++) {
      const each = way[axis]!
      if (axes[axis]![each < 0 ? 1 : 0] > 0.5 - Math.abs(each)) turnable |= 1 << axis
    }
    // Of a mask, all parts of it but the empty one.
    for (let turned = turnable; turned > 0; turned = (turned - 1) & turnable) {
      let signs = 0
      let least = 1
      let square = 0
      let most = 0
      for (let axis = 0; axis < dimensions; axis++) {
        const each = turnedWay(way, axis, turned)
        if (each > 0) signs |= 1 << axis
        least = Math.min(least, Math.abs(each))
        square += each * each
        most += Math.abs(each) * axes[axis]![each > 0 ? 1 : 0]
      }
      for (let axis = 0; axis < dimensions; axis++) most -= least * axes[axis]![(signs >> axis) & 1 ? 1 : 0]
      if (most + least * diagonals[signs]! <= square / 2) continue
      images.push({ i, halfSpace: towards(way.map((_, axis) => turnedWay(way, axis, turned))) })
    }
  }
  return images
}

function turnedWay(way: readonly number[], axis: number, turned: number): number {
  const each = way[axis]!
  return (turned >> axis) & 1 ? each - (each < 0 ? -1 : 1) : each
}

export function exactInCube(dimensions: number): Exact {
  const way = (self: Point, other: Point) => other.map((to, i) => to - self[i]!)
  if (dimensions === 2) return (self, others) => planeNeighbours(others.map((other) => way(self, other)))
  return (self, others) =>
    boundsOf(
      others.map((other) => towards(way(self, other))),
      self.map((at) => [-at, 1 - at] as const),
    )
}

/** The points nearer to the origin than to `way`. */
function towards(way: readonly number[]): HalfSpace {
  let square = 0
  for (const each of way) square += each * each
  return { a: way, b: square / 2 }
}

/**
 * In the hyperboloid model, a point (t, x) is as far from the origin (1, 0) as from (T, X) where t = T t - X . x. In Klein's
 * model, whose points are k = x / t, that is X . k = T - 1: flat. So each node moves the ball until it is in the middle.
 */
export function exactInBall(dimensions: number): Exact {
  const box = Array.from({ length: dimensions }, () => [-1, 1] as const)
  return (self, others) =>
    boundsOf(
      others.map((other) => {
        const moved = mobius(self, other)
        const square = dot(moved, moved)
        return { a: moved.map((each) => (2 * each) / (1 - square)), b: (2 * square) / (1 - square) }
      }),
      box,
    )
}

/** Where `other` is once the Poincare ball has been moved so that `self` is in the middle: Mobius addition of -self. */
function mobius(self: Point, other: Point): number[] {
  const both = -dot(self, other)
  const ofSelf = dot(self, self)
  const ofOther = dot(other, other)
  const scale = 1 + 2 * both + ofSelf * ofOther
  return other.map((to, i) => ((1 - ofSelf) * to - (1 + 2 * both + ofOther) * self[i]!) / scale)
}

function dot(a: Point, b: Point): number {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!
  return sum
}
