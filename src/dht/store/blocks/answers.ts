/** What a host answers to others about blocks. Whatever comes is checked: by schema, by digest, and by whose key it is. */
import type { Env } from '../../../core/env.ts'
import { ChoraleError, errorCode, errorMessage } from '../../../core/errors.ts'
import type { Key } from '../../../core/ids.ts'
import type { Contact } from '../../../net/contact.ts'
import type { ReplyOf, RequestOf } from '../../../net/message.ts'
import type { Sender, Transport } from '../../../net/transport.ts'
import type { Overlay } from '../../overlay.ts'
import { proofOf } from './audit.ts'
import type { BlockCache } from './cache.ts'
import type { ReplicaGroup } from './group.ts'
import type { Heat } from './heat.ts'
import type { Holdings } from './holdings.ts'
import type { KnownHolders } from './known-holders.ts'
import {
  BlockExtend,
  BlockGet,
  BlockHas,
  BlockKeep,
  BlockList,
  BlockMoved,
  BlockOffer,
  BlockProve,
  BlockPut,
  BlockRelease,
  BlockReport,
  type Copy,
  type Kept,
  type Put,
  type Refusal,
} from './messages.ts'
import type { Reader } from './reader.ts'

/** After a change of the overlay its holders have not all reported yet: who lacks a block then does not know much. */
const UNSETTLED_MS = 5_000
/** A reader that others were sent to may still be getting the block itself, ms. */
const FLIGHT_WAIT_MS = 2_000
const MAX_NAMED = 8

export interface AnswerParts {
  readonly env: Env
  readonly transport: Transport
  readonly overlay: Overlay
  readonly holdings: Holdings
  readonly known: KnownHolders
  readonly group: ReplicaGroup
  readonly cache: BlockCache
  readonly reader: Reader
  readonly heat: Heat
  readonly replicas: number
  /** A copy was found rotten. */
  heal(key: Key): void
  /** A holder has told us something new. */
  learnt(): void
  /** An owner has asked for proof; `root` is of what it takes us to have of its keys. */
  audited(peer: string, root: string): void
  /** A host has told us that keys are not its own any more. */
  moved(peer: string): void
}

export class Answers {
  readonly counters = { served: 0, servedBytes: 0, sentElsewhere: 0, missed: 0 }
  /** No more puts. */
  leaving = false
  readonly #parts: AnswerParts
  #changedAtMs: number

