/**
 * One Chord node: the loop that runs its maintenance, and its answers to others. It implements `Overlay`; a host with
 * several of them presents them as one through `ChordHost` (`host.ts`).
 */

import type { Env } from '../../core/env.ts'
import { ChoraleError } from '../../core/errors.ts'
import type { Key } from '../../core/ids.ts'
import { type Contact, sameNode } from '../../net/contact.ts'
import type { ReplyOf, RequestOf } from '../../net/message.ts'
import type { Sender, Transport } from '../../net/transport.ts'
import { confirmed } from '../asking.ts'
import { enter } from '../entry.ts'
import { answerLookup, lookup } from '../lookups.ts'
import type { LookupReply, LookupRequest } from '../messages.ts'
import type { JoinOptions, LookupOptions, Overlay, Regions, Route } from '../overlay.ts'
import type { Vicinity } from '../vicinity.ts'
import { lookPast } from './crowds.ts'
import {
  answerExchange,
  checkPredecessor,
  consider,
  found,
  gossip,
  joinThrough,
  leave,
  rectify,
  seek,
  seekLost,
  seekThroughShortcut,
  stabilize,
  startOver,
} from './maintenance.ts'
import { type ChordSettings, DEFAULT_CHORD, Member, sameLists } from './member.ts'
import type { Exchange, Hint, Leave, Ping, Stabilize, View } from './messages.ts'
import { type RingState, ripe } from './ring.ts'
import { openConnections, refreshFinger, tellNear } from './shortcuts.ts'

/** After `busy`, try again within this share of a period. */
const BUSY_SHARE = 0.15
/** News spreads by one place of the successor lists per round: after a change the next round comes sooner. */
const CHANGED_SHARE = 0.5
/** A predecessor that has been silent for so many periods is pinged: it should have stabilized with us. */
const SILENT_PERIODS = 1.3
/** Every so many rounds a finger is refreshed, a lost contact sought, a shortcut asked for parted rings, and who is past a crowd. */
const FINGER_ROUNDS = 2
const SEEK_ROUNDS = 4
const SHORTCUT_ROUNDS = 13
const PAST_ROUNDS = 4
const LEAVE_TIMEOUT_MS = 1000

export class ChordNode implements Overlay {
  readonly member: Member
  readonly #env: Env
  #seeds: readonly Contact[] = []
  #cancelTimer = () => {}
  #running = false
  #wakeAgain = false
  #rounds = 0
  #refreshing = false
  #lookingPast = false
  /** Others came to us or a neighbour died: do not wait for the period's end. */
  #settling = 0

  constructor(
    env: Env,
    transport: Transport,
    self: Contact,
    vicinity: Vicinity,
    settings: Partial<ChordSettings> = {},
  ) {
    this.#env = env
    this.member = new Member(env, transport, self, vicinity, { ...DEFAULT_CHORD, ...settings })
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
    this.#settling = 3
    // We are in when our successor knows us. Whoever wakes us meanwhile gets the round that follows.
    this.#running = true
    try {
      await (member.state.mode === 'young' ? gossip(member) : stabilize(member))
    } finally {
      this.#running = false
    }
    void this.#round()
  }

  /** Puts the node at a known place of a ring that stands already; for simulations that start with one. */
  place(state: RingState<Contact>, preds: readonly Contact[]): void {
    const { member } = this
    member.phase = 'member'
    member.apply(state)
    if (state.prdc !== undefined) member.learnPreds(state.prdc, preds.slice(1))
    const { random, clock } = this.#env
    this.#cancelTimer = clock.timer(member.settings.periodMs * random.next(), () => void this.#round())
  }

  async meet(contact: Contact): Promise<void> {
    if (this.member.phase === 'member') await seek(this.member, contact, true)
  }

  async leave(): Promise<void> {
    this.#cancelTimer()
    if (this.member.phase === 'member') await leave(this.member, LEAVE_TIMEOUT_MS)
    this.stop()
  }

  /** Without a word: as if the process had been killed. */
  stop(): void {
    this.member.phase = 'left'
    this.#cancelTimer()
  }

  /** A connection to this peer closed. */
  peerDown(peer: string): void {
    const { succ, prdc } = this.member.state
    if (succ[0]?.peer === peer || prdc?.peer === peer) {
      if (prdc?.peer === peer) this.member.prdcHeardAtMs = Number.NEGATIVE_INFINITY
      this.#wake()
    }
  }

  /** Runs a round now, or right after the one that is running. */
  #wake(): void {
    if (this.member.phase !== 'member') return
    if (this.#running) this.#wakeAgain = true
    else {
      this.#cancelTimer()
      void this.#round()
    }
  }

