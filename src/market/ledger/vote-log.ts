/**
 * The write-ahead log of a banker on disk (`consensus/log.ts` says what is in it and why). A file for each epoch; what is
 * appended together is one record, written and synced before the next, so only the last record of a file can be torn.
 *
 *   bytes   what
 *   0 - 3   length of the body
 *   4 - 7   CRC-32 of the body
 *   8 -     body, dag-cbor: an array of records; the first of a file begins with network, epoch and member
 *
 * A last record that ends too early, or has a gap of zeros, was torn when the machine went down: nothing that depended on
 * it was sent, and it is cut off. Anything else that is wrong is rot: the member cannot know what it said, and must not
 * vote before it has caught up.
 */
import { join } from 'node:path/posix'
import { crc32 } from 'node:zlib'
import { decode, encode } from '../../core/cbor.ts'
import { ChoraleError } from '../../core/errors.ts'
import type { Key } from '../../core/ids.ts'
import { type DiskFile, type DiskFs, diskError } from '../../dht/store/disk/fs.ts'
import type { LogRecord } from './consensus/effects.ts'

/** Whose log it is. */
export interface LogOwner {
  readonly network: Key
  readonly epoch: number
  readonly member: Key
}

export interface OpenedLog {
  readonly log: VoteLog
  readonly records: readonly LogRecord[]
}

/** What a machine may write at once: a gap in a torn record is at least as long. */
const GAP_BYTES = 32
const HEAD_BYTES = 8
/** Of a file that is worth shortening. */
const LONG_BYTES = 4 * 1024 * 1024

interface Waiting {
  readonly records: readonly LogRecord[]
  readonly resolve: () => void
  readonly reject: (error: ChoraleError) => void
}

export class VoteLog {
  readonly #fs: DiskFs
  readonly #dir: string
  readonly #owner: LogOwner
  #name: string
  #file: DiskFile
  #endBytes: number
  #waiting: Waiting[] = []
  /** Instead of all records that were appended before. */
  #cut: { readonly records: readonly LogRecord[] } | undefined
  #cutting = false
  #writing: Promise<void> | undefined
  #failed: ChoraleError | undefined

  constructor(fs: DiskFs, dir: string, owner: LogOwner, name: string, file: DiskFile, end: number) {
    this.#fs = fs
    this.#dir = dir
    this.#owner = owner
    this.#name = name
    this.#file = file
    this.#endBytes = end
  }

  /** Worth a cut, and none is under way. */
  get isLong(): boolean {
    return this.#endBytes > LONG_BYTES && !this.#cut && !this.#cutting
  }

