/**
 * Sorts the lines of a file, as `LC_ALL=C sort` does for text of the Basic Multilingual Plane. Lines go into parts by
 * their first two characters, so that the sorted parts after each other are the sorted whole. Lines that begin alike go
 * into the same part: of text that is much more so than random keys are, use more parts.
 */
import { defineKeyedJob } from '../src/mapreduce/define.ts'

/** What parts hold on average. */
const PART_BYTES = 4 * 1024 * 1024
const MOST_PARTS = 1024
/** Printable ASCII. */
const FIRST = 32
const LAST = 126
const RANGE = LAST - FIRST + 1

export default defineKeyedJob({
  name: 'sort',
  params: { parts: 0 },
  input: 'lines',
  taskBlocks: 16,
  partitions({ parts }, { bytes }) {
    if (!Number.isInteger(parts) || parts < 0 || parts > MOST_PARTS)
      throw new Error(`parts must be a whole number up to ${MOST_PARTS}, or 0 for as many as seem right, not ${parts}`)
    return parts > 0 ? parts : Math.max(1, Math.min(MOST_PARTS, Math.ceil(bytes / PART_BYTES)))
  },
  partition(line, parts) {
    const place = rank(line, 0) * RANGE + rank(line, 1)
    return Math.floor((place * parts) / (RANGE * RANGE))
  },
  // A line and how often it is there.
  map(_task, { input, emit }) {
    for (let at = 0; at < input.length; ) {
      const end = input.indexOf('\n', at)
      emit(end < 0 ? input.slice(at) : input.slice(at, end), 1)
      at = end < 0 ? input.length : end + 1
    }
  },
  combine: (left: number, right: number) => left + right,
  write: (line, count) => `${line}\n`.repeat(count),
  finish: ({ output, bytes, keys }) => ({ output, bytes, different: keys }),
})

/** 0 to RANGE - 1, in the order of characters; a line that has ended comes first. */
function rank(line: string, at: number): number {
  return at < line.length ? Math.min(LAST, Math.max(FIRST, line.charCodeAt(at))) - FIRST : 0
}
