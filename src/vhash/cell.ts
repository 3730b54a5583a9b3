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

/** One pair of bounds per dimension, around the origin. */
export type Box = readonly (readonly [least: number, most: number])[]

/** Which of the half-spaces bound the cell: indices, ascending. The origin lies inside of all, and the cell inside `box`. */
export function boundsOf(halfSpaces: readonly HalfSpace[], box: Box): number[] {
  return cellOf(halfSpaces, box).bounds
}

export interface BoundedCell {
  /** The half-spaces that bound it: indices, ascending. */
  readonly bounds: number[]
  /** The greatest direction . x of its points x. */
  readonly reach: (direction: readonly number[]) => number
  /** Which of other half-spaces it reaches beyond: indices. */
  readonly cutBy: (others: readonly HalfSpace[]) => number[]
}

/** The same, and the cell. */
export function cellOf(halfSpaces: readonly HalfSpace[], box: Box): BoundedCell {
  const cell = new Cell(halfSpaces, box)
  // The nearest first: most of them count, and then few of the others pass.
  const depths = halfSpaces.map(({ a, b }) => (b * b) / a.reduce((sum, each) => sum + each * each, Number.MIN_VALUE))
  const order = depths.map((_, i) => i).sort((i, j) => depths[i]! - depths[j]!)
  for (const i of order) {
    while (!cell.bounds.includes(i) && cell.reachesBeyond(i)) {
      const first = cell.firstHit()
      // Only by rounding is what was reached beyond no bound, or beyond one that was heeded.
      if (first === undefined || cell.bounds.includes(first)) break
      cell.bounds.push(first)
    }
  }
  return {
    bounds: cell.bounds.sort((i, j) => i - j),
    reach: (direction) => cell.reach(direction),
    cutBy: (others) => others.flatMap(({ a, b }, i) => (cell.isCutBy(a, b) ? [i] : [])),
  }
}

/** The numbers in flat arrays: a node asks for thousands of programmes. */
class Cell {
  /** Indices of the half-spaces that are known to count. */
  readonly bounds: number[] = []
  readonly #d: number
  /** Row i is the normal of half-space i; after the given ones come the walls of the box, least and most in turn. */
  readonly #normals: Float64Array
  readonly #offsets: Float64Array
  readonly #given: number
  /** The point that the last programme reached. */
  readonly #x: Float64Array
  /** Edge i of the vertex x: along it, backwards, x leaves its i-th bound and keeps the others. */
  readonly #edges: Float64Array
  readonly #along: Float64Array
  /** Where the programme goes. */
  readonly #goal: Float64Array

  constructor(halfSpaces: readonly HalfSpace[], box: Box) {
    const d = box.length
    const rows = halfSpaces.length + 2 * d
    this.#d = d
    this.#given = halfSpaces.length
    this.#normals = new Float64Array(rows * d)
    this.#offsets = new Float64Array(rows)
    for (const [row, { a, b }] of halfSpaces.entries()) {
      this.#normals.set(a, row * d)
      this.#offsets[row] = b
    }
    for (const [i, [least, most]] of box.entries()) {
      const row = this.#given + 2 * i
      this.#normals[row * d + i] = -1
      this.#offsets[row] = -least
      this.#normals[(row + 1) * d + i] = 1
      this.#offsets[row + 1] = most
    }
    this.#x = new Float64Array(d)
    this.#edges = new Float64Array(d * d)
    this.#along = new Float64Array(d)
    this.#goal = new Float64Array(d)
  }

