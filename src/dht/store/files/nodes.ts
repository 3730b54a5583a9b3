/**
 * What a block says: a piece of a file, a directory, a shard of a large directory, or links of any other kind. The
 * blocks hash to their names, but whoever made them may have written anything: everything is checked here, once.
 */
import * as dagCbor from '@ipld/dag-cbor'
import * as dagPb from '@ipld/dag-pb'
import { UnixFS } from 'ipfs-unixfs'
import { CID } from 'multiformats/cid'
import { ChoraleError, errorMessage } from '../../../core/errors.ts'
import { MAX_BLOCK_BYTES, MAX_DAG_LINKS } from '../../../core/limits.ts'
import { CODECS, keyOfCid } from '../../cid.ts'

export interface Link {
  /** As written: nobody has made it safe. */
  readonly name: string
  readonly cid: CID
  /** What the link claims the whole DAG under it to have. */
  readonly claimedBytes: number
}

export interface FilePart {
  readonly kind: 'file'
  /** Bytes of this very block, which come before those of the links. */
  readonly data: Uint8Array
  readonly parts: ReadonlyArray<{ readonly cid: CID; readonly bytes: number }>
  /** Bytes of the file under this block, as it claims. A safe integer. */
  readonly bytes: number
}

export interface Directory {
  readonly kind: 'directory'
  readonly links: readonly Link[]
}

/** One node of a HAMT: names begin with hex digits of their hash. */
export interface Shard {
  readonly kind: 'shard'
  /** Of the hash, per level. */
  readonly bits: number
  /** Hex digits before a name; a link with just these is the next level. */
  readonly prefixLength: number
  readonly links: readonly Link[]
}

export interface Symlink {
  readonly kind: 'symlink'
}

export type Node = FilePart | Directory | Shard | Symlink

const NOTHING = new Uint8Array(0)
/** Kubo makes 256-way shards; 2 to 1024 ways are readable, and no more: a level then costs at most ten bits. */
const MAX_SHARD_BITS = 10

/** Throws `bad-message` on what is not UnixFS or contradicts itself, `usage` on codecs and hashes that are not kept. */
export function decodeNode(cid: CID, bytes: Uint8Array): Node {
  checkSize(cid, bytes)
  if (cid.code === CODECS.raw) return { kind: 'file', data: bytes, parts: [], bytes: bytes.length }
  if (cid.code !== CODECS['dag-pb']) throw new ChoraleError('usage', `${cid} is dag-cbor data, not a file or directory`)
  const { Data, Links } = decodePb(cid, bytes)
  if (!Data) throw malformed(cid, 'is dag-pb without UnixFS data')
  let unixfs: UnixFS
  try {
    unixfs = UnixFS.unmarshal(Data)
  } catch (error) {
    throw malformed(cid, `is not UnixFS (${errorMessage(error)})`)
  }
  switch (unixfs.type) {
    case 'file':
    case 'raw':
      return filePart(cid, unixfs, Links)
    case 'directory':
      return { kind: 'directory', links: namedLinks(cid, Links) }
    case 'hamt-sharded-directory':
      return { kind: 'shard', ...shardWidth(cid, unixfs), links: namedLinks(cid, Links) }
    case 'symlink':
      return { kind: 'symlink' }
    default:
      throw malformed(cid, `has the UnixFS type ${unixfs.type}, which is not supported`)
  }
}

/** The links of a block of any codec that is kept, in its own order. Throws as `decodeNode` does. */
export function linksOf(cid: CID, bytes: Uint8Array): CID[] {
  checkSize(cid, bytes)
  if (cid.code === CODECS.raw) return []
  const links =
    cid.code === CODECS['dag-pb'] ? decodePb(cid, bytes).Links.map((link) => link.Hash) : cborLinks(cid, bytes)
  checkCount(cid, links.length)
  for (const link of links) checkLink(cid, link)
  return links
}

function checkSize(cid: CID, bytes: Uint8Array): void {
  keyOfCid(cid)
  if (bytes.length > MAX_BLOCK_BYTES) throw malformed(cid, `has ${bytes.length} bytes, the most is ${MAX_BLOCK_BYTES}`)
}

function decodePb(cid: CID, bytes: Uint8Array): dagPb.PBNode {
  let node: dagPb.PBNode
  try {
    node = dagPb.decode(bytes)
  } catch (error) {
    throw malformed(cid, `is not dag-pb (${errorMessage(error)})`)
  }
  checkCount(cid, node.Links.length)
  return node
}

function filePart(cid: CID, unixfs: UnixFS, links: readonly dagPb.PBLink[]): FilePart {
  const { blockSizes, data = NOTHING } = unixfs
  if (blockSizes.length !== links.length) {
    throw malformed(cid, `has ${links.length} links and sizes for ${blockSizes.length}`)
  }
  const bytes = unixfs.fileSize()
  if (bytes > BigInt(Number.MAX_SAFE_INTEGER)) throw malformed(cid, `claims ${bytes} bytes`)
  const parts = links.map((link, index) => {
    checkLink(cid, link.Hash)
    return { cid: link.Hash, bytes: Number(blockSizes[index]) }
  })
  return { kind: 'file', data, parts, bytes: Number(bytes) }
}

function namedLinks(cid: CID, links: readonly dagPb.PBLink[]): Link[] {
  return links.map(({ Name = '', Hash, Tsize = 0 }) => {
    checkLink(cid, Hash)
    return { name: Name, cid: Hash, claimedBytes: Tsize }
  })
}

function shardWidth(cid: CID, { fanout }: UnixFS): { bits: number; prefixLength: number } {
  const bits = Math.log2(Number(fanout ?? 0n))
  if (!Number.isInteger(bits) || bits < 1 || bits > MAX_SHARD_BITS) {
    throw malformed(cid, `is a sharded directory of ${fanout ?? 'no'} ways`)
  }
  return { bits, prefixLength: (2 ** bits - 1).toString(16).length }
}

/** Depth first, without recursion: data may be nested as deeply as a block has bytes. */
function cborLinks(cid: CID, bytes: Uint8Array): CID[] {
  const found: CID[] = []
  let pending: unknown[]
  try {
    pending = [dagCbor.decode(bytes)]
  } catch (error) {
    throw malformed(cid, `is not dag-cbor (${errorMessage(error)})`)
  }
  while (pending.length > 0) {
    const value = pending.pop()
    if (typeof value !== 'object' || value === null || value instanceof Uint8Array) continue
    const link = CID.asCID(value)
    if (link) found.push(link)
    else for (const part of Object.values(value).reverse()) pending.push(part)
  }
  return found
}

function checkCount(cid: CID, links: number): void {
  if (links > MAX_DAG_LINKS) throw new ChoraleError('limit', `${cid} has ${links} links, the most is ${MAX_DAG_LINKS}`)
}

function checkLink(from: CID, link: CID): void {
  try {
    keyOfCid(link)
  } catch (error) {
    throw new ChoraleError('usage', `${from} links to what is not kept: ${errorMessage(error)}`)
  }
}

export function malformed(cid: CID, what: string): ChoraleError {
  return new ChoraleError('bad-message', `${cid} ${what}`)
}
