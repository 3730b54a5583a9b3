/** The overlay's store as jobs use it: blocks and files, under the names that jobs give them. */
import { CID } from 'multiformats/cid'
import { ChoraleError } from '../core/errors.ts'
import type { Key } from '../core/ids.ts'
import { MAX_BLOCK_BYTES, MAX_INPUT_BLOCKS, MAX_KEYED_BYTES } from '../core/limits.ts'
import type { Blocks } from '../dht/blocks.ts'
import { CODECS, cidOf, keyOfCid, parseCid } from '../dht/cid.ts'
import type { FileService } from '../dht/store/files/lazy.ts'
import type { JobStore, StoredFile } from './ports.ts'

/** What a job keeps between its stages. No job takes longer; a file of a user is kept as any other. */
const LEASE_MS = 24 * 3_600_000
/** Inputs whose leaves are remembered. */
const MAX_FILES = 8
const PIECE_BYTES = 256 * 1024

interface Leaves {
  readonly cids: readonly CID[]
  readonly bytes: number
}

export function createJobStore(blocks: Pick<Blocks, 'put' | 'get'>, files: FileService, copies: number): JobStore {
  const known = new Map<string, Promise<Leaves>>()

  async function read(cid: string): Promise<Leaves> {
    const cids: CID[] = []
    let bytes = 0
    for await (const leaf of files.leavesOf(cid)) {
      keyOfCid(leaf.cid) // refuses what has no place
      cids.push(leaf.cid)
      bytes += leaf.bytes
      if (cids.length > MAX_INPUT_BLOCKS) {
        throw new ChoraleError('limit', `${cid} has more than ${MAX_INPUT_BLOCKS} blocks, too many for one job`)
      }
    }
    return { cids, bytes }
  }

  /** Not given up with whoever asks, for others wait for the same. */
  function leaves(cid: string): Promise<Leaves> {
    const found = known.get(cid) ?? read(cid)
    known.delete(cid)
    known.set(cid, found) // the one used last is at the end
    found.catch(() => known.get(cid) === found && known.delete(cid))
    for (const oldest of known.keys()) {
      if (known.size <= MAX_FILES) break
      known.delete(oldest)
    }
    return found
  }

  async function put(bytes: Uint8Array, signal: AbortSignal, leaseMs: number | undefined): Promise<CID> {
    const cid = cidOf('raw', bytes)
    await blocks.put(cid, bytes, { signal, leaseMs })
    return cid
  }

  return {
    copies,
    async file(cid): Promise<StoredFile> {
      parseCid(cid)
      const { cids, bytes } = await leaves(cid)
      return {
        ...{ cid, bytes, blocks: cids.length },
        keyOf(index): Key {
          const leaf = cids[index]
          if (!leaf) throw new ChoraleError('bad-message', `${cid} has no block ${index}`)
          return keyOfCid(leaf)
        },
        async read(index, options) {
          const leaf = cids[index] as CID
          const block = await blocks.get(leaf, options)
          if (leaf.code === CODECS.raw) return block
          const { leafBytes } = await import('../dht/store/files/leaves.ts') // late, as all that files need
          return leafBytes(leaf, block)
        },
      }
    },
    async get(name, { signal }) {
      const cid = CID.parse(name)
      if (cid.code === CODECS.raw) return blocks.get(cid, { signal })
      const pieces: Uint8Array[] = []
      let bytes = 0
      for await (const piece of files.cat(cid, { signal })) {
        pieces.push(piece)
        bytes += piece.length
        if (bytes > MAX_KEYED_BYTES) throw new ChoraleError('limit', `${name} is too large for a part of a job`)
      }
      return Buffer.concat(pieces)
    },
    async put(bytes, { signal, output }) {
      const leaseMs = output ? undefined : LEASE_MS
      if (bytes.length <= MAX_BLOCK_BYTES) return (await put(bytes, signal, leaseMs)).toString()
      const pieces: Array<{ cid: CID; bytes: number }> = []
      for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
        const piece = bytes.subarray(at, at + PIECE_BYTES)
        pieces.push({ cid: await put(piece, signal, leaseMs), bytes: piece.length })
      }
      return (await files.join(pieces, { signal })).toString()
    },
    async join(pieces, { signal }) {
      const parsed = pieces.map(({ cid, bytes }) => ({ cid: CID.parse(cid), bytes }))
      return (await files.join(parsed, { signal })).toString()
    },
  }
}
