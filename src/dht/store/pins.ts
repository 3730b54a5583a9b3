/**
 * Pins: DAGs whose leases this host extends for as long as it runs often enough. What is pinned is written down before
 * it counts, so a restart goes on with it. A pin keeps no copy here; it only says that somebody still wants the blocks.
 * Who is away for longer than a lease may come back to nothing.
 */
import { CID } from 'multiformats/cid'
import type { Env } from '../../core/env.ts'
import { ChoraleError, errorMessage } from '../../core/errors.ts'
import type { Blocks } from '../blocks.ts'
import { keyOfCid } from '../cid.ts'

/** A hundred bytes each, all written at every change. */
export const MAX_PINS = 4096
/** Leases are extended at this share of them: two more tries are left before they end. */
const REFRESH_SHARE = 1 / 3
/** After a refresh that failed. */
const RETRY_MS = 10 * 60_000
/** After the start: a ring that is just forming would only fail. */
const FIRST_MS = 15_000
/** Leases extended by one call: those of one message to each owner. */
const BATCH = 256

/** What is written down. */
export interface KeptPin {
  readonly cid: string
  readonly pinnedAtMs: number
  /** When its leases were extended last. */
  readonly refreshedAtMs: number
}

export interface Pin extends KeptPin {
  /** Blocks that nobody had when their leases were to be extended last. */
  readonly missing: number
  /** Why the last refresh failed. */
  readonly problem: string | undefined
}

export interface PinsParts {
  readonly env: Env
  readonly blocks: Pick<Blocks, 'extend'>
  /** Every block of a DAG once. Rejects with `not-found` at one that nobody has. */
  readonly blocksOf: (root: CID, options: { signal?: AbortSignal | undefined }) => AsyncIterable<CID>
  /** What blocks are put with, ms. */
  readonly leaseMs: number
  /** Those of last time. */
  readonly kept: readonly KeptPin[]
  /** Writes all of them down. Throws when it cannot. */
  readonly keep: (pins: readonly KeptPin[]) => void
}

export class Pins {
  readonly #parts: PinsParts
  readonly #pins = new Map<string, Pin>()
  /** Of those whose last refresh failed. */
  readonly #retryAtMs = new Map<string, number>()
  readonly #stopped = new AbortController()
  #cancel = () => {}
  #refreshing: Promise<void> | undefined

  constructor(parts: PinsParts) {
    this.#parts = parts
    for (const { cid, pinnedAtMs, refreshedAtMs } of parts.kept) {
      this.#pins.set(cid, { cid, pinnedAtMs, refreshedAtMs, missing: 0, problem: undefined })
    }
  }

