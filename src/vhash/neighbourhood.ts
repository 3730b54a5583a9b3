/**
 * Whom a node has around it: its short peers, those who count it as theirs, and what all of these told of their own short
 * peers. Short peers are chosen of all of them, anew after every change. Decisions only; nobody is asked here.
 *
 * With exact neighbours among all that it knows, a node owns what lies nearer to it than to any short peer: nobody that
 * it knows can be nearer to such a point.
 *
 * It knows who has spoken to it. All others are strangers, whatever was told of them: they count for nothing until they
 * have been asked, or a liar could take a node's keys away by naming nodes that do not exist.
 */
import type { Key } from '../core/ids.ts'
import { MAX_CACHED_CONTACTS, MAX_FANS, MAX_SHORT_PEERS, MAX_STRANGERS } from '../core/limits.ts'
import { type Contact, sameNode } from '../net/contact.ts'
import { isNewer, type Peer, peerAt, samePeers } from './peer.ts'
import { nearest } from './route.ts'
import type { Space } from './space.ts'

/**
 * Chooses the short peers of a node; nearest first. Candidates never hold self, nor one id twice. `among`: those of them
 * that can be neighbours of its cell; the others are not, and may only fill up.
 */
export type Choice = (self: Peer, candidates: readonly Peer[], among: readonly Peer[]) => readonly Peer[]

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

/** Somebody that was told of and has not spoken. */
interface Stranger {
  /** Its place: all names of an id are at the same. */
  readonly peer: Peer
  /** Hosts and starts of them that it was said to be. */
  readonly names: readonly Contact[]
}

/** Somebody who has spoken. */
interface Spoken {
  readonly peer: Peer
  /** Nobody that is near has told of it since then. */
  untoldSinceMs?: number | undefined
}

/** As when the one that told of it has died. After so long it is a stranger again. */
const UNTOLD_MS = 10_000
/** Of one id: one of them is true, the others are lies or old. */
const MAX_NAMES = 8
/** The turn of those who count us as a short peer and are none of ours: anybody may. */
const FANS = 'fans' as Key

/** Somebody who counts us as a short peer says so now and then; who has been silent for so many periods does not any more. */
const FAN_PERIODS = 4

export interface NeighbourhoodOptions {
  readonly self: Peer
  readonly space: Space
  readonly choose: Choice
  readonly periodMs: number
  readonly mostLong: number
  /** Is this stranger known to be dead? */
  readonly isDead: (contact: Contact) => boolean
}

