/**
 * Sets of segments of one level, small on the wire and in memory: a job of 10^6 tasks has 62,500 segments of level 1,
 * and a bundle names thousands of them. In memory a cover is a flat list of ranges [start, end) in ascending order; on
 * the wire it is the shorter of two forms:
 *
 *   0, then for each range varint(gap since the last end), varint(length)
 *   1, varint(first), then a bitmap from there on, least significant bit first
 */
import { ChoraleError } from '../core/errors.ts'

export type Cover = readonly number[]

export function rangeCover(start: number, end: number): Cover {
  return end > start ? [start, end] : []
}

/** From indices in ascending order; repeated ones count once. */
export function coverOf(indices: Iterable<number>): Cover {
  const ranges: number[] = []
  let end = -1
  for (const index of indices) {
    if (index < end) continue
    if (index === end) ranges[ranges.length - 1] = ++end
    else ranges.push(index, (end = index + 1))
  }
  return ranges
}

export function* indicesOf(cover: Cover): Generator<number> {
  for (let i = 0; i < cover.length; i += 2) {
    for (let index = cover[i] as number; index < (cover[i + 1] as number); index++) yield index
  }
}

export function coverSize(cover: Cover): number {
  let size = 0
  for (let i = 0; i < cover.length; i += 2) size += (cover[i + 1] as number) - (cover[i] as number)
  return size
}

export function encodeCover(cover: Cover): Uint8Array {
  const first = cover[0] ?? 0
  const bitmapLength = Math.ceil(((cover[cover.length - 1] ?? 0) - first) / 8)
  const ranges: number[] = [0]
  let end = 0
  for (let i = 0; i < cover.length; i += 2) {
    pushVarint(ranges, (cover[i] as number) - end)
    end = cover[i + 1] as number
    pushVarint(ranges, end - (cover[i] as number))
  }
  const head: number[] = [1]
  pushVarint(head, first)
  if (ranges.length <= head.length + bitmapLength) return Uint8Array.from(ranges)
  const bytes = new Uint8Array(head.length + bitmapLength)
  bytes.set(head)
  for (const index of indicesOf(cover)) {
    const at = index - first
    bytes[head.length + (at >>> 3)]! |= 1 << (at & 7)
  }
  return bytes
}

/** Throws `bad-message` on anything that is not a cover of indices below `limit`. */
export function decodeCover(bytes: Uint8Array, limit: number): Cover {
  const reader = { bytes, at: 1 }
  const cover = bytes[0] === 0 ? decodeRanges(reader) : bytes[0] === 1 ? decodeBitmap(reader) : undefined
  if (!cover || (cover[cover.length - 1] ?? 0) > limit) throw new ChoraleError('bad-message', 'not a cover')
  return cover
}

interface Reader {
  readonly bytes: Uint8Array
  at: number
}

function decodeRanges(reader: Reader): Cover | undefined {
  const ranges: number[] = []
  let end = 0
  while (reader.at < reader.bytes.length) {
    const gap = readVarint(reader)
    const length = readVarint(reader)
    if (gap === undefined || !length || (gap === 0 && ranges.length > 0)) return undefined
    ranges.push(end + gap, (end += gap + length))
  }
  return ranges
}

function decodeBitmap(reader: Reader): Cover | undefined {
  const first = readVarint(reader)
  if (first === undefined) return undefined
  const { bytes, at } = reader
  function* bits(): Generator<number> {
    for (let i = at; i < bytes.length; i++) {
      for (let bit = 0; bit < 8; bit++)
        if (((bytes[i] as number) >>> bit) & 1) yield (first as number) + (i - at) * 8 + bit
    }
  }
  return coverOf(bits())
}

function pushVarint(out: number[], value: number): void {
  let rest = value
  for (; rest > 127; rest = Math.floor(rest / 128)) out.push((rest & 127) | 128)
  out.push(rest)
}

/** At most four bytes: indices are below 2^28. */
function readVarint(reader: Reader): number | undefined {
  let value = 0
  for (let shift = 0; shift < 28; shift += 7) {
    const byte = reader.bytes[reader.at++]
    if (byte === undefined) return undefined
    value |= (byte & 127) << shift
    if (byte < 128) return value
  }
  return undefined
}
