/**
 * What one Chord node knows: its place in the ring (`ring.ts`), predecessors, fingers, and contacts beyond. The
 * procedures of `maintenance.ts` read and change it; lookups (`dht/lookups.ts`) go through it.
 */
import type { Env } from '../../core/env.ts'
import { Emitter } from '../../core/events.ts'
import { arcShare, between, inArc, type Key } from '../../core/ids.ts'
import { type Contact, sameNode } from '../../net/contact.ts'
import type { Transport } from '../../net/transport.ts'
import type { Phase } from '../asking.ts'
import { Graveyard } from '../graves.ts'
import type { Router } from '../lookups.ts'
import type { LookupReply } from '../messages.ts'
import type { Regions } from '../overlay.ts'
import { replicaGroup } from '../replica-group.ts'
import type { Vicinity } from '../vicinity.ts'
import { ContactCache } from './contacts.ts'
import { Fingers } from './fingers.ts'
import { Lookup, Ping, type View } from './messages.ts'
import { nextHop } from './next-hop.ts'
import { dropped, founded, met, type RingState } from './ring.ts'

export interface ChordSettings {
  /** Length of successor lists, r. Default 4; 16 on open networks. */
  readonly successors: number
  /** Size of replica groups, the owner included; at most r + 1. Default 3. */
  readonly replicas: number
  /** Stabilization period. Default 1,000. */
  readonly periodMs: number
  /** Fingers and next hops are chosen by latency. Default true. */
  readonly proximity: boolean
}

export const DEFAULT_CHORD: ChordSettings = Object.freeze({
  successors: 4,
  replicas: 3,
  periodMs: 1000,
  proximity: true,
})

/** The replica group of the keys that a node owns, and what it follows from. */
interface OwnGroup {
  readonly state: RingState<Contact>
  readonly beyond: readonly Contact[]
  readonly members: readonly Contact[]
}

export class Member implements Router {
  readonly pingKind = Ping
  readonly lookupKind = Lookup
  readonly env: Env
  readonly transport: Transport
  readonly self: Contact
  readonly settings: ChordSettings
  readonly vicinity: Vicinity
  readonly fingers: Fingers
  readonly cache: ContactCache
  readonly graves: Graveyard
  readonly events = new Emitter<{ change: undefined }>()
  phase: Phase = 'out'
  /** In the middle of an operation of its own: state queries are answered `busy`. */
  operating = false
  /** Looking for its place in another ring. */
  seeking = false
  prdcHeardAtMs = 0
  /** Not before does it look past a crowd again. */
  looksPastAtMs = 0
  #state: RingState<Contact> = founded()
  #view: View = { mode: 'young', succ: [] }
  #viewed: RingState<Contact> | undefined
  /** Nearest first; the first is the predecessor. */
  #preds: readonly Contact[] = []
  #beyond: readonly Contact[] = []
  #group: OwnGroup | undefined

  constructor(env: Env, transport: Transport, self: Contact, vicinity: Vicinity, settings: ChordSettings) {
    this.env = env
    this.transport = transport
    this.self = self
    this.settings = settings
    this.vicinity = vicinity
    this.fingers = new Fingers(self.id)
    this.cache = new ContactCache(env.random.fork('cache'))
    this.graves = new Graveyard(env.random.fork('graves'))
  }

  get state(): RingState<Contact> {
    return this.#state
  }

  /** The state as it is told to others. */
  get view(): View {
    if (this.#viewed !== this.#state) {
      const { mode, succ, prdc } = this.#state
      this.#view = { mode, succ: succ as Contact[], ...(prdc !== undefined && { prdc }) }
      this.#viewed = this.#state
    }
    return this.#view
  }

  get preds(): readonly Contact[] {
    return this.#preds
  }

  /** Takes a new state. Known dead are left out of it: the rules allow to drop them at any time. */
  apply(state: RingState<Contact>): void {
    if (state === this.#state) return
    const now = this.env.clock.now()
    let next = state
    const before = this.#state
    for (let i = state.succ.length - 1; i > 0; i--) {
      const entry = state.succ[i]!
      // What was listed before was not dead, and who dies is dropped at once.
      const known = before.succ[i] === entry || before.succ[i + 1] === entry || before.succ[i - 1] === entry
      if (!known && this.graves.holds(entry, now)) next = dropped(next, entry)
    }
    this.#state = next
    if (next.prdc !== before.prdc) this.#predecessorsChanged(next.prdc)
    if (next.mode === 'young') {
      this.#preds = next.succ.toReversed().slice(0, MAX_PREDS)
      this.#beyond = [] // all are listed
    }
    if (!sameLists(before, next)) this.events.emit('change', undefined)
  }

  #predecessorsChanged(prdc: Contact | undefined): void {
    this.prdcHeardAtMs = this.env.clock.now()
    const { self } = this
    if (prdc === undefined) this.#preds = this.#preds.slice(1)
    else this.#preds = [prdc, ...this.#preds.filter((p) => between(self.id, p.id, prdc.id))].slice(0, MAX_PREDS)
  }

