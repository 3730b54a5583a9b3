/**
 * The owner's side of repair (Carbonite, Chun et al. 2006). Holders report (`reports.ts`); the owner counts the copies of
 * its blocks wherever they are, and sees that there are enough of them: first here, then along the replica group. It
 * does not move a block merely because the group has changed. So a joiner costs nothing until a copy is missing, a host
 * that was gone for a while counts again when it is back, and copies outside the group stay as long as their hosts have
 * room. That is what keeps traffic near what permanent failures alone would cost.
 *
 * One copy too few is borne for a while (`patienceMs`), because most hosts that go come back; fewer than a majority is
 * mended as soon as the holders have had time to report, and up to a majority: the others may come back as well. Copies are
 * sent at a bounded rate.
 */
import type { Env } from '../../../core/env.ts'
import { errorCode, errorMessage } from '../../../core/errors.ts'
import { hashKey, type Key } from '../../../core/ids.ts'
import { MAX_BLOCK_BYTES, MAX_BLOCKS_PER_MESSAGE, MAX_KNOWN_HOLDERS } from '../../../core/limits.ts'
import { CappedMap } from '../../../net/capped-map.ts'
import type { Contact } from '../../../net/contact.ts'
import { TokenBucket } from '../../../net/token-bucket.ts'
import type { Transport } from '../../../net/transport.ts'
import type { Overlay } from '../../overlay.ts'
import { majority } from '../quorum.ts'
import { groupHosts } from '../reconcile.ts'
import { inParallel } from '../rounds.ts'
import { audit } from './audit.ts'
import type { Holdings } from './holdings.ts'
import type { KnownHolders } from './known-holders.ts'
import {
  BlockExtend,
  BlockGet,
  BlockHas,
  BlockKeep,
  BlockMoved,
  BlockOffer,
  type Copy,
  type Named,
} from './messages.ts'

/** Blocks that are fetched, or peers that are given to, at a time. */
const PARALLEL = 8
const KEEP_TIMEOUT_MS = 10_000
/** Blocks in one message: their names then fit into what a frame may be larger than a block. */
const SENT_BLOCKS = 16
/** A copy that could not be made is tried again after so long. */
const AGAIN_MS = 30_000
/** A host without room is passed over for so long. */
const FULL_MS = 600_000

export interface RepairParts {
  readonly env: Env
  readonly transport: Transport
  readonly overlay: Overlay
  readonly holdings: Holdings
  readonly known: KnownHolders
  readonly replicas: number
  /** How long a block may have one copy too few. */
  readonly patienceMs: number
  /** From when a block seems to have lost most of its copies until that is believed. */
  readonly settleMs: number
  readonly bytesPerSecond: number
  readonly burstBytes: number
  /** Between questions to a holder whether it is there, and has what it says, ms. */
  readonly auditMs: number
}

/** One block that has too few copies. */
interface Need {
  readonly key: Key
  /** Hosts that should get one, nearest to the owner first; this host among them. */
  readonly targets: readonly Contact[]
  readonly missing: number
}

/** Since when, and how many there are. */
interface Few {
  readonly sinceMs: number
  readonly copies: number
}

/** A holder, and blocks of it with the leases that they should have. */
interface Behind {
  readonly contact: Contact
  readonly items: Named[]
}

export class Repair {
  readonly counters = { fetched: 0, given: 0, repairBytes: 0, refused: 0, proofs: 0, liars: 0 }
  readonly #parts: RepairParts
  readonly #bucket: TokenBucket
  /** Blocks that have too few copies. */
  readonly #few = new Map<Key, Few>()
  /** Blocks of this host that have come, gone or changed since the last round. */
  #touched = new Set<Key>()
  /** Hosts that had no room, and until when they are passed over. */
  readonly #full = new CappedMap<string, number>(MAX_KNOWN_HOLDERS)
  #near = new Set<string>()
  #nearStale = true
  /** All blocks are to be looked at. */
  #stale = true
  /** Some blocks have too few copies because there are too few hosts. */
  #fewHosts = false
  #nextDueMs = Number.POSITIVE_INFINITY

