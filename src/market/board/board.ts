/**
 * The bulletin board (DESIGN 10): where offers are found before they are in the ledger's book. Nobody need trust it. It may
 * lose an offer and show an old one; what counts is the ledger's book, into which anybody may hand what is found here.
 *
 * An offer is posted on one shard of each of its next slots, and put back there while it lasts.
 */
import type { Env, Logger } from '../../core/env.ts'
import { ChoraleError, errorCode, errorMessage } from '../../core/errors.ts'
import type { Key } from '../../core/ids.ts'
import { MAX_OWN_POSTS } from '../../core/limits.ts'
import type { Registers } from '../../dht/registers.ts'
import { Rounds } from '../../dht/store/rounds.ts'
import type { Verify } from '../ledger/keys.ts'
import { decodeOffer, OFFER_FAULTS, offerFault } from '../offers/offer.ts'
import { boardKey, slotAt, slotStartMs } from '../offers/price-slot.ts'
import { AHEAD_MS, type Page, Pages, type Posted } from './page.ts'

/** Part of what a network's nodes must agree on. One answer has all of a shard, so they are few, and each holds 88 offers. */
const SHARDS = 8
/** Of an offer's slots it is posted for so many, the present one first: whoever looks for hosts or work looks there. */
const SLOTS_POSTED = 2
/** Between looks at whether all that is posted is still there. */
const RENEW_MS = 10 * 60_000
/** After some of it could not be posted. */
const RETRY_MS = 30_000

const NAMES = ['posts', 'failedPosts', 'crowdedOut', 'reads', 'failedReads'] as const
export type BoardCounter = (typeof NAMES)[number]

export interface BoardPorts {
  readonly env: Env
  readonly registers: Registers
  readonly network: Key
  readonly verify: Verify
  /** Default 8. The same everywhere in a network. */
  readonly shards?: number
}

interface Call {
  readonly signal: AbortSignal
}

export class Board {
  readonly counters = Object.fromEntries(NAMES.map((name) => [name, 0])) as Record<BoardCounter, number>
  readonly #ports: BoardPorts
  readonly #log: Logger
  readonly #shards: number
  readonly #pages: Pages
  /** By id: of one number, the one that was posted last. */
  readonly #own = new Map<Key, Posted>()
  readonly #rounds: Rounds

