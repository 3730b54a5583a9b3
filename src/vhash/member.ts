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
import { replicaGroup } from '../dht/replica-group.ts'
import type { Vicinity } from '../dht/vicinity.ts'
import type { Contact } from '../net/contact.ts'
import type { RequestOf } from '../net/message.ts'
import type { Transport } from '../net/transport.ts'
import { Acquaintances } from './acquaintances.ts'
import { longLimit } from './dgvh.ts'
import { type Gossip, Lookup, Ping } from './messages.ts'
import { type Circumstances, Neighbourhood, type Neighbours } from './neighbourhood.ts'
import { ballVolume, nextHop } from './next-hop.ts'
import { type Peer, peerAt } from './peer.ts'
import { shortPeers } from './peers.ts'
import { nearer, nearest } from './route.ts'
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

interface Change {
  /** Those whose message it was. */
  readonly speakers?: readonly Contact[]
  /** Somebody said that it leaves. */
  readonly politely?: boolean
}

/** A contact that was silent once is no way for so long. */
const SUSPECT_MS = 3_000
const MAX_SUSPECTS = 64
/** Others than neighbours that a view names. */
const LONG_SAMPLE = 8

export class Member implements Router {
  readonly pingKind = Ping
  readonly lookupKind = Lookup
  readonly env: Env
  readonly transport: Transport
  readonly place: Peer
  readonly settings: VHashSettings
  readonly vicinity: Vicinity
  readonly around: Neighbourhood
  readonly acquaintances: Acquaintances
  readonly graves: Graveyard
  /**
   * `short`: the short peers have changed, or one has spoken for the first time; `change`: they, or others that are known;
   * `strangers`: there are some.
   */
  readonly events = new Emitter<{ short: undefined; change: undefined; strangers: undefined }>()
  /** Joining, and others count on this node already: it answers for them, and holds lookups until it is a member. */
  placed = false
  /** Everybody that this node knew around it has died. */
  deserted = false
  /** Looking for its place among nodes that it lost sight of. */
  seeking = false
  #phase: Phase = 'out'
  readonly #heardAtMs = new Map<Key, number>()
  readonly #suspects = new Map<Key, number>()
  #dense: { readonly known: readonly Peer[]; readonly density: number } = { known: [], density: 1 }

