/**
 * What is kept of a run so that it can be seen: rows of numbers, which are JSON as they stand and are embedded into the
 * page (`page.ts`). Times are whole milliseconds of virtual time. Nodes are numbered in the order in which they were
 * first heard of; a node that comes back under its old id has its old number.
 */

/** How points are drawn: on a circle, or in a square that wraps around (torus) or does not (cube). */
export type Shape = 'ring' | 'torus' | 'cube'

/** From when to when a node was a member; -1: to the end. */
export type Stay = [node: number, fromMs: number, toMs: number]

/** Whom a node lists from then on: neighbours that make the topology, and shortcuts. */
export type Links = [atMs: number, node: number, short: number[], long: number[]]

export const OUTCOMES = ['open', 'right', 'wrong', 'failed'] as const
export type Outcome = (typeof OUTCOMES)[number]

/**
 * A lookup. `endMs` is -1 while it is under way, and for ever when who asked has died. `hops` are four numbers each: from
 * node, to node, and when the message left and arrived, in ms after the start; -1: it never arrived.
 */
export type Lookup = [startMs: number, endMs: number, outcome: number, asker: number, target: number[], hops: number[]]
export const HOP = 4

/** From then on: all that joined and died after the start, and lookups that ended. */
export type Counts = [atMs: number, joined: number, died: number, lookups: number, wrong: number, failed: number]

export interface Run {
  shape: Shape
  /** Of the space. Points are drawn by the first two, and have cells only when there are no more. */
  dimensions: number
  /** What to type to see it again. */
  readonly command: string
  /** First digits of each node's id. */
  readonly ids: string[]
  /** Where each node is, in [0, 1): the share of the circle clockwise from the top, or x and y. */
  readonly points: (readonly number[])[]
  readonly stays: Stay[]
  readonly links: Links[]
  readonly lookups: Lookup[]
  readonly counts: Counts[]
  /** What the run was doing from then on. */
  readonly phases: [atMs: number, text: string][]
  /** One of so many nodes has its links kept. */
  linksOfEach: number
  endMs: number
}

/** No lookup takes longer. */
export const LONGEST_LOOKUP_MS = 10_000

/** How many rows, sorted by their time, lie before a time. */
export function rowsBefore(rows: readonly (readonly unknown[])[], timeMs: number): number {
  let low = 0
  let high = rows.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((rows[middle]![0] as number) < timeMs) low = middle + 1
    else high = middle
  }
  return low
}
