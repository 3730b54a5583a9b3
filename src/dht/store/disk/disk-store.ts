/**
 * Blocks of one host on its disk: a log in segment files, with its index in memory and group commit. What waits is written
 * by one write and synced by one fdatasync, so that a sync is paid once for all puts in flight. Large and small blocks go
 * the same way. Nothing is acknowledged, or seen by `get` and `meta`, before it is synced.
 *
 * Own code, because no embedded store did it: LevelDB writes each block twice or more (22-51 MB/s of synced 256 KiB blocks
 * where the bare disk gives 315), SQLite blocks the thread while it syncs, and neither can be handed a disk that fails on
 * purpose. After Bitcask (Sheehy & Smith 2010).
 *
 * Not in here: verification of what is put (the caller has done it), expiry (the caller deletes), who may put what.
 */
import { join } from 'node:path/posix'
import { ChoraleError, errorMessage, invariant } from '../../../core/errors.ts'
import { hashKey, type Key } from '../../../core/ids.ts'
import { MAX_BLOCK_BYTES } from '../../../core/limits.ts'
import type { BlockMeta, BlockStore } from '../../blocks.ts'
import type { Catalog, Entry, Segment } from './catalog.ts'
import { isOverfull, type LogState, victim } from './compaction.ts'
import { diskError, isFullDisk, systemCode } from './fs.ts'
import { type LogOptions, SegmentLog } from './log.ts'
import { HEADER_BYTES, MAX_PUBLISHER_BYTES } from './record.ts'
import { recover } from './recovery.ts'
import { type Plan, planWish, type Wish } from './wish.ts'

/** Blocks that wait for the disk; more are refused with `busy`. */
export const MAX_WAITING_BYTES = 16 * 1024 * 1024
const MAX_WAITING = 16_384
/** What is written and synced at once. */
const MAX_BATCH_BYTES = 8 * 1024 * 1024
const MAX_BATCH = 1024
/** What the cleaner has in memory at once. */
const CLEANING_BYTES = 1024 * 1024
/** Blocks that the cleaner looks at before it lets others have the thread: about a millisecond. */
const CLEANING_STEP = 8192
const MIN_SEGMENT_BYTES = 16 * 1024 * 1024
const MAX_SEGMENT_BYTES = 1024 * 1024 * 1024
/** Every segment is an open file. */
const SEGMENTS = 128

export interface DiskStoreOptions extends LogOptions {
  /** Bytes of blocks. On the disk it takes up to half as much again, and a few segments. */
  readonly capacityBytes: number
  /** Default: a 128th of the capacity, within 16 MiB and 1 GiB. */
  readonly segmentBytes?: number | undefined
}

interface Waiting {
  readonly wish: Wish
  resolve(held: boolean): void
  reject(error: ChoraleError): void
}

/**
 * Opens or makes the store. Throws `config` when another process has it open or a newer version made it, `io` when the
 * disk fails.
 */
export async function openDiskStore(options: DiskStoreOptions): Promise<BlockStore> {
  const { fs, dir, log } = options
  try {
    await fs.makeDirectory(dir)
    const unlock = await fs.lock(dir)
    if (!unlock) throw new ChoraleError('config', `the block store ${dir} is open in another process: stop that one`)
    try {
      const { catalog, nextNumber } = await recover(fs, dir, log)
      return new DiskStore(options, catalog, nextNumber, unlock)
    } catch (error) {
      unlock()
      throw error
    }
  } catch (error) {
    throw diskError(error, dir)
  }
}

class DiskStore implements BlockStore {
  readonly capacityBytes: number
  readonly #options: DiskStoreOptions
  readonly #segmentBytes: number
  readonly #catalog: Catalog
  readonly #unlock: () => void
  readonly #log: SegmentLog
  #waiting: Waiting[] = []
  #waitingBytes = 0
  #cleaning: Waiting[] = []
  /** Blocks that are gone from memory, whose deletes are still to be written, and up to which segment they count. */
  readonly #owed = new Map<Key, number>()
  #writer: Promise<void> | undefined
  #cleaner: Promise<void> | undefined
  /** The disk failed: the cleaner waits until a write succeeds. */
  #failing = false
  #closing: Promise<void> | undefined
  readonly #reads = new Set<Promise<unknown>>()