  /** Keeps pages from here on, as far as this node belongs to their replica groups. */
  constructor(ports: BoardPorts) {
    const { env, registers, network, verify, shards = SHARDS } = ports
    this.#ports = ports
    this.#log = env.log.child('board')
    this.#shards = shards
    this.#pages = new Pages({ network, shards, verify, now: () => this.#now() })
    this.#rounds = new Rounds(env, RENEW_MS, (signal) => this.#renew(signal))
    registers.define(this.#pages.kind)
  }

  start(): void {
    this.#rounds.start()
  }

  /** What is posted stays until it expires. */
  async stop(): Promise<void> {
    await this.#rounds.stop()
  }

  /**
   * Posts an offer, and sees to it that it stays until it expires or `forget`. Rejects with `usage` when these bytes are
   * no offer now, with `limit` when the board is full of others', and as `Registers.update` does; it is tried again then,
   * once the board is started.
   */
  async post(bytes: Uint8Array, { signal }: Call): Promise<void> {
    const posted = this.#read(bytes)
    this.#own.delete(posted.id)
    this.#own.set(posted.id, posted)
    for (const oldest of this.#own.keys()) {
      if (this.#own.size <= MAX_OWN_POSTS) break
      this.#own.delete(oldest)
    }
    const slots = this.#slotsOf(posted)
    const outcomes = await Promise.allSettled(slots.map((slot) => this.#postOn(slot, posted, signal)))
    const failed = outcomes.find((outcome) => outcome.status === 'rejected')
    if (!failed) return
    this.#rounds.soon(RETRY_MS)
    if (outcomes.every(({ status }) => status === 'rejected')) throw failed.reason
  }

  /** An offer that is withdrawn, or that nobody need find any more: it is not put back. */
  forget(offer: Key): void {
    this.#own.delete(offer)
  }

  /** Offers that are posted for a slot, by id; each was signed by its account. Rejects when no shard could be read. */
  async read(slot: number, { signal }: Call): Promise<Uint8Array[]> {
    const shards = Array.from({ length: this.#shards }, (_, shard) => shard)
    const outcomes = await Promise.allSettled(shards.map((shard) => this.#readPage(boardKey(slot, shard), signal)))
    const found: Posted[] = []
    let failed: unknown
    for (const outcome of outcomes) {
      if (outcome.status === 'fulfilled') found.push(...outcome.value)
      else failed = outcome.reason
      this.counters[outcome.status === 'fulfilled' ? 'reads' : 'failedReads']++
    }
    if (outcomes.every(({ status }) => status === 'rejected')) throw failed
    return found.sort((a, b) => (a.id < b.id ? -1 : 1)).map(({ bytes }) => bytes)
  }

  #read(bytes: Uint8Array): Posted {
    const { network, verify } = this.#ports
    const offer = decodeOffer(bytes)
    const fault = typeof offer === 'string' ? offer : offerFault(offer, { network, verify, nowMs: this.#now() })
    if (fault) throw new ChoraleError('usage', `this cannot be posted: ${OFFER_FAULTS[fault]}`)
    const posted = this.#pages.posted(bytes.slice())
    if (!posted)
      throw new ChoraleError('usage', 'this cannot be posted: it is longer than an offer on the board may be')
    return posted
  }

  /** The next of its slots, as far as they begin soon. */
  #slotsOf({ offer: { terms } }: Posted): number[] {
    const now = this.#now()
    const first = slotAt(Math.max(now, terms.fromMs))
    const slots = Array.from({ length: SLOTS_POSTED }, (_, i) => first + i)
    return slots.filter((slot) => slotStartMs(slot) < terms.untilMs && slotStartMs(slot) <= now + AHEAD_MS)
  }

  async #postOn(slot: number, posted: Posted, signal: AbortSignal): Promise<void> {
    const page = this.#pages.pageOf(posted, slot)
    const key = boardKey(slot, page.shard)
    try {
      const merged: unknown = await this.#ports.registers.update(this.#pages.kind, key, page, { signal })
      if (!this.#holds(key, merged, posted)) {
        this.counters.crowdedOut++
        throw new ChoraleError('limit', 'the bulletin board is full: this offer is not on it now')
      }
      this.counters.posts++
    } catch (error) {
      this.counters.failedPosts++
      throw error
    }
  }

  #holds(key: Key, page: unknown, { digest }: Posted): boolean {
    return this.#pages.onPage(key, page).some((posted) => posted.digest === digest)
  }

  async #readPage(key: Key, signal: AbortSignal): Promise<Posted[]> {
    const page: Page | undefined = await this.#ports.registers.read(this.#pages.kind, key, { signal })
    return page ? this.#pages.onPage(key, page) : []
  }

  /** Puts back what is gone, and posts for the slots that have come near. */
  async #renew(signal: AbortSignal): Promise<number | undefined> {
    let complete = true
    for (const posted of [...this.#own.values()]) {
      if (posted.endsMs <= this.#now()) this.#own.delete(posted.id)
      for (const slot of this.#slotsOf(posted)) {
        if (signal.aborted || this.#own.get(posted.id) !== posted) break
        try {
          const key = boardKey(slot, this.#pages.shardOf(posted))
          const there = await this.#readPage(key, signal)
          if (!there.some(({ digest }) => digest === posted.digest)) await this.#postOn(slot, posted, signal)
        } catch (error) {
          if (errorCode(error) !== 'limit') complete = false
          this.#log.debug('an offer could not be posted', { offer: posted.id, slot, reason: errorMessage(error) })
        }
      }
    }
    return complete ? undefined : RETRY_MS
  }

  #now(): number {
    return Math.floor(this.#ports.env.clock.now())
  }
}
