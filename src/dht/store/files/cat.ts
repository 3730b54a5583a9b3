/**
 * The bytes of a UnixFS file, or of a range of it. Not ipfs-unixfs-exporter: that pushes what it has read into a queue
 * without a bound, so a slow reader has the whole file in memory, and it fetches nothing beyond one node's links.
 */
import type { CID } from 'multiformats/cid'
import { ChoraleError } from '../../../core/errors.ts'
import type { BlockIo } from './block-io.ts'
import { fetchAhead, type Visited, type Wanted } from './fetch-ahead.ts'
import { decodeNode, type FilePart, malformed } from './nodes.ts'

export interface CatOptions {
  /** Bytes to leave out. Default 0. */
  offset?: number | undefined
  /** Bytes to give, at most. Default: to the end. */
  length?: number | undefined
  signal?: AbortSignal | undefined
}

/** A subtree of the file, and what is wanted of it: bytes [from, to), counted from its own first byte. */
interface Range {
  /** What the parent says; undefined for the root. */
  readonly bytes: number | undefined
  readonly from: number
  readonly to: number
}

export async function* catFile(io: BlockIo, cid: CID, options: CatOptions = {}): AsyncGenerator<Uint8Array> {
  const { offset = 0, length = Number.MAX_SAFE_INTEGER, signal } = options
  for (const [name, value] of Object.entries({ offset, length })) {
    if (!Number.isSafeInteger(value) || value < 0)
      throw new ChoraleError('usage', `${name} is no number of bytes: ${value}`)
  }
  const to = Math.min(offset + length, Number.MAX_SAFE_INTEGER)
  yield* fetchAhead(io, [{ cid, item: { bytes: undefined, from: offset, to } }], visitPart, { signal })
}

function visitPart({ cid, item }: Wanted<Range>, bytes: Uint8Array): Visited<Range, Uint8Array> {
  const part = filePartOf(cid, bytes)
  if (item.bytes !== undefined && item.bytes !== part.bytes) {
    throw malformed(cid, `has ${part.bytes} bytes of the file, its parent says ${item.bytes}`)
  }
  const output = part.data.subarray(item.from, item.to)
  let start = part.data.length
  const next: Wanted<Range>[] = []
  for (const child of part.parts) {
    const from = Math.max(item.from - start, 0)
    const to = Math.min(item.to - start, child.bytes)
    // A part without bytes is not even looked at: every block that is read brings the reader on.
    if (from < to) next.push({ cid: child.cid, expectedBytes: child.bytes, item: { bytes: child.bytes, from, to } })
    start += child.bytes
  }
  return { output: output.length > 0 ? output : undefined, next }
}

function filePartOf(cid: CID, bytes: Uint8Array): FilePart {
  const node = decodeNode(cid, bytes)
  if (node.kind === 'file') return node
  if (node.kind === 'symlink') throw new ChoraleError('usage', `${cid} is a symbolic link, which is not followed`)
  throw new ChoraleError('usage', `${cid} is a directory: list it with chorale ls, fetch it with chorale get`)
}
