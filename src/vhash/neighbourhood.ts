/**
 * Whom a node has around it: its short peers, those who count it as theirs, and what all of these told of their own short
 * peers. Short peers are chosen of all of them, anew after every change. Decisions only; nobody is asked here.
 *
 * With exact neighbours among all that it has heard of, a node owns what lies nearer to it than to any short peer: nobody
 * that it knows of can be nearer to such a point.
 */
import type { Key } from '../core/ids.ts'
import { MAX_FANS, MAX_SHORT_PEERS } from '../core/limits.ts'
import { type Contact, sameNode } from '../net/contact.ts'
import { isNewer, type Peer, peerAt, samePeers } from './peer.ts'
import { nearest } from './route.ts'
import type { Space } from './space.ts'

/** Chooses the short peers of a node; nearest first. Candidates never hold self, nor one id twice. */
export type Choice = (self: Peer, candidates: readonly Peer[]) => readonly Peer[]

/** A node and its short peers. */
export interface Neighbours {
  readonly contact: Contact
  readonly short: readonly Contact[]
}

export interface Circumstances {
  readonly more?: readonly Contact[]
  readonly unasked?: boolean
}

/** What a neighbour told last. */
interface Told extends Neighbours {
  /** It counts us as a short peer. */
  readonly isFan: boolean
  readonly atMs: number
}

/** Somebody who counts us as a short peer says so now and then; who has been silent for so many periods does not any more. */
const FAN_PERIODS = 4

export interface NeighbourhoodOptions {
  readonly self: Peer
  readonly space: Space
  readonly choose: Choice
  readonly periodMs: number
  readonly mostLong: number
  /** Is this one known to be dead? */
  readonly isDead: (contact: Contact) => boolean
}

export class Neighbourhood {
  readonly #options: NeighbourhoodOptions
  readonly #told = new Map<Key, Told>()
  #candidates = new Map<Key, Peer>()
  #short: readonly Peer[] = []
  #near: readonly Peer[] = []
  #known: readonly Peer[] = []

  constructor(options: NeighbourhoodOptions) {
    this.#options = options
  }

  /** Nearest first. */
  get short(): readonly Peer[] {
    return this.#short
  }

  /** Short peers, and those who count us as theirs. */
  get near(): readonly Peer[] {
    return this.#near
  }

  /** Those who are near, and their short peers: short peers and long peers. */
  get known(): readonly Peer[] {
    return this.#known
  }

  isShort(contact: Contact): boolean {
    return this.#short.some((peer) => sameNode(peer.contact, contact))
  }

  /**
   * Neighbours told their short peers. `more`: others that were heard of; who is not chosen is forgotten. `unasked`: they
   * came by themselves, as who counts us as a short peer does.
   */
  hear(views: readonly Neighbours[], nowMs: number, { more = [], unasked = false }: Circumstances = {}): void {
    const { self } = this.#options
    for (const { contact, short } of views) {
      const before = this.#told.get(contact.id)
      if (before !== undefined && isNewer(before.contact, contact)) continue
      const isFan = unasked || short.some(({ id }) => id === self.id)
      this.#told.set(contact.id, { contact, short, isFan, atMs: nowMs })
    }
    this.#rebuild(nowMs, more)
  }

  /** It spoke: who counts us as theirs still does. */
  spoke(contact: Contact, nowMs: number): void {
    const told = this.#told.get(contact.id)
    if (told !== undefined && sameNode(told.contact, contact)) this.#told.set(contact.id, { ...told, atMs: nowMs })
  }

  /** Others were heard of. */
  meet(contacts: readonly Contact[], nowMs: number): void {
    this.#rebuild(nowMs, contacts)
  }

  /** Somebody is dead: the node's options say who. */
  forget(contact: Contact, nowMs: number): void {
    const told = this.#told.get(contact.id)
    if (told !== undefined && !isNewer(told.contact, contact)) this.#told.delete(contact.id)
    if (this.#candidates.has(contact.id)) this.#rebuild(nowMs, [])
  }

  /** Lets go of those who were silent for long. */
  expire(nowMs: number): void {
    const silentMs = FAN_PERIODS * this.#options.periodMs
    const before = this.#told.size
    for (const { contact, atMs } of [...this.#told.values()]) {
      if (nowMs - atMs <= silentMs || this.#short.some(({ id }) => id === contact.id)) continue
      this.#told.delete(contact.id)
    }
    if (this.#told.size < before) this.#rebuild(nowMs, [])
  }

  #rebuild(nowMs: number, more: readonly Contact[]): void {
    const { self, space, choose, mostLong } = this.#options
    const candidates = this.#gather(more)
    if (!haveSame(candidates, this.#candidates)) {
      const chosen = choose(self, [...candidates.values()]).slice(0, MAX_SHORT_PEERS)
      if (!samePeers(chosen, this.#short)) this.#short = chosen
    }
    const near = this.#settle(nowMs, candidates)
    // Who was only heard of and not chosen is forgotten.
    const kept = this.#gather([])
    if (samePeers(near, this.#near) && haveSame(kept, this.#candidates)) return
    this.#near = near
    this.#candidates = kept
    const first = new Set(near.map(({ id }) => id))
    const others = [...kept.values()].filter(({ id }) => !first.has(id))
    this.#known = [...near, ...nearest(space, self.point, others, mostLong)]
  }

  /**
   * Everybody that was told of, without self and the dead; of two starts of one host the later. Hearsay does not put another
   * host in the place of one that spoke.
   */
  #gather(more: readonly Contact[]): Map<Key, Peer> {
    const { self, space, isDead } = this.#options
    const out = new Map<Key, Peer>()
    const add = (contact: Contact) => {
      const known = out.get(contact.id)
      if (contact.id === self.id || (known !== undefined && !isNewer(contact, known.contact)) || isDead(contact)) return
      const spoke = this.#told.get(contact.id)?.contact
      if (spoke !== undefined && spoke.peer !== contact.peer && !isDead(spoke)) return
      const before = this.#candidates.get(contact.id)
      const same = before !== undefined && sameNode(before.contact, contact)
      out.set(contact.id, same ? before : peerAt(space, contact))
    }
    for (const { contact } of this.#short) add(contact)
    for (const { contact, short } of this.#told.values()) {
      add(contact)
      for (const other of short) add(other)
    }
    for (const contact of more) add(contact)
    return out
  }

  /** Keeps what short peers told, and the nearest of those who count us as theirs. Returns who is near. */
  #settle(nowMs: number, candidates: ReadonlyMap<Key, Peer>): readonly Peer[] {
    const { self, space, periodMs } = this.#options
    const short = new Set(this.#short.map(({ id }) => id))
    const fans: Peer[] = []
    for (const { contact, isFan, atMs } of [...this.#told.values()]) {
      if (short.has(contact.id)) continue
      const peer = candidates.get(contact.id)
      if (peer !== undefined && isFan && nowMs - atMs <= FAN_PERIODS * periodMs) fans.push(peer)
      else this.#told.delete(contact.id)
    }
    if (fans.length === 0) return this.#short
    const kept = nearest(space, self.point, fans, MAX_FANS)
    for (const { id } of fans) if (!kept.some((peer) => peer.id === id)) this.#told.delete(id)
    return [...this.#short, ...kept]
  }
}

function haveSame(a: ReadonlyMap<Key, Peer>, b: ReadonlyMap<Key, Peer>): boolean {
  if (a.size !== b.size) return false
  for (const peer of a.values()) if (b.get(peer.id) !== peer) return false
  return true
}
