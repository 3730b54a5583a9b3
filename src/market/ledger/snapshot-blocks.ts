/**
 * A snapshot of the state as blocks of the overlay's store: a block for each chunk (`state/snapshot.ts`), and a root that
 * links to them in their order. As the same state makes the same chunks, bankers that each put one share its blocks.
 */
import { CID } from 'multiformats/cid'
import { decode, encode } from '../../core/cbor.ts'
import { ChoraleError } from '../../core/errors.ts'
import { MAX_SNAPSHOT_CHUNKS } from '../../core/limits.ts'
import type { BlockOptions, Blocks, PutOptions } from '../../dht/blocks.ts'
import { cidOf } from '../../dht/cid.ts'
import { inParallel } from '../../dht/store/rounds.ts'
import { MAX_CHUNK_BYTES } from './state/snapshot.ts'

export type SnapshotBlocks = Pick<Blocks, 'put' | 'get' | 'extend'>

/** Chunks that are on their way at once, and in memory at who puts them. */
const PARALLEL = 8

/** Puts what is not there yet, and extends the leases of the rest. Resolves with the root. Rejects as `Blocks.put` does. */
export async function putSnapshot(
  blocks: SnapshotBlocks,
  chunks: Iterable<Uint8Array>,
  options: PutOptions,
): Promise<CID> {
  const links: CID[] = []
  let batch: Uint8Array[] = []
  const flush = async () => {
    links.push(...(await putMissing(blocks, batch, options)))
    batch = []
  }
  for (const chunk of chunks) {
    batch.push(chunk)
    if (batch.length === PARALLEL) await flush()
  }
  await flush()
  if (links.length > MAX_SNAPSHOT_CHUNKS) {
    throw new ChoraleError('limit', `a snapshot of ${links.length} chunks: ${MAX_SNAPSHOT_CHUNKS} are the most`)
  }
  const [root] = await putMissing(blocks, [encode({ v: 1, chunks: links })], options)
  return root!
}

async function putMissing(blocks: SnapshotBlocks, batch: readonly Uint8Array[], options: PutOptions): Promise<CID[]> {
  const bytesOf = new Map(batch.map((bytes) => [cidOf('dag-cbor', bytes), bytes]))
  const cids = [...bytesOf.keys()]
  const missing = new Set((await blocks.extend(cids, options)).map(String))
  await Promise.all(
    [...bytesOf].map(([cid, bytes]) => (missing.has(`${cid}`) ? blocks.put(cid, bytes, options) : undefined)),
  )
  return cids
}

/** Its chunks, of which nothing is known but that they are what the root names. Rejects `bad-message`, and as `Blocks.get` does. */
export async function getSnapshot(blocks: SnapshotBlocks, root: CID, options: BlockOptions): Promise<Uint8Array[]> {
  const links = linksIn(await blocks.get(root, options))
  const chunks = new Array<Uint8Array>(links.length)
  let failed = false
  await inParallel([...links.entries()], PARALLEL, async ([index, cid]) => {
    if (failed) return
    try {
      const bytes = await blocks.get(cid, options)
      if (bytes.length > MAX_CHUNK_BYTES) refuse('has a chunk that is too long')
      chunks[index] = bytes
    } catch (error) {
      failed = true // the others are of no use then
      throw error
    }
  })
  return chunks
}

function linksIn(bytes: Uint8Array): CID[] {
  const { v, chunks } = (decode(bytes) ?? {}) as { v?: unknown; chunks?: unknown }
  if (v !== 1 || !Array.isArray(chunks)) refuse('has a root that is none')
  if (chunks.length > MAX_SNAPSHOT_CHUNKS) refuse(`has more than ${MAX_SNAPSHOT_CHUNKS} chunks`)
  return chunks.map((link) => CID.asCID(link) ?? refuse('has a link that is none'))
}

function refuse(what: string): never {
  throw new ChoraleError('bad-message', `the snapshot ${what}`)
}
