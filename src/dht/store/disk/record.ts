/**
 * The records of a segment file, and how they are found in one that may be torn or rotten. Not in here: what they mean
 * (catalog.ts).
 *
 *   bytes    what
 *   0 - 7    the segment's marker: 8 random bytes that are in its name. Nobody who hands us a block can know them, so no
 *            bytes of a block can pass for a record when a rotten record is skipped
 *   8 - 11   CRC-32 of the rest of the head
 *   12       kind: 1 put, 2 lease, 3 delete, 4 seal
 *   13       length of the publisher
 *   16 - 19  length of the body                                   (put)
 *   20 - 23  the highest segment whose puts it undoes             (delete)
 *   24 - 31  lease, milliseconds since the epoch, as a double     (put, lease)
 *   32 - 63  key                                                  (put, lease, delete)
 *   64 -     publisher in UTF-8, then the body                    (put)
 *
 * Numbers are little-endian. A body has no checksum: its key is its digest.
 */
import { crc32 } from 'node:zlib'
import { type Key, keyFromBytes } from '../../../core/ids.ts'
import { MAX_BLOCK_BYTES } from '../../../core/limits.ts'
import type { DiskFile } from './fs.ts'

export const HEADER_BYTES = 64
export const MARKER_BYTES = 8
export const MAX_PUBLISHER_BYTES = 255

const KINDS = ['put', 'lease', 'delete', 'seal'] as const

export interface StoreRecord {
  readonly kind: (typeof KINDS)[number]
  readonly key: Key
  readonly expiresAtMs: number
  readonly publisher: string
  readonly bodyBytes: number
  readonly killed: number
}

/** A record where it was found. */
export interface Found extends StoreRecord {
  readonly at: number
  readonly bodyAt: number
  readonly endAt: number
}

const NO_KEY = '0'.repeat(2 * 32) as Key
const EMPTY: StoreRecord = { kind: 'seal', key: NO_KEY, expiresAtMs: 0, publisher: '', bodyBytes: 0, killed: 0 }

/** All of a record but the body. */
export function encodeHead(marker: Uint8Array, fields: Partial<StoreRecord> & Pick<StoreRecord, 'kind'>): Uint8Array {
  const { kind, key, expiresAtMs, publisher, bodyBytes, killed } = { ...EMPTY, ...fields }
  const publisherBytes = Buffer.byteLength(publisher)
  const head = Buffer.alloc(HEADER_BYTES + publisherBytes)
  head.set(marker)
  head[12] = KINDS.indexOf(kind) + 1
  head[13] = publisherBytes
  head.writeUInt32LE(bodyBytes, 16)
  head.writeUInt32LE(killed, 20)
  head.writeDoubleLE(expiresAtMs, 24)
  head.write(key, 32, 'hex')
  head.write(publisher, HEADER_BYTES)
  head.writeUInt32LE(crc32(head.subarray(12)), 8)
  return head
}

/** Undefined: no whole, sound head starts here. */
function decodeHead(marker: Uint8Array, bytes: Buffer, at: number, position: number): Found | undefined {
  if (at + HEADER_BYTES > bytes.length || bytes.compare(marker, 0, MARKER_BYTES, at, at + MARKER_BYTES) !== 0) return
  const headBytes = HEADER_BYTES + (bytes[at + 13] as number)
  if (at + headBytes > bytes.length) return
  if (crc32(bytes.subarray(at + 12, at + headBytes)) !== bytes.readUInt32LE(at + 8)) return
  const kind = KINDS[(bytes[at + 12] as number) - 1]
  const bodyBytes = bytes.readUInt32LE(at + 16)
  if (kind === undefined || bodyBytes > MAX_BLOCK_BYTES) return
  return {
    kind,
    key: keyFromBytes(bytes.subarray(at + 32, at + 64)),
    expiresAtMs: bytes.readDoubleLE(at + 24),
    publisher: bytes.toString('utf8', at + HEADER_BYTES, at + headBytes),
    bodyBytes,
    killed: bytes.readUInt32LE(at + 20),
    at: position,
    bodyAt: position + headBytes,
    endAt: position + headBytes + bodyBytes,
  }
}

/** A read of many small records; and of one head, when bodies are long enough to be worth skipping. */
const WIDE_BYTES = 128 * 1024
const NARROW_BYTES = 512
const LONG_BODY_BYTES = 16 * 1024

/**
 * The sound records of a file, in their order. Bodies are skipped, not read. Where none starts, the next marker is looked
 * for: after a rotten head, or a hole that a power cut left.
 */
export async function scan(file: DiskFile, marker: Uint8Array): Promise<Found[]> {
  const found: Found[] = []
  const end = file.sizeBytes
  let window: Buffer = Buffer.alloc(0)
  let windowAt = 0
  let wide = true
  const load = async (at: number) => {
    const bytes = await file.read(at, Math.min(wide ? WIDE_BYTES : NARROW_BYTES, end - at))
    window = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    windowAt = at
  }
  let at = 0
  while (at + HEADER_BYTES <= end) {
    const need = Math.min(end, at + HEADER_BYTES + MAX_PUBLISHER_BYTES)
    if (at < windowAt || need > windowAt + window.length) await load(at)
    const record = decodeHead(marker, window, at - windowAt, at)
    if (record && record.endAt <= end) {
      found.push(record)
      at = record.endAt
      wide = record.bodyBytes < LONG_BODY_BYTES
      continue
    }
    wide = true
    const next = window.indexOf(marker, at - windowAt + 1)
    if (next >= 0) {
      at = windowAt + next
    } else {
      // A marker may lie across the end of the window.
      const searched = windowAt + window.length
      if (searched >= end) break
      at = Math.max(at + 1, searched - MARKER_BYTES + 1)
    }
  }
  return found
}
