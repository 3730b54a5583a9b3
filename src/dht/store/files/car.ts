/**
 * CAR files (https://ipld.io/specs/transport/car/): how files move between Chorale and IPFS without a common network.
 * Version 1 is written; 1 and 2 are read. A version 1 file does not say where it ends, so whether it was cut between two
 * blocks shows only in the links that lead nowhere.
 */
import { asyncIterableReader, createDecoder } from '@ipld/car/decoder'
import * as dagCbor from '@ipld/dag-cbor'
import { varint } from 'multiformats'
import type { CID } from 'multiformats/cid'
import { ChoraleError, errorCode, errorMessage } from '../../../core/errors.ts'
import { MAX_BLOCK_BYTES } from '../../../core/limits.ts'
import { checkedKey, keyOfCid } from '../../cid.ts'
import { type BlockIo, interruptible, PutWindow } from './block-io.ts'
import { walkDag } from './dag.ts'
import { blockName, remember } from './fetch-ahead.ts'
import { linksOf } from './nodes.ts'

/** A frame: a block and its CID. */
const MAX_SECTION_BYTES = MAX_BLOCK_BYTES + 1024

export interface CarOptions {
  signal?: AbortSignal | undefined
}

export interface Imported {
  readonly roots: readonly CID[]
  /** In the file, with doubles. */
  readonly blocks: number
  /** Of those blocks. */
  readonly bytes: number
}

/** Deterministic: depth first, each block once. */
export async function* exportCar(io: BlockIo, root: CID, { signal }: CarOptions = {}): AsyncGenerator<Uint8Array> {
  const blocks = walkDag(io, [root], { signal, leaves: true })
  let begun = false
  for await (const { cid, bytes } of blocks) {
    // Only now, so that a root that nobody has leaves no half of a file.
    if (!begun) yield frame(dagCbor.encode({ version: 1, roots: [root] }))
    begun = true
    yield frame(cid.bytes, bytes)
  }
}

function frame(head: Uint8Array, body: Uint8Array = new Uint8Array(0)): Uint8Array {
  const length = head.length + body.length
  const lengthBytes = varint.encodingLength(length)
  const out = new Uint8Array(lengthBytes + length)
  varint.encodeTo(length, out, 0)
  out.set(head, lengthBytes)
  out.set(body, lengthBytes + head.length)
  return out
}

/**
 * Puts every block of a CAR file. Resolves with its roots once all blocks are safe and everything that the roots lead to
 * is there, in the file or already in the overlay; otherwise nothing names what came. Throws `bad-message` when the file
 * is cut short, is no CAR or holds a block that is not what its name says, `usage` on blocks that are not kept.
 */
export async function importCar(
  io: BlockIo,
  source: AsyncIterable<Uint8Array>,
  { signal }: CarOptions = {},
): Promise<Imported> {
  const window = new PutWindow(io, signal)
  const seen = new Set<string>()
  /** Linked, but not come yet. */
  const missing = new Map<string, CID>()
  const want = (cid: CID) => {
    const name = blockName(cid)
    if (!seen.has(name)) missing.set(name, cid)
  }
  try {
    const { roots, blocks } = await openCar(interruptible(source, signal))
    for (const root of roots) {
      keyOfCid(root)
      want(root)
    }
    for await (const { cid, bytes } of blocks) {
      checkDigest(cid, bytes)
      const name = blockName(cid)
      remember(seen, name)
      missing.delete(name)
      for (const link of linksOf(cid, bytes)) want(link)
      await window.put(cid, bytes)
    }
    await window.drain()
    if (missing.size > 0) await requireAll(io, missing, seen, signal)
    return { roots, blocks: window.blocks, bytes: window.bytes }
  } finally {
    await window.settle()
  }
}

function checkDigest(cid: CID, bytes: Uint8Array): void {
  try {
    checkedKey(cid, bytes)
  } catch (error) {
    throw new ChoraleError(errorCode(error), `the CAR holds a block that is refused: ${errorMessage(error)}`)
  }
}

interface OpenCar {
  readonly roots: readonly CID[]
  readonly blocks: AsyncIterable<{ readonly cid: CID; readonly bytes: Uint8Array }>
}

async function openCar(source: AsyncIterable<Uint8Array>): Promise<OpenCar> {
  // The source's own failure must be told from one of the decoder.
  let sourceFailure: { readonly error: unknown } | undefined
  const watched = (async function* () {
    try {
      yield* source
    } catch (error) {
      sourceFailure = { error }
      throw error
    }
  })()
  const explain = (error: unknown): unknown => {
    if (sourceFailure) return sourceFailure.error
    if (error instanceof ChoraleError) return error
    const message = errorMessage(error)
    if (/unexpected end|could not decode varint/i.test(message)) {
      return new ChoraleError('bad-message', 'the CAR is cut short: it ends within a block. Fetch or export it again')
    }
    return new ChoraleError('bad-message', `this is no CAR file that can be read: ${message}`)
  }
  const reader = asyncIterableReader(watched)
  const decoder = createDecoder({
    upTo: (length) => reader.upTo(length),
    exactly(length, seek) {
      // Before it is read: the decoder would gather as many bytes as the file claims.
      if (!(length >= 0 && length <= MAX_SECTION_BYTES)) {
        throw new ChoraleError('bad-message', `the CAR has a block of ${length} bytes, the most is ${MAX_BLOCK_BYTES}`)
      }
      return reader.exactly(length, seek)
    },
    seek(length) {
      if (length < 0) throw new ChoraleError('bad-message', 'the CAR points backwards')
      reader.seek(length)
    },
    get pos() {
      return reader.pos
    },
  })
  try {
    const { roots } = await decoder.header()
    const blocks = (async function* () {
      try {
        yield* decoder.blocks()
      } catch (error) {
        throw explain(error)
      } finally {
        await watched.return(undefined)
      }
    })()
    return { roots, blocks }
  } catch (error) {
    await watched.return(undefined)
    throw explain(error)
  }
}

/** A file may leave out what the overlay has already. */
async function requireAll(io: BlockIo, missing: Map<string, CID>, seen: Set<string>, signal: AbortSignal | undefined) {
  try {
    for await (const _ of walkDag(io, [...missing.values()], { signal, leaves: true, seen })) {
      // Being there is all that is asked of them.
    }
  } catch (error) {
    if (errorCode(error) !== 'not-found') throw error
    throw new ChoraleError(
      'bad-message',
      `the CAR is cut short or partial: ${missing.size} blocks that it links to are neither in it nor in the overlay ` +
        `(${errorMessage(error)}). Its roots are not complete`,
    )
  }
}
