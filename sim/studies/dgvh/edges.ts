/**
 * The edges that nodes choose when they know all others, against the exact ones. Choices are directed: a node may take a
 * peer that does not take it. How many edges are wrong depends on how that is counted, so all ways are:
 *
 *   own      edges as each node has them; an edge between two nodes counts at both ends
 *   either   an edge is there when one of its ends has chosen it
 *   mutual   an edge is there when both have
 */
import { Delaunay } from 'd3-delaunay'
import { hashKey } from '../../../src/core/ids.ts'
import type { Point } from '../../../src/vhash/space.ts'
import type { NamedSpace } from '../../../src/vhash/spaces.ts'

export interface Node {
  readonly at: number
  readonly id: string
  readonly point: Point
}

/** `n` nodes, uniform in the space. */
export function scattered({ space }: NamedSpace, n: number, seed: number): Node[] {
  return Array.from({ length: n }, (_, at) => {
    const id = hashKey(`dgvh ${seed} ${at}`)
    return { at, id, point: space.pointOf(id) }
  })
}

/** Of each node, the indices of its peers. */
export type Edges = readonly ReadonlySet<number>[]

/** The Voronoi neighbours: in two dimensions of one triangulation of all, else by a linear programme per pair. */
export function exactEdges({ name, exact }: NamedSpace, nodes: readonly Node[]): Edges {
  const points = nodes.map(({ point }) => point)
  if (name === 'cube2') return triangulated(points, points.length)
  if (name === 'torus2') {
    // With all of their images around them; the square itself comes first.
    const shifts = [0, -1, 1]
    const images = shifts.flatMap((x) => shifts.map((y) => points.map((point) => [point[0]! + x, point[1]! + y])))
    return triangulated(images.flat(), points.length)
  }
  return points.map((point, self) => {
    const others = nodes.filter(({ at }) => at !== self)
    const { neighbours } = exact!(
      point,
      others.map((other) => other.point),
    )
    return new Set(neighbours.map((i) => others[i]!.at))
  })
}

function triangulated(points: readonly Point[], n: number): Edges {
  const delaunay = new Delaunay(Float64Array.from(points.flat()))
  return Array.from({ length: n }, (_, i) => new Set([...delaunay.neighbors(i)].map((j) => j % n)))
}

export interface WrongEdges {
  /** Edges per node, own: of the choice and exactly. */
  readonly degree: number
  readonly exactDegree: number
  /** Wrong edges, all nodes together. */
  readonly ownMissing: number
  readonly ownExtra: number
  readonly eitherMissing: number
  readonly eitherExtra: number
  readonly mutualWrong: number
  /** Share of the chosen edges that the other end has chosen too. */
  readonly symmetric: number
}

export function wrongEdges(chosen: Edges, exact: Edges): WrongEdges {
  const counts = { degree: 0, exactDegree: 0, ownMissing: 0, ownExtra: 0, eitherMissing: 0, eitherExtra: 0 }
  let mutualWrong = 0
  let returned = 0
  for (const [i, peers] of chosen.entries()) {
    const neighbours = exact[i]!
    counts.degree += peers.size
    counts.exactDegree += neighbours.size
    for (const j of new Set([...peers, ...neighbours])) {
      const here = peers.has(j)
      const there = chosen[j]!.has(i)
      const real = neighbours.has(j)
      if (here && there) returned++
      if (real && !here) counts.ownMissing++
      if (here && !real) counts.ownExtra++
      // Each pair counts once, at its lower end if that sees it.
      if (i > j && (there || real)) continue
      if (real && !here && !there) counts.eitherMissing++
      if (!real && (here || there)) counts.eitherExtra++
      if (real !== (here && there)) mutualWrong++
    }
  }
  const { length: n } = chosen
  const symmetric = returned / counts.degree
  return { ...counts, degree: counts.degree / n, exactDegree: counts.exactDegree / n, mutualWrong, symmetric }
}
