/** Voronoi cells of points in the unit square, which wraps around or does not; pure. */
import { Delaunay } from 'd3-delaunay'

/** A polygon: x and y in turn, each in [0, 1]. */
export type Polygon = number[]

/**
 * The cells, by point. On a torus a cell that crosses a border comes in pieces, one on each side. Of several points in
 * one place one has the cell and the others have none.
 */
export function cellsOf(points: readonly (readonly number[])[], wraps: boolean): Polygon[][] {
  const flat: number[] = []
  const owners: number[] = []
  const add = (owner: number, x: number, y: number) => {
    flat.push(x, y)
    owners.push(owner)
  }
  points.forEach(([x = 0, y = 0], i) => {
    add(i, x, y)
  })
  if (wraps) {
    // Copies around the square, as far as they can matter: with few points all of them.
    const reach = Math.min(1, 20 / Math.sqrt(Math.max(points.length, 1)))
    points.forEach(([x = 0, y = 0], i) => {
      for (let dx = -1; dx <= 1; dx++) {
        for (let dy = -1; dy <= 1; dy++) {
          if (dx === 0 && dy === 0) continue
          if (x + dx > -reach && x + dx < 1 + reach && y + dy > -reach && y + dy < 1 + reach) add(i, x + dx, y + dy)
        }
      }
    })
  }
  const cells: Polygon[][] = points.map(() => [])
  if (points.length === 0) return cells
  const voronoi = new Delaunay(Float64Array.from(flat)).voronoi([0, 0, 1, 1])
  owners.forEach((owner, i) => {
    // Two points or more of a side within the square: else the cell lies outside or is a point of its border.
    const ring = voronoi.cellPolygon(i) as readonly (readonly [number, number])[] | null
    if (ring !== null && ring.length > 3) cells[owner]!.push(ring.slice(0, -1).flat())
  })
  return cells
}