  async #round(): Promise<void> {
    const { member } = this
    if (this.#running || member.phase !== 'member') return
    const before = member.state
    this.#running = true
    this.#wakeAgain = false
    let settled = true
    try {
      settled = await this.#maintain()
    } finally {
      this.#running = false
    }
    if (member.phase !== 'member') return
    const { random, clock } = this.#env
    const { periodMs } = member.settings
    let share = 0.9 + 0.2 * random.next()
    if (!settled || this.#wakeAgain || this.#settling > 0) {
      if (this.#settling > 0) this.#settling--
      share = BUSY_SHARE * (0.5 + random.next())
    } else if (member.state.succ !== before.succ && !sameLists(member.state, before)) share *= CHANGED_SHARE
    this.#cancelTimer = clock.timer(periodMs * share, () => void this.#round())
  }

  async #maintain(): Promise<boolean> {
    const { member } = this
    if (member.operating) return false
    this.#rounds++
    const alone = member.state.succ.length === 0
    if (alone && member.state.mode === 'ring') return startOver(member, this.#seeds)
    if (member.state.mode === 'young') {
      const before = member.state
      await gossip(member)
      if (this.#rounds % SEEK_ROUNDS === 0) await seekLost(member, this.#seeds)
      return before === member.state
    }
    const before = member.state
    const settled = await stabilize(member)
    if (member.phase !== 'member') return true
    void checkPredecessor(member, member.settings.periodMs * SILENT_PERIODS)
    if (settled) {
      if (this.#rounds % FINGER_ROUNDS === 0) this.#refreshFinger()
      else openConnections(member)
      if (this.#rounds % PAST_ROUNDS === 0 || member.state !== before) this.#lookPast()
    }
    if (this.#rounds % SEEK_ROUNDS === 0) void seekLost(member, this.#seeds)
    if (this.#rounds % SHORTCUT_ROUNDS === 0) void seekThroughShortcut(member)
    return settled
  }

  /** Beside the rounds, one at a time: where many have died it takes long, and the ring comes first. */
  #refreshFinger(): void {
    if (this.#refreshing) return
    this.#refreshing = true
    void refreshFinger(this.member).finally(() => {
      this.#refreshing = false
    })
  }

  #lookPast(): void {
    if (this.#lookingPast) return
    this.#lookingPast = true
    void lookPast(this.member).finally(() => {
      this.#lookingPast = false
    })
  }

  // Answers -----------------------------------------------------------------------------------------------------------

  onStabilize(message: RequestOf<typeof Stabilize>, from: Sender): ReplyOf<typeof Stabilize> {
    const { member } = this
    const contact = confirmed(from.contact)
    if (member.phase === 'left') throw new ChoraleError('gone', 'this node has left')
    if (member.phase !== 'member') return {}
    if (member.graves.left(contact)) throw new ChoraleError('gone', 'you have left')
    member.heard(contact)
    member.vicinity.heard(contact.peer, message.at)
    // The view as it was: with ourselves as its predecessor it would tell the asker nothing.
    const busy = member.operating
    const { at } = member.vicinity
    const reply = busy ? { at } : { view: member.view, at }
    rectify(member, contact)
    const { prdc } = member.state
    if (prdc !== undefined && sameNode(prdc, contact)) member.learnPreds(prdc, message.preds)
    return reply
  }

  onExchange(message: RequestOf<typeof Exchange>, from: Sender): { view: View } {
    const { member } = this
    if (member.phase !== 'member') throw new ChoraleError('busy', 'not a member yet')
    const before = member.state.succ.length
    answerExchange(member, confirmed(from.contact), message.succ)
    if (member.state.mode === 'young' && member.state.succ.length !== before) this.#wake()
    return { view: member.view }
  }

  onJoin(from: Sender): { view?: View; fingers?: Contact[] } {
    const { member } = this
    const contact = confirmed(from.contact)
    if (member.phase !== 'member' || member.operating) return {}
    // A view that is about to mature takes in nobody: so it stays small, however many come at once. Who is in it already
    // has not heard so: without an answer it could not join, and with it in its view nobody could mature.
    const listed = member.state.succ.some((entry) => sameNode(entry, contact))
    if (ripe(member.state, member.settings.successors) && !listed) return {}
    const view = member.view
    if (member.state.mode === 'young') {
      member.heard(contact)
      member.meet([contact])
      this.#wake()
    }
    return { view, fingers: member.fingers.list() as Contact[] }
  }

  onPing(from: Sender): ReplyOf<typeof Ping> {
    if (this.member.phase === 'left') throw new ChoraleError('gone', 'this node has left')
    if (this.member.phase !== 'member') throw new ChoraleError('busy', 'not a member yet')
    if (from.contact !== undefined) this.member.heard(from.contact)
    return { at: this.member.vicinity.at }
  }

  onLeave(message: RequestOf<typeof Leave>, from: Sender): Record<string, never> {
    const { member } = this
    const contact = confirmed(from.contact)
    const neighbour = member.state.succ[0]?.id === contact.id || member.state.prdc?.id === contact.id
    member.bury(contact, true)
    if (neighbour && message.prdc !== undefined && member.state.prdc === undefined) rectify(member, message.prdc)
    if (neighbour) this.#wake()
    return {}
  }

  onHint({ contact, elsewhere }: RequestOf<typeof Hint>, from: Sender): Record<string, never> {
    confirmed(from.contact)
    void (elsewhere ? seek(this.member, contact, true) : consider(this.member, contact))
    return {}
  }

  onLookup(message: LookupRequest, from: Sender): LookupReply | Promise<LookupReply> {
    const { member } = this
    const reply = answerLookup(member, message)
    if (message.near === undefined || reply instanceof Promise) return reply
    member.vicinity.heard(from.peer, message.near.at)
    return { ...reply, near: tellNear(member, message.near) }
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
    const { state, fingers } = this.member
    const out = new Map<Key, Contact>()
    for (const contact of state.succ) out.set(contact.id, contact)
    if (state.prdc !== undefined) out.set(state.prdc.id, state.prdc)
    for (const contact of fingers.list()) out.set(contact.id, contact)
    return [...out.values()]
  }

  onChange(handler: () => void): () => void {
    return this.member.events.on('change', handler)
  }
}
