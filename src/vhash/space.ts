/**
 * The port of a space, in which nodes and keys are points and a node owns the keys that lie nearest to it (UrDHT, Rosen
 * et al. 2016). Adding a space is one file in `spaces/` and one line in `spaces.ts`.
 */
import type { Key } from '../core/ids.ts'

export interface Space<P = Point> {
  /** Uniform over the space when keys are uniform, and the same on every machine. */
  pointOf(key: Key): P
  /** At least 0; 0 only from a point to itself. Symmetric but in the ring of Chord, where it is clockwise from a to b. */
  distance(a: P, b: P): number
  /** As far from a as from b, on a shortest way between them; undefined where there is none, or no single one. */
  midpoint(a: P, b: P): P | undefined
}

/** Coordinates, one per dimension. */
export type Point = readonly number[]