  /** Oldest first. */
  list(): Pin[] {
    return [...this.#pins.values()]
  }

  /** Throws `limit` when no more can be pinned: to be asked before long work whose result is to be pinned. */
  requireRoom(): void {
    if (this.#pins.size < MAX_PINS) return
    throw new ChoraleError(
      'limit',
      `this node has ${MAX_PINS} pins, which is the most: chorale unpin what is not needed`,
    )
  }

  /**
   * Pins a DAG, and extends its leases first unless it is `fresh`: put just now. Rejects with `not-found` when blocks of
   * it are lost, `limit` when there are too many pins, `io` when it cannot be written down.
   */
  async add(cid: CID, options: { fresh?: boolean; signal?: AbortSignal | undefined } = {}): Promise<Pin> {
    keyOfCid(cid)
    const name = cid.toV1().toString()
    if (!this.#pins.has(name)) this.requireRoom()
    const refreshedAtMs = this.#parts.env.clock.now()
    if (!options.fresh) {
      const missing = await this.#extendAll(cid, options.signal)
      if (missing > 0) {
        const blocks = missing === 1 ? '1 block' : `${missing} blocks`
        throw new ChoraleError('not-found', `nobody has ${blocks} of ${cid}: add it again`)
      }
    }
    const pinnedAtMs = this.#pins.get(name)?.pinnedAtMs ?? refreshedAtMs
    const pin = { cid: name, pinnedAtMs, refreshedAtMs, missing: 0, problem: undefined }
    this.#change(() => this.#pins.set(name, pin))
    this.#retryAtMs.delete(name)
    this.#plan()
    return pin
  }

  /** False: it was not pinned. Its blocks go when their leases end, unless others want them. */
  remove(cid: CID): boolean {
    const name = cid.toV1().toString()
    if (!this.#pins.has(name)) return false
    this.#change(() => this.#pins.delete(name))
    this.#retryAtMs.delete(name)
    return true
  }

  start(): void {
    this.#plan(FIRST_MS)
  }

  async stop(): Promise<void> {
    this.#stopped.abort(new ChoraleError('aborted', 'this host is leaving'))
    this.#cancel()
    await this.#refreshing
  }

  /** What is not written down has not happened. */
  #change(act: () => void): void {
    const before = new Map(this.#pins)
    act()
    try {
      this.#parts.keep(this.list().map(({ cid, pinnedAtMs, refreshedAtMs }) => ({ cid, pinnedAtMs, refreshedAtMs })))
    } catch (error) {
      this.#pins.clear()
      for (const [name, pin] of before) this.#pins.set(name, pin)
      throw error
    }
  }

  /** Sleeps until the first pin is due, and at least `soonestMs`. */
  #plan(soonestMs = 0): void {
    if (this.#stopped.signal.aborted || this.#refreshing) return
    this.#cancel()
    const { clock } = this.#parts.env
    const dueAtMs = Math.min(...this.list().map((pin) => this.#dueAtMs(pin)))
    if (dueAtMs === Number.POSITIVE_INFINITY) return
    // A timer takes no more than 24 days; nothing is lost by waking up once a day.
    const waitMs = Math.min(Math.max(dueAtMs - clock.now(), soonestMs), 24 * 3_600_000)
    this.#cancel = clock.timer(waitMs, () => {
      this.#refreshing = this.#refreshDue().finally(() => {
        this.#refreshing = undefined
        this.#plan(1000)
      })
    })
  }

  #dueAtMs({ cid, refreshedAtMs }: Pin): number {
    return this.#retryAtMs.get(cid) ?? refreshedAtMs + this.#parts.leaseMs * REFRESH_SHARE
  }

  async #refreshDue(): Promise<void> {
    const { signal } = this.#stopped
    for (const pin of this.list()) {
      if (signal.aborted) return
      if (this.#dueAtMs(pin) <= this.#parts.env.clock.now()) await this.#refresh(pin)
    }
  }

  async #refresh(pin: Pin): Promise<void> {
    const { clock, log } = this.#parts.env
    const { signal } = this.#stopped
    const refreshedAtMs = clock.now()
    try {
      const missing = await this.#extendAll(CID.parse(pin.cid), signal)
      if (!this.#pins.has(pin.cid)) return // unpinned meanwhile
      this.#retryAtMs.delete(pin.cid)
      this.#change(() => this.#pins.set(pin.cid, { ...pin, refreshedAtMs, missing, problem: undefined }))
      if (missing > 0) log.warn('a pin has lost blocks', { cid: pin.cid, missing })
    } catch (error) {
      if (signal.aborted || !this.#pins.has(pin.cid)) return
      const problem = errorMessage(error)
      log.warn('a pin cannot be refreshed', { cid: pin.cid, problem })
      this.#pins.set(pin.cid, { ...pin, problem })
      this.#retryAtMs.set(pin.cid, clock.now() + RETRY_MS)
    }
  }

  /** How many blocks nobody has any more. */
  async #extendAll(root: CID, signal: AbortSignal | undefined): Promise<number> {
    const { blocks, blocksOf, leaseMs } = this.#parts
    let missing = 0
    let batch: CID[] = []
    const extend = async () => {
      if (batch.length > 0) missing += (await blocks.extend(batch, { leaseMs, signal })).length
      batch = []
    }
    for await (const cid of blocksOf(root, { signal })) {
      batch.push(cid)
      if (batch.length === BATCH) await extend()
    }
    await extend()
    return missing
  }
}
