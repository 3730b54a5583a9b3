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
/** A point is seen to be within a half-space when it is so by this share of its offset. */
const WITHIN = 1e-9
/** Far more steps than a programme takes; degenerate ones could go round for ever. */
const MOST_PIVOTS = 200

/** One pair of bounds per dimension, around the origin. */
export type Box = readonly (readonly [least: number, most: number])[]

/** What is within some half-spaces and a box. Immutable. */
export interface BoundedCell {
  /** Which of the half-spaces bound it: indices. */
  readonly bounds: readonly number[]
  /** The greatest direction . x of its points x. */
  reach(direction: readonly number[]): number
  /**
   * What is within other half-spaces too. Its half-spaces are those that bound this one, in their order, and then the
   * others. Few new ones cost little: what is still seen to bound it is not looked at again.
   */
  cut(others: readonly HalfSpace[]): BoundedCell
}

/** The origin lies inside of all half-spaces, and the cell inside `box`. */
export function cellOf(halfSpaces: readonly HalfSpace[], box: Box): BoundedCell {
  return new Cell(box).cut(halfSpaces)
}

class Cell implements BoundedCell {
  readonly bounds: number[] = []
  /** Of each bound. */
  readonly #halfSpaces: HalfSpace[] = []
  readonly #box: Box
  readonly #programme: Programme
  /** Of each bound a point that is within all others, and on it: while it is, the bound counts. */
  readonly #witnesses: number[][] = []

  constructor(box: Box, most = 0) {
    this.#box = box
    this.#programme = new Programme(box, most)
  }

  reach(direction: readonly number[]): number {
    return this.#programme.farthest(direction)
  }

