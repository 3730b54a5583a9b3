/**
 * Directories: listing, finding a path, and walking a tree for `get`. Large directories are HAMTs: a name's place is
 * given by the bits of its hash, some per level (UnixFS specification; kubo and ipfs-unixfs-importer write them).
 */
import { murmur3128 } from '@multiformats/murmur3'
import type { CID } from 'multiformats/cid'
import { ChoraleError } from '../../../core/errors.ts'
import { MAX_DIRECTORY_ENTRIES } from '../../../core/limits.ts'
import { CODECS } from '../../cid.ts'
import type { BlockIo } from './block-io.ts'
import { catFile } from './cat.ts'
import { fetchAhead, type Visited, type Wanted } from './fetch-ahead.ts'
import { type FileRef, nameFlaw, requireDepth, requireSafeName } from './names.ts'
import { decodeNode, type Link, malformed, type Node, type Shard } from './nodes.ts'

export interface Entry {
  /** As written by whoever made the directory; may hold anything. */
  readonly name: string
  readonly cid: CID
  readonly type: 'file' | 'directory' | 'symlink'
  /** Of a file: its length, for one of a single raw block as the directory claims. Undefined for the others. */
  readonly bytes: number | undefined
}

export type TreeEntry =
  | { readonly type: 'directory'; readonly path: string; readonly cid: CID }
  | {
      readonly type: 'file'
      readonly path: string
      readonly cid: CID
      readonly bytes: number
      /** Its bytes, from the start at each call. */
      content(): AsyncIterable<Uint8Array>
    }

export interface ReadOptions {
  signal?: AbortSignal | undefined
}

/** What a link leads to: an entry of the directory, or the directory itself, or a deeper shard of it. */
type Inside = { readonly name: string; readonly claimedBytes: number } | 'directory' | 'shard'

/** Throws `usage` when it is no directory. */
export async function* listDirectory(io: BlockIo, cid: CID, options: ReadOptions = {}): AsyncGenerator<Entry> {
  yield* fetchAhead<Inside, Entry>(io, [{ cid, item: 'directory' }], visitInside, options)
}

function visitInside({ cid, item }: Wanted<Inside>, bytes: Uint8Array): Visited<Inside, Entry> {
  if (typeof item === 'object') {
    if (cid.code === CODECS.raw) return { output: { name: item.name, cid, type: 'file', bytes: item.claimedBytes } }
    return { output: entryOf(item.name, cid, decodeNode(cid, bytes)) }
  }
  const node = decodeNode(cid, bytes)
  if (item === 'shard' && node.kind !== 'shard') throw notShard(cid, node)
  if (node.kind === 'directory') return { next: node.links.map((link) => inside(link, link.name)) }
  if (node.kind !== 'shard') throw new ChoraleError('usage', `${cid} is a ${node.kind}, not a directory`)
  const { prefixLength } = node
  return {
    next: node.links.map((link) => {
      if (link.name.length < prefixLength) throw malformed(cid, 'is a sharded directory with a name that is too short')
      if (link.name.length === prefixLength) return { cid: link.cid, item: 'shard' }
      return inside(link, link.name.slice(prefixLength))
    }),
  }
}

function inside({ cid, claimedBytes }: Link, name: string): Wanted<Inside> {
  return { cid, read: cid.code !== CODECS.raw, item: { name, claimedBytes } }
}

function entryOf(name: string, cid: CID, node: Node): Entry {
  switch (node.kind) {
    case 'file':
      return { name, cid, type: 'file', bytes: node.bytes }
    case 'symlink':
      return { name, cid, type: 'symlink', bytes: undefined }
    default:
      return { name, cid, type: 'directory', bytes: undefined }
  }
}

/** The CID at the end of a path. Throws `not-found` with the part of the path that is missing. */
export async function resolve(io: BlockIo, { root, names }: FileRef, options: ReadOptions = {}): Promise<CID> {
  let cid = root
  for (const [index, name] of names.entries()) {
    const node = decodeNode(cid, await io.get(cid, options))
    const here = [root.toString(), ...names.slice(0, index)].join('/')
    if (node.kind !== 'directory' && node.kind !== 'shard') {
      throw new ChoraleError('usage', `${here} is a ${node.kind}, not a directory`)
    }
    const found = node.kind === 'shard' ? await findInShards(io, node, name, options) : only(node.links, name, here)
    if (!found) throw new ChoraleError('not-found', `${here} has no ${JSON.stringify(name)}`)
    cid = found.cid
  }
  return cid
}

