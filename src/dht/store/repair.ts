/**
 * Repair of registers (DESIGN 6): a holder compares with the owners and replicas of its keys and moves values where
 * digests differ. What it holds without being of the group it hands over, and drops once a majority of the group has
 * confirmed. A copy that comes back counts again, because it is only compared (Carbonite, Chun et al. 2006).
 */
import type { Env } from '../../core/env.ts'
import { ChoraleError, errorCode, errorMessage } from '../../core/errors.ts'
import type { Key } from '../../core/ids.ts'
import { MAX_REGISTER_BYTES, MAX_REGISTERS_PER_MESSAGE } from '../../core/limits.ts'
import type { Contact } from '../../net/contact.ts'
import type { ReplyOf, RequestOf } from '../../net/message.ts'
import type { Sender, Transport } from '../../net/transport.ts'
import type { Overlay } from '../overlay.ts'
import { type OwnerSide, RegisterCompare, RegisterOffer, RegisterPut } from './messages.ts'
import { majority } from './quorum.ts'
import { batch, bucketDigests, differing, groupHosts, planRepair, type Share, sharedEntries } from './reconcile.ts'
import { inParallel } from './rounds.ts'
import { type Entry, placeOf, type RegisterTable } from './table.ts'

/** Below this many registers a part is compared name by name. */
const NAMED_REGISTERS = 64
/** Peers, or lookups for strays, at a time. */
const PARALLEL = 8
const BATCH_CAPS = { count: MAX_REGISTERS_PER_MESSAGE, bytes: MAX_REGISTER_BYTES }

export interface RepairParts {
  readonly env: Env
  readonly transport: Transport
  readonly overlay: Overlay
  readonly table: RegisterTable
  /** Hosts of a replica group. */
  readonly replicas: number
}

export class Repair {
  readonly #env: Env
  readonly #transport: Transport
  readonly #overlay: Overlay
  readonly #table: RegisterTable
  readonly #replicas: number
  /** Groups that this node does not see rightly from where it is, as their owners told them. */
  readonly #learnt = new Map<Key, Contact[]>()

  constructor(parts: RepairParts) {
    this.#env = parts.env
    this.#transport = parts.transport
    this.#overlay = parts.overlay
    this.#table = parts.table
    this.#replicas = parts.replicas
  }