  /**
   * Does the cell of the walls and `bounds` reach beyond half-space `goal`? If so, x is its point that is farthest along
   * the normal of goal.
   */
  reachesBeyond(goal: number): boolean {
    const from = goal * this.#d
    return this.isCutBy(this.#normals.subarray(from, from + this.#d), this.#offsets[goal]!)
  }

  isCutBy(normal: ArrayLike<number>, offset: number): boolean {
    let scale = 0
    for (let i = 0; i < this.#d; i++) {
      const each = normal[i]!
      this.#goal[i] = each
      scale += each * each
    }
    return this.#goFarthest(offset + EPSILON * (offset + scale))
  }

  reach(direction: readonly number[]): number {
    this.#goal.set(direction)
    this.#goFarthest(Number.NEGATIVE_INFINITY)
    return this.#towardsGoal(this.#x, 0)
  }

  /** Makes x the point that is farthest towards the goal, and says true; or false when that is not beyond `margin`. */
  #goFarthest(margin: number): boolean {
    const d = this.#d
    const x = this.#x
    const edges = this.#edges
    const along = this.#along
    edges.fill(0)
    for (let i = 0; i < d; i++) {
      const c = this.#goal[i]!
      const wall = this.#given + 2 * i + (c < 0 ? 0 : 1)
      x[i] = (c < 0 ? -1 : 1) * this.#offsets[wall]!
      edges[i * d + i] = c < 0 ? -1 : 1
    }
    for (let pivots = 0; pivots < MOST_PIVOTS; pivots++) {
      // What can still be reached only shrinks.
      if (this.#towardsGoal(x, 0) <= margin) return false
      const entering = this.#mostViolated()
      if (entering < 0) return true
      let leaving = -1
      let least = Number.POSITIVE_INFINITY
      for (let i = 0; i < d; i++) {
        along[i] = this.#dot(entering, edges, i * d)
        if (along[i]! <= EPSILON) continue
        const ratio = this.#towardsGoal(edges, i * d) / along[i]!
        if (ratio < least) {
          least = ratio
          leaving = i
        }
      }
      if (leaving < 0) return false // no point is within all bounds: only rounding, for the origin is
      const pivot = along[leaving]!
      const step = (this.#offsets[entering]! - this.#dot(entering, x, 0)) / pivot
      const edge = leaving * d
      for (let k = 0; k < d; k++) {
        x[k]! += step * edges[edge + k]!
        edges[edge + k]! /= pivot
      }
      for (let i = 0; i < d; i++) {
        if (i === leaving) continue
        const share = along[i]!
        for (let k = 0; k < d; k++) edges[i * d + k]! -= share * edges[edge + k]!
      }
    }
    return true
  }

  /** The half-space whose bound the ray from the origin through x meets first, not beyond x. */
  firstHit(): number | undefined {
    let first: number | undefined
    let least = 1
    for (let row = 0; row < this.#given; row++) {
      const towards = this.#dot(row, this.#x, 0)
      if (towards > 0 && this.#offsets[row]! < least * towards) {
        least = this.#offsets[row]! / towards
        first = row
      }
    }
    return first
  }

  /** Of the bounds and the walls, the one that x is farthest beyond; -1: x is within all. */
  #mostViolated(): number {
    let worst = -1
    let most = 0
    for (const row of this.bounds) {
      const over = this.#dot(row, this.#x, 0) - this.#offsets[row]!
      if (over > most && over > EPSILON * (1 + this.#offsets[row]!)) {
        most = over
        worst = row
      }
    }
    if (worst >= 0) return worst
    for (let row = this.#given; row < this.#offsets.length; row++) {
      const over = this.#dot(row, this.#x, 0) - this.#offsets[row]!
      if (over > most && over > EPSILON * (1 + this.#offsets[row]!)) {
        most = over
        worst = row
      }
    }
    return worst
  }

  #towardsGoal(vector: Float64Array, at: number): number {
    let sum = 0
    for (let i = 0; i < this.#d; i++) sum += this.#goal[i]! * vector[at + i]!
    return sum
  }

  /** Of a normal and the vector that begins at `at`. */
  #dot(row: number, vector: Float64Array, at: number): number {
    const d = this.#d
    const from = row * d
    let sum = 0
    for (let i = 0; i < d; i++) sum += this.#normals[from + i]! * vector[at + i]!
    return sum
  }
}