  /** Resolves when they are synced. What is appended meanwhile goes together. Rejects with `io`, and then always. */
  append(records: readonly LogRecord[]): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ records, resolve, reject })
      this.#write()
    })
  }

  /** All that was appended so far is replaced by these, `recordsOf` the state then, in a new file. */
  cut(records: readonly LogRecord[]): Promise<void> {
    this.#cut = { records }
    const waiting = this.#waiting
    this.#waiting = []
    return new Promise((resolve, reject) => {
      // Whoever waits has its records among these.
      this.#waiting.push(...waiting.map((one) => ({ ...one, records: [] })), { records: [], resolve, reject })
      this.#write()
    })
  }

  /** After what is being written. */
  async close(): Promise<void> {
    while (this.#writing) await this.#writing
    this.#failed ??= new ChoraleError('aborted', 'the log is closed')
    await this.#file.close().catch(() => {})
  }

  /** The epoch is over, and its chain is stored. */
  async remove(): Promise<void> {
    await this.close()
    await this.#fs.remove(join(this.#dir, this.#name)).catch(() => {})
  }

  #write(): void {
    this.#writing ??= this.#writeAll()
  }

  async #writeAll(): Promise<void> {
    // In the next turn, so that what one turn appends is one record.
    await Promise.resolve()
    while (this.#waiting.length > 0) {
      const group = this.#waiting
      const cut = this.#cut
      this.#waiting = []
      this.#cut = undefined
      try {
        if (this.#failed) throw this.#failed
        const records = group.flatMap((one) => one.records)
        this.#cutting = cut !== undefined
        if (cut) await this.#replace([...cut.records, ...records])
        else await this.#append(records)
      } catch (error) {
        this.#failed = diskError(error, this.#dir)
        for (const { reject } of group) reject(this.#failed)
        continue
      }
      this.#cutting = false
      for (const { resolve } of group) resolve()
    }
    this.#writing = undefined // in this turn: whoever has just been told may append at once
  }

  async #append(records: readonly LogRecord[]): Promise<void> {
    const bytes = frame(records)
    await this.#file.write(this.#endBytes, [bytes])
    await this.#file.sync()
    this.#endBytes += bytes.length
  }

  async #replace(records: readonly LogRecord[]): Promise<void> {
    const before = { name: this.#name, file: this.#file }
    const name = nameOf(this.#owner.epoch, serialOf(before.name) + 1)
    const made = await create(this.#fs, this.#dir, name, this.#owner, records)
    this.#name = name
    this.#file = made.file
    this.#endBytes = made.endBytes
    await before.file.close().catch(() => {})
    await this.#fs.remove(join(this.#dir, before.name)).catch(() => {})
  }
}

/**
 * Opens the log of a member for an epoch, or begins it. `rotten`: there is one that cannot be trusted; the member begins
 * anew by `beginVoteLog`, with a silence. Logs of other epochs stay as they are. Rejects with `io`, and
 * with `config` when the log is somebody else's.
 */
export async function openVoteLog(fs: DiskFs, dir: string, owner: LogOwner): Promise<OpenedLog | 'rotten'> {
  try {
    await fs.makeDirectory(dir)
    const names = await logNames(fs, dir, owner.epoch)
    for (const name of names.toReversed()) {
      const file = await fs.open(join(dir, name))
      const read = await readLog(file)
      // Cut off while it was made, so the one before it is whole: that goes when this one is.
      const isUnborn = read === 'unborn' && (serialOf(name) === 0 || name !== names[0])
      if (isUnborn) {
        await file.close()
        await fs.remove(join(dir, name))
        continue
      }
      if (read === 'unborn' || read === 'rotten') {
        await file.close()
        return 'rotten'
      }
      const { records, endBytes, ...found } = read
      if (found.network !== owner.network || found.epoch !== owner.epoch || found.member !== owner.member) {
        await file.close()
        throw new ChoraleError('config', `${join(dir, name)} is the log of another banker or network: move it away`)
      }
      await file.truncate(endBytes)
      await file.sync()
      for (const other of names) if (other < name) await fs.remove(join(dir, other))
      return { log: new VoteLog(fs, dir, owner, name, file, endBytes), records }
    }
    // The host has been in later epochs: what it said in this one went when the chain had it, and the chain has lost it.
    if ((await fs.list(dir)).some((name) => epochOf(name) > owner.epoch)) return 'rotten'
    return await beginVoteLog(fs, dir, owner, [])
  } catch (error) {
    throw diskError(error, dir)
  }
}

/** A new log with these records, in place of whatever there is for the epoch. */
export async function beginVoteLog(
  fs: DiskFs,
  dir: string,
  owner: LogOwner,
  records: readonly LogRecord[],
): Promise<OpenedLog> {
  try {
    const names = await logNames(fs, dir, owner.epoch)
    const last = names.at(-1)
    const name = nameOf(owner.epoch, last === undefined ? 0 : serialOf(last) + 1)
    const { file, endBytes } = await create(fs, dir, name, owner, records)
    for (const other of names) await fs.remove(join(dir, other))
    return { log: new VoteLog(fs, dir, owner, name, file, endBytes), records }
  } catch (error) {
    throw diskError(error, dir)
  }
}

/** Epochs before this one are over, and their chain is stored. */
export async function removeOldLogs(fs: DiskFs, dir: string, epoch: number): Promise<void> {
  for (const name of await fs.list(dir)) {
    const of = epochOf(name)
    if (of >= 0 && of < epoch) await fs.remove(join(dir, name))
  }
}

const NAME = /^votes-(\d{12})-(\d{12})$/

function nameOf(epoch: number, serial: number): string {
  return `votes-${String(epoch).padStart(12, '0')}-${String(serial).padStart(12, '0')}`
}

/** -1: it is no log. */
function epochOf(name: string): number {
  return Number(NAME.exec(name)?.[1] ?? -1)
}

function serialOf(name: string): number {
  return Number(NAME.exec(name)![2])
}

async function logNames(fs: DiskFs, dir: string, epoch: number): Promise<string[]> {
  return (await fs.list(dir)).filter((name) => epochOf(name) === epoch).sort()
}

/** The head and the records are one record, so a file is whole or not there. */
async function create(fs: DiskFs, dir: string, name: string, owner: LogOwner, records: readonly LogRecord[]) {
  const file = await fs.create(join(dir, name))
  const bytes = frame([owner, ...records])
  await file.write(0, [bytes])
  await file.sync()
  await fs.syncDirectory(dir)
  return { file, endBytes: bytes.length }
}

function frame(value: unknown): Uint8Array {
  const body = encode(value)
  const bytes = Buffer.alloc(HEAD_BYTES + body.length)
  bytes.writeUInt32LE(body.length, 0)
  bytes.writeUInt32LE(crc32(body), 4)
  bytes.set(body, HEAD_BYTES)
  return bytes
}

interface ReadLog extends LogOwner {
  readonly records: LogRecord[]
  readonly endBytes: number
}

/** `unborn`: not even its first record is whole. */
async function readLog(file: DiskFile): Promise<ReadLog | 'unborn' | 'rotten'> {
  const read = await file.read(0, file.sizeBytes)
  const bytes = Buffer.from(read.buffer, read.byteOffset, read.length)
  const bodies: unknown[][] = []
  let at = 0
  while (at < bytes.length) {
    // No body is empty: a length of zero is that of a head which was never written.
    const length = at + HEAD_BYTES <= bytes.length ? bytes.readUInt32LE(at) : 0
    const end = length > 0 ? at + HEAD_BYTES + length : Number.POSITIVE_INFINITY
    const body = end <= bytes.length ? bytes.subarray(at + HEAD_BYTES, end) : undefined
    if (body === undefined || crc32(body) !== bytes.readUInt32LE(at + 4)) {
      if (!isTorn(bytes, at, end)) return 'rotten'
      break
    }
    bodies.push(decode(body) as unknown[])
    at = end
  }
  const [first, ...others] = bodies
  if (first === undefined) return 'unborn'
  const [head, ...records] = first as [LogOwner, ...LogRecord[]]
  return { ...head, records: [...records, ...(others.flat() as LogRecord[])], endBytes: at }
}

/**
 * Is the record at this place the last one, and was it cut short by a crash? What says how long it is may be torn, too. What
 * was torn has nothing whole after it: a rotten length, or a sector that reads as zeros, would hide the rest of the log.
 */
function isTorn(bytes: Buffer, at: number, end: number): boolean {
  if (end < bytes.length) return false
  // All of it is here, but for its length.
  const body = bytes.subarray(at + HEAD_BYTES)
  if (body.length > 0 && crc32(body) === bytes.readUInt32LE(at + 4)) return false
  for (let next = at + 1; next + HEAD_BYTES < bytes.length; next++) {
    const until = next + HEAD_BYTES + bytes.readUInt32LE(next)
    if (until > bytes.length || until <= next + HEAD_BYTES) continue
    if (crc32(bytes.subarray(next + HEAD_BYTES, until)) === bytes.readUInt32LE(next + 4)) return false
  }
  return end > bytes.length || bytes.includes(Buffer.alloc(GAP_BYTES), at)
}
