/**
 * What this host has done of the jobs that it is contracted for, on disk: what it commits to rests on it, and what is challenged
 * must be shown after a crash too. A file for each contract; what is done is appended in records of one length:
 *
 *   head     length of the body and its CRC-32, 4 bytes each; body: dag-cbor, the job's spec and when the file was made
 *   record   task 4 bytes, digest 32 bytes, CRC-32 of both 4 bytes
 *
 * A record that was torn when the machine went down is passed over: nothing that rested on it was sent. So is one that has
 * rotted: its task counts as not done.
 */
import { join } from 'node:path/posix'
import { crc32 } from 'node:zlib'
import { Type } from 'typebox'
import { decode, encode } from '../../core/cbor.ts'
import { checker } from '../../core/codec.ts'
import { ChoraleError } from '../../core/errors.ts'
import { type Key, keyFromBytes } from '../../core/ids.ts'
import { MAX_SPEC_BYTES, MAX_WORK_LOGS } from '../../core/limits.ts'
import { type DiskFile, type DiskFs, diskError } from '../../dht/store/disk/fs.ts'
import { encodeSpec, type JobSpec, jobIdOf, parseSpec } from '../../mapreduce/spec.ts'
import { BytesSchema, record } from '../../net/message.ts'
import { type Range, type Ranges, united } from '../ledger/state/allocations/ranges.ts'

const HEAD_BYTES = 8
const DIGEST_BYTES = 32
const RECORD_BYTES = 4 + DIGEST_BYTES + 4
/** What is read at a time: whole records. */
const READ_RECORDS = 16_384
const NAME = /^[0-9a-f]{64}$/

const Head = checker(record({ spec: BytesSchema(MAX_SPEC_BYTES), madeMs: Type.Number() }))

/** Of one contract. */
export class WorkLog {
  readonly spec: JobSpec
  readonly specBytes: Uint8Array
  readonly madeMs: number
  readonly #file: DiskFile
  readonly #dir: string
  #endBytes: number
  /** Where the digest of a task is in `#digests`, counted in digests. */
  readonly #places = new Map<number, number>()
  #digests: Buffer = Buffer.alloc(64 * DIGEST_BYTES)
  #done: Ranges = []
  /** Done, and not in `#done` yet. */
  #late: number[] = []
  /** Not on disk yet. */
  #unwritten: Buffer[] = []
  #writing: Promise<void> = Promise.resolve()

  constructor(
    file: DiskFile,
    dir: string,
    head: { spec: JobSpec; specBytes: Uint8Array; madeMs: number },
    end: number,
  ) {
    this.#file = file
    this.#dir = dir
    this.spec = head.spec
    this.specBytes = head.specBytes
    this.madeMs = head.madeMs
    this.#endBytes = end
  }

  get count(): number {
    return this.#places.size
  }

