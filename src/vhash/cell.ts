/**
 * The exact neighbours of one node among those that it knows, in any dimension: the nodes whose half-spaces bound its
 * Voronoi cell. Greedy routing over them always ends at the owner, of any point: where somebody else is nearer, the way
 * there leaves the cell through a bound, and the node behind that bound is nearer too.
 *
 * Clarkson's way to drop what is redundant (1994), whose work grows with the number of neighbours: keep a set of bounds
 * that are known to count. For each half-space, ask how far the set alone lets one go outwards along its normal, by a linear
 * programme. Not beyond it: it is redundant. Beyond: walk from the node to the point that was reached; the first bound on
 * this ray, of all, counts, and joins the set. (A ray straight to a candidate is the midpoint test of DGVH.)
 *
 * The linear programmes are solved by the dual simplex method on a vertex and its d edges, from a corner of the box that
 * bounds everything.
 */

/** Of the points x, with the node at the origin, those with a . x <= b are not nearer to another node. b >= 0. */
export interface HalfSpace {
  readonly a: readonly number[]
  readonly b: number
}

/** Lengths below this share of their scale are rounding. */
const EPSILON = 1e-12
/** Far more steps than a programme takes; degenerate ones could go round for ever. */
const MOST_PIVOTS = 200

/**
 * Which of the half-spaces bound the cell: indices, ascending. The origin lies inside of all. `box` is one pair of bounds
 * per dimension around the origin, [least, most], that the cell does not reach beyond.
 */
export function boundsOf(
  halfSpaces: readonly HalfSpace[],
  box: readonly (readonly [least: number, most: number])[],
): number[] {
  const d = box.length
  const walls: HalfSpace[] = box.flatMap(([least, most], i) => [
    { a: axis(d, i, -1), b: -least },
    { a: axis(d, i, 1), b: most },
  ])
  const bounds: HalfSpace[] = []
  const found = new Set<number>()
  // The nearest first: most of them count, and then few of the others pass.
  const order = halfSpaces.map((_, i) => i).sort((i, j) => depth(halfSpaces[i]!) - depth(halfSpaces[j]!))
  for (const i of order) {
    while (!found.has(i)) {
      const reached = farthest(halfSpaces[i]!, walls, bounds)
      if (reached === undefined) break
      const first = firstHit(halfSpaces, reached)
      // Only by rounding is what was reached beyond no bound, or beyond one that was heeded.
      if (first === undefined || found.has(first)) break
      found.add(first)
      bounds.push(halfSpaces[first]!)
    }
  }
  return [...found].sort((i, j) => i - j)
}

/** The square of the distance at which the normal from the origin meets the bound, with its order kept. */
function depth({ a, b }: HalfSpace): number {
  return (b * b) / Math.max(dot(a, a), Number.MIN_VALUE)
}

/**
 * The point of the cell of `walls` and `bounds` that is farthest along the normal of `goal`; undefined if it is not beyond
 * goal's own bound.
 */
function farthest(goal: HalfSpace, walls: readonly HalfSpace[], bounds: readonly HalfSpace[]): number[] | undefined {
  const d = walls.length / 2
  const c = goal.a
  const margin = goal.b + EPSILON * (Math.abs(goal.b) + dot(c, c))
  // A vertex x and its edges: along edge i, backwards, the vertex leaves its i-th bound and keeps the others.
  const x: number[] = []
  const edges: number[][] = []
  for (let i = 0; i < d; i++) {
    const sign = c[i]! < 0 ? -1 : 1
    x.push(sign * walls[2 * i + (sign > 0 ? 1 : 0)]!.b)
    edges.push(axis(d, i, sign))
  }
  for (let pivots = 0; pivots < MOST_PIVOTS; pivots++) {
    // What can still be reached only shrinks.
    if (dot(c, x) <= margin) return undefined
    const entering = mostViolated(x, bounds) ?? mostViolated(x, walls)
    if (entering === undefined) return x
    let leaving = -1
    let least = Number.POSITIVE_INFINITY
    const along = edges.map((edge) => dot(entering.a, edge))
    for (let i = 0; i < d; i++) {
      if (along[i]! <= EPSILON) continue
      const ratio = dot(c, edges[i]!) / along[i]!
      if (ratio < least) {
        least = ratio
        leaving = i
      }
    }
    if (leaving < 0) return undefined // no point is within all bounds: only rounding, for the origin is
    const edge = edges[leaving]!
    const step = (entering.b - dot(entering.a, x)) / along[leaving]!
    for (let k = 0; k < d; k++) {
      x[k]! += step * edge[k]!
      edge[k]! /= along[leaving]!
    }
    for (let i = 0; i < d; i++) {
      if (i === leaving) continue
      for (let k = 0; k < d; k++) edges[i]![k]! -= along[i]! * edge[k]!
    }
  }
  return x
}

function mostViolated(x: readonly number[], bounds: readonly HalfSpace[]): HalfSpace | undefined {
  let worst: HalfSpace | undefined
  let most = 0
  for (const bound of bounds) {
    const over = dot(bound.a, x) - bound.b
    if (over > most && over > EPSILON * (1 + Math.abs(bound.b))) {
      most = over
      worst = bound
    }
  }
  return worst
}

/** The bound that the ray from the origin through x meets first, not beyond x. */
function firstHit(halfSpaces: readonly HalfSpace[], x: readonly number[]): number | undefined {
  let first: number | undefined
  let least = 1
  for (let i = 0; i < halfSpaces.length; i++) {
    const { a, b } = halfSpaces[i]!
    const towards = dot(a, x)
    if (towards > 0 && b < least * towards) {
      least = b / towards
      first = i
    }
  }
  return first
}

function dot(a: readonly number[], b: readonly number[]): number {
  let sum = 0
  for (let i = 0; i < b.length; i++) sum += a[i]! * b[i]!
  return sum
}

function axis(d: number, i: number, value: number): number[] {
  const out = new Array<number>(d).fill(0)
  out[i] = value
  return out
}