  constructor(parts: RepairParts) {
    this.#parts = parts
    this.#bucket = new TokenBucket(parts.bytesPerSecond, parts.burstBytes, parts.env.clock.now())
  }

  /** `owned`: so have the keys that this host owns. */
  overlayChanged(owned: boolean): void {
    this.#nearStale = true
    this.#stale ||= owned || this.#fewHosts
  }

  /** A block of this host has come, gone or changed. */
  touch(key: Key): void {
    this.#touched.add(key)
  }

  /** A connection broke: does the holder still live? */
  async probe(peer: string): Promise<void> {
    const { known, transport, env } = this.#parts
    const contact = known.contact(peer, env.clock.now())
    if (!contact) return
    try {
      await transport.request(contact, BlockHas, { keys: [] })
    } catch (error) {
      if (errorCode(error) !== 'busy') known.silent(peer)
    }
  }

  /** One pass over the blocks that this host owns. Resolves with the wait until one is due, ms; undefined: none. */
  async round(signal: AbortSignal, hurry = false): Promise<number | undefined> {
    const { env, transport, overlay, known } = this.#parts
    await this.#probeLost()
    await audit(this.#parts, this.counters, signal)
    const all = this.#stale
    if (all) {
      this.#stale = false
      const misled = known.retain(({ key }) => overlay.owns(key), env.clock.now())
      // Who cannot see who owns what would come back to us in vain only with its next sign of life.
      for (const holder of misled) transport.request(holder, BlockMoved, {}).catch(() => {})
    }
    const behind = this.#judgeAll(all)
    if (behind.length > 0) await this.#tellLeases(behind, signal)
    const needs = this.#due(hurry)
    if (needs.length > 0) await this.#mend(needs, signal)
    return Number.isFinite(this.#nextDueMs) ? Math.max(1, this.#nextDueMs - env.clock.now()) : undefined
  }

  /** Neighbours that are gone from sight: silent, or only farther away than they were? */
  async #probeLost(): Promise<void> {
    if (!this.#nearStale) return
    this.#nearStale = false
    const near = new Set(this.#parts.overlay.neighbours().map(({ peer }) => peer))
    const lost = [...this.#near].filter((peer) => !near.has(peer))
    this.#near = near
    await Promise.all(lost.map((peer) => this.probe(peer)))
  }

  /** Looks at what has changed, or at all that is ours. Returns who has shorter leases than we. */
  #judgeAll(all: boolean): Behind[] {
    const { env, overlay, holdings, known } = this.#parts
    const now = env.clock.now()
    const behind = new Map<string, Behind>()
    const touched = known.takeTouched(now)
    const own = this.#touched
    if (own.size > 0) this.#touched = new Set()
    if (all) {
      this.#fewHosts = false
      for (const key of [...this.#few.keys()]) this.#judge(key, now, behind)
      for (const { key } of holdings.store.entries()) if (overlay.owns(key)) this.#judge(key, now, behind)
      for (const key of known.keys()) if (!holdings.store.meta(key)) this.#judge(key, now, behind)
    } else {
      for (const key of own) this.#judge(key, now, behind)
      for (const key of touched) if (!own.has(key)) this.#judge(key, now, behind)
    }
    return [...behind.values()]
  }

  #judge(key: Key, now: number, behind: Map<string, Behind>): void {
    const { overlay, holdings, known, replicas } = this.#parts
    const own = holdings.meta(key)
    const others = known.count(key, now)
    const copies = others + (own ? 1 : 0)
    if (copies === 0 || copies >= replicas || !overlay.owns(key)) this.#few.delete(key)
    else {
      const few = this.#few.get(key)
      if (few?.copies !== copies) {
        this.#few.set(key, { sinceMs: few?.sinceMs ?? now, copies })
        this.#nextDueMs = now
      }
    }
    if (!own || others === 0 || !overlay.owns(key)) return
    for (const contact of known.behind(key, own.expiresAtMs, now)) {
      const item = { key, sizeBytes: own.sizeBytes, expiresAtMs: own.expiresAtMs }
      const peer = behind.get(contact.peer)
      if (peer) peer.items.push(item)
      else behind.set(contact.peer, { contact, items: [item] })
    }
  }

  /** What has had too few copies for long enough. */
  #due(hurry: boolean): Need[] {
    const { env, overlay, known, replicas, patienceMs, settleMs } = this.#parts
    const now = env.clock.now()
    if (!hurry && now < this.#nextDueMs) return []
    this.#nextDueMs = Number.POSITIVE_INFINITY
    const needs: Need[] = []
    const lookAgainIn = (ms: number) => {
      this.#nextDueMs = Math.min(this.#nextDueMs, now + ms)
    }
    for (const [key, { sinceMs, copies }] of this.#few) {
      // At once only what a majority needs: the others may well come back before patience ends.
      const patient = hurry || now >= sinceMs + patienceMs
      const wanted = patient ? replicas : majority(replicas)
      const waitMs = sinceMs + (copies < wanted ? settleMs : patienceMs) - now
      if (waitMs > 0 && !patient) {
        lookAgainIn(waitMs)
        continue
      }
      const candidates = groupHosts(overlay.replicas(key), MAX_CANDIDATES)
      const missing = Math.min(wanted, candidates.length) - copies
      const peers = new Set(known.of(key, now).map(({ peer }) => peer))
      if (this.#parts.holdings.meta(key)) peers.add(this.#parts.transport.peer)
      const targets = candidates.filter(({ peer }) => !peers.has(peer) && (this.#full.get(peer) ?? 0) <= now)
      if (missing <= 0) {
        this.#few.delete(key) // all is judged anew when the overlay has changed
        this.#fewHosts = true
        continue
      }
      if (targets.length > 0) needs.push({ key, targets, missing })
      lookAgainIn(targets.length > 0 ? AGAIN_MS : FULL_MS) // in case it fails; when there may be room
    }
    return needs
  }

  async #tellLeases(behind: readonly Behind[], signal: AbortSignal): Promise<void> {
    const { env, transport, known } = this.#parts
    await inParallel(behind, PARALLEL, async ({ contact, items }) => {
      try {
        for (let at = 0; at < items.length; at += MAX_BLOCKS_PER_MESSAGE) {
          const part = items.slice(at, at + MAX_BLOCKS_PER_MESSAGE)
          const message = { items: part.map(({ key, expiresAtMs }) => ({ key, expiresAtMs })), spread: false }
          const { results } = await transport.request(contact, BlockExtend, message, { signal })
          for (const [index, item] of part.entries()) {
            if (results[index] === 'done') known.gave(contact, item, env.clock.now())
          }
        }
      } catch (error) {
        if (signal.aborted) throw error
        for (const { key } of items) known.touch(key)
      }
    })
  }

  async #mend(needs: readonly Need[], signal: AbortSignal): Promise<void> {
    const { transport, holdings } = this.#parts
    const gifts = new Map<string, { peer: Contact; keys: Key[] }>()
    const lacking: Need[] = []
    for (const need of needs) {
      if (!holdings.meta(need.key)) lacking.push(need)
    }
    await inParallel(lacking, PARALLEL, async ({ key }) => {
      await this.fetch(key, signal)
    })
    for (const { key, targets, missing } of needs) {
      if (!holdings.meta(key)) continue
      const fetched = targets.some(({ peer }) => peer === transport.peer) ? 1 : 0
      const others = targets.filter(({ peer }) => peer !== transport.peer)
      for (const peer of others.slice(0, missing - fetched)) {
        const gift = gifts.get(peer.peer)
        if (gift) gift.keys.push(key)
        else gifts.set(peer.peer, { peer, keys: [key] })
      }
    }
    await inParallel([...gifts.values()], PARALLEL, async ({ peer, keys }) => {
      try {
        for (let at = 0; at < keys.length; at += MAX_BLOCKS_PER_MESSAGE) {
          await this.give(peer, keys.slice(at, at + MAX_BLOCKS_PER_MESSAGE), signal)
        }
      } catch (error) {
        if (signal.aborted) throw error
        const fields = { peer: peer.peer, code: errorCode(error), error: errorMessage(error) }
        this.#parts.env.log.debug('blocks could not be given to a replica', fields)
      }
    })
  }

  /** Gets a block from a holder, to keep it here. False: nobody gave it, or it cannot be kept. */
  async fetch(key: Key, signal: AbortSignal): Promise<boolean> {
    const { env, transport, holdings, known } = this.#parts
    for (const holder of known.of(key, env.clock.now())) {
      try {
        await this.#paced(0, signal)
        const options = { signal, timeoutMs: KEEP_TIMEOUT_MS }
        const { copy } = await transport.request(holder, BlockGet, { key, insist: true }, options)
        if (copy?.key !== key || hashKey(copy.bytes) !== key) {
          known.caught(holder.peer, key, copy !== undefined, env.clock.now())
          continue
        }
        this.#bucket.spend(copy.bytes.length, env.clock.now())
        this.counters.repairBytes += copy.bytes.length
        this.counters.fetched++
        return (await holdings.put(copy)) === 'kept'
      } catch (error) {
        if (signal.aborted) throw error
        if (errorCode(error) !== 'busy') known.silent(holder.peer)
      }
    }
    return false
  }

  /** Asks first: what we know may be old, and names are cheap. Rejects when the peer cannot be reached. */
  async give(peer: Contact, keys: readonly Key[], signal: AbortSignal): Promise<void> {
    const { env, transport, holdings, known } = this.#parts
    const items = keys.flatMap((key) => holdings.meta(key) ?? [])
    const named = items.map(({ key, sizeBytes, expiresAtMs }) => ({ key, sizeBytes, expiresAtMs }))
    const { held, want, full } = await transport.request(peer, BlockOffer, { items: named }, { signal })
    for (const index of held) if (named[index]) known.gave(peer, named[index], env.clock.now())
    const wanted = [...new Set(want)].flatMap((index) => items[index] ?? [])
    const refused = items.length - held.length - wanted.length
    if (full) this.#passOver(peer.peer, refused)
    let batch: Copy[] = []
    let batchBytes = 0
    const send = async () => {
      if (batch.length === 0) return
      const copies = batch
      await this.#paced(batchBytes, signal)
      batch = []
      batchBytes = 0
      const { kept } = await transport.request(peer, BlockKeep, { copies }, { signal, timeoutMs: KEEP_TIMEOUT_MS })
      for (const [index, { key, bytes, expiresAtMs }] of copies.entries()) {
        if (kept[index] !== 'kept') {
          if (kept[index] === 'full' || kept[index] === 'quota') this.#passOver(peer.peer, 1)
          continue
        }
        this.counters.given++
        this.counters.repairBytes += bytes.length
        known.gave(peer, { key, expiresAtMs, sizeBytes: bytes.length }, env.clock.now())
      }
    }
    for (const { key, sizeBytes, expiresAtMs, publisher } of wanted) {
      if (batchBytes + sizeBytes > MAX_BLOCK_BYTES || batch.length === SENT_BLOCKS) await send()
      const bytes = await holdings.get(key)
      if (!(bytes instanceof Uint8Array)) continue
      batch.push({ key, expiresAtMs, publisher, bytes })
      batchBytes += bytes.length
    }
    await send()
  }

  #passOver(peer: string, refused: number): void {
    this.counters.refused += refused
    this.#full.set(peer, this.#parts.env.clock.now() + FULL_MS)
  }

  /** Waits until the bytes that were sent before are paid for. */
  async #paced(bytes: number, signal: AbortSignal): Promise<void> {
    const { clock } = this.#parts.env
    for (let waitMs = this.#bucket.waitMs(clock.now()); waitMs > 0; waitMs = this.#bucket.waitMs(clock.now())) {
      await clock.sleep(waitMs, { signal })
    }
    this.#bucket.spend(bytes, clock.now())
  }
}

/** Hosts of an overlay's replica group, in which a full one is passed over. */
const MAX_CANDIDATES = 16
