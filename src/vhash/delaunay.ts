/**
 * The exact neighbours of a node in the plane among those that it knows: its edges in the Delaunay triangulation of all of
 * them, by d3-delaunay. On the torus the others are taken where they look nearest from the node, and with all of their
 * images when that might not be enough.
 */
import { Delaunay } from 'd3-delaunay'

/** A node alone can be as far from its farthest corner as this before images count that are not the nearest. */
const SAFE_RADIUS = 1 / 4
const IMAGES = [-1, 0, 1].flatMap((x) => [-1, 0, 1].map((y) => [x, y] as const))

/** Indices of the ways (from the node to each of the others, none of them zero nor twice) that are edges. */
export function planeNeighbours(ways: readonly (readonly number[])[]): number[] {
  // d3 moves the points it is given when they are on one line; these are its own.
  const delaunay = new Delaunay(Float64Array.from([0, 0, ...ways.flat()]))
  return [...delaunay.neighbors(0)].map((i) => i - 1)
}

/** The same on the unit torus; ways as `torusWay` gives them. */
export function torusNeighbours(ways: readonly (readonly number[])[]): number[] {
  const delaunay = new Delaunay(Float64Array.from([0, 0, ...ways.flat()]))
  if (reach(delaunay) <= SAFE_RADIUS) return [...delaunay.neighbors(0)].map((i) => i - 1)
  const all = [[0, 0], ...ways]
  const points = [...all]
  for (const [x, y] of IMAGES) if (x !== 0 || y !== 0) for (const way of all) points.push([way[0]! + x, way[1]! + y])
  const found = new Set<number>()
  for (const i of new Delaunay(Float64Array.from(points.flat())).neighbors(0)) found.add((i % all.length) - 1)
  found.delete(-1) // an image of the node itself
  return [...found]
}

/** The distance from point 0 to the farthest corner of its cell; infinite when the cell is. */
function reach({ points, triangles, halfedges, inedges, hull }: Delaunay<unknown>): number {
  if (hull.includes(0) || inedges[0] === -1) return Number.POSITIVE_INFINITY
  let most = 0
  const first = inedges[0]!
  let edge = first
  do {
    const at = edge - (edge % 3)
    most = Math.max(most, circumradius(points, triangles[at]!, triangles[at + 1]!, triangles[at + 2]!))
    const next = edge % 3 === 2 ? edge - 2 : edge + 1
    edge = halfedges[next]!
  } while (edge !== first && edge !== -1)
  return most
}

function circumradius(points: ArrayLike<number>, i: number, j: number, k: number): number {
  const ax = points[2 * j]! - points[2 * i]!
  const ay = points[2 * j + 1]! - points[2 * i + 1]!
  const bx = points[2 * k]! - points[2 * i]!
  const by = points[2 * k + 1]! - points[2 * i + 1]!
  const twiceArea = Math.abs(ax * by - ay * bx)
  return (Math.hypot(ax, ay) * Math.hypot(bx, by) * Math.hypot(ax - bx, ay - by)) / (2 * twiceArea)
}