export class Neighbourhood {
  readonly #options: NeighbourhoodOptions
  readonly #told = new Map<Key, Told>()
  /** Those that have spoken, and are told of or were a moment ago. */
  readonly #spoken = new Map<Key, Spoken>()
  #candidates: ReadonlyMap<Key, Peer> = new Map()
  #strangers: ReadonlyMap<Key, Stranger> = new Map()
  #short: readonly Peer[] = []
  #near: readonly Peer[] = []
  #known: readonly Peer[] = []
  #prospects: readonly Peer[] = []
  #hasStrangers = false
  /** What the prospects were chosen from. */
  #weighed: { readonly short: readonly Peer[]; readonly strangers: ReadonlyMap<Key, Stranger> } = {
    short: [],
    strangers: new Map(),
  }

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

  /** Strangers that would be short peers, by all the names that were told of them. */
  get prospects(): readonly Contact[] {
    return this.#prospects.flatMap(({ id }) => this.#strangers.get(id)?.names ?? [])
  }

  /** Are there strangers who would be known if they spoke? */
  get hasStrangers(): boolean {
    return this.#hasStrangers
  }

  /**
   * Strangers to ask whether they are there, by who told of them: one of each, as it named it, prospects first, so that a
   * liar is heard no more than others. Those who only count us as theirs share a turn; so do all that nobody near told of.
   */
  strangers(isAsked: (contact: Contact) => boolean): Map<Key, Contact> {
    const out = new Map<Key, Contact>()
    if (!this.#hasStrangers) return out
    const { self, isDead } = this.#options
    const prospects = new Set(this.#prospects.map(({ id }) => id))
    const short = new Set(this.#short.map(({ id }) => id))
    const toldOf = new Set<Key>()
    const isOpen = (contact: Contact) =>
      this.#isOfUse(contact.id, prospects) && !this.hasSpoken(contact) && !isAsked(contact) && !isDead(contact)
    for (const { contact: teller, short: told } of this.#told.values()) {
      for (const { id } of told) toldOf.add(id)
      const turn = short.has(teller.id) ? teller.id : FANS
      if (out.has(turn)) continue
      const open = told.filter(isOpen)
      const next = open.find(({ id }) => prospects.has(id)) ?? open[0]
      if (next !== undefined) out.set(turn, next)
    }
    const own = this.prospects.find((contact) => !toldOf.has(contact.id) && isOpen(contact))
    if (own !== undefined) out.set(self.id, own)
    return out
  }

  /** Would this stranger be known, if it spoke? */
  #isOfUse(id: Key, prospects: ReadonlySet<Key>): boolean {
    const stranger = this.#strangers.get(id)
    if (stranger === undefined) return false
    const { self, space, mostLong } = this.#options
    const last = this.#known.at(-1)
    if (prospects.has(id) || last === undefined || this.#known.length < this.#near.length + mostLong) return true
    return space.distance(self.point, stranger.peer.point) < space.distance(self.point, last.point)
  }

  hasSpoken(contact: Contact): boolean {
    const spoken = this.#spoken.get(contact.id)
    return spoken !== undefined && sameNode(spoken.peer.contact, contact)
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
      this.#speak(contact)
    }
    this.#rebuild(nowMs, more)
  }

  /** The overlay stands already: all that these tell of have spoken. */
  stand(views: readonly Neighbours[], nowMs: number): void {
    for (const { short } of views) for (const contact of short) this.#speak(contact)
    this.hear(views, nowMs)
  }

  /** It spoke: it is no stranger any more, and who counts us as theirs still does. */
  spoke(contact: Contact, nowMs: number): void {
    const told = this.#told.get(contact.id)
    if (told !== undefined && sameNode(told.contact, contact)) this.#told.set(contact.id, { ...told, atMs: nowMs })
    if (!this.#strangers.has(contact.id) || this.hasSpoken(contact)) return
    this.#speak(contact)
    this.#rebuild(nowMs, [])
  }

  /** Others were heard of. */
  meet(contacts: readonly Contact[], nowMs: number): void {
    this.#rebuild(nowMs, contacts)
  }

  /** Somebody is dead. `heirs`: those that it told us of when it left. */
  forget(contact: Contact, nowMs: number, heirs: readonly Contact[] = []): void {
    // Only itself: that a later start of it does not exist says nothing of the one that spoke.
    const told = this.#told.get(contact.id)
    if (told !== undefined && sameNode(told.contact, contact)) this.#told.delete(contact.id)
    if (this.hasSpoken(contact)) this.#spoken.delete(contact.id)
    if (this.#candidates.has(contact.id) || this.#strangers.has(contact.id)) this.#rebuild(nowMs, heirs)
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

  #speak(contact: Contact): void {
    const { self, space } = this.#options
    const before = this.#spoken.get(contact.id)
    if (contact.id === self.id || (before !== undefined && !isNewer(contact, before.peer.contact))) return
    this.#spoken.set(contact.id, { peer: peerAt(space, contact) })
  }

  #rebuild(nowMs: number, more: readonly Contact[]): void {
    const { self, space, choose, mostLong } = this.#options
    for (const [id, { untoldSinceMs }] of this.#spoken) {
      if (untoldSinceMs !== undefined && nowMs - untoldSinceMs > UNTOLD_MS) this.#spoken.delete(id)
    }
    const { candidates, strangers } = this.#gather(more)
    if (!haveSame(candidates, this.#candidates)) {
      const all = [...candidates.values()]
      const chosen = choose(self, all, this.#possible(all, candidates)).slice(0, MAX_SHORT_PEERS)
      if (!samePeers(chosen, this.#short)) this.#short = chosen
    }
    const near = this.#settle(nowMs, candidates)
    this.#prospects = this.#prospectsAmong(strangers, candidates)
    this.#strangers = strangers
    // Who was only heard of and not chosen is forgotten.
    const kept = this.#gather([])
    this.#strangers = kept.strangers
    for (const [id, spoken] of this.#spoken) {
      if (kept.candidates.has(id)) spoken.untoldSinceMs = undefined
      else if (this.#spoken.size > MAX_CACHED_CONTACTS) this.#spoken.delete(id)
      else spoken.untoldSinceMs ??= nowMs
    }
    if (!samePeers(near, this.#near) || !haveSame(kept.candidates, this.#candidates)) {
      this.#near = near
      this.#candidates = kept.candidates
      const first = new Set(near.map(({ id }) => id))
      const others = [...kept.candidates.values()].filter(({ id }) => !first.has(id))
      this.#known = [...near, ...nearest(space, self.point, others, mostLong)]
    }
    const prospects = new Set(this.#prospects.map(({ id }) => id))
    this.#hasStrangers = kept.strangers.keys().some((id) => this.#isOfUse(id, prospects))
  }

  /** As long as no short peer is lost a cell only shrinks: who was no neighbour before is none now. */
  #possible(all: readonly Peer[], candidates: ReadonlyMap<Key, Peer>): readonly Peer[] {
    const isCut = this.#short.length >= MAX_SHORT_PEERS
    if (isCut || this.#short.some((peer) => candidates.get(peer.id) !== peer)) return all
    const short = new Set(this.#short)
    return all.filter((peer) => short.has(peer) || this.#candidates.get(peer.id) !== peer)
  }

  /**
   * A node's cell is that among its neighbours alone: who would be one of them follows from them and the strangers. Of those
   * that were weighed before only they can be, as long as nobody was lost.
   */
  #prospectsAmong(strangers: ReadonlyMap<Key, Stranger>, candidates: ReadonlyMap<Key, Peer>): readonly Peer[] {
    const { self, space, choose } = this.#options
    const before = this.#weighed
    const isSame = before.short === this.#short && haveSameKeys(before.strangers, strangers)
    this.#weighed = { short: this.#short, strangers }
    if (isSame) return this.#prospects
    const all = [...strangers.values()].map(({ peer }) => peer)
    const isHere = ({ id }: Peer) => candidates.has(id) || strangers.has(id)
    const onlyShrinks = before.short.every(isHere) && this.#prospects.every(isHere)
    const mayBe = new Set(this.#prospects.map(({ id }) => id))
    const possible = onlyShrinks ? all.filter(({ id }) => mayBe.has(id) || !before.strangers.has(id)) : all
    const nearby = nearest(space, self.point, possible, MAX_STRANGERS)
    if (nearby.length === 0) return []
    const among = [...this.#short.filter(({ id }) => !strangers.has(id)), ...nearby]
    return choose(self, among, among)
      .filter(({ id }) => strangers.has(id))
      .slice(0, MAX_SHORT_PEERS)
  }

  /**
   * Everybody that was told of, without self: those that have spoken, and strangers that are not known to be dead, by all
   * their names. Of two starts of one host the later is a stranger until it speaks. Hearsay does not put another host in the
   * place of one that spoke.
   */
  #gather(more: readonly Contact[]): { candidates: Map<Key, Peer>; strangers: Map<Key, Stranger> } {
    const { self, space, isDead } = this.#options
    const candidates = new Map<Key, Peer>()
    const strangers = new Map<Key, { peer: Peer; names: Contact[] }>()
    const add = (contact: Contact) => {
      if (contact.id === self.id) return
      const spoken = this.#spoken.get(contact.id)
      if (spoken !== undefined) {
        const { peer } = spoken
        candidates.set(contact.id, peer)
        if (!isNewer(contact, peer.contact) || contact.peer !== peer.contact.peer) return
      }
      if (isDead(contact)) return
      const stranger = strangers.get(contact.id)
      if (stranger === undefined) {
        const peer = this.#strangers.get(contact.id)?.peer ?? peerAt(space, contact)
        strangers.set(contact.id, { peer, names: [contact] })
      } else if (stranger.names.length < MAX_NAMES && !stranger.names.some((name) => sameNode(name, contact))) {
        stranger.names.push(contact)
      }
    }
    for (const { contact } of this.#short) add(contact)
    for (const contact of this.prospects) add(contact)
    for (const { contact, short } of this.#told.values()) {
      add(contact)
      for (const other of short) add(other)
    }
    for (const contact of more) add(contact)
    return { candidates, strangers }
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

function haveSameKeys(a: ReadonlyMap<Key, unknown>, b: ReadonlyMap<Key, unknown>): boolean {
  return a.size === b.size && a.keys().every((key) => b.has(key))
}
