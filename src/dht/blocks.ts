/**
 * The ports of block storage (DESIGN 1, 5, 6; CFS, PAPERS 2). A `BlockStore` is what one host keeps on its own disk or in
 * memory; `Blocks` is what the overlay keeps together. A block is known by its digest: two names with different codecs
 * and one digest are one block.
 */
import type { CID } from 'multiformats/cid'
import type { Key } from '../core/ids.ts'

export interface BlockMeta {
  /** SHA-256 of the bytes. */
  readonly key: Key
  readonly sizeBytes: number
  /** The lease: milliseconds since the epoch after which nobody misses the block. */
  readonly expiresAtMs: number
  /** Peer id of the host that put it, whose quota it uses. */
  readonly publisher: string
}

export interface BlockStore {
  /** From memory: asks no disk. */
  meta(key: Key): BlockMeta | undefined
  /** The bytes, verified. Undefined: not here, or torn or rotten and dropped on this occasion. */
  get(key: Key): Promise<Uint8Array | undefined>
  /**
   * Resolves when the block is synced; known blocks only get their lease extended. The caller has verified the digest.
   * Rejects with `limit` when the store is full, `io` when the disk fails: then nothing of it stays.
   */
  put(block: BlockMeta, bytes: Uint8Array): Promise<void>
  /** Leases only get longer. Resolves when synced. False: not here. */
  extend(key: Key, expiresAtMs: number): Promise<boolean>
  delete(key: Key): Promise<void>
  /** In no order; may be changed meanwhile. */
  entries(): Iterable<BlockMeta>
  readonly count: number
  /** Bytes of blocks. */
  readonly bytes: number
  readonly capacityBytes: number
  /** Syncs and releases; what was not resolved is rejected with `aborted`. */
  close(): Promise<void>
}

export interface BlockOptions {
  signal?: AbortSignal | undefined
}

export interface PutOptions extends BlockOptions {
  /** Default 7 days. */
  leaseMs?: number | undefined
}

/** One holder as it answered. */
export interface BlockHolder {
  readonly peer: string
  /** `ip:port`. */
  readonly address: string
  readonly role: 'owner' | 'replica'
  /** Undefined: it did not answer. */
  readonly holds: boolean | undefined
  readonly expiresAtMs: number | undefined
}

export interface BlockStat {
  readonly cid: CID
  /** Undefined: nobody who answered has it. */
  readonly sizeBytes: number | undefined
  /** The replica group, owner first. */
  readonly holders: readonly BlockHolder[]
  /** Copies that a whole group would hold. */
  readonly wanted: number
}

export interface Blocks {
  /**
   * Gives a block to the owner of its key, which spreads it over the replica group. Resolves once a majority of the group
   * has synced it. Rejects with `usage` (a name of another digest, codec or size than we keep), `limit` (full, or over the
   * quota), `timeout`, `no-route`, `aborted`.
   */
  put(cid: CID, bytes: Uint8Array, options?: PutOptions): Promise<void>
  /** Verified bytes, from here, from the owner, or from whoever of its group is quickest. Rejects with `not-found` too. */
  get(cid: CID, options?: BlockOptions): Promise<Uint8Array>
  /** Extends the leases of blocks; returns those that nobody had any more. */
  extend(cids: readonly CID[], options?: PutOptions): Promise<CID[]>
  stat(cid: CID, options?: BlockOptions): Promise<BlockStat>
}
