/**
 * One VHash node: the loop that runs its maintenance, and its answers to others. It implements `Overlay`; a host with
 * several of them presents them as one through `VHashHost` (`host.ts`).
 */
import type { Env } from '../core/env.ts'
import { ChoraleError } from '../core/errors.ts'
import type { Key } from '../core/ids.ts'
import { confirmed } from '../dht/asking.ts'
import { enter } from '../dht/entry.ts'
import { answerLookup, lookup } from '../dht/lookups.ts'
import type { LookupReply, LookupRequest } from '../dht/messages.ts'
import type { JoinOptions, LookupOptions, Regions, Route } from '../dht/overlay.ts'
import type { OverlayNode } from '../dht/slots.ts'
import type { Vicinity } from '../dht/vicinity.ts'
import type { Contact } from '../net/contact.ts'
import type { ReplyOf, RequestOf } from '../net/message.ts'
import type { Sender, Transport } from '../net/transport.ts'
import {
  exchange,
  found,
  joinThrough,
  leave,
  nameOf,
  openConnection,
  seek,
  seekLost,
  seekThroughShortcut,
  startOver,
  watch,
} from './maintenance.ts'
import { Member, type VHashSettings, type View } from './member.ts'
import type { Leave, Ping } from './messages.ts'
import type { Neighbours } from './neighbourhood.ts'

/** Neighbours hear of a change of ours after this share of a period, so that several share a message. */
const PUSH_SHARE = 0.1
/** Every so many rounds a lost contact is sought, and somebody known asked who is at our place. */
const SEEK_ROUNDS = 4
const SHORTCUT_ROUNDS = 13
const LEAVE_TIMEOUT_MS = 1000
/** Strangers that are asked at once, and those that one neighbour told of per round: liars could have us dial for ever. */
const MOST_MEETING = 16
const MOST_TURNS = 8

export class VHashNode implements OverlayNode {
  readonly member: Member
  readonly #env: Env
  #seeds: readonly Contact[] = []
  #cancelTimer = () => {}
  #cancelPush: (() => void) | undefined
  #rounds = 0
  /** Grows with every change of what others are told. */
  #version = 0
  /** The version that each of those near was told. */
  readonly #told = new Map<Key, number>()
  readonly #asking = new Set<Key>()
  /** Those who told of a stranger that is being asked. */
  readonly #meeting = new Set<Key>()
  /** Strangers that were asked since the last round, and how many of them each has told of. */
  readonly #met = new Set<string>()
  readonly #turns = new Map<Key, number>()

  constructor(env: Env, transport: Transport, self: Contact, vicinity: Vicinity, settings: VHashSettings) {
    this.#env = env
    this.member = new Member(env, transport, self, vicinity, settings)
    this.member.events.on('short', () => this.#shortChanged())
    this.member.events.on('strangers', () => this.#meetStrangers())
  }

  get self(): Contact {
    return this.member.self
  }

  // Life --------------------------------------------------------------------------------------------------------------

  async join(seeds: readonly Contact[], options: JoinOptions = {}): Promise<void> {
    const { member } = this
    this.#seeds = seeds.filter((seed) => seed.id !== member.self.id)
    await enter(member, this.#seeds, options, {
      through: (seed, signal) => joinThrough(member, seed, signal),
      found: () => found(member),
    })
    this.#plan(this.#env.random.next())
  }

  /** Puts the node into an overlay that stands already, with these around it; for simulations that start with one. */
  stand(views: readonly Neighbours[]): void {
    const { member } = this
    member.stand(views)
    for (const { id } of member.around.near) this.#told.set(id, this.#version)
    this.#plan(this.#env.random.next())
  }

  async meet(contact: Contact): Promise<void> {
    await seek(this.member, contact)
  }

  async leave(): Promise<void> {
    this.#cancelTimer()
    if (this.member.phase === 'member') await leave(this.member, LEAVE_TIMEOUT_MS)
    this.stop()
  }

  stop(): void {
    this.member.phase = 'left'
    this.#cancelTimer()
    this.#cancelPush?.()
  }

  peerDown(peer: string): void {
    if (this.member.phase !== 'member') return
    for (const { contact } of this.member.around.near) if (contact.peer === peer) void watch(this.member, contact)
  }

  #plan(share: number): void {
    const { phase, settings } = this.member
    this.#cancelTimer()
    if (phase === 'member') this.#cancelTimer = this.#env.clock.timer(settings.periodMs * share, () => this.#round())
  }