  /** Our predecessor told us of its predecessors. */
  learnPreds(prdc: Contact, more: readonly Contact[]): void {
    if (this.#state.mode === 'young') return
    const next = [prdc]
    for (const contact of more) {
      if (next.length === MAX_PREDS || !between(this.self.id, contact.id, next[next.length - 1]!.id)) break
      next.push(contact)
    }
    const changed = next.length !== this.#preds.length || next.some((p, i) => !sameNode(p, this.#preds[i]!))
    this.#preds = next
    if (changed) this.events.emit('change', undefined)
  }

  /** Members after the last successor, where the list has too few parties for a replica group (`crowds.ts`). */
  get beyond(): readonly Contact[] {
    return this.#beyond
  }

  set beyond(beyond: readonly Contact[]) {
    const changed = beyond.length !== this.#beyond.length || beyond.some((c, i) => !sameNode(c, this.#beyond[i]!))
    if (!changed) return
    this.#beyond = beyond
    this.events.emit('change', undefined)
  }

  /** A contact spoke, or answered. */
  heard(contact: Contact): void {
    const now = this.env.clock.now()
    this.graves.raise(contact)
    this.cache.heard(contact, now)
    const { prdc } = this.#state
    if (prdc !== undefined && sameNode(prdc, contact)) this.prdcHeardAtMs = now
  }

  /** A contact did not answer, or is not what it was, or said that it leaves. */
  bury(contact: Contact, left = false): void {
    this.graves.bury(contact, this.env.clock.now(), { left })
    this.cache.forget(contact)
    this.fingers.drop(contact)
    if (this.#preds.length > 1 && this.#preds.some((p) => sameNode(p, contact))) {
      this.#preds = this.#preds.filter((p, i) => i === 0 || !sameNode(p, contact))
    }
    this.apply(dropped(this.#state, contact))
    if (this.#beyond.length > 0) this.beyond = this.#beyond.filter((c) => !sameNode(c, contact))
  }

  /** It was silent once: no shortcut any more, but the ring's own lists judge for themselves. */
  suspect(contact: Contact): void {
    this.cache.forget(contact)
    this.fingers.drop(contact)
  }

  /** Young: takes in members that it hears of, but for those that it knows to be dead. */
  meet(contacts: readonly (Contact | undefined)[]): void {
    const now = this.env.clock.now()
    const room = MAX_YOUNG_VIEW - this.#state.succ.length
    const listed = new Set(this.#state.succ.map((entry) => entry.id))
    const alive = contacts.filter((c) => c !== undefined && !this.graves.holds(c, now))
    const fresh = alive.filter((c) => !listed.has(c!.id)).slice(0, Math.max(room, 0))
    this.apply(met(this.self, this.#state, [...alive.filter((c) => listed.has(c!.id)), ...fresh]))
  }

  /** The answer of an owner. */
  confirm(key: Key, group: boolean): LookupReply | undefined {
    if (!this.owns(key)) return undefined
    const reply: LookupReply = { owner: this.self, hops: 0, at: this.vicinity.at }
    if (this.#state.prdc !== undefined) reply.prdc = this.#state.prdc
    if (group) reply.replicas = this.replicas(key) as Contact[]
    return reply
  }

  nextHop(key: Key, avoid: ReadonlySet<Key> | undefined, noCache: boolean): Contact | undefined {
    return nextHop(this, key, avoid, noCache)
  }

  /** The key becomes ours with a new predecessor: the one that we have has died, or somebody found it dead. */
  rival(key: Key, avoid: ReadonlySet<Key>): Contact | 'soon' | undefined {
    const { prdc } = this.#state
    const before = this.#preds.find((p) => !avoid.has(p.id))
    if (before === undefined || before === prdc || !inArc(before.id, key, this.self.id)) return undefined
    return prdc ?? 'soon'
  }

  learn(owner: Contact, { prdc }: LookupReply): void {
    const now = this.env.clock.now()
    if (!this.graves.holds(owner, now)) this.cache.heard(owner, now, prdc?.id)
  }

  owns(key: Key): boolean {
    if (this.phase !== 'member') return false
    const { prdc, succ } = this.#state
    if (prdc === undefined) return this.#state.mode === 'young' && succ.length === 0
    return inArc(prdc.id, key, this.self.id)
  }

  /** The replica group as seen from here, owner first; exact when the key is ours. */
  replicas(key: Key): readonly Contact[] {
    const { self, settings, transport } = this
    const { succ } = this.#state
    if (this.owns(key)) return this.#ownGroup()
    // The circle as far as it is known: predecessors, self, successors, clockwise.
    const known = [...this.#preds.toReversed(), self, ...succ, ...this.#beyond].filter(
      (c, i, all) => all.findIndex((o) => o.id === c.id) === i,
    )
    let owner = 0
    while (owner + 1 < known.length && !inArc(known[owner]!.id, key, known[owner + 1]!.id)) owner++
    const start = (owner + 1) % known.length
    return replicaGroup([...known.slice(start), ...known.slice(0, start)], settings.replicas, transport.placement)
  }

  /** Of all keys that are ours. */
  #ownGroup(): readonly Contact[] {
    const { settings, transport, self } = this
    const group = this.#group
    if (group?.state === this.#state && group.beyond === this.#beyond) return group.members
    const inOrder = [self, ...this.#state.succ, ...this.#beyond]
    const members = replicaGroup(inOrder, settings.replicas, transport.placement)
    this.#group = { state: this.#state, beyond: this.#beyond, members }
    return members
  }

  holdsReplica(key: Key): boolean {
    const { replicas } = this.settings
    if (this.phase !== 'member') return false
    if (this.transport.placement === 'ip-prefix') return this.#isAmong(key, replicas)
    const farthest = this.#preds[replicas - 1]
    // With fewer predecessors than the group is large, everybody that we know of is in every group.
    return farthest === undefined ? true : inArc(farthest.id, key, this.self.id)
  }

  /** Of those that are known after the key. In doubt, where the key is before all of them, yes. */
  #isAmong(key: Key, replicas: number): boolean {
    const before = this.#preds.findIndex((p) => inArc(p.id, key, this.self.id))
    const after = before < 0 ? this.#preds : this.#preds.slice(0, before)
    const inOrder = [...after.toReversed(), this.self, ...this.#state.succ, ...this.#beyond]
    return replicaGroup(inOrder, replicas, this.transport.placement).includes(this.self)
  }

  /** What `owns`, `holdsReplica` and the owners of kept keys in `replicas` follow from. */
  regions(): Regions {
    const { phase, settings, transport } = this
    const { mode, prdc, succ } = this.#state
    const preds = this.#preds.slice(0, settings.replicas)
    // With fewer predecessors, who owns what is seen from the successors too; and where these may be passed over.
    const isWide = preds.length < settings.replicas || transport.placement === 'ip-prefix'
    const known = isWide ? [...this.#preds, ...succ, ...this.#beyond] : preds
    const names = known.map(({ id, incarnation }) => `${id} ${incarnation}`)
    const owned = `${phase} ${prdc?.id ?? `${mode} ${succ.length > 0}`}`
    // Which of a host's nodes speaks for a key follows from what they own.
    return { owned, kept: [owned, ...names].join() }
  }

  /** Members of the overlay: counted while young, estimated from the density of the successor list after that. */
  sizeEstimate(): number {
    const { mode, succ } = this.#state
    const last = succ[succ.length - 1]
    if (mode === 'young' || last === undefined) return succ.length + 1
    return Math.max(succ.length + 1, Math.round(succ.length / arcShare(this.self.id, last.id)))
  }
}

/** Members that a young node lists. It matures at r + 2, so what goes beyond comes from a burst, or a liar. */
const MAX_YOUNG_VIEW = 48

/** Predecessors that are known: enough for the largest replica groups. */
const MAX_PREDS = 4

export function sameLists(a: RingState<Contact>, b: RingState<Contact>): boolean {
  if (a.mode !== b.mode || a.succ.length !== b.succ.length) return false
  if (a.prdc !== b.prdc && (a.prdc === undefined || b.prdc === undefined || !sameNode(a.prdc, b.prdc))) return false
  return a.succ.every((contact, i) => sameNode(contact, b.succ[i]!))
}
