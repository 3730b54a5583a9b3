/**
 * Opening the log of a disk store: from the files to the catalogue, whatever a power cut or rot left of them. Never needs
 * a hand, and destroys nothing but a torn tail.
 *
 * A segment that ends with a seal was synced whole before: its heads are read and its bodies skipped, which makes a start
 * fast. Of one without (the last of a process that was killed) the bodies are checked too, since a head may have reached
 * the disk before its body. What is sound there is synced before anybody relies on it: until now it may be in memory only.
 */
import { join } from 'node:path/posix'
import type { Logger } from '../../../core/env.ts'
import { ChoraleError, errorMessage } from '../../../core/errors.ts'
import { hashKey } from '../../../core/ids.ts'
import { Catalog, Segment } from './catalog.ts'
import type { DiskFs } from './fs.ts'
import { encodeHead, type Found, scan } from './record.ts'

/** Of the files; in their names, so that it cannot be torn. */
const FORMAT = 1
const NAME = /^(\d{8,10})-([0-9a-f]{16})\.blocks(\d+)$/
/** Segments that are read at once: one waits for the disk while another is parsed. */
const SCANS_AT_ONCE = 4
/** Records that are replayed before others get the thread: a few milliseconds. */
const REPLAY_STEP = 4096

export function segmentName(number: number, marker: Uint8Array): string {
  const hex = Buffer.from(marker).toString('hex')
  return `${String(number).padStart(8, '0')}-${hex}.blocks${FORMAT}`
}

export interface Recovered {
  readonly catalog: Catalog
  /** For the next segment. */
  readonly nextNumber: number
}

/** Throws `config` at files of a newer format, and what the disk throws. */
export async function recover(fs: DiskFs, dir: string, log: Logger): Promise<Recovered> {
  const names = parseNames(await fs.list(dir), dir)
  const catalog = new Catalog()
  const segments: Segment[] = []
  try {
    for (const { name, number, marker } of names) {
      const segment = new Segment(number, name, marker, await fs.open(join(dir, name)))
      segments.push(segment)
      catalog.addSegment(segment)
    }
    const scans: Promise<Found[]>[] = []
    for (const [i, segment] of segments.entries()) {
      while (scans.length < Math.min(segments.length, i + SCANS_AT_ONCE)) {
        const next = segments[scans.length] as Segment
        const scanned = readSegment(next, log)
        scanned.catch(() => {}) // it is awaited in its turn
        scans.push(scanned)
      }
      await replay(fs, catalog, segment, await (scans[i] as Promise<Found[]>))
      scans[i] = Promise.resolve([])
      await fs.breathe()
    }
  } catch (error) {
    await Promise.allSettled(segments.map(({ file }) => file.close()))
    throw error
  }
  return { catalog, nextNumber: (names.at(-1)?.number ?? 0) + 1 }
}

function parseNames(files: readonly string[], dir: string): { name: string; number: number; marker: Uint8Array }[] {
  const names = files.flatMap((name) => {
    const [, number, marker, format] = NAME.exec(name) ?? []
    if (number === undefined) return []
    if (Number(format) > FORMAT) {
      throw new ChoraleError('config', `${join(dir, name)} is of a newer version of chorale: start that one`)
    }
    return [{ name, number: Number(number), marker: Buffer.from(marker as string, 'hex') }]
  })
  return names.sort((a, b) => a.number - b.number)
}

/** The records to rely on. Sets the segment's end. */
async function readSegment(segment: Segment, log: Logger): Promise<Found[]> {
  const { file, marker, name } = segment
  const found = await scan(file, marker)
  const last = found.at(-1)
  if (last?.kind === 'seal') {
    segment.endBytes = file.sizeBytes
    return found
  }
  const { sound, firstTornAt } = await checkBodies(segment, found)
  const endAt = sound.at(-1)?.endAt ?? 0
  if (file.sizeBytes > endAt) {
    log.info('cut the torn tail of a segment', { name, bytes: file.sizeBytes - endAt })
    await file.truncate(endAt)
  }
  await file.sync()
  segment.endBytes = endAt
  // With a torn record in the middle it stays unsealed, so that its bodies are checked at the next start again.
  if (firstTornAt >= endAt) await seal(segment, log)
  const lost = found.length - sound.length
  if (lost > 0) log.info('a segment had torn blocks, which nobody was told are kept', { name, blocks: lost })
  return sound
}

const CHUNK_BYTES = 1024 * 1024

async function checkBodies(
  { file }: Segment,
  found: readonly Found[],
): Promise<{ sound: Found[]; firstTornAt: number }> {
  const sound: Found[] = []
  let firstTornAt = Number.POSITIVE_INFINITY
  let chunk: Uint8Array = new Uint8Array(0)
  let chunkAt = 0
  for (const record of found) {
    const { bodyAt, endAt, bodyBytes } = record
    if (record.kind === 'put') {
      if (bodyAt < chunkAt || endAt > chunkAt + chunk.length) {
        chunk = await file.read(bodyAt, Math.max(bodyBytes, CHUNK_BYTES))
        chunkAt = bodyAt
      }
      if (hashKey(chunk.subarray(bodyAt - chunkAt, endAt - chunkAt)) !== record.key) {
        firstTornAt = Math.min(firstTornAt, record.at)
        continue
      }
    }
    sound.push(record)
  }
  return { sound, firstTornAt }
}

/** Says of a synced segment that it is whole. When the disk is full it goes without: the next start takes longer. */
export async function seal(segment: Segment, log: Logger): Promise<void> {
  const record = encodeHead(segment.marker, { kind: 'seal' })
  try {
    await segment.file.write(segment.endBytes, [record])
    await segment.file.sync()
    segment.endBytes += record.length
  } catch (error) {
    log.warn('cannot seal a segment', { name: segment.name, error: errorMessage(error) })
  }
}

async function replay(fs: DiskFs, catalog: Catalog, segment: Segment, found: readonly Found[]): Promise<void> {
  for (const [i, record] of found.entries()) {
    if (i % REPLAY_STEP === REPLAY_STEP - 1) await fs.breathe()
    const { kind, key, expiresAtMs, publisher, bodyBytes, bodyAt, killed } = record
    if (kind === 'put') catalog.put({ key, sizeBytes: bodyBytes, expiresAtMs, publisher }, segment, bodyAt)
    else if (kind === 'lease') catalog.lease(key, expiresAtMs, segment)
    else if (kind === 'delete') catalog.delete(key, killed, segment)
  }
}