  constructor(options: DiskStoreOptions, catalog: Catalog, nextNumber: number, unlock: () => void) {
    const { capacityBytes } = options
    this.#options = options
    this.capacityBytes = capacityBytes
    this.#segmentBytes =
      options.segmentBytes ?? Math.min(MAX_SEGMENT_BYTES, Math.max(MIN_SEGMENT_BYTES, capacityBytes / SEGMENTS))
    this.#catalog = catalog
    this.#log = new SegmentLog(options, catalog, this.#segmentBytes, nextNumber)
    this.#unlock = unlock
    this.#clean()
  }

  get count(): number {
    return this.#catalog.count
  }

  get bytes(): number {
    return this.#catalog.bytes
  }

  meta(key: Key): BlockMeta | undefined {
    return this.#catalog.get(key)
  }

  entries(): Iterable<BlockMeta> {
    return this.#catalog.entries()
  }

  // --- reading ---

  async get(key: Key): Promise<Uint8Array | undefined> {
    if (this.#closing) throw closed()
    for (;;) {
      const entry = this.#catalog.get(key)
      if (!entry) return undefined
      const bytes = await this.#read(entry)
      if (bytes) return bytes
      const now = this.#catalog.get(key)
      if (now?.segment !== entry.segment) continue // moved or deleted meanwhile
      this.#options.log.warn('dropped a rotten block', { key })
      this.#drop(key)
      return undefined
    }
  }

  /** Undefined: torn, rotten, or where the disk cannot be read. Throws `io` at what says nothing of the block. */
  #read(entry: Entry): Promise<Uint8Array | undefined> {
    const read = this.#readBody(entry)
    this.#reads.add(read)
    const over = () => this.#reads.delete(read)
    read.then(over, over)
    return read
  }

  async #readBody({ segment, bodyAt, sizeBytes, key }: Entry): Promise<Uint8Array | undefined> {
    segment.readers++
    try {
      const bytes = await segment.file.read(bodyAt, sizeBytes)
      return bytes.length === sizeBytes && hashKey(bytes) === key ? bytes : undefined
    } catch (error) {
      if (systemCode(error) === 'EIO') return undefined
      throw diskError(error, this.#options.dir)
    } finally {
      segment.readers--
      if (segment.removed && segment.readers === 0) await segment.file.close()
    }
  }

