/**
 * Reads a DAG in order, depth first, while the blocks that come next are fetched already. What lies ahead is a list; a
 * block that has come puts its links right behind itself, and only the first few of the list are under way:
 *
 *     [ part 3: here ] [ part 4: here ] [ part 5: asked ] ... | [ part 70 ] [ part 71 ] ...
 *     consumed next                          the window       | not asked for yet
 *
 * So memory is bounded in bytes, and by the links of the nodes on the way down. A loop or a DAG that is too deep ends at
 * a cap.
 */
import type { CID } from 'multiformats/cid'
import { ChoraleError } from '../../../core/errors.ts'
import { MAX_BLOCK_BYTES, MAX_DAG_BLOCKS, MAX_DAG_DEPTH, MAX_DAG_PENDING } from '../../../core/limits.ts'
import { type BlockIo, throwIfAborted, unlessAborted } from './block-io.ts'

/** Bytes of blocks that are fetched before their turn: half a second of 32 MB/s. */
export const READ_AHEAD_BYTES = 16 * 1024 * 1024
/** And their number: some round trips' worth of leaves. */
export const READ_AHEAD_BLOCKS = 64

const NOTHING = new Uint8Array(0)

export interface Wanted<T> {
  readonly cid: CID
  /** What the block is expected to have; the most it may have when unknown. */
  readonly expectedBytes?: number
  /** False: `visit` needs no bytes. */
  readonly read?: boolean
  readonly item: T
}

export interface Visited<T, O> {
  /** Nothing is yielded when undefined. */
  readonly output?: O | undefined
  /** In order; they come before whatever followed the block. */
  readonly next?: ReadonlyArray<Wanted<T>>
}

export interface FetchAheadOptions {
  signal?: AbortSignal | undefined
  /** Blocks that are left out with what is under them, by `blockName`. Those that were read join it. */
  seen?: Set<string> | undefined
}

interface Entry<T, O> {
  readonly wanted: Wanted<T>
  /** Only where blocks are read once. */
  readonly name: string | undefined
  readonly depth: number
  next: Entry<T, O> | undefined
  /** Settles when the block has been visited; never rejects. */
  coming: Promise<void> | undefined
  heldBytes: number
  gone: boolean
  output?: O | undefined
  error?: { readonly error: unknown }
}

/** `visit` may be called ahead of the order in which its outputs are yielded; what it throws comes in order. */
export async function* fetchAhead<T, O>(
  io: BlockIo,
  roots: ReadonlyArray<Wanted<T>>,
  visit: (wanted: Wanted<T>, bytes: Uint8Array) => Visited<T, O>,
  { signal, seen }: FetchAheadOptions = {},
): AsyncGenerator<O> {
  throwIfAborted(signal)
  const controller = new AbortController()
  const onAbort = () => controller.abort(signal?.reason)
  signal?.addEventListener('abort', onAbort, { once: true })
  let head: Entry<T, O> | undefined
  let pending = 0
  let heldBytes = 0
  /** Of those that are read once: fetched, but not consumed yet. */
  const begun = new Set<string>()

  /** The entries for what follows a block, in front of `rest`. */
  const chain = (list: ReadonlyArray<Wanted<T>>, depth: number, rest: Entry<T, O> | undefined) => {
    if (list.length > 0 && depth > MAX_DAG_DEPTH) {
      throw new ChoraleError('limit', `${list[0]?.cid} lies ${depth} blocks deep, the most is ${MAX_DAG_DEPTH}`)
    }
    if ((pending += list.length) > MAX_DAG_PENDING) {
      throw new ChoraleError(
        'limit',
        `more than ${MAX_DAG_PENDING} links wait to be read: no file or directory needs that`,
      )
    }
    return list.reduceRight<Entry<T, O> | undefined>((next, wanted) => {
      const name = seen && blockName(wanted.cid)
      return { wanted, name, depth, next, coming: undefined, heldBytes: 0, gone: false }
    }, rest)
  }

  const load = async (entry: Entry<T, O>): Promise<void> => {
    try {
      const { wanted } = entry
      const { signal } = controller
      const bytes = await (wanted.read === false ? NOTHING : unlessAborted(io.get(wanted.cid, { signal }), signal))
      if (entry.gone) return
      heldBytes += bytes.length - entry.heldBytes
      entry.heldBytes = bytes.length
      const { output, next = [] } = visit(wanted, bytes)
      entry.output = output
      entry.next = chain(next, entry.depth + 1, entry.next)
      if (next.length > 0) fill()
    } catch (error) {
      entry.error = { error }
    }
  }

  const fill = (): void => {
    let entry = head
    for (let place = 0; entry && place < READ_AHEAD_BLOCKS; place++, entry = entry.next) {
      if (entry.coming) continue
      const { read, expectedBytes = MAX_BLOCK_BYTES } = entry.wanted
      const expected = read === false ? 0 : Math.min(expectedBytes, MAX_BLOCK_BYTES)
      if (entry !== head && heldBytes + expected > READ_AHEAD_BYTES) return
      if (entry.name !== undefined) {
        // Known, or fetched for an earlier place; fetching it again would double what is under it, at every level.
        if (entry !== head && (seen?.has(entry.name) || begun.has(entry.name))) continue
        begun.add(entry.name)
      }
      entry.heldBytes = expected
      heldBytes += expected
      entry.coming = load(entry)
    }
  }

  try {
    head = chain(roots, 1, undefined)
    while (head) {
      const entry: Entry<T, O> = head
      const known: boolean = entry.name !== undefined && seen!.has(entry.name)
      if (!known) {
        fill()
        await entry.coming
        if (entry.error) throw entry.error.error
        if (entry.name !== undefined) {
          remember(seen!, entry.name)
          begun.delete(entry.name)
        }
      }
      entry.gone = true
      head = entry.next
      pending--
      heldBytes -= entry.heldBytes
      if (known) continue
      fill()
      if (entry.output !== undefined) yield entry.output
      throwIfAborted(signal)
    }
  } finally {
    signal?.removeEventListener('abort', onAbort)
    controller.abort(new ChoraleError('aborted', 'nobody reads any more'))
  }
}

export function remember(seen: Set<string>, name: string): void {
  seen.add(name)
  if (seen.size > MAX_DAG_BLOCKS) throw new ChoraleError('limit', `more than ${MAX_DAG_BLOCKS} blocks in one DAG`)
}

/**
 * Names a block in 36 one-byte characters: half the memory of hex, and a DAG may have millions. With the codec, because
 * the same bytes have links under one codec and none under another.
 */
export function blockName(cid: CID): string {
  const { buffer, byteOffset, byteLength } = cid.toV1().bytes
  return Buffer.from(buffer, byteOffset, byteLength).toString('latin1')
}
