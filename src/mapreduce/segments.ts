/**
 * The segment tree over task numbers (DESIGN 7). Segment (l, j) covers the tasks [j F^l, (j+1) F^l), cut at the number
 * of tasks; a task is a segment of level 0. The fan-in F is fixed by the spec and independent of the ring, so that folds
 * are the same for any number of nodes. Partials exist for whole segments only: covers are equal, nested or disjoint.
 *
 *   level 2   |               (2,0)                | (2,1)
 *   level 1   | (1,0) | (1,1) |  ...      | (1,15) | (1,16) (1,17)
 *   level 0   | tasks 0..15   | 16..31 ...         | 256 ...  the last segment of a level may be short
 *
 * Pure. The key of a segment (`spec.ts`) says where in the overlay it is folded.
 */
export interface Tree {
  readonly tasks: number
  readonly fanIn: number
}

/** Level of the one segment that covers everything. At least 1: what hosts queue is always a segment of level 1. */
export function topLevel(tree: Tree): number {
  let level = 1
  for (let span = tree.fanIn; span < tree.tasks; span *= tree.fanIn) level++
  return level
}

/** Number of segments at a level. */
export function segmentCount(tree: Tree, level: number): number {
  return Math.ceil(tree.tasks / tree.fanIn ** level)
}

/** Is there such a segment? */
export function hasSegment(tree: Tree, level: number, index: number): boolean {
  return level >= 0 && level <= topLevel(tree) && index >= 0 && index < segmentCount(tree, level)
}

/** The tasks [first, end) of a segment. */
export function tasksOf(tree: Tree, level: number, index: number): { first: number; end: number } {
  const span = tree.fanIn ** level
  return { first: index * span, end: Math.min(tree.tasks, (index + 1) * span) }
}

export function taskCount(tree: Tree, level: number, index: number): number {
  const { first, end } = tasksOf(tree, level, index)
  return end - first
}

/** Number of children of a segment of level >= 1; child i is (level - 1, index * fanIn + i). */
export function childCount(tree: Tree, level: number, index: number): number {
  return Math.min(tree.fanIn, segmentCount(tree, level - 1) - index * tree.fanIn)
}

/** Index of the parent, one level up. */
export function parentIndex(tree: Tree, index: number): number {
  return Math.floor(index / tree.fanIn)
}

/** All bits of a segment's children. */
export function fullMask(tree: Tree, level: number, index: number): number {
  return 2 ** childCount(tree, level, index) - 1
}

/** Number of bits that are set. */
export function countBits(mask: number): number {
  let count = 0
  for (let rest = mask; rest !== 0; rest &= rest - 1) count++
  return count
}

/** The lowest `count` bits of those that are set. */
export function lowestBits(mask: number, count: number): number {
  let rest = mask
  for (let i = 0; i < count && rest !== 0; i++) rest &= rest - 1
  return mask & ~rest
}

/** The positions of the bits that are set, ascending. */
export function* bitsOf(mask: number): Generator<number> {
  for (let rest = mask; rest !== 0; rest &= rest - 1) yield 31 - Math.clz32(rest & -rest)
}
