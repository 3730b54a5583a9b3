/**
 * The segment tree over task numbers (DESIGN 7). Segment (l, j) covers the tasks [j S, (j+1) S), cut at the number of
 * tasks, with S = L F^(l-1); a task is a segment of level 0. The fan-in F and the tasks L of a segment of level 1 are
 * fixed by the spec and independent of the ring, so that folds are the same for any number of nodes. Partials exist for
 * whole segments only: covers are equal, nested or disjoint. With F = L = 16:
 *
 *   level 2   |               (2,0)                | (2,1)
 *   level 1   | (1,0) | (1,1) |  ...      | (1,15) | (1,16) (1,17)
 *   level 0   | tasks 0..15   | 16..31 ...         | 256 ...  the last segment of a level may be short
 *
 * L is 16, so that a segment's tasks meet in one place, or 1, where each task has a place of its own: at its input.
 *
 * Pure. The key of a segment (`job-table.ts`) says where in the overlay it is folded.
 */
export interface Tree {
  readonly tasks: number
  readonly fanIn: number
  /** Tasks of a segment of level 1. */
  readonly leaf: number
}

/** Children of a whole segment of level >= 1. */
function width(tree: Tree, level: number): number {
  return level === 1 ? tree.leaf : tree.fanIn
}

/** Tasks of a whole segment. */
function span(tree: Tree, level: number): number {
  return level === 0 ? 1 : tree.leaf * tree.fanIn ** (level - 1)
}

/** Level of the one segment that covers everything. At least 1: what hosts queue is always a segment of level 1. */
export function topLevel(tree: Tree): number {
  let level = 1
  while (span(tree, level) < tree.tasks) level++
  return level
}

/** Number of segments at a level. */
export function segmentCount(tree: Tree, level: number): number {
  return Math.ceil(tree.tasks / span(tree, level))
}

/** Is there such a segment? */
export function hasSegment(tree: Tree, level: number, index: number): boolean {
  return level >= 0 && level <= topLevel(tree) && index >= 0 && index < segmentCount(tree, level)
}

/** A level with more segments than this has many. */
const MANY = 1024

/**
 * Has a level so many segments that each is a small part of the job? Then what is sent for each of them adds up, and what
 * is lost with one is soon done again. Level 0: the tasks.
 */
export function hasMany(tree: Tree, level: number): boolean {
  return segmentCount(tree, level) > MANY
}

/** The tasks [first, end) of a segment. */
export function tasksOf(tree: Tree, level: number, index: number): { first: number; end: number } {
  const tasks = span(tree, level)
  return { first: index * tasks, end: Math.min(tree.tasks, (index + 1) * tasks) }
}

/** Is it a task of this segment of level 1? */
export function hasTask(tree: Tree, segment: number, task: number): boolean {
  const { first, end } = tasksOf(tree, 1, segment)
  return task >= first && task < end
}

export function taskCount(tree: Tree, level: number, index: number): number {
  const { first, end } = tasksOf(tree, level, index)
  return end - first
}

/** Index, one level down, of the first child of a segment of level >= 1. */
export function firstChild(tree: Tree, level: number, index: number): number {
  return index * width(tree, level)
}

/** Number of children of a segment of level >= 1; child i is (level - 1, firstChild + i). */
export function childCount(tree: Tree, level: number, index: number): number {
  return Math.min(width(tree, level), segmentCount(tree, level - 1) - firstChild(tree, level, index))
}

/** Index of the parent of a segment, one level up. */
export function parentIndex(tree: Tree, level: number, index: number): number {
  return Math.floor(index / width(tree, level + 1))
}

/** The tasks of a mask in a segment of level 1: bit i is its i-th. */
export function tasksOfMask(tree: Tree, segment: number, mask: number): number[] {
  const first = firstChild(tree, 1, segment)
  return [...bitsOf(mask)].map((bit) => first + bit)
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

/** The highest `count` bits of those that are set. */
export function highestBits(mask: number, count: number): number {
  return mask & ~lowestBits(mask, Math.max(0, countBits(mask) - count))
}

/** The positions of the bits that are set, ascending. */
export function* bitsOf(mask: number): Generator<number> {
  for (let rest = mask; rest !== 0; rest &= rest - 1) yield 31 - Math.clz32(rest & -rest)
}
