/**
 * What one VHash node knows (Benshoof, Rosen et al. 2014-15): its neighbourhood, contacts beyond, and the dead. It owns
 * the keys that lie nearer to it than to anybody it knows; a key's replica group are the nodes nearest to it. The
 * procedures of `maintenance.ts` read and change it; lookups (`dht/lookups.ts`) go through it.
 */
import type { Env } from '../core/env.ts'
import { Emitter } from '../core/events.ts'
import type { Key } from '../core/ids.ts'
import type { Phase } from '../dht/asking.ts'
import { Graveyard } from '../dht/graves.ts'
import type { Router } from '../dht/lookups.ts'
import type { LookupReply } from '../dht/messages.ts'
import type { Regions } from '../dht/overlay.ts'
import type { Contact } from '../net/contact.ts'
import type { RequestOf } from '../net/message.ts'
import type { Transport } from '../net/transport.ts'
import { Acquaintances } from './acquaintances.ts'
import { longLimit } from './dgvh.ts'
import { type Gossip, Lookup, Ping } from './messages.ts'
import { type Circumstances, Neighbourhood, type Neighbours } from './neighbourhood.ts'
import { type Peer, peerAt } from './peer.ts'
import { shortPeers } from './peers.ts'
import { closest, nearer, nearest } from './route.ts'
import type { Point } from './space.ts'
import type { NamedSpace } from './spaces.ts'

export interface VHashSettings {
  readonly space: NamedSpace
  /** Size of replica groups, the owner included. Default 3. */
  readonly replicas: number
  /** Between two rounds of gossip. Default 1,000. */
  readonly periodMs: number
}

export const DEFAULT_VHASH = Object.freeze({ replicas: 3, periodMs: 1000 })

export type View = RequestOf<typeof Gossip>

/** A contact that was silent once is no way for so long. */
const SUSPECT_MS = 3_000
const MAX_SUSPECTS = 64
/** A way over a new connection ends at most at this share of the distance that is left by those that are open. */
const CONNECTING_SHARE = 0.5
/** Others than neighbours that a view names. */
const LONG_SAMPLE = 8

export class Member implements Router {
  readonly pingKind = Ping
  readonly lookupKind = Lookup
  readonly env: Env
  readonly transport: Transport
  readonly place: Peer
  readonly settings: VHashSettings
  readonly around: Neighbourhood
  readonly acquaintances: Acquaintances
  readonly graves: Graveyard
  /** `short`: the short peers have changed, or one has answered; `change`: they, or others that are known. */
  readonly events = new Emitter<{ short: undefined; change: undefined }>()
  /** Joining, and others count on this node already: it answers for them, and holds lookups until it is a member. */
  placed = false
  /** Everybody that this node knew around it has died. */
  deserted = false
  /** Looking for its place among nodes that it lost sight of. */
  seeking = false
  #phase: Phase = 'out'
  readonly #heardAtMs = new Map<Key, number>()
  readonly #suspects = new Map<Key, number>()

  constructor(env: Env, transport: Transport, self: Contact, settings: VHashSettings) {
    this.env = env
    this.transport = transport
    this.settings = settings
    const named = settings.space
    this.place = peerAt(named.space, self)
    this.graves = new Graveyard(env.random.fork('graves'))
    this.acquaintances = new Acquaintances(named.space, env.random.fork('acquaintances'))
    this.around = new Neighbourhood({
      self: this.place,
      space: named.space,
      choose: (place, candidates) => shortPeers(named, place, candidates, 'exact').peers,
      periodMs: settings.periodMs,
      mostLong: longLimit(named.dimensions),
      isDead: (contact) => this.graves.holds(contact, env.clock.now()),
    })
  }

  get self(): Contact {
    return this.place.contact
  }

  get phase(): Phase {
    return this.#phase
  }