  constructor(env: Env, transport: Transport, self: Contact, vicinity: Vicinity, settings: VHashSettings) {
    this.env = env
    this.vicinity = vicinity
    this.transport = transport
    this.settings = settings
    const named = settings.space
    this.place = peerAt(named.space, self)
    this.graves = new Graveyard(env.random.fork('graves'))
    this.acquaintances = new Acquaintances(named.space, env.random.fork('acquaintances'))
    this.around = new Neighbourhood({
      self: this.place,
      space: named.space,
      choose: (place, candidates, among) => shortPeers(named, place, candidates, 'exact', among).peers,
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
    const answered = short.filter(({ id }) => this.#heardAtMs.has(id))
    return { short: answered.map(({ contact }) => contact), long, at: this.vicinity.at }
  }

  /** Neighbours told their short peers, in answers or messages of their own. */
  hear(views: readonly Neighbours[], circumstances?: Circumstances): void {
    const speakers = views.map(({ contact }) => contact)
    this.#change(() => this.around.hear(views, this.env.clock.now(), circumstances), { speakers })
  }

  /** The overlay stands already, with these around. */
  stand(views: readonly Neighbours[]): void {
    const speakers = views.map(({ contact }) => contact)
    this.#change(() => this.around.stand(views, this.env.clock.now()), { speakers })
    this.phase = 'member'
  }

  /** Heard of others. They count when they have spoken. */
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
    this.#suspects.delete(contact.id)
    this.#change(() => this.around.spoke(contact, now), { speakers: [contact] })
  }

  /** Milliseconds since a short peer spoke. */
  silentMs(contact: Contact): number {
    return this.env.clock.now() - (this.#heardAtMs.get(contact.id) ?? Number.NEGATIVE_INFINITY)
  }

  bury(contact: Contact): void {
    this.#part(contact, false, [])
  }

  /** It says that it leaves, and who was around it. */
  takeLeave(contact: Contact, heirs: readonly Contact[]): void {
    this.#part(contact, true, heirs)
  }

  #part(contact: Contact, left: boolean, heirs: readonly Contact[]): void {
    const now = this.env.clock.now()
    const hasSpoken = this.around.hasSpoken(contact) || this.acquaintances.knows(contact)
    this.graves.bury(contact, now, { left, wasStranger: !left && !hasSpoken })
    this.acquaintances.forget(contact)
    this.#change(() => this.around.forget(contact, now, heirs), { politely: left })
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

  #change(act: () => void, { speakers = [], politely = false }: Change = {}): void {
    const { around } = this
    const { short, known } = around
    const hadProspects = around.prospects.length > 0
    act()
    const ids = new Set(around.short.map(({ id }) => id))
    if (around.short !== short) {
      for (const id of this.#heardAtMs.keys()) if (!ids.has(id)) this.#heardAtMs.delete(id)
    }
    // The last neighbour has died, or left us to others, who may be dead as well.
    const isAlone = ids.size === 0 && this.phase === 'member'
    const isLeft = isAlone && around.prospects.length === 0 && hadProspects
    if (isAlone && around.short !== short) this.deserted = !politely || around.prospects.length > 0
    else if (isLeft) this.deserted = true
    let isNews = around.short !== short || isLeft
    for (const contact of speakers) {
      if (!around.isShort(contact)) continue
      isNews ||= !this.#heardAtMs.has(contact.id)
      this.#heardAtMs.set(contact.id, this.env.clock.now())
    }
    if (isNews) this.events.emit('short', undefined)
    if (around.known !== known) this.events.emit('change', undefined)
    if (around.hasStrangers) this.events.emit('strangers', undefined)
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
    const { settings, transport } = this
    const { space } = settings.space
    const all = [this.place, ...this.around.known]
    const most = transport.placement === 'ip-port' ? settings.replicas : all.length
    const inOrder = nearest(space, space.pointOf(key), all, most).map(({ contact }) => contact)
    return replicaGroup(inOrder, settings.replicas, transport.placement)
  }

  holdsReplica(key: Key): boolean {
    if (this.phase !== 'member') return false
    if (this.transport.placement === 'ip-prefix') return this.replicas(key).includes(this.self)
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
    const { near, known, hasStrangers } = this.around
    const knowsAll = known.length === near.length && !hasStrangers
    const sizeEstimate = knowsAll ? near.length + 1 : Math.max(known.length + 1, Math.round(this.density()))
    return { sizeEstimate, knowsAll }
  }

  /** Members per volume. Near the border of a cube, where part of what is measured lies outside, it comes out too low. */
  density(): number {
    const { near, known } = this.around
    if (this.#dense.known !== known) {
      const { space, dimensions } = this.settings.space
      const [last] = nearest(space, this.place.point, known, near.length).slice(-1)
      const radius = last === undefined ? 1 : space.distance(this.place.point, last.point)
      this.#dense = { known, density: near.length / Math.min(1, ballVolume(dimensions, radius)) }
    }
    return this.#dense.density
  }

  // Lookups -----------------------------------------------------------------------------------------------------------

  confirm(key: Key, group: boolean): LookupReply | undefined {
    if (!this.owns(key)) return undefined
    return {
      owner: this.self,
      hops: 0,
      at: this.vicinity.at,
      ...(group && { replicas: this.replicas(key) as Contact[] }),
    }
  }

  nextHop(key: Key, avoid: ReadonlySet<Key> | undefined, noCache: boolean): Contact | undefined {
    return nextHop(this, key, avoid, noCache)
  }

  /** Was it silent lately, when it was asked? */
  isSuspect(id: Key): boolean {
    const sinceMs = this.#suspects.get(id)
    return sinceMs !== undefined && this.env.clock.now() - sinceMs < SUSPECT_MS
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
