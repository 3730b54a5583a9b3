/**
 * What the disk store is asked for, and what that comes to in the log. Pure: judged by the catalogue, that is by what is
 * synced, and by what else is written with it.
 */
import { ChoraleError } from '../../../core/errors.ts'
import type { Key } from '../../../core/ids.ts'
import type { BlockMeta } from '../../blocks.ts'
import { fullStore } from '../memory-blocks.ts'
import { type Catalog, type Entry, MAX_STORE_BLOCKS, type Segment } from './catalog.ts'
import { encodeHead } from './record.ts'

/** What is asked for. `move*` are the cleaner's: live records of a segment that goes. */
export type Wish =
  | { readonly kind: 'put'; readonly key: Key; readonly block: BlockMeta; readonly bytes: Uint8Array }
  | { readonly kind: 'extend'; readonly key: Key; readonly expiresAtMs: number }
  | { readonly kind: 'delete'; readonly key: Key }
  | { readonly kind: 'move'; readonly key: Key; readonly from: Segment; readonly bytes: Uint8Array }
  | { readonly kind: 'move-lease'; readonly key: Key; readonly from: Segment }
  | { readonly kind: 'move-delete'; readonly key: Key; readonly killed: number }

/** What a wish comes to: records to write and what is true once they are synced, or an answer at once. */
export interface Plan {
  readonly parts?: (segment: Segment) => Uint8Array[]
  readonly applied?: (segment: Segment, at: number) => void
  /** Blocks and bytes that the store then has more. */
  readonly adds?: { readonly blocks: number; readonly bytes: number }
  readonly held?: boolean
  readonly refused?: ChoraleError
}

/** What a wish is judged by. */
export interface StoreState {
  readonly catalog: Catalog
  /** Blocks that are gone from memory, and not yet from the log. */
  readonly owed: ReadonlyMap<Key, number>
  /** Blocks and bytes that the store has by then. */
  readonly blocks: number
  readonly bytes: number
  readonly capacityBytes: number
}

export function planWish(wish: Wish, { catalog, owed, blocks, bytes, capacityBytes }: StoreState): Plan {
  const { key } = wish
  const entry = catalog.get(key)
  switch (wish.kind) {
    case 'put':
      if (entry) return planLease(catalog, entry, wish.block.expiresAtMs)
      if (bytes + wish.bytes.length > capacityBytes) return { refused: fullStore(capacityBytes) }
      if (blocks >= MAX_STORE_BLOCKS) {
        return { refused: new ChoraleError('limit', `the block store is full: it may keep ${MAX_STORE_BLOCKS} blocks`) }
      }
      return { ...planPut(catalog, wish.block, wish.bytes), adds: { blocks: 1, bytes: wish.bytes.length } }
    case 'extend':
      return entry ? planLease(catalog, entry, wish.expiresAtMs) : { held: false }
    case 'delete':
      return entry || owed.has(key) ? planDelete(catalog, key, catalog.newest) : {}
    case 'move':
      return entry?.segment === wish.from ? planPut(catalog, entry, wish.bytes) : {}
    case 'move-lease':
      return entry?.leaseIn === wish.from ? planLease(catalog, entry, entry.expiresAtMs, true) : {}
    case 'move-delete':
      return catalog.isDeleteNeeded(key, wish.killed) ? planDelete(catalog, key, wish.killed) : {}
  }
}

function planPut(catalog: Catalog, block: BlockMeta, bytes: Uint8Array): Plan {
  const { key, publisher, expiresAtMs, sizeBytes } = block
  let headBytes = 0
  return {
    parts: ({ marker }) => {
      const head = encodeHead(marker, { kind: 'put', key, publisher, expiresAtMs, bodyBytes: sizeBytes })
      headBytes = head.length
      return [head, bytes]
    },
    applied: (segment, at) => catalog.put(block, segment, at + headBytes),
  }
}

/** Nothing, when the lease is as long already; `moved` writes it again all the same. */
function planLease(catalog: Catalog, { key, expiresAtMs: until }: Entry, expiresAtMs: number, moved = false): Plan {
  if (expiresAtMs <= until && !moved) return {}
  return {
    parts: ({ marker }) => [encodeHead(marker, { kind: 'lease', key, expiresAtMs })],
    applied: (segment) => catalog.lease(key, expiresAtMs, segment),
  }
}

function planDelete(catalog: Catalog, key: Key, killed: number): Plan {
  return {
    parts: ({ marker }) => [encodeHead(marker, { kind: 'delete', key, killed })],
    applied: (segment) => catalog.delete(key, killed, segment),
  }
}