  set phase(phase: Phase) {
    if (phase === this.#phase) return
    this.#phase = phase
    this.events.emit('change', undefined)
  }

  /**
   * What others are told: neighbours that have answered, or the dead would come back from hearsay for ever. `sample`: and
   * a few of those who are no neighbours.
   */
  view(sample: boolean): View {
    const { short, known, near } = this.around
    const long: Contact[] = []
    const others = known.length - near.length
    if (sample && others > 0) {
      const start = this.env.random.int(others)
      for (let i = 0; i < Math.min(others, LONG_SAMPLE); i++) {
        long.push(known[near.length + ((start + i) % others)]!.contact)
      }
    }
    return { short: short.filter(({ id }) => this.#heardAtMs.has(id)).map(({ contact }) => contact), long }
  }

  /** Neighbours told their short peers. */
  hear(views: readonly Neighbours[], circumstances?: Circumstances): void {
    this.#change(() => this.around.hear(views, this.env.clock.now(), circumstances))
  }

  /** Takes others into account that it heard of. */
  meet(contacts: readonly Contact[]): void {
    this.#change(() => this.around.meet(contacts, this.env.clock.now()))
  }

  expire(): void {
    this.#change(() => this.around.expire(this.env.clock.now()))
  }

  heard(contact: Contact): void {
    const now = this.env.clock.now()
    this.graves.raise(contact)
    this.acquaintances.heard(contact, now)
    this.around.spoke(contact, now)
    this.#suspects.delete(contact.id)
    if (!this.around.isShort(contact)) return
    const isFirst = !this.#heardAtMs.has(contact.id)
    this.#heardAtMs.set(contact.id, now)
    if (isFirst) this.events.emit('short', undefined)
  }

  /** Milliseconds since a short peer spoke. */
  silentMs(contact: Contact): number {
    return this.env.clock.now() - (this.#heardAtMs.get(contact.id) ?? Number.NEGATIVE_INFINITY)
  }

  bury(contact: Contact, left = false): void {
    const now = this.env.clock.now()
    this.graves.bury(contact, now, left)
    this.acquaintances.forget(contact)
    this.#change(() => this.around.forget(contact, now), left)
  }

  suspect(contact: Contact): void {
    this.acquaintances.forget(contact)
    this.#suspects.delete(contact.id)
    this.#suspects.set(contact.id, this.env.clock.now())
    if (this.#suspects.size <= MAX_SUSPECTS) return
    for (const id of this.#suspects.keys()) {
      this.#suspects.delete(id)
      break
    }
  }

  learn(owner: Contact): void {
    const now = this.env.clock.now()
    if (!this.graves.holds(owner, now)) this.acquaintances.heard(owner, now)
  }

  #change(act: () => void, politely = false): void {
    const { short, known } = this.around
    act()
    if (this.around.short !== short) {
      const ids = new Set(this.around.short.map(({ id }) => id))
      for (const id of this.#heardAtMs.keys()) if (!ids.has(id)) this.#heardAtMs.delete(id)
      this.deserted = ids.size === 0 && this.phase === 'member' && !politely
      this.events.emit('short', undefined)
    }
    if (this.around.known !== known) this.events.emit('change', undefined)
  }

  // Ownership ---------------------------------------------------------------------------------------------------------

  owns(key: Key): boolean {
    return this.phase === 'member' && this.#isNearest(key)
  }

  #isNearest(key: Key): boolean {
    const { space } = this.settings.space
    const target = space.pointOf(key)
    return !this.around.short.some((peer) => nearer(space, target, peer, this.place))
  }

  /** As seen from here, owner first; exact when the key is ours. */
  replicas(key: Key): readonly Contact[] {
    const { space } = this.settings.space
    const all = [this.place, ...this.around.known]
    return nearest(space, space.pointOf(key), all, this.settings.replicas).map(({ contact }) => contact)
  }

  holdsReplica(key: Key): boolean {
    if (this.phase !== 'member') return false
    const { space } = this.settings.space
    const target = space.pointOf(key)
    let before = 0
    for (const peer of this.around.known) {
      if (nearer(space, target, peer, this.place) && ++before === this.settings.replicas) return false
    }
    return true
  }

  /** What `owns`, `holdsReplica` and the owners of kept keys in `replicas` follow from. */
  regions(): Regions {
    const names = (peers: readonly Peer[]) =>
      peers
        .map(({ contact }) => `${contact.id} ${contact.incarnation}`)
        .sort()
        .join()
    const { short, known } = this.around
    const owned = `${this.phase} ${names(short)}`
    return { owned, kept: `${owned} ${names(known)}` }
  }

  /** Members of the overlay, from how near others are; exact when our neighbours know of nobody that we have not as one. */
  size(): { sizeEstimate: number; knowsAll: boolean } {
    const { near, known } = this.around
    const { space, dimensions } = this.settings.space
    if (known.length === near.length) return { sizeEstimate: near.length + 1, knowsAll: true }
    const [last] = nearest(space, this.place.point, known, near.length).slice(-1)
    const share = Math.min(1, ballVolume(dimensions, space.distance(this.place.point, last!.point)))
    return { sizeEstimate: Math.max(known.length + 1, Math.round(near.length / share)), knowsAll: false }
  }

  // Lookups -----------------------------------------------------------------------------------------------------------

  confirm(key: Key, group: boolean): LookupReply | undefined {
    if (!this.owns(key)) return undefined
    return { owner: this.self, hops: 0, ...(group && { replicas: this.replicas(key) as Contact[] }) }
  }

  /**
   * Who is nearest to the key of all that are known, if nearer than this node. Who is not connected must be much nearer
   * than those who are: connecting takes as long as two or three hops.
   */
  nextHop(key: Key, avoid: ReadonlySet<Key> | undefined, noCache: boolean): Contact | undefined {
    const { space } = this.settings.space
    const { transport, place } = this
    const target = space.pointOf(key)
    const now = this.env.clock.now()
    const usable = (id: Key) => avoid?.has(id) !== true && now - (this.#suspects.get(id) ?? -SUSPECT_MS) >= SUSPECT_MS
    const ways = this.around.known.filter((peer) => usable(peer.id) && nearer(space, target, peer, place))
    const open = ways.filter(({ contact }) => transport.connected(contact.peer))
    if (!noCache) {
      const isOpen = ({ id, peer }: Contact) => usable(id) && transport.connected(peer)
      const shortcut = this.acquaintances.nearestTo(target, now, isOpen)
      if (shortcut !== undefined && nearer(space, target, shortcut, place)) open.push(shortcut)
    }
    const best = closest<Point, Peer>(space, target, ways)
    const bestOpen = closest<Point, Peer>(space, target, open)
    if (best === undefined || bestOpen === undefined) return (best ?? bestOpen)?.contact
    const isWorthIt = space.distance(target, best.point) < CONNECTING_SHARE * space.distance(target, bestOpen.point)
    return (isWorthIt ? best : bestOpen).contact
  }

  /** Those nearer to the key than we are found dead by somebody: the nearest of them. */
  rival(key: Key, avoid: ReadonlySet<Key>): Contact | 'soon' | undefined {
    if (this.phase === 'joining')
      return this.placed && key !== this.self.id && this.#isNearest(key) ? 'soon' : undefined
    const { space } = this.settings.space
    const target = space.pointOf(key)
    const before = this.around.short.filter((peer) => nearer(space, target, peer, this.place))
    return before.every(({ id }) => avoid.has(id)) ? nearest(space, target, before, 1)[0]?.contact : undefined
  }
}

/** Of the Euclidean ball; near the border of a cube some of it lies outside. */
function ballVolume(dimensions: number, radius: number): number {
  if (dimensions < 2) return dimensions === 0 ? 1 : 2 * radius
  return (ballVolume(dimensions - 2, radius) * 2 * Math.PI * radius * radius) / dimensions
}
