/**
 * Cuts a stream into the leaves of a file: every 256 KiB, as `ipfs add --cid-version=1` has done for years, or at line
 * ends. Where it cuts depends on the bytes alone, never on the pieces in which they came.
 */
import { ChoraleError } from '../../../core/errors.ts'
import { MAX_BLOCK_BYTES } from '../../../core/limits.ts'

/** Bytes of a leaf: the profile's, and what a block of lines stays within as long as its lines let it. */
export const LEAF_BYTES = 256 * 1024
const NEWLINE = 0x0a

/** An empty source gives one empty chunk, as an empty file is one empty leaf. */
export async function* fixedChunks(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let pending = new Uint8Array(LEAF_BYTES)
  let filled = 0
  let none = true
  for await (const piece of source) {
    let rest = piece
    while (rest.length > 0) {
      if (filled === 0 && rest.length >= LEAF_BYTES) {
        // Whole leaves of a large piece need no copy.
        yield rest.subarray(0, LEAF_BYTES)
        none = false
        rest = rest.subarray(LEAF_BYTES)
        continue
      }
      const taken = rest.subarray(0, LEAF_BYTES - filled)
      pending.set(taken, filled)
      filled += taken.length
      rest = rest.subarray(taken.length)
      if (filled < LEAF_BYTES) continue
      yield pending
      none = false
      pending = new Uint8Array(LEAF_BYTES) // the old one is on its way to somebody's disk
      filled = 0
    }
  }
  if (none || filled > 0) yield pending.slice(0, filled)
}

/**
 * Whole lines, as many as fit into 256 KiB; a line that is longer is a chunk of its own, up to 1 MiB. Throws `usage`
 * with the number of the line beyond it.
 */
export async function* lineChunks(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const buffer = new Uint8Array(MAX_BLOCK_BYTES)
  let filled = 0
  /** Of the buffer's first byte. */
  let line = 1
  /** Bytes of the buffer that are known to hold no line end, when they are more than a leaf. */
  let searched = 0
  let none = true
  const take = (bytes: number): Uint8Array => {
    const chunk = buffer.slice(0, bytes)
    buffer.copyWithin(0, bytes, filled)
    filled -= bytes
    searched = 0
    none = false
    for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, at + 1)) line++
    return chunk
  }
  for await (const piece of source) {
    let rest = piece
    while (rest.length > 0) {
      const room = rest.subarray(0, MAX_BLOCK_BYTES - filled)
      buffer.set(room, filled)
      filled += room.length
      rest = rest.subarray(room.length)
      for (;;) {
        const cut = lineCut(buffer, filled, searched)
        if (cut === 0) break
        yield take(cut)
      }
      if (filled > LEAF_BYTES) searched = filled
      if (filled < MAX_BLOCK_BYTES) continue
      // A full buffer without a line end: fine if the file ends right here.
      if (rest.length > 0) throw tooLong(line)
    }
  }
  if (none || filled > 0) yield buffer.slice(0, filled)
}

/** Bytes of the next chunk; 0: that is not known yet. */
function lineCut(buffer: Uint8Array, filled: number, searched: number): number {
  if (filled <= LEAF_BYTES) return 0
  if (searched === 0) {
    const last = buffer.lastIndexOf(NEWLINE, LEAF_BYTES - 1)
    if (last >= 0) return last + 1
  }
  const first = buffer.subarray(0, filled).indexOf(NEWLINE, Math.max(searched, LEAF_BYTES))
  return first + 1
}

function tooLong(line: number): ChoraleError {
  return new ChoraleError(
    'usage',
    `line ${line} is longer than a block of ${MAX_BLOCK_BYTES} bytes: break it, or add the file without --lines`,
  )
}