  digest(task: number): Key | undefined {
    const place = this.#places.get(task)
    if (place === undefined) return undefined
    return keyFromBytes(this.#digests.subarray(place * DIGEST_BYTES, (place + 1) * DIGEST_BYTES))
  }

  /** All tasks that were done. */
  get done(): Ranges {
    if (this.#late.length > 0) {
      this.#done = united(this.#done, rangesOf(this.#late))
      this.#late = []
    }
    return this.#done
  }

  /** False: it is known, or no task of the job. It is on disk after the next `sync`. */
  add(task: number, digest: Key): boolean {
    if (!this.#take(task, Buffer.from(digest, 'hex'))) return false
    this.#unwritten.push(recordOf(task, digest))
    return true
  }

  #take(task: number, digest: Uint8Array): boolean {
    if (this.#places.has(task) || task >= this.spec.tasks) return false
    const place = this.#places.size
    if ((place + 1) * DIGEST_BYTES > this.#digests.length) {
      const larger = Buffer.alloc(2 * this.#digests.length)
      this.#digests.copy(larger)
      this.#digests = larger
    }
    this.#digests.set(digest, place * DIGEST_BYTES)
    this.#places.set(task, place)
    this.#late.push(task)
    return true
  }

  /** Resolves when all that was added before is safe. Rejects with `io`: it may be called again. */
  sync(): Promise<void> {
    const written = this.#writing.catch(() => {}).then(() => this.#write())
    this.#writing = written
    return written
  }

  async #write(): Promise<void> {
    const records = this.#unwritten
    if (records.length === 0) return
    try {
      await this.#file.write(this.#endBytes, records)
      await this.#file.sync()
    } catch (error) {
      throw diskError(error, this.#dir)
    }
    this.#endBytes += records.length * RECORD_BYTES
    this.#unwritten = this.#unwritten.slice(records.length)
  }

  /** Reads what was written before. */
  async read(): Promise<void> {
    const beginBytes = this.#endBytes
    const whole = Math.floor((this.#file.sizeBytes - beginBytes) / RECORD_BYTES)
    for (let at = 0; at < whole; at += READ_RECORDS) {
      const count = Math.min(READ_RECORDS, whole - at)
      const read = await this.#file.read(beginBytes + at * RECORD_BYTES, count * RECORD_BYTES)
      const bytes = Buffer.from(read.buffer, read.byteOffset, read.length)
      for (let i = 0; i + RECORD_BYTES <= bytes.length; i += RECORD_BYTES) {
        const body = bytes.subarray(i, i + 4 + DIGEST_BYTES)
        if (crc32(body) === bytes.readUInt32LE(i + 4 + DIGEST_BYTES)) this.#take(body.readUInt32LE(0), body.subarray(4))
      }
    }
    this.#endBytes = beginBytes + whole * RECORD_BYTES
    await this.#file.truncate(this.#endBytes)
  }

  async close(): Promise<void> {
    await this.sync().catch(() => {}) // what rests on it was synced before
    await this.#file.close().catch(() => {})
  }
}

/** All of them, in one directory. */
export class WorkLogs {
  readonly #fs: DiskFs
  readonly #dir: string
  readonly #logs = new Map<Key, WorkLog>()
  readonly #opening = new Map<Key, Promise<WorkLog | undefined>>()

  private constructor(fs: DiskFs, dir: string) {
    this.#fs = fs
    this.#dir = dir
  }

  /** Makes the directory. A file that is none of ours, or of which not even the head is whole, goes. Rejects with `io`. */
  static async open(fs: DiskFs, dir: string): Promise<WorkLogs> {
    const logs = new WorkLogs(fs, dir)
    try {
      await fs.makeDirectory(dir)
      for (const name of await fs.list(dir)) {
        if (!NAME.test(name)) continue
        const log = await readLog(fs, dir, name as Key)
        if (log) logs.#logs.set(name as Key, log)
        else await fs.remove(join(dir, name))
      }
    } catch (error) {
      throw diskError(error, dir)
    }
    return logs
  }

  get(contract: Key): WorkLog | undefined {
    return this.#logs.get(contract)
  }

  entries(): Iterable<readonly [Key, WorkLog]> {
    return this.#logs
  }

  /** The log of this contract, which is made if there is none. Undefined: there are as many as may be. Rejects with `io`. */
  begin(contract: Key, spec: JobSpec, nowMs: number): Promise<WorkLog | undefined> {
    const known = this.#logs.get(contract)
    if (known) return Promise.resolve(known)
    const running = this.#opening.get(contract)
    if (running) return running
    if (this.#logs.size + this.#opening.size >= MAX_WORK_LOGS) return Promise.resolve(undefined)
    const made = this.#make(contract, spec, nowMs).finally(() => this.#opening.delete(contract))
    this.#opening.set(contract, made)
    return made
  }

  async #make(contract: Key, spec: JobSpec, nowMs: number): Promise<WorkLog> {
    const path = join(this.#dir, contract)
    const specBytes = encodeSpec(spec)
    const head = { spec, specBytes, madeMs: nowMs }
    const bytes = headOf(encode({ spec: specBytes, madeMs: nowMs }))
    try {
      const file = await this.#fs.create(path)
      await file.write(0, [bytes])
      await file.sync()
      await this.#fs.syncDirectory(this.#dir)
      const log = new WorkLog(file, this.#dir, head, bytes.length)
      this.#logs.set(contract, log)
      return log
    } catch (error) {
      await this.#fs.remove(path).catch(() => {}) // so that another try may make it
      throw diskError(error, this.#dir)
    }
  }

  /** Nobody asks for what is in it any more. Rejects with `io`. */
  async remove(contract: Key): Promise<void> {
    const log = this.#logs.get(contract)
    if (!log) return
    this.#logs.delete(contract)
    await log.close()
    try {
      await this.#fs.remove(join(this.#dir, contract))
    } catch (error) {
      throw diskError(error, this.#dir)
    }
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.#opening.values())
    await Promise.all([...this.#logs.values()].map((log) => log.close()))
  }
}

/** Undefined: it was cut off while it was made, or has rotted. */
async function readLog(fs: DiskFs, dir: string, name: Key): Promise<WorkLog | undefined> {
  const file = await fs.open(join(dir, name))
  const found = await headIn(file)
  if (!found || found.head.spec.contract !== name) {
    await file.close()
    return undefined
  }
  const log = new WorkLog(file, dir, found.head, found.endBytes)
  await log.read()
  return log
}

async function headIn(file: DiskFile) {
  const read = await file.read(0, HEAD_BYTES + 2 * MAX_SPEC_BYTES)
  const bytes = Buffer.from(read.buffer, read.byteOffset, read.length)
  if (bytes.length < HEAD_BYTES) return undefined
  const endBytes = HEAD_BYTES + bytes.readUInt32LE(0)
  const body = bytes.subarray(HEAD_BYTES, endBytes)
  if (endBytes > bytes.length || crc32(body) !== bytes.readUInt32LE(4)) return undefined
  try {
    const { spec: specBytes, madeMs } = Head.parse(decode(body))
    return { head: { spec: parseSpec(jobIdOf(specBytes), specBytes), specBytes, madeMs }, endBytes }
  } catch (error) {
    if (error instanceof ChoraleError) return undefined
    throw error
  }
}

function headOf(body: Uint8Array): Uint8Array {
  const bytes = Buffer.alloc(HEAD_BYTES + body.length)
  bytes.writeUInt32LE(body.length, 0)
  bytes.writeUInt32LE(crc32(body), 4)
  bytes.set(body, HEAD_BYTES)
  return bytes
}

function recordOf(task: number, digest: Key): Buffer {
  const bytes = Buffer.alloc(RECORD_BYTES)
  bytes.writeUInt32LE(task, 0)
  bytes.write(digest, 4, 'hex')
  bytes.writeUInt32LE(crc32(bytes.subarray(0, 4 + DIGEST_BYTES)), 4 + DIGEST_BYTES)
  return bytes
}

/** Of task numbers, in any order, each once. */
export function rangesOf(tasks: readonly number[]): Ranges {
  const ranges: [number, number][] = []
  for (const task of tasks.toSorted((a, b) => a - b)) {
    const last = ranges.at(-1)
    if (last && last[1] === task) last[1] = task + 1
    else ranges.push([task, task + 1])
  }
  return ranges satisfies Range[]
}