async function findInShards(io: BlockIo, root: Shard, name: string, options: ReadOptions): Promise<Link | undefined> {
  const hash = await shardHash(name)
  let shard = root
  for (let used = 0; used + shard.bits <= 64; ) {
    const place = Number((hash >> BigInt(64 - used - shard.bits)) & ((1n << BigInt(shard.bits)) - 1n))
    const prefix = place.toString(16).toUpperCase().padStart(shard.prefixLength, '0')
    const found = only(shard.links, prefix + name, name)
    if (found) return found
    const deeper = shard.links.find((link) => link.name === prefix)
    if (!deeper) return undefined
    const node = decodeNode(deeper.cid, await io.get(deeper.cid, options))
    if (node.kind !== 'shard') throw notShard(deeper.cid, node)
    used += shard.bits
    shard = node
  }
  return undefined
}

function notShard(cid: CID, { kind }: Node): ChoraleError {
  return malformed(cid, `is a ${kind} where a shard of a directory must be`)
}

/** The first half of MurmurHash3 x64 128, as kubo takes it, the first byte on top. */
async function shardHash(name: string): Promise<bigint> {
  const digest = await murmur3128.encode(new TextEncoder().encode(name))
  return new DataView(digest.buffer, digest.byteOffset).getBigUint64(0)
}

function only(links: readonly Link[], name: string, where: string): Link | undefined {
  const found = links.filter((link) => link.name === name)
  if (found.length > 1) throw twice(name, where)
  return found[0]
}

function twice(name: string, where: string): ChoraleError {
  return new ChoraleError('bad-message', `${where || 'the directory'} has two entries named ${JSON.stringify(name)}`)
}

/**
 * A file, or a directory with all that is in it, directories before their entries; the root's path is ''. Every path is
 * safe to write below a directory. Throws `usage` or `bad-message` at the first name that is not, at symbolic links, and
 * at two entries of one name.
 */
export async function* walkTree(io: BlockIo, root: CID, options: ReadOptions = {}): AsyncGenerator<TreeEntry> {
  const node = decodeNode(root, await io.get(root, options))
  if (node.kind === 'symlink') throw symlink(root.toString())
  if (node.kind === 'file') {
    yield fileEntry(io, '', root, node.bytes, options)
    return
  }
  yield { type: 'directory', path: '', cid: root }
  // One listing under way per level, so memory is bounded by the depth.
  const levels = [level(io, root, '', options)]
  try {
    for (let top = levels.at(-1); top; top = levels.at(-1)) {
      const { value: entry, done } = await top.entries.next()
      if (done) {
        levels.pop()
        continue
      }
      const path = top.path === '' ? entry.name : `${top.path}/${entry.name}`
      checkEntry(top, entry, path)
      if (entry.type === 'file') {
        yield fileEntry(io, path, entry.cid, entry.bytes ?? 0, options)
        continue
      }
      yield { type: 'directory', path, cid: entry.cid }
      requireDepth(levels.length, path)
      levels.push(level(io, entry.cid, path, options))
    }
  } finally {
    for (const { entries } of levels) await entries.return(undefined)
  }
}

interface Level {
  readonly path: string
  readonly entries: AsyncGenerator<Entry>
  readonly names: Set<string>
}

function level(io: BlockIo, cid: CID, path: string, options: ReadOptions): Level {
  return { path, entries: listDirectory(io, cid, options), names: new Set() }
}

function checkEntry({ names, path: parent }: Level, { name, type }: Entry, path: string): void {
  const where = parent === '' ? 'the directory' : JSON.stringify(parent)
  if (nameFlaw(name)) requireSafeName(name, where)
  if (type === 'symlink') throw symlink(path)
  if (names.has(name)) throw twice(name, where)
  names.add(name)
  if (names.size > MAX_DIRECTORY_ENTRIES) {
    throw new ChoraleError('limit', `${where} has more than ${MAX_DIRECTORY_ENTRIES} entries`)
  }
}

function symlink(path: string): ChoraleError {
  return new ChoraleError('usage', `${path} is a symbolic link, which get does not write: it could lead anywhere`)
}

function fileEntry(io: BlockIo, path: string, cid: CID, bytes: number, options: ReadOptions): TreeEntry {
  return { type: 'file', path, cid, bytes, content: () => catFile(io, cid, options) }
}
