/**
 * Blocks of the ledger's chain, as consensus sees them: an order over opaque payloads. What is signed is the digest of
 * the header, which holds the payload's digest and not the payload, so that a receipt needs the header only.
 */
import { encode } from '../../../core/cbor.ts'
import { hashKey, type Key } from '../../../core/ids.ts'

/** SHA-256, 64 lower-case hex digits. */
export type Digest = Key

/** Never changed once made: digests are remembered by object. */
export interface Block {
  /** One more than its parent's; the first of a network has 1. */
  readonly height: number
  /** The view in which its leader proposed it: the paper's iteration. */
  readonly view: number
  readonly parent: Digest
  /** Milliseconds since the epoch of computers; not below the parent's. */
  readonly timeMs: number
  readonly payload: Uint8Array
}

/** A place on the chain: its last block, or what the chain begins with. */
export interface Tip {
  /** Of that block; 0 where an epoch begins. */
  readonly view: number
  /** Of that block; 0 where the network begins. */
  readonly height: number
  readonly digest: Digest
  readonly timeMs: number
}

/** What is hashed of a block. `payload` is the digest of the payload. */
export interface BlockHeader extends Omit<Block, 'payload'> {
  readonly payload: Digest
}

/**
 * Finalized blocks, oldest first, and what shows it: a certificate for the last of them, whose ancestors the others are; or
 * for a block above that, to which the headers lead.
 */
export interface Run<Certificate> {
  readonly blocks: readonly Block[]
  /** Of the blocks between the last one and the certified one, that one included. Mostly none. */
  readonly above: readonly BlockHeader[]
  readonly certificate: Certificate
}

/** Names a block; also the `parent` of the next. */
export function digestOfHeader({ height, view, parent, timeMs, payload }: BlockHeader): Digest {
  return hashKey(encode(['chorale block', height, view, parent, timeMs, payload]))
}

export function blockHeaderOf(block: Block, payloadDigest: (payload: Uint8Array) => Digest): BlockHeader {
  return { ...block, payload: payloadDigest(block.payload) }
}

const digests = new WeakMap<Block, Digest>()

export function digestOf(block: Block, payloadDigest: (payload: Uint8Array) => Digest): Digest {
  let digest = digests.get(block)
  if (digest === undefined) {
    digest = digestOfHeader(blockHeaderOf(block, payloadDigest))
    digests.set(block, digest)
  }
  return digest
}

export function tipAt({ view, height, timeMs }: Block | BlockHeader, digest: Digest): Tip {
  return { view, height, digest, timeMs }
}
