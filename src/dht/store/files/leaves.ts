/** The leaves of a file: which blocks hold its bytes, and a file made of leaves that are there. */
import * as dagPb from '@ipld/dag-pb'
import { UnixFS } from 'ipfs-unixfs'
import type { CID } from 'multiformats/cid'
import { ChoraleError } from '../../../core/errors.ts'
import { CODECS, cidOf } from '../../cid.ts'
import { type BlockIo, PutWindow } from './block-io.ts'
import { fetchAhead, type Wanted } from './fetch-ahead.ts'
import { decodeNode } from './nodes.ts'

/** A block with bytes of a file in it. */
export interface Leaf {
  readonly cid: CID
  /** Of the file, in this block. */
  readonly bytes: number
}

/** Links of a node: the profile's (`add.ts`). */
const WIDTH = 174

/** In order. Raw leaves are named without being fetched. An empty file has one, of no bytes. */
export async function* leavesOf(
  io: BlockIo,
  root: CID,
  { signal }: { signal?: AbortSignal | undefined },
): AsyncGenerator<Leaf> {
  let some = false
  const visit = ({ cid, read, item }: Wanted<number | undefined>, block: Uint8Array) => {
    if (read === false) return { output: { cid, bytes: item as number } }
    const node = decodeNode(cid, block)
    if (node.kind !== 'file') throw new ChoraleError('usage', `${root} is a ${node.kind}, not a file`)
    const next = node.parts
      .filter(({ bytes }) => bytes > 0)
      .map(({ cid, bytes }) => ({ cid, item: bytes, read: cid.code !== CODECS.raw, expectedBytes: bytes }))
    return { output: node.data.length > 0 ? { cid, bytes: node.data.length } : undefined, next }
  }
  for await (const leaf of fetchAhead<number | undefined, Leaf>(io, [{ cid: root, item: undefined }], visit, {
    signal,
  })) {
    some = true
    yield leaf
  }
  if (!some) yield { cid: root, bytes: 0 }
}

/** The bytes of the file that a block holds itself. */
export function leafBytes(cid: CID, block: Uint8Array): Uint8Array {
  const node = decodeNode(cid, block)
  return node.kind === 'file' ? node.data : new Uint8Array(0)
}

/** Puts the nodes above leaves that are there; of leaves of 256 KiB, the file is the one that `add` makes. */
export async function joinLeaves(
  io: BlockIo,
  leaves: readonly Leaf[],
  { signal }: { signal?: AbortSignal | undefined },
): Promise<CID> {
  const window = new PutWindow(io, signal)
  try {
    let level = leaves.map((leaf) => ({ ...leaf, dagBytes: leaf.bytes }))
    if (level.length === 0) {
      const nothing = new Uint8Array(0)
      const cid = cidOf('raw', nothing)
      await window.put(cid, nothing)
      level = [{ cid, bytes: 0, dagBytes: 0 }]
    }
    while (level.length > 1) {
      const above: typeof level = []
      for (let i = 0; i < level.length; i += WIDTH) {
        const parts = level.slice(i, i + WIDTH)
        const unixfs = new UnixFS({ type: 'file', blockSizes: parts.map(({ bytes }) => BigInt(bytes)) })
        const links = parts.map(({ cid, dagBytes }) => ({ Name: '', Hash: cid, Tsize: dagBytes }))
        const block = dagPb.encode(dagPb.prepare({ Data: unixfs.marshal(), Links: links }))
        const cid = cidOf('dag-pb', block)
        await window.put(cid, block)
        const sum = (of: 'bytes' | 'dagBytes') => parts.reduce((total, part) => total + part[of], 0)
        above.push({ cid, bytes: sum('bytes'), dagBytes: sum('dagBytes') + block.length })
      }
      level = above
    }
    await window.drain()
    return level[0]!.cid
  } finally {
    await window.settle()
  }
}
