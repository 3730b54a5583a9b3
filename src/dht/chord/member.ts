/**
 * What one Chord node knows: its place in the ring (`ring.ts`), predecessors, fingers, and contacts beyond. The
 * procedures of `maintenance.ts` and `lookup.ts` read and change it.
 */
import type { Env } from '../../core/env.ts'
import { ChoraleError, errorCode } from '../../core/errors.ts'
import { Emitter } from '../../core/events.ts'
import { arcShare, between, inArc, type Key } from '../../core/ids.ts'
import { type Contact, sameNode } from '../../net/contact.ts'
import type { Transport } from '../../net/transport.ts'
import type { Regions } from '../overlay.ts'
import type { Vicinity } from '../vicinity.ts'
import { ContactCache, Graveyard } from './contacts.ts'
import { Fingers } from './fingers.ts'
import { Ping, type View } from './messages.ts'
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

export type Phase = 'out' | 'joining' | 'member' | 'left'

export class Member {
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
  #state: RingState<Contact> = founded()
  #view: View = { mode: 'young', succ: [] }
  #viewed: RingState<Contact> | undefined
  /** Nearest first; the first is the predecessor. */
  #preds: readonly Contact[] = []

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
    if (next.mode === 'young') this.#preds = next.succ.toReversed().slice(0, MAX_PREDS)
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
    this.graves.bury(contact, this.env.clock.now(), left)
    this.cache.forget(contact)
    this.fingers.drop(contact)
    if (this.#preds.length > 1 && this.#preds.some((p) => sameNode(p, contact))) {
      this.#preds = this.#preds.filter((p, i) => i === 0 || !sameNode(p, contact))
    }
    this.apply(dropped(this.#state, contact))
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

  owns(key: Key): boolean {
    if (this.phase !== 'member') return false
    const { prdc, succ } = this.#state
    if (prdc === undefined) return this.#state.mode === 'young' && succ.length === 0
    return inArc(prdc.id, key, this.self.id)
  }

  /** The replica group as seen from here, owner first; exact when the key is ours. */
  replicas(key: Key): readonly Contact[] {
    const { self, settings } = this
    const succ = this.#state.succ
    if (this.owns(key)) return [self, ...succ].slice(0, settings.replicas)
    // The circle as far as it is known: predecessors, self, successors, clockwise.
    const known = [...this.#preds.toReversed(), self, ...succ].filter(
      (c, i, all) => all.findIndex((o) => o.id === c.id) === i,
    )
    let owner = 0
    while (owner + 1 < known.length && !inArc(known[owner]!.id, key, known[owner + 1]!.id)) owner++
    const start = (owner + 1) % known.length
    return Array.from(
      { length: Math.min(settings.replicas, known.length) },
      (_, i) => known[(start + i) % known.length]!,
    )
  }

  holdsReplica(key: Key): boolean {
    const { replicas } = this.settings
    if (this.phase !== 'member') return false
    const farthest = this.#preds[replicas - 1]
    // With fewer predecessors than the group is large, everybody that we know of is in every group.
    return farthest === undefined ? true : inArc(farthest.id, key, this.self.id)
  }

  /** What `owns`, `holdsReplica` and the owners of kept keys in `replicas` follow from. */
  regions(): Regions {
    const { phase, settings } = this
    const { mode, prdc, succ } = this.#state
    const preds = this.#preds.slice(0, settings.replicas)
    // With fewer predecessors, who owns what is seen from the successors too.
    const known = preds.length < settings.replicas ? [...preds, ...succ] : preds
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

/**
 * Does this error of a request say that the node is not there, or no good? `busy` and `aborted` do not. Throws what is
 * no ChoraleError: our own bugs.
 */
export function meansDead(error: unknown): boolean {
  if (!(error instanceof ChoraleError)) throw error
  return error.code !== 'busy' && error.code !== 'aborted'
}

/**
 * Sends `question`, and a ping beside it when the answer is late, for one message may get lost and a live neighbour must
 * not be taken for dead. Resolves with the answer; with `alive` when only the ping was answered, or the contact has no
 * time for us; with `dead`, after burying it.
 */
export function askTwice<T>(
  member: Member,
  contact: Contact,
  question: () => Promise<T>,
): Promise<T | 'alive' | 'dead'> {
  const { env, transport, self } = member
  return new Promise((resolve, reject) => {
    let asked = 1
    const settle = (result: T | 'alive' | 'dead') => {
      cancelPing()
      if (result === 'dead' && asked > 0) member.bury(contact)
      asked = 0
      resolve(result)
    }
    const answered = (result: T | 'alive') => {
      member.heard(contact)
      settle(result)
    }
    const failed = (error: unknown) => {
      try {
        // `busy` may be our own limits speaking: no proof that the other lives, but none that it is dead.
        if (!meansDead(error)) settle('alive')
        else if (errorCode(error) !== 'timeout' || --asked === 0) {
          asked = Math.max(asked, 1)
          settle('dead')
        }
      } catch (bug) {
        cancelPing()
        reject(bug)
      }
    }
    const ping = () => {
      asked++
      transport.request(contact, Ping, {}, { slot: self.slot }).then(({ at }) => {
        member.vicinity.answered(contact.peer, at)
        answered('alive')
      }, failed)
    }
    const rtt = transport.rtt(contact.peer)
    const lateMs = rtt === undefined ? UNKNOWN_LATE_MS : Math.max(LATE_RTTS * rtt, MIN_LATE_MS)
    const cancelPing = env.clock.timer(lateMs, ping)
    question().then(answered, failed)
  })
}

/** An answer is late after so many round-trip times. */
const LATE_RTTS = 2
const MIN_LATE_MS = 50
const UNKNOWN_LATE_MS = 300

/** Pings, twice if need be. Buries the contact when it does not answer. */
export async function isAlive(member: Member, contact: Contact): Promise<boolean> {
  const ping = async () => {
    const { at } = await member.transport.request(contact, Ping, {}, { slot: member.self.slot })
    member.vicinity.answered(contact.peer, at)
  }
  return (await askTwice(member, contact, ping)) !== 'dead'
}