  cut(others: readonly HalfSpace[]): Cell {
    const all = [...this.#halfSpaces, ...others]
    const after = new Cell(this.#box, all.length)
    const open = new Set<number>()
    for (const [i, halfSpace] of all.entries()) {
      const witness = this.#witnesses[i]
      if (witness !== undefined && others.every((each) => isWithin(each, witness))) after.#heed(i, halfSpace, witness)
      else open.add(i)
    }
    // The nearest first: most of them count, and then few of the others pass. What has been looked at and does not count is
    // no longer open: whoever is hit first by a ray within the bounds is among those that still are.
    const depths = all.map(({ a, b }) => (b * b) / a.reduce((sum, each) => sum + each * each, Number.MIN_VALUE))
    for (const i of [...open].sort((i, j) => depths[i]! - depths[j]!)) {
      while (open.has(i) && after.#programme.reachesBeyond(all[i]!)) {
        const { first, at } = firstHit(all, open, after.#programme.x)
        if (first === undefined) break // by rounding only
        open.delete(first)
        after.#heed(first, all[first]!, at)
      }
      open.delete(i)
    }
    return after
  }

  #heed(i: number, halfSpace: HalfSpace, witness: number[]): void {
    this.bounds.push(i)
    this.#halfSpaces.push(halfSpace)
    this.#programme.add(halfSpace)
    this.#witnesses.push(witness)
  }
}

/** Clearly within. */
function isWithin({ a, b }: HalfSpace, point: readonly number[]): boolean {
  let along = 0
  for (let i = 0; i < point.length; i++) along += a[i]! * point[i]!
  return along < b * (1 - WITHIN)
}

/** The half-space of those that the ray from the origin through x leaves first, if that is before x; and where. */
function firstHit(halfSpaces: readonly HalfSpace[], among: Iterable<number>, x: Float64Array) {
  let first: number | undefined
  let least = 1
  for (const i of among) {
    const { a, b } = halfSpaces[i]!
    let along = 0
    for (let k = 0; k < x.length; k++) along += a[k]! * x[k]!
    if (along > 0 && b < least * along) {
      least = b / along
      first = i
    }
  }
  return { first, at: Array.from(x, (each) => each * least) }
}

/** Linear programmes within a box and the bounds so far. The numbers in flat arrays: a node asks for thousands of them. */
class Programme {
  /** The point that the last one reached. */
  readonly x: Float64Array
  readonly #d: number
  /** Rows of a normal and its offset: the walls of the box, least and most in turn, then the bounds. */
  readonly #rows: Float64Array
  #count: number
  /** Edge i of the vertex x: along it, backwards, x leaves its i-th bound and keeps the others. */
  readonly #edges: Float64Array
  readonly #along: Float64Array
  /** Where the programme goes. */
  readonly #goal: Float64Array

  constructor(box: Box, mostBounds: number) {
    const d = box.length
    this.#d = d
    this.#rows = new Float64Array((2 * d + mostBounds) * (d + 1))
    this.#count = 0
    for (const [i, [least, most]] of box.entries()) {
      const along = (sign: number) => box.map((_, k) => (k === i ? sign : 0))
      this.add({ a: along(-1), b: -least })
      this.add({ a: along(1), b: most })
    }
    this.x = new Float64Array(d)
    this.#edges = new Float64Array(d * d)
    this.#along = new Float64Array(d)
    this.#goal = new Float64Array(d)
  }

  /** A bound. */
  add({ a, b }: HalfSpace): void {
    const row = this.#count++ * (this.#d + 1)
    this.#rows.set(a, row)
    this.#rows[row + this.#d] = b
  }

  /** The greatest direction . x. */
  farthest(direction: readonly number[]): number {
    this.#goal.set(direction)
    this.#goFarthest(Number.NEGATIVE_INFINITY)
    return dot(this.#d, this.#goal, 0, this.x, 0)
  }

  /** Is a point beyond the half-space? If so, x is the one that is farthest along its normal. */
  reachesBeyond({ a, b }: HalfSpace): boolean {
    this.#goal.set(a)
    return this.#goFarthest(b + EPSILON * (b + dot(this.#d, this.#goal, 0, this.#goal, 0)))
  }

  /** Makes x the point that is farthest towards the goal, and says true; or false when that is not beyond `margin`. */
  #goFarthest(margin: number): boolean {
    const d = this.#d
    const x = this.x
    const goal = this.#goal
    const edges = this.#edges
    const along = this.#along
    const rows = this.#rows
    edges.fill(0)
    for (let i = 0; i < d; i++) {
      const sign = goal[i]! < 0 ? -1 : 1
      x[i] = sign * rows[(2 * i + (sign < 0 ? 0 : 1)) * (d + 1) + d]!
      edges[i * d + i] = sign
    }
    for (let pivots = 0; pivots < MOST_PIVOTS; pivots++) {
      // What can still be reached only shrinks.
      if (dot(d, goal, 0, x, 0) <= margin) return false
      let entering = this.#mostViolated(2 * d, this.#count)
      if (entering < 0) entering = this.#mostViolated(0, 2 * d)
      if (entering < 0) return true
      let leaving = -1
      let least = Number.POSITIVE_INFINITY
      for (let i = 0; i < d; i++) {
        along[i] = dot(d, rows, entering, edges, i * d)
        if (along[i]! <= EPSILON) continue
        const ratio = dot(d, goal, 0, edges, i * d) / along[i]!
        if (ratio < least) {
          least = ratio
          leaving = i
        }
      }
      if (leaving < 0) return false // no point is within all bounds: only rounding, for the origin is
      const pivot = along[leaving]!
      const step = (rows[entering + d]! - dot(d, rows, entering, x, 0)) / pivot
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

  /** Where the row begins, of these, that x is farthest beyond; -1: x is within all. */
  #mostViolated(from: number, to: number): number {
    const d = this.#d
    const x = this.x
    const rows = this.#rows
    let worst = -1
    let most = 0
    for (let row = from * (d + 1); row < to * (d + 1); row += d + 1) {
      const offset = rows[row + d]!
      const over = dot(d, rows, row, x, 0) - offset
      if (over > most && over > EPSILON * (1 + offset)) {
        most = over
        worst = row
      }
    }
    return worst
  }
}

/** Of d numbers of each. */
function dot(d: number, a: Float64Array, atA: number, b: Float64Array, atB: number): number {
  let sum = 0
  for (let i = 0; i < d; i++) sum += a[atA + i]! * b[atB + i]!
  return sum
}