  #round(): void {
    const { member } = this
    if (member.phase !== 'member') return
    const { random } = this.#env
    this.#plan(0.9 + 0.2 * random.next())
    this.#rounds++
    this.#met.clear()
    this.#turns.clear()
    member.expire()
    this.#meetStrangers()
    const { short } = member.around
    const chosen = short[random.int(short.length)]?.contact
    if (chosen !== undefined) void this.#exchange(chosen, true)
    this.#push()
    for (const { contact } of short) {
      if (!this.#asking.has(contact.id) && member.silentMs(contact) >= member.settings.periodMs)
        void watch(member, contact)
    }
    openConnection(member)
    if (this.#rounds % SEEK_ROUNDS === 0) void seekLost(member, this.#seeds)
    if (this.#rounds % SHORTCUT_ROUNDS === 0) void seekThroughShortcut(member)
  }

  async #exchange(contact: Contact, sample: boolean): Promise<void> {
    if (this.#asking.has(contact.id)) return
    this.#asking.add(contact.id)
    const version = this.#version
    try {
      if (await exchange(this.member, contact, sample)) this.#told.set(contact.id, version)
    } finally {
      this.#asking.delete(contact.id)
    }
  }

  /** New neighbours are told at once, for they may not know us; the others soon. */
  #shortChanged(): void {
    const { member } = this
    this.#version++
    const ids = new Set(member.around.near.map(({ id }) => id))
    for (const id of this.#told.keys()) if (!ids.has(id)) this.#told.delete(id)
    if (member.phase !== 'member') return
    if (member.deserted) {
      void startOver(member, this.#seeds).then(() => this.#plan(1))
      return
    }
    for (const { contact } of member.around.short) if (!this.#told.has(contact.id)) void this.#exchange(contact, false)
    this.#cancelPush ??= this.#env.clock.timer(member.settings.periodMs * PUSH_SHARE, () => this.#push())
  }

  /** Tells everybody near what they have not been told yet. */
  #push(): void {
    this.#cancelPush?.()
    this.#cancelPush = undefined
    const { phase, around } = this.member
    if (phase !== 'member') return
    for (const { contact } of around.near) {
      if (this.#told.get(contact.id) !== this.#version) void this.#exchange(contact, false)
    }
  }

  /** Asks strangers whether they are there, one of each who told of any; who would be a neighbour, for its neighbours. */
  #meetStrangers(): void {
    const { member } = this
    if (member.phase !== 'member') return
    const prospects = new Set(member.around.prospects.map(nameOf))
    for (const [turn, contact] of member.around.strangers((other) => this.#met.has(nameOf(other)))) {
      if (this.#meeting.size >= MOST_MEETING || this.#meeting.has(turn)) continue
      const turns = this.#turns.get(turn) ?? 0
      const name = nameOf(contact)
      if (turns >= MOST_TURNS || this.#met.has(name)) continue
      this.#turns.set(turn, turns + 1)
      this.#meeting.add(turn)
      this.#met.add(name)
      void (prospects.has(name) ? this.#exchange(contact, false) : watch(member, contact)).finally(() => {
        this.#meeting.delete(turn)
        this.#meetStrangers()
      })
    }
  }

  // Answers -----------------------------------------------------------------------------------------------------------

  onGossip(message: View, from: Sender): View {
    const { member } = this
    const contact = confirmed(from.contact)
    this.#requireAlive()
    if (member.phase === 'joining' && !member.placed) throw new ChoraleError('busy', 'not a member yet')
    if (member.graves.left(contact)) throw new ChoraleError('gone', 'you have left')
    // As it was: whom a joiner parts from us is its neighbour.
    const view = member.view(message.long.length > 0)
    member.heard(contact)
    member.vicinity.heard(contact.peer, message.at)
    if (contact.id !== member.self.id) {
      member.hear([{ contact, short: message.short }], { more: message.long, unasked: true })
    }
    return view
  }

  onPing(from: Sender): ReplyOf<typeof Ping> {
    this.#requireAlive()
    if (this.member.phase !== 'member') throw new ChoraleError('busy', 'not a member yet')
    if (from.contact !== undefined) this.member.heard(from.contact)
    return { at: this.member.vicinity.at }
  }

  onLeave({ short }: RequestOf<typeof Leave>, from: Sender): Record<string, never> {
    const contact = confirmed(from.contact)
    const { member } = this
    const isNear = member.around.near.some(({ id }) => id === contact.id)
    member.takeLeave(contact, isNear && member.phase === 'member' ? short : [])
    return {}
  }

  onLookup(message: LookupRequest): LookupReply | Promise<LookupReply> {
    return answerLookup(this.member, message)
  }

  #requireAlive(): void {
    const { phase } = this.member
    if (phase === 'left' || phase === 'out') throw new ChoraleError('gone', 'this node is not in the overlay')
  }

  // Overlay -----------------------------------------------------------------------------------------------------------

  lookup(key: Key, options?: LookupOptions): Promise<Route> {
    return lookup(this.member, key, options)
  }

  owns(key: Key): boolean {
    return this.member.owns(key)
  }

  replicas(key: Key): readonly Contact[] {
    return this.member.replicas(key)
  }

  holdsReplica(key: Key): boolean {
    return this.member.holdsReplica(key)
  }

  nextHop(key: Key, avoid?: ReadonlySet<Key>): Contact | undefined {
    return this.member.nextHop(key, avoid, false)
  }

  regions(): Regions {
    return this.member.regions()
  }

  neighbours(): readonly Contact[] {
    return this.member.around.known.map(({ contact }) => contact)
  }

  onChange(handler: () => void): () => void {
    return this.member.events.on('change', handler)
  }
}
