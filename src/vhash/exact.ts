/**
 * The exact neighbours of a node in the spaces whose bisectors are flat in some chart: Delaunay edges in the plane, bounds
 * of the Voronoi cell elsewhere.
 */
import { type BoundedCell, type Box, cellOf, type HalfSpace } from './cell.ts'
import { planeNeighbours, torusNeighbours } from './delaunay.ts'
import type { Point } from './space.ts'
import { torusWay } from './spaces/torus.ts'

/** Of self among others, none of which is at the place of self or of one another. */
export type Exact = (self: Point, others: readonly Point[]) => Exactly

export interface Exactly {
  /** Indices among the others. */
  readonly neighbours: readonly number[]
  /**
   * The same after further points have come, at less cost: indices are of `neighbours` in its order, and then of the points.
   * Undefined in the plane.
   */
  readonly joined?: ((points: readonly Point[]) => Exactly) | undefined
}

export function exactOnTorus(dimensions: number): Exact {
  if (dimensions === 2) {
    return (self, others) => ({ neighbours: torusNeighbours(others.map((other) => torusWay(self, other))) })
  }
  // Half of the way around is as far as one's own images: the cell ends there.
  const box = Array.from({ length: dimensions }, () => [-0.5, 0.5] as const)
  const empty = cellOf([], box)
  const whole = extentOf(empty, dimensions)
  return (self, others) => joinedOnTorus({ self, cell: empty, owners: [], extent: whole }, others)
}

interface OnTorus {
  readonly self: Point
  readonly cell: BoundedCell
  /** Of each bound of the cell the index of the neighbour that it is of: several may be images of one. */
  readonly owners: readonly number[]
  /** Of this cell, or of one that it has been cut from. */
  readonly extent: Extent
}

function joinedOnTorus({ self, cell, owners, extent }: OnTorus, points: readonly Point[]): Exactly {
  const known = Math.max(-1, ...owners) + 1
  const ways = points.map((point) => torusWay(self, point))
  const first = cell.cut(ways.map(towards))
  const ofFirst = first.bounds.map((at) => owners[at] ?? known + at - owners.length)
  // In a small network a cell reaches so far that a node may bound it from behind too.
  let behind = imagesBehind(ways, extent)
  let reached = extent
  if (behind.length > extent.diagonals.length) {
    reached = extentOf(first, self.length) // costs as much as so many images
    behind = imagesBehind(ways, reached)
  }
  const last = first.cut(behind.map(({ halfSpace }) => halfSpace))
  const ofLast = last.bounds.map((at) => ofFirst[at] ?? known + behind[at - ofFirst.length]!.i)
  const neighbours = [...new Set(ofLast)]
  const place = new Map(neighbours.map((neighbour, at) => [neighbour, at]))
  const now = { self, cell: last, owners: ofLast.map((neighbour) => place.get(neighbour)!), extent: reached }
  return { neighbours, joined: (more) => joinedOnTorus(now, more) }
}

/** How far a cell reaches, from the node. */
interface Extent {
  /** Along each axis, backwards and forwards. */
  readonly axes: readonly (readonly [back: number, on: number])[]
  /** Greatest sum of coordinates, each times its sign: +1 where the bit of the index is set. */
  readonly diagonals: readonly number[]
}

function extentOf(cell: BoundedCell, dimensions: number): Extent {
  const reach = (direction: readonly number[]) => cell.reach(direction)
  const along = (axis: number, sign: number) => Array.from({ length: dimensions }, (_, i) => (i === axis ? sign : 0))
  const axes = Array.from({ length: dimensions }, (_, axis) => [reach(along(axis, -1)), reach(along(axis, 1))] as const)
  const diagonals = Array.from({ length: 1 << dimensions }, (_, signs) =>
    reach(Array.from({ length: dimensions }, (_, i) => ((signs >> i) & 1 ? 1 : -1))),
  )
  return { axes, diagonals }
}

/**
 * The images of nodes, reached the other way around in some of the dimensions, that may cut a cell. The image is nearer
 * than the node itself only where the cell reaches farther than halfway between the two, in each dimension that was turned.
 * How far the cell reaches is asked along the axes and the diagonals only: of a direction with signs s and least part m, it
 * reaches no farther than m s and the rest take it.
 */
function imagesBehind(ways: readonly (readonly number[])[], { axes, diagonals }: Extent) {
  const dimensions = axes.length
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
  if (dimensions === 2) {
    return (self, others) => ({ neighbours: planeNeighbours(others.map((other) => way(self, other))) })
  }
  return flat(
    (self, other) => towards(way(self, other)),
    (self) => self.map((at) => [-at, 1 - at] as const),
  )
}

/** Where each of the others has one half-space. */
function flat(halfSpace: (self: Point, other: Point) => HalfSpace, box: (self: Point) => Box): Exact {
  const exactly = (self: Point, cell: BoundedCell, points: readonly Point[]): Exactly => {
    const after = cell.cut(points.map((point) => halfSpace(self, point)))
    return { neighbours: after.bounds, joined: (more) => exactly(self, after, more) }
  }
  return (self, others) => exactly(self, cellOf([], box(self)), others)
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
  return flat(
    (self, other) => {
      const moved = mobius(self, other)
      const square = dot(moved, moved)
      return { a: moved.map((each) => (2 * each) / (1 - square)), b: (2 * square) / (1 - square) }
    },
    () => box,
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
