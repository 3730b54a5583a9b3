/**
 * Which segment to clear: its live records are written again at the end of the log, and its file goes. As the cleaner of a
 * log-structured file system does it (Rosenblum & Ousterhout 1992), greedily: the emptiest first.
 */
import type { Segment } from './catalog.ts'

/** Deletes that are remembered because of old puts, of about 200 bytes of memory each. Beyond it the old puts are cleared. */
export const MAX_DELETES = 2 ** 16
/** Dead bytes that are left alone: this share of the live ones, and two segments. Copying costs about 1 / share. */
const DEAD_SHARE = 0.25
const DEAD_SEGMENTS = 2
/** Of files that short lives of the process left, beyond what the bytes need. */
const SPARE_FILES = 16

export interface LogState {
  /** Those that nobody writes to, in order of number. */
  readonly closed: readonly Segment[]
  readonly segmentBytes: number
  readonly deletes: number
}

export function victim({ closed, segmentBytes, deletes }: LogState): Segment | undefined {
  let total = 0
  let live = 0
  for (const segment of closed) {
    if (segment.liveBytes === 0) return segment
    total += segment.endBytes
    live += segment.liveBytes
  }
  if (deletes > MAX_DELETES) return closed[0]
  if (closed.length > 2 * (total / segmentBytes) + SPARE_FILES) return least(closed, ({ endBytes }) => endBytes)
  if (total - live > allowedDead(live, segmentBytes)) {
    return least(closed, ({ liveBytes, endBytes }) => liveBytes / endBytes)
  }
  return undefined
}

function allowedDead(live: number, segmentBytes: number): number {
  return DEAD_SHARE * live + DEAD_SEGMENTS * segmentBytes
}

/** Is the log so far beyond its size that new blocks wait for the cleaner? */
export function isOverfull({ closed, segmentBytes }: LogState): boolean {
  let total = 0
  let live = 0
  for (const { endBytes, liveBytes } of closed) {
    total += endBytes
    live += liveBytes
  }
  return total - live > 2 * allowedDead(live, segmentBytes)
}

function least(segments: readonly Segment[], measure: (segment: Segment) => number): Segment | undefined {
  let best: Segment | undefined
  let bestMeasure = Number.POSITIVE_INFINITY
  for (const segment of segments) {
    const value = measure(segment)
    if (value < bestMeasure) {
      best = segment
      bestMeasure = value
    }
  }
  return best
}
