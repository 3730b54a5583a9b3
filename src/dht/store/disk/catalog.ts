/**
 * What the disk store knows in memory: where each block is, and how much of each segment is still of use. Pure: it is told
 * of records in the order of the log, when they are read at the start and when they are synced later, so both come to the
 * same.
 *
 * The rules, in the order of the log: a put replaces an earlier put of its key; a lease lengthens the one of the put before
 * it; a delete undoes the puts of its key up to the segment that it names.
 */
import type { Key } from '../../../core/ids.ts'
import type { BlockMeta } from '../../blocks.ts'
import type { DiskFile } from './fs.ts'
import { HEADER_BYTES } from './record.ts'

/**
 * Blocks of one store, of 230 to 290 bytes of memory each: 2^19 of them take up to 145 MiB, and are 128 GiB in blocks of 256 KiB.
 */
export const MAX_STORE_BLOCKS = 2 ** 19
/** Publishers whose names are shared by their blocks; beyond it they are forgotten, and a name may be kept twice. */
const MAX_SHARED_NAMES = 4096

/** A file of the log. */
export class Segment {
  readonly number: number
  readonly name: string
  readonly marker: Uint8Array
  readonly file: DiskFile
  /** Where the synced part ends. */
  endBytes = 0
  /** Bytes of the records that a start still needs. */
  liveBytes = 0
  /** Deletes in this segment that are still needed: what they undo is in a segment up to the one they name. */
  readonly deletes = new Map<Key, number>()
  readers = 0
  removed = false

  constructor(number: number, name: string, marker: Uint8Array, file: DiskFile) {
    this.number = number
    this.name = name
    this.marker = marker
    this.file = file
  }
}

/** A block and where it is. Never changed: a new one takes its place. */
export interface Entry extends BlockMeta {
  readonly segment: Segment
  readonly bodyAt: number
  /** Where its lease is, if not in the head of its own record. */
  readonly leaseIn: Segment | undefined
}

export class Catalog {
  readonly #entries = new Map<Key, Entry>()
  readonly #names = new Map<string, string>()
  /** In order of their numbers. */
  readonly #segments = new Set<Segment>()
  #newest = 0
  #bytes = 0
  #deletes = 0

  get count(): number {
    return this.#entries.size
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Number of the newest segment: a delete undoes all puts up to it, also what a failed write may have left. */
  get newest(): number {
    return this.#newest
  }

  /** Deletes that are still needed. */
  get deletes(): number {
    return this.#deletes
  }

  get(key: Key): Entry | undefined {
    return this.#entries.get(key)
  }

  entries(): Iterable<Entry> {
    return this.#entries.values()
  }

  segments(): Iterable<Segment> {
    return this.#segments
  }

  addSegment(segment: Segment): void {
    this.#segments.add(segment)
    this.#newest = segment.number
  }

  /** After its file is gone for good. Its own deletes have been written again if they are needed. */
  removeSegment(segment: Segment): void {
    this.#segments.delete(segment)
    segment.removed = true
    this.#deletes -= segment.deletes.size
    for (const other of this.#segments) {
      for (const [key, killed] of other.deletes) {
        if (this.isDeleteNeeded(key, killed)) continue
        other.deletes.delete(key)
        other.liveBytes -= HEADER_BYTES
        this.#deletes--
      }
    }
  }

  put(block: BlockMeta, segment: Segment, bodyAt: number): void {
    this.forget(block.key)
    const { key, sizeBytes, expiresAtMs } = block
    const publisher = this.#shared(block.publisher)
    this.#entries.set(key, { key, sizeBytes, expiresAtMs, publisher, segment, bodyAt, leaseIn: undefined })
    this.#bytes += sizeBytes
    segment.liveBytes += putBytes(block)
  }

  lease(key: Key, expiresAtMs: number, segment: Segment): void {
    const entry = this.#entries.get(key)
    if (!entry || expiresAtMs < entry.expiresAtMs) return
    // The same lease again is one that was moved, unless the block was moved later and took it along.
    if (expiresAtMs === entry.expiresAtMs && entry.leaseIn === undefined) return
    if (entry.leaseIn) entry.leaseIn.liveBytes -= HEADER_BYTES
    segment.liveBytes += HEADER_BYTES
    this.#entries.set(key, { ...entry, expiresAtMs, leaseIn: segment })
  }

  /** `segment`: where the delete is written. */
  delete(key: Key, killed: number, segment: Segment): void {
    const entry = this.#entries.get(key)
    if (entry && entry.segment.number <= killed) this.forget(key)
    if (!this.isDeleteNeeded(key, killed)) return
    if (!segment.deletes.has(key)) {
      this.#deletes++
      segment.liveBytes += HEADER_BYTES
    }
    segment.deletes.set(key, Math.max(killed, segment.deletes.get(key) ?? 0))
  }

  /**
   * A later put stands by itself; and what is in no file any more needs no undoing. Conservative: some older segment may
   * have a put of the key, nobody remembers.
   */
  isDeleteNeeded(key: Key, killed: number): boolean {
    if (this.#entries.has(key)) return false
    for (const oldest of this.#segments) return oldest.number <= killed
    return false
  }

  /** Drops a block from memory only. */
  forget(key: Key): void {
    const entry = this.#entries.get(key)
    if (!entry) return
    this.#entries.delete(key)
    this.#bytes -= entry.sizeBytes
    entry.segment.liveBytes -= putBytes(entry)
    if (entry.leaseIn) entry.leaseIn.liveBytes -= HEADER_BYTES
  }

  #shared(name: string): string {
    const known = this.#names.get(name)
    if (known !== undefined) return known
    if (this.#names.size >= MAX_SHARED_NAMES) this.#names.clear()
    this.#names.set(name, name)
    return name
  }
}

/** Bytes of a put in the log. */
function putBytes({ publisher, sizeBytes }: BlockMeta): number {
  return HEADER_BYTES + Buffer.byteLength(publisher) + sizeBytes
}