  /** Nobody waits for it to be written. */
  #drop(key: Key): void {
    this.#forget(key)
    this.#write()
  }

  /**
   * From memory now, from the log with the next write that succeeds. Of a delete that failed too: it may be on the disk
   * all the same, so that a put of the block must write it again.
   */
  #forget(key: Key): void {
    if (!this.#catalog.get(key)) return
    this.#catalog.forget(key)
    this.#owed.set(key, this.#catalog.newest)
  }

  // --- writing ---

  async put(block: BlockMeta, bytes: Uint8Array): Promise<void> {
    const { key, sizeBytes, publisher, expiresAtMs } = block
    invariant(sizeBytes === bytes.length && sizeBytes <= MAX_BLOCK_BYTES, `a block of ${bytes.length} bytes`)
    invariant(Buffer.byteLength(publisher) <= MAX_PUBLISHER_BYTES, 'the name of a publisher is short')
    if (this.#waitingBytes + sizeBytes > MAX_WAITING_BYTES) throw busy()
    const copy = { key, sizeBytes, publisher, expiresAtMs }
    this.#waitingBytes += sizeBytes
    try {
      await this.#wish({ kind: 'put', key, block: copy, bytes })
    } finally {
      this.#waitingBytes -= sizeBytes
    }
  }

  extend(key: Key, expiresAtMs: number): Promise<boolean> {
    return this.#wish({ kind: 'extend', key, expiresAtMs })
  }

  async delete(key: Key): Promise<void> {
    await this.#wish({ kind: 'delete', key })
  }

  #wish(wish: Wish): Promise<boolean> {
    const mine = wish.kind.startsWith('move')
    if (this.#closing) return Promise.reject(closed())
    if (!mine && this.#waiting.length >= MAX_WAITING) return Promise.reject(busy())
    return new Promise((resolve, reject) => {
      const queue = mine ? this.#cleaning : this.#waiting
      queue.push({ wish, resolve, reject })
      this.#write()
    })
  }

  /** Starts the one writer, if it is not at it. It starts after the present turn, so that what comes together is one batch. */
  #write(): void {
    this.#writer ??= this.#writeAll()
  }

  async #writeAll(): Promise<void> {
    await Promise.resolve()
    try {
      for (let batch = this.#nextBatch(); batch.length > 0; batch = this.#nextBatch()) await this.#commit(batch)
    } finally {
      this.#writer = undefined // in the turn that found nothing, so that no wish comes between
    }
    this.#clean()
  }

  /** One wish per key, so that each is judged by what is synced; the others of the key, and what comes after, wait. */
  #nextBatch(): Waiting[] {
    if (this.#closing) return []
    const batch: Waiting[] = []
    const keys = new Set<Key>()
    let bytes = 0
    const take = (queue: readonly Waiting[], refuses: (wish: Wish) => boolean): number => {
      let taken = 0
      for (const waiting of queue) {
        const { wish } = waiting
        if (batch.length >= MAX_BATCH || bytes >= MAX_BATCH_BYTES || keys.has(wish.key) || refuses(wish)) break
        keys.add(wish.key)
        batch.push(waiting)
        bytes += 'bytes' in wish ? wish.bytes.length : 0
        taken++
      }
      return taken
    }
    this.#cleaning.splice(
      0,
      take(this.#cleaning, () => false),
    )
    const overfull = this.#cleaner !== undefined && !this.#failing && isOverfull(this.#logState())
    this.#waiting.splice(
      0,
      take(this.#waiting, ({ kind }) => overfull && kind === 'put'),
    )
    // Last, so that a put of the key comes first and makes its delete needless; and not again and again by themselves.
    if (batch.length > 0 || !this.#failing) take(this.#owedDeletes(), () => false)
    return batch
  }

  #owedDeletes(): Waiting[] {
    const owed: Waiting[] = []
    for (const [key, killed] of this.#owed) {
      if (owed.length === MAX_BATCH / 2) break
      const resolve = () => {
        if (this.#owed.get(key) === killed) this.#owed.delete(key)
      }
      owed.push({ wish: { kind: 'move-delete', key, killed }, resolve, reject: () => {} })
    }
    return owed
  }

  async #commit(batch: readonly Waiting[]): Promise<void> {
    const state = { catalog: this.#catalog, owed: this.#owed, capacityBytes: this.capacityBytes }
    let { count: blocks, bytes } = this.#catalog
    const plans = batch.map(({ wish }) => {
      const plan = planWish(wish, { ...state, blocks, bytes })
      blocks += plan.adds?.blocks ?? 0
      bytes += plan.adds?.bytes ?? 0
      return plan
    })
    try {
      if (plans.some(({ parts }) => parts)) await this.#log.append(plans)
      this.#failing = false
    } catch (error) {
      this.#failing = true
      const failure = diskError(error, this.#options.dir)
      this.#options.log.warn('a write failed', { error: errorMessage(error) })
      for (const [i, { wish, resolve, reject }] of batch.entries()) {
        const { parts, refused, held = true } = plans[i] as Plan
        if (refused) reject(refused)
        else if (!parts) resolve(held)
        else {
          if (wish.kind === 'delete') this.#forget(wish.key)
          // A full disk must not keep blocks from going: those that are dead in whole segments make room.
          if (wish.kind === 'delete' && isFullDisk(failure)) resolve(true)
          else reject(failure)
        }
      }
      return
    }
    for (const [i, { resolve, reject }] of batch.entries()) {
      const { refused, held = true } = plans[i] as Plan
      if (refused) reject(refused)
      else resolve(held)
    }
  }

  // --- cleaning ---

  #logState(): LogState {
    return { closed: this.#log.closed(), segmentBytes: this.#segmentBytes, deletes: this.#catalog.deletes }
  }

  /** On a full disk only what needs no writing. */
  #victim(): Segment | undefined {
    const next = victim(this.#logState())
    return this.#failing && next?.liveBytes !== 0 ? undefined : next
  }

  #clean(): void {
    if (!this.#cleaner && !this.#closing && this.#victim()) this.#cleaner = this.#clearAll()
  }

  async #clearAll(): Promise<void> {
    await Promise.resolve()
    try {
      for (let next = this.#victim(); next && !this.#closing; next = this.#victim()) await this.#clear(next)
    } catch (error) {
      this.#failing = true
      if (!this.#closing) this.#options.log.warn('cannot clear a segment', { error: errorMessage(error) })
    }
    this.#cleaner = undefined
    if (this.#waiting.length > 0) this.#write() // it may have waited for the cleaner
  }

  async #clear(segment: Segment): Promise<void> {
    const { fs, dir } = this.#options
    let moves: Promise<boolean>[] = []
    let bytes = 0
    const move = async (wish: Wish) => {
      const moved = this.#wish(wish)
      moved.catch(() => {}) // awaited below, unless another fails first
      moves.push(moved)
      bytes += 'bytes' in wish ? wish.bytes.length : 0
      if (bytes < CLEANING_BYTES && moves.length < MAX_BATCH / 2) return
      await Promise.all(moves)
      moves = []
      bytes = 0
    }
    let seen = 0
    if (segment.liveBytes > 0) {
      for (const entry of this.#catalog.entries()) {
        if (++seen % CLEANING_STEP === 0) await fs.breathe()
        if (entry.segment === segment) {
          const body = await this.#read(entry)
          if (body) await move({ kind: 'move', key: entry.key, from: segment, bytes: body })
          else if (this.#catalog.get(entry.key)?.segment === segment) this.#drop(entry.key)
        } else if (entry.leaseIn === segment) await move({ kind: 'move-lease', key: entry.key, from: segment })
      }
      for (const [key, killed] of segment.deletes) await move({ kind: 'move-delete', key, killed })
      await Promise.all(moves)
    }
    if (this.#closing) return
    invariant(segment.liveBytes === segment.deletes.size * HEADER_BYTES, `nothing of use is left in ${segment.name}`)
    // In the order of these lines: what undoes its blocks may be forgotten only when they cannot come back.
    await fs.remove(join(dir, segment.name)).catch((error: unknown) => {
      if (systemCode(error) !== 'ENOENT') throw error // it was removed, and the next line failed
    })
    await fs.syncDirectory(dir)
    this.#catalog.removeSegment(segment)
    if (segment.readers === 0) await segment.file.close()
  }

  // --- the end ---

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    await Promise.resolve() // so that #closing is set
    for (const { reject } of [...this.#waiting.splice(0), ...this.#cleaning.splice(0)]) reject(closed())
    await this.#writer
    await this.#cleaner
    await Promise.allSettled(this.#reads)
    await this.#log.close()
    this.#unlock()
  }
}

function closed(): ChoraleError {
  return new ChoraleError('aborted', 'the block store is closed')
}

function busy(): ChoraleError {
  return new ChoraleError('busy', 'the disk is behind with what waits for it: try again in a moment')
}