  constructor(parts: AnswerParts) {
    this.#parts = parts
    this.#changedAtMs = parts.env.clock.now()
    const { transport, holdings, group } = parts
    transport.handle(BlockPut, async ({ puts }, { from }) => {
      const refusal = (put: Put) => this.put(put, from.peer, false).then(() => null, asRefusal)
      return { refusals: await Promise.all(puts.map(refusal)) }
    })
    transport.handle(BlockKeep, ({ copies }, { from }) => this.#keep(copies, from))
    transport.handle(BlockGet, ({ key, insist }, { from }) => this.#get(key, insist, from))
    transport.handle(BlockHas, ({ keys }) => this.has(keys))
    transport.handle(BlockExtend, async ({ items, spread }) => {
      if (spread) return { results: await group.extend(items) }
      const extended = items.map(({ key, expiresAtMs }) => holdings.extend(key, holdings.roundedLease(expiresAtMs)))
      return { results: (await Promise.all(extended)).map((had) => (had ? 'done' : 'unknown')) }
    })
    transport.handle(BlockReport, ({ prefix, digests }, { from }) => {
      const { known, env } = this.#member()
      return { differ: known.differs(confirmed(from), prefix, digests, env.clock.now()) }
    })
    transport.handle(BlockList, (message, { from }) => this.#list(message, confirmed(from)))
    transport.handle(BlockMoved, (_, { from }) => {
      parts.moved(from.peer)
      return {}
    })
    transport.handle(BlockOffer, (message) => this.#offer(message))
    transport.handle(BlockRelease, ({ keys }, { from }) => this.#release(keys, from))
    transport.handle(BlockProve, async ({ key, nonce, root }, { from }) => {
      this.#member()
      parts.audited(from.peer, root)
      const bytes = await holdings.get(key)
      return { proof: bytes instanceof Uint8Array ? proofOf(nonce, bytes) : null }
    })
  }

  overlayChanged(): void {
    this.#changedAtMs = this.#parts.env.clock.now()
  }

  /** As the owner, or another of the group: keeps it and sees that a majority does. */
  async put({ key, expiresAtMs, bytes }: Put, publisher: string, verified: boolean): Promise<void> {
    if (this.leaving) throw new ChoraleError('not-owner', 'this host is leaving')
    const { group, holdings } = this.#parts
    await group.put({ key, expiresAtMs: holdings.roundedLease(expiresAtMs), publisher, bytes }, verified)
  }

  has(keys: readonly Key[]): ReplyOf<typeof BlockHas> {
    const { holdings, known, overlay, env } = this.#parts
    const held = keys.map((key) => {
      const meta = holdings.meta(key)
      return meta ? { key, sizeBytes: meta.sizeBytes, expiresAtMs: meta.expiresAtMs } : null
    })
    const first = keys[0]
    const spares = first && overlay.owns(first) ? known.of(first, env.clock.now()).slice(0, MAX_NAMED) : []
    return { held, spares }
  }

  async #keep(copies: readonly Copy[], from: Sender): Promise<ReplyOf<typeof BlockKeep>> {
    const { holdings, overlay } = this.#member()
    confirmed(from)
    const kept = copies.map((copy): Kept | Promise<Kept> => {
      if (this.leaving || !overlay.holdsReplica(copy.key)) return holdings.refuseForeign()
      return holdings.put(copy)
    })
    return { kept: await Promise.all(kept) }
  }

  async #get(key: Key, insist: boolean, from: Sender): Promise<ReplyOf<typeof BlockGet>> {
    const { env, holdings, cache, heat, reader } = this.#parts
    const now = env.clock.now()
    if (!holdings.meta(key) && !cache.get(key, now)) {
      const flight = insist ? undefined : reader.flight(key)
      if (!flight) return this.#miss(key)
      await Promise.race([flight.catch(() => undefined), env.clock.sleep(FLIGHT_WAIT_MS)])
    }
    const others = insist ? [] : heat.elsewhere(key, from.peer, now)
    if (others.length > 0) {
      this.counters.sentElsewhere++
      return { ask: others, hot: true, settled: true }
    }
    // Named to others from now on: they will find the block under way to it.
    heat.served(key, from.contact, now)
    const copy = await this.#copy(key)
    if (!copy) return this.#miss(key)
    this.counters.served++
    this.counters.servedBytes += copy.bytes.length
    return { copy, ask: [], hot: false, settled: true }
  }

  async #copy(key: Key): Promise<Copy | undefined> {
    const { holdings, cache, env } = this.#parts
    const meta = holdings.meta(key)
    const bytes = meta && (await holdings.get(key))
    if (bytes === 'rotten') this.#parts.heal(key)
    if (meta && bytes instanceof Uint8Array) {
      return { key, expiresAtMs: meta.expiresAtMs, publisher: meta.publisher, bytes }
    }
    const cached = cache.get(key, env.clock.now())
    return cached && { key, ...cached }
  }

  #miss(key: Key): ReplyOf<typeof BlockGet> {
    const { env, known, overlay } = this.#parts
    this.counters.missed++
    const now = env.clock.now()
    const ask = overlay.owns(key) ? known.of(key, now).slice(0, MAX_NAMED) : []
    return { ask, hot: false, settled: now - this.#changedAtMs >= UNSETTLED_MS }
  }

  #list({ prefixes, items }: RequestOf<typeof BlockList>, from: Contact): ReplyOf<typeof BlockList> {
    const { env, overlay, known, holdings } = this.#member()
    const notMine: number[] = []
    const longer: [number, number][] = []
    const mine = items.filter(({ key, expiresAtMs }, index) => {
      if (!overlay.owns(key)) {
        notMine.push(index)
        return false
      }
      const until = holdings.meta(key)?.expiresAtMs ?? 0
      if (until > expiresAtMs) longer.push([index, until])
      else if (until > 0 && until < expiresAtMs) void holdings.extend(key, expiresAtMs)
      return true
    })
    known.list(from, prefixes, mine, env.clock.now())
    this.#parts.learnt()
    return { notMine, longer }
  }

  #offer({ items }: RequestOf<typeof BlockOffer>): ReplyOf<typeof BlockOffer> {
    const { holdings, overlay } = this.#member()
    const held: number[] = []
    const want: number[] = []
    let full = false
    let room = holdings.store.capacityBytes - holdings.store.bytes
    for (const [index, { key, sizeBytes, expiresAtMs }] of items.entries()) {
      if (holdings.meta(key)) {
        held.push(index)
        void holdings.extend(key, expiresAtMs)
      } else if (!this.leaving && overlay.holdsReplica(key)) {
        room -= sizeBytes
        if (room >= 0) want.push(index)
        else full = holdings.wantsRoom = true
      }
    }
    return { held, want, full }
  }

  #release(keys: readonly Key[], from: Sender): ReplyOf<typeof BlockRelease> {
    const { env, transport, overlay, holdings, known, replicas } = this.#member()
    const free: number[] = []
    const notMine: number[] = []
    const now = env.clock.now()
    for (const [index, key] of keys.entries()) {
      if (!overlay.owns(key)) {
        notMine.push(index)
        continue
      }
      const others = known.of(key, now).filter(({ peer }) => peer !== from.peer && peer !== transport.peer)
      if (others.length + (holdings.meta(key) ? 1 : 0) >= replicas) {
        free.push(index)
        known.lacks(from.peer, key)
      } else known.leaving(from.peer, key)
    }
    if (free.length + notMine.length < keys.length) this.#parts.learnt()
    return { free, notMine }
  }

  #member(): AnswerParts {
    if (!this.#parts.overlay.self) throw new ChoraleError('not-owner', 'this host has no place in the overlay')
    return this.#parts
  }
}

function asRefusal(error: unknown): Refusal {
  if (errorCode(error) === 'internal') throw error // our own bug: for our log, not for the peer
  return { code: errorCode(error), message: errorMessage(error).slice(0, 500) }
}

/** Only who can be reached holds blocks for others. */
function confirmed(from: Sender): Contact {
  if (from.contact) return from.contact
  throw new ChoraleError('not-owner', 'a host whose address is not confirmed holds no blocks for others')
}
