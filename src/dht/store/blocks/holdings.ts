/**
 * What this host keeps for the overlay: its `BlockStore` with leases, quotas and counters around it. Refusals are values.
 */

import type { Env } from '../../../core/env.ts'
import { errorCode, errorMessage } from '../../../core/errors.ts'
import { hashKey, type Key } from '../../../core/ids.ts'
import { MAX_BLOCK_BYTES, MAX_LEASE_MS } from '../../../core/limits.ts'
import type { BlockMeta, BlockStore } from '../../blocks.ts'
import type { Copy, Kept } from './messages.ts'

/** Leases end at full hours, rounded up, so that copies that were extended at about the same time are equal. */
const LEASE_GRAIN_MS = 3_600_000

export class Holdings {
  readonly store: BlockStore
  readonly quotaBytes: number
  readonly refused = { full: 0, quota: 0, notMine: 0, bad: 0, failed: 0 }
  expired = 0
  /** Copies that were found torn or rotten. */
  rotten = 0
  /** A block has come, gone, or got another lease. */
  onChange: (key: Key) => void = () => {}
  /** A copy was refused for lack of room since this was last set to false. */
  wantsRoom = false
  readonly #env: Env
  readonly #maxLeaseMs: number
  /** Puts that are under way. */
  readonly #storing = new Map<Key, Promise<Kept>>()
  /** Bytes by publisher. */
  readonly #used = new Map<string, number>()
  #soonestExpiryMs = Number.POSITIVE_INFINITY

  constructor(env: Env, store: BlockStore, quotaBytes: number, maxLeaseMs = MAX_LEASE_MS) {
    this.#maxLeaseMs = maxLeaseMs
    this.#env = env
    this.store = store
    this.quotaBytes = quotaBytes
    for (const meta of store.entries()) this.#count(meta, 1)
  }

  get isFull(): boolean {
    return this.store.bytes + MAX_BLOCK_BYTES > this.store.capacityBytes
  }

  /** Undefined when it is not held, or its lease is over. */
  meta(key: Key): BlockMeta | undefined {
    const meta = this.store.meta(key)
    return meta && meta.expiresAtMs > this.#env.clock.now() ? meta : undefined
  }

  /** Verified bytes. `rotten` when the copy was not what it should be; the store has dropped it then. */
  async get(key: Key): Promise<Uint8Array | 'rotten' | undefined> {
    const meta = this.meta(key)
    if (!meta) return undefined
    const bytes = await this.store.get(key)
    if (bytes) return bytes
    if (this.store.meta(key)) return undefined // the store is closing
    if (this.#used.has(meta.publisher)) this.#count(meta, -1)
    this.onChange(key)
    this.rotten++
    this.#env.log.warn('a block was rotten', { key })
    return 'rotten'
  }

  /** Checks a copy as one from the network, unless it has been, and keeps it. `kept` once it is synced. */
  async put(copy: Copy, verified = false): Promise<Kept> {
    // Side by side each would count for its publisher: the second waits for the first, and is then known.
    for (let first = this.#storing.get(copy.key); first; first = this.#storing.get(copy.key)) await first
    const storing = this.#put(copy, verified)
    this.#storing.set(copy.key, storing)
    try {
      return await storing
    } finally {
      this.#storing.delete(copy.key)
    }
  }

  async #put({ key, expiresAtMs, publisher, bytes }: Copy, verified: boolean): Promise<Kept> {
    const now = this.#env.clock.now()
    if (expiresAtMs <= now || expiresAtMs > now + this.#maxLeaseMs + LEASE_GRAIN_MS) return this.#refuse('bad')
    const known = this.store.meta(key)
    if (!known) {
      if (!verified && hashKey(bytes) !== key) return this.#refuse('bad')
      if (!this.withinQuota(publisher, bytes.length)) return this.#refuse('quota')
    } else if (known.expiresAtMs >= expiresAtMs) return 'kept'
    const meta = { key, sizeBytes: bytes.length, expiresAtMs, publisher }
    // Counted before it is there, so that puts side by side do not pass a quota together.
    if (!known) this.#count(meta, 1)
    try {
      await this.store.put(meta, bytes)
      this.onChange(key)
      this.#soonestExpiryMs = Math.min(this.#soonestExpiryMs, expiresAtMs)
      return 'kept'
    } catch (error) {
      if (!known) this.#count(meta, -1)
      if (errorCode(error) === 'limit') {
        this.wantsRoom = true
        return this.#refuse('full')
      }
      this.#env.log.warn('a block could not be stored', { key, error: errorMessage(error) })
      return this.#refuse('failed')
    }
  }

  /** False: not here. */
  async extend(key: Key, expiresAtMs: number): Promise<boolean> {
    const meta = this.meta(key)
    if (!meta) return false
    const until = Math.min(expiresAtMs, this.leaseEnd(this.#maxLeaseMs))
    if (until <= meta.expiresAtMs) return true
    const done = await this.store.extend(key, until)
    this.onChange(key)
    return done
  }

  async delete(key: Key): Promise<void> {
    const meta = this.store.meta(key)
    if (!meta) return
    this.#count(meta, -1)
    await this.store.delete(key)
    this.onChange(key)
  }

  /** Deletes what nobody has pinned or refreshed. */
  async expire(): Promise<void> {
    const now = this.#env.clock.now()
    if (now < this.#soonestExpiryMs) return
    let soonest = Number.POSITIVE_INFINITY
    const over: Key[] = []
    for (const { key, expiresAtMs } of this.store.entries()) {
      if (expiresAtMs <= now) over.push(key)
      else soonest = Math.min(soonest, expiresAtMs)
    }
    this.#soonestExpiryMs = soonest
    for (const key of over) {
      await this.delete(key)
      this.expired++
    }
  }

  withinQuota(publisher: string, moreBytes: number): boolean {
    return (this.#used.get(publisher) ?? 0) + moreBytes <= this.quotaBytes
  }

  /** The moment at which a lease that is taken now ends. */
  leaseEnd(leaseMs: number): number {
    const end = this.#env.clock.now() + Math.min(Math.max(leaseMs, 0), this.#maxLeaseMs)
    return Math.ceil(end / LEASE_GRAIN_MS) * LEASE_GRAIN_MS
  }

  /** The lease that somebody asks for, in bounds and on the grain. */
  roundedLease(expiresAtMs: number): number {
    return this.leaseEnd(expiresAtMs - this.#env.clock.now())
  }

  refuseForeign(): Kept {
    this.refused.notMine++
    return 'not-mine'
  }

  #refuse(reason: 'full' | 'quota' | 'bad' | 'failed'): Kept {
    this.refused[reason]++
    return reason
  }

  #count({ publisher, sizeBytes, expiresAtMs }: BlockMeta, sign: 1 | -1): void {
    const bytes = (this.#used.get(publisher) ?? 0) + sign * sizeBytes
    if (bytes > 0) this.#used.set(publisher, bytes)
    else this.#used.delete(publisher)
    if (sign === 1) this.#soonestExpiryMs = Math.min(this.#soonestExpiryMs, expiresAtMs)
  }
}