  /** Owner first. Exact when this node owns the key; from afar a guess, until an owner has told; empty: no idea. */
  readonly groupOf = (key: Key): readonly Contact[] => {
    if (this.#overlay.owns(key)) return groupHosts(this.#overlay.replicas(key), this.#replicas)
    const group = this.#learnt.get(key) ?? groupHosts(this.#overlay.replicas(key), this.#replicas)
    return group[0]?.peer === this.#transport.peer ? [] : group
  }

  /** The overlay has changed: what was learnt about groups is void. */
  forget(): void {
    this.#learnt.clear()
  }

  /** One pass over everything held. False: a peer did not answer, or something could not be handed over. */
  async round(options: { signal?: AbortSignal | undefined } = {}): Promise<boolean> {
    const { signal } = options
    this.#table.expire(this.#env.clock.now())
    const plan = planRepair(this.#table.entries(), this.groupOf, this.#transport.peer)
    const unsure = [...plan.strays]
    let complete = true
    await inParallel(plan.shares, PARALLEL, async (share) => {
      try {
        unsure.push(...(await this.#compare(share, '', signal)))
      } catch (error) {
        this.#failed('compare', share.peer, error, signal)
        complete = false
        // An owner that does not answer may be dead, and seen by nobody but us.
        if (share.owner === 'asked') unsure.push(...this.#shared(share.peer.peer, 'asked', ''))
      }
    })
    return (await this.#place(unsure, signal)) && complete
  }

  answerCompare(message: RequestOf<typeof RegisterCompare>, from: Sender): ReplyOf<typeof RegisterCompare> {
    this.#requireMember()
    const mine = this.#shared(from.peer, message.owner === 'asker' ? 'asked' : 'asker', message.prefix)
    return { differ: differing(message.digests, bucketDigests(mine, message.prefix.length)) }
  }

  answerOffer(message: RequestOf<typeof RegisterOffer>, from: Sender): ReplyOf<typeof RegisterOffer> {
    this.#requireMember()
    const now = this.#env.clock.now()
    const want: number[] = []
    const refuse: number[] = []
    const notShared: number[] = []
    const send: Entry[] = []
    for (const [index, item] of message.items.entries()) {
      const entry = this.#table.get(placeOf(item.kind, item.key), now)
      if (!this.#table.knows(item.kind)) refuse.push(index)
      else if (message.toOwner && !this.#sharedWith(from.peer, item.key)) notShared.push(index)
      else if (entry?.digest !== item.digest) {
        want.push(index)
        if (entry) send.push(entry)
      }
    }
    return { want, refuse, notShared, copies: batch(send, BATCH_CAPS, now).copies }
  }

  answerPut(message: RequestOf<typeof RegisterPut>): ReplyOf<typeof RegisterPut> {
    this.#requireMember()
    const now = this.#env.clock.now()
    const digests = message.copies.map((copy) => {
      const merged = this.#table.merge(copy, now)
      return merged.accepted ? merged.entry.digest : null
    })
    return { digests }
  }

  /** Resolves with the entries that the peer says it does not share with us after all. */
  async #compare(share: Share, prefix: string, signal: AbortSignal | undefined): Promise<Entry[]> {
    const { owner, peer } = share
    const digests = bucketDigests(this.#shared(peer.peer, owner, prefix), prefix.length)
    const reply = await this.#transport.request(peer, RegisterCompare, { owner, prefix, digests }, { signal })
    const notShared: Entry[] = []
    for (const digit of reply.differ) {
      const below = prefix + digit.toString(16)
      const mine = this.#shared(peer.peer, owner, below)
      if (mine.length > NAMED_REGISTERS) notShared.push(...(await this.#compare(share, below, signal)))
      else if (mine.length > 0) notShared.push(...(await this.#offer(peer, mine, owner === 'asked', signal)).notShared)
    }
    return notShared
  }

  /** `held`: what the peer then has, by place, at least our value of that digest. */
  async #offer(
    peer: Contact,
    entries: readonly Entry[],
    toOwner: boolean,
    signal: AbortSignal | undefined,
  ): Promise<{ held: Map<Key, Key>; notShared: Entry[] }> {
    const items = entries.map(({ kind, key, digest }) => ({ kind, key, digest }))
    const reply = await this.#transport.request(peer, RegisterOffer, { items, toOwner }, { signal })

    const now = this.#env.clock.now()
    const theirs = new Map<Key, Key>()
    for (const copy of reply.copies) {
      const merged = this.#table.merge(copy, now)
      if (merged.accepted) theirs.set(merged.entry.place, merged.incoming)
    }

    const held = new Map<Key, Key>()
    const wanted = new Set(reply.want)
    const passed = new Set([...reply.refuse, ...reply.notShared])
    const put: Entry[] = []
    for (const [index, offered] of entries.entries()) {
      if (passed.has(index)) continue
      const entry = this.#table.get(offered.place, now)
      if (!entry) continue
      const peerHolds = wanted.has(index) ? theirs.get(offered.place) : offered.digest
      if (peerHolds === entry.digest) held.set(entry.place, entry.digest)
      else put.push(entry)
    }
    for (let rest: readonly Entry[] = put; rest.length > 0; ) {
      const sending = rest
      const next = batch(sending, BATCH_CAPS, now)
      rest = next.rest
      const { digests } = await this.#transport.request(peer, RegisterPut, { copies: next.copies }, { signal })
      for (const [index, digest] of digests.entries()) {
        const entry = sending[index]
        if (digest && entry && index < next.copies.length) held.set(entry.place, entry.digest)
      }
    }
    return { held, notShared: reply.notShared.flatMap((index) => entries[index] ?? []) }
  }

  /**
   * Asks the owners of entries whose place is unsure, and gives them to their groups: to the owner where this node
   * belongs to the group, to all of it where it does not.
   */
  async #place(unsure: readonly Entry[], signal: AbortSignal | undefined): Promise<boolean> {
    let complete = true
    const byGroup = new Map<string, { group: Contact[]; entries: Entry[] }>()
    await inParallel(unsure, PARALLEL, async (entry) => {
      try {
        const route = await this.#overlay.lookup(entry.key, { signal, group: true })
        const group = groupHosts(route.replicas, this.#replicas)
        this.#learnt.set(entry.key, group)
        const name = group.map((host) => `${host.peer}/${host.incarnation}`).join(' ')
        const same = byGroup.get(name)
        if (same) same.entries.push(entry)
        else byGroup.set(name, { group, entries: [entry] })
      } catch (error) {
        this.#failed('lookup', undefined, error, signal)
        complete = false
      }
    })
    for (const { group, entries } of byGroup.values()) {
      for (let at = 0; at < entries.length; at += MAX_REGISTERS_PER_MESSAGE) {
        const part = entries.slice(at, at + MAX_REGISTERS_PER_MESSAGE)
        complete = (await this.#handOver(group, part, signal)) && complete
      }
    }
    return complete
  }

  async #handOver(
    group: readonly Contact[],
    entries: readonly Entry[],
    signal: AbortSignal | undefined,
  ): Promise<boolean> {
    const self = this.#transport.peer
    const member = group.some((host) => host.peer === self)
    const peers = (member ? group.slice(0, 1) : group).filter((host) => host.peer !== self)
    let complete = true
    const confirmed = new Map<Key, Key[]>(entries.map((entry) => [entry.place, []]))
    for (const peer of peers) {
      const now = this.#env.clock.now()
      const current = entries.flatMap((entry) => this.#table.get(entry.place, now) ?? [])
      if (current.length === 0) break
      try {
        const { held } = await this.#offer(peer, current, false, signal)
        for (const [place, digest] of held) confirmed.get(place)?.push(digest)
      } catch (error) {
        this.#failed('hand over', peer, error, signal)
        complete = false
      }
    }
    if (member) return complete
    for (const [place, digests] of confirmed) {
      const entry = this.#table.get(place, this.#env.clock.now())
      if (!entry) continue
      // An overlay that has changed meanwhile may have made this node a member again.
      const astray = !this.groupOf(entry.key).some((host) => host.peer === self)
      const copies = digests.filter((digest) => digest === entry.digest).length
      if (astray && copies >= majority(group.length)) this.#table.drop(place)
      else complete = false
    }
    return complete
  }

  /** Does this node own the key, and count the peer among its replicas? */
  #sharedWith(peer: string, key: Key): boolean {
    return this.#overlay.owns(key) && this.groupOf(key).some((host) => host.peer === peer)
  }

  /** What this node and the peer share; `owner` is `asker` when the keys are this node's. */
  #shared(peer: string, owner: OwnerSide, prefix: string): Entry[] {
    const self = this.#transport.peer
    const [owning, replica] = owner === 'asker' ? [self, peer] : [peer, self]
    const shared = sharedEntries(this.#table.entries(), this.groupOf, owning, replica)
    return prefix === '' ? shared : shared.filter((entry) => entry.place.startsWith(prefix))
  }

  #requireMember(): void {
    if (!this.#overlay.self) throw new ChoraleError('not-owner', 'this node has no place in the overlay')
  }

  #failed(step: string, peer: Contact | undefined, error: unknown, signal: AbortSignal | undefined): void {
    if (signal?.aborted) throw error
    const fields = { step, peer: peer?.peer, code: errorCode(error), error: errorMessage(error) }
    this.#env.log.debug('register repair will try again', fields)
  }
}
