/**
 * Mergeable registers (DESIGN 6) over an overlay: the procedures of update and read, and when repair runs. The value of
 * a register lives at the owner of its key and at the next hosts of the replica group.
 *
 * Promised: an update that was acknowledged is held by a majority of the replica group, so it survives the death of any
 * minority at once; after the next repair it survives the death of all but one. Not promised: that a read sees an
 * update of a moment ago while two nodes both believe that they own the key. Merges make that harmless: it converges.
 */
import type { Env } from '../../core/env.ts'
import { ChoraleError, errorMessage } from '../../core/errors.ts'
import type { Key } from '../../core/ids.ts'
import type { Contact } from '../../net/contact.ts'
import type { Transport } from '../../net/transport.ts'
import type { Overlay } from '../overlay.ts'
import type { RegisterKind, RegisterOptions, Registers } from '../registers.ts'
import { atOwner, STEP_TIMEOUT_MS } from './at-owner.ts'
import { RegisterCompare, RegisterFetch, RegisterOffer, RegisterPut, RegisterRead, RegisterUpdate } from './messages.ts'
import { Pushes } from './pushes.ts'
import { atLeast, majority } from './quorum.ts'
import { Repair } from './repair.ts'
import { Rounds } from './rounds.ts'
import { copyOf, detached, type Merged, placeOf, type Refusal, RegisterTable } from './table.ts'

/** Copies of a register: hosts of its replica group. */
export const DEFAULT_REPLICAS = 4
/** For an update or read as a whole, with all its tries. */
const DEFAULT_DEADLINE_MS = 5_000
/** Between repairs of a quiet overlay. */
export const REPAIR_PERIOD_MS = 10_000
/** After a change: changes come in bursts. Also after a repair that somebody did not answer, times four. */
const REPAIR_SOON_MS = 500
/** For how long after a change a group that has nothing asks those behind it, who may be about to hand over. */
const UNSETTLED_MS = 30_000
/** What stopping politely may take: half of what a host has. */
const FAREWELL_MS = 2_000

export interface RegistersOptions {
  readonly env: Env
  readonly transport: Transport
  readonly overlay: Overlay
  /** Hosts that keep a copy. Default 4; the overlay's replica group may be smaller. */
  readonly replicas?: number | undefined
}

export interface RegisterStore extends Registers {
  /** Begins repair. Messages are answered from creation on. */
  start(): void
  /** Hands over what this node holds, for at most 2 s, and ends repair. Call it before the overlay leaves. */
  stop(): Promise<void>
  readonly size: number
  readonly bytes: number
  /** What was refused, by reason. */
  readonly refused: Readonly<Record<Refusal, number>>
}

export function createRegisters(options: RegistersOptions): RegisterStore {
  return new OverlayRegisters(options)
}

class OverlayRegisters implements RegisterStore {
  readonly #env: Env
  readonly #transport: Transport
  readonly #overlay: Overlay
  readonly #table = new RegisterTable()
  readonly #repair: Repair
  /** Owned registers whose group has been asked since this node owns them, so that reads need no messages. */
  readonly #settled = new Map<Key, Key>()
  readonly #settling = new Map<Key, Promise<void>>()
  readonly #pushes = new Pushes((place, peer) => this.#put(place, peer))
  #changedAtMs: number
  readonly #rounds: Rounds
  #stopped = false
  #forgetOverlay: (() => void) | undefined

  constructor({ env, transport, overlay, replicas = DEFAULT_REPLICAS }: RegistersOptions) {
    this.#env = { clock: env.clock, random: env.random.fork('registers'), log: env.log.child('registers') }
    this.#transport = transport
    this.#overlay = overlay
    this.#repair = new Repair({ env: this.#env, transport, overlay, table: this.#table, replicas })
    this.#rounds = new Rounds(this.#env, REPAIR_PERIOD_MS, (signal) => this.#round(signal))
    this.#changedAtMs = env.clock.now()
    transport.handle(RegisterUpdate, async ({ kind, key, value }) => ({
      value: await this.#updateHere(kind, key, value),
    }))
    transport.handle(RegisterRead, async ({ kind, key }) => {
      const value = await this.#readHere(kind, key)
      return value === undefined ? {} : { value }
    })
    transport.handle(RegisterFetch, ({ kind, key }) => {
      this.#requireKind(kind)
      const now = env.clock.now()
      const entry = this.#table.get(placeOf(kind, key), now)
      return entry ? { copy: copyOf(entry, now) } : {}
    })
    transport.handle(RegisterPut, (message) => {
      this.#requireRunning()
      return this.#repair.answerPut(message)
    })
    transport.handle(RegisterCompare, (message, { from }) => {
      this.#requireRunning()
      return this.#repair.answerCompare(message, from)
    })
    transport.handle(RegisterOffer, (message, { from }) => {
      this.#requireRunning()
      return this.#repair.answerOffer(message, from)
    })
  }

  get size(): number {
    return this.#table.size
  }

  get bytes(): number {
    return this.#table.bytes
  }

  get refused(): Readonly<Record<Refusal, number>> {
    return this.#table.refused
  }

  define<T>(kind: RegisterKind<T>): void {
    this.#table.define(kind as RegisterKind<unknown>)
  }

  async update<T>(kind: RegisterKind<T>, key: Key, value: T, options: RegisterOptions = {}): Promise<T> {
    const own = detached(value)
    const merged = await this.#atOwner(
      key,
      options,
      () => this.#updateHere(kind.name, key, own),
      async (owner, signal) => {
        const message = { kind: kind.name, key, value: own }
        const asked = { signal, timeoutMs: STEP_TIMEOUT_MS }
        return (await this.#transport.request(owner, RegisterUpdate, message, asked)).value
      },
    )
    return merged as T
  }

  async read<T>(kind: RegisterKind<T>, key: Key, options: RegisterOptions = {}): Promise<T | undefined> {
    const value = await this.#atOwner(
      key,
      options,
      () => this.#readHere(kind.name, key),
      async (owner, signal) => {
        const asked = { signal, timeoutMs: STEP_TIMEOUT_MS }
        return (await this.#transport.request(owner, RegisterRead, { kind: kind.name, key }, asked)).value
      },
    )
    return value as T | undefined
  }

  local<T>(kind: RegisterKind<T>, key: Key): T | undefined {
    return this.#table.get(placeOf(kind.name, key), this.#env.clock.now())?.value as T | undefined
  }

  *entries<T>(kind: RegisterKind<T>): Iterable<[Key, T]> {
    for (const { kind: name, key, place } of this.#table.entries()) {
      const entry = name === kind.name ? this.#table.get(place, this.#env.clock.now()) : undefined
      if (entry) yield [key, entry.value as T]
    }
  }

  onUpdate<T>(kind: RegisterKind<T>, handler: (key: Key, value: T) => void): () => void {
    return this.#table.onChange(kind.name, (entry) => handler(entry.key, entry.value as T))
  }

  start(): void {
    if (this.#forgetOverlay || this.#stopped) return
    this.#forgetOverlay = this.#overlay.onChange(() => this.#overlayChanged())
    this.#rounds.start()
  }

  async stop(): Promise<void> {
    if (this.#stopped) return
    this.#stopped = true // from here on updates are refused, so that none is acknowledged and then forgotten
    this.#forgetOverlay?.()
    await this.#rounds.stop()
    using farewell = this.#env.clock.deadline(FAREWELL_MS)
    try {
      await this.#repair.round({ signal: farewell.signal })
    } catch (error) {
      this.#env.log.warn('registers could not all be handed over', { error: errorMessage(error) })
    }
  }

  #overlayChanged(): void {
    this.#changedAtMs = this.#env.clock.now()
    this.#repair.forget()
    for (const [place, key] of this.#settled) if (!this.#overlay.owns(key)) this.#settled.delete(place)
    this.#rounds.soon(REPAIR_SOON_MS)
  }

  async #round(signal: AbortSignal): Promise<number | undefined> {
    const complete = await this.#repair.round({ signal })
    for (const place of this.#settled.keys()) {
      if (!this.#table.get(place, this.#env.clock.now())) this.#settled.delete(place)
    }
    return complete ? undefined : REPAIR_SOON_MS * 4
  }

  #atOwner<R>(
    key: Key,
    { deadlineMs = DEFAULT_DEADLINE_MS, signal }: RegisterOptions,
    here: () => Promise<R>,
    there: (owner: Contact, signal: AbortSignal) => Promise<R>,
  ): Promise<R> {
    return atOwner(this.#env, this.#overlay, this.#transport.peer, { key, deadlineMs, signal, here, there })
  }

  async #updateHere(kind: string, key: Key, value: unknown): Promise<unknown> {
    this.#requireOwner(key)
    const merged = this.#table.merge({ kind, key, ageMs: 0, value }, this.#env.clock.now())
    const { place } = accepted(merged).entry
    const [, ...others] = this.#group(key)
    const acknowledged = await atLeast(
      majority(others.length + 1) - 1,
      others.map((peer) => this.#pushes.push(place, peer)),
    )
    if (!acknowledged) throw new ChoraleError('timeout', 'a majority of the replica group did not confirm')
    return this.#table.get(place, this.#env.clock.now())?.value ?? value
  }

  async #readHere(kind: string, key: Key): Promise<unknown> {
    this.#requireKind(kind)
    this.#requireOwner(key)
    const place = placeOf(kind, key)
    if (!this.#settled.has(place) || !this.#table.get(place, this.#env.clock.now())) {
      let settling = this.#settling.get(place)
      if (!settling) {
        settling = this.#settle(kind, key, place).finally(() => this.#settling.delete(place))
        this.#settling.set(place, settling)
      }
      await settling
    }
    return this.#table.get(place, this.#env.clock.now())?.value
  }

  /**
   * Merges what the replica group has. Throws `busy` when nothing was found but too few have answered to say that
   * there is nothing.
   */
  async #settle(kind: string, key: Key, place: Key): Promise<void> {
    const [, ...others] = this.#group(key)
    const fetch = (peer: Contact) => this.#fetch(kind, key, peer)
    const held = () => this.#table.get(place, this.#env.clock.now()) !== undefined
    const need = majority(others.length + 1) - 1
    const fetches = others.map(fetch)
    const confirmed = await atLeast(need, fetches)
    if (!held()) await Promise.all(fetches)
    const last = others.at(-1)
    if (!held() && last && this.#env.clock.now() - this.#changedAtMs < UNSETTLED_MS) {
      // Several joined at once, so that those who hold it have fallen out of the group and not handed over yet.
      const behind = await this.#overlay.lookup(last.id, { deadlineMs: STEP_TIMEOUT_MS, group: true })
      const asked = new Set([this.#transport.peer, ...others.map((peer) => peer.peer)])
      await Promise.all(behind.replicas.filter((peer) => !asked.has(peer.peer)).map(fetch))
    }
    if (confirmed && held() && this.#overlay.owns(key)) this.#settled.set(place, key)
    if (!confirmed && !held()) throw new ChoraleError('busy', 'the replica group has not answered')
  }

  /** Did the peer answer? What it has is merged. */
  async #fetch(kind: string, key: Key, peer: Contact): Promise<boolean> {
    try {
      const { copy } = await this.#transport.request(peer, RegisterFetch, { kind, key })
      if (copy && copy.kind === kind && copy.key === key) this.#table.merge(copy, this.#env.clock.now())
      return true
    } catch {
      return false // dead or busy: the majority decides
    }
  }

  /** Sends the latest value to a replica; true once it holds it. */
  async #put(place: Key, peer: Contact): Promise<boolean> {
    const now = this.#env.clock.now()
    const entry = this.#table.get(place, now)
    if (!entry) return false
    try {
      const { digests } = await this.#transport.request(peer, RegisterPut, { copies: [copyOf(entry, now)] })
      const digest = digests[0]
      if (!digest) return false
      // It knew more than we do, which happens to new owners.
      if (digest !== entry.digest && digest !== this.#table.get(place, now)?.digest) {
        await this.#fetch(entry.kind, entry.key, peer)
        this.#rounds.soon(REPAIR_SOON_MS) // the rest of the group may lack it too
      }
      return true
    } catch {
      return false // the majority decides; repair comes by later
    }
  }

  /** The replica group, this host first. */
  #group(key: Key): readonly Contact[] {
    const group = this.#repair.groupOf(key)
    if (group[0]?.peer !== this.#transport.peer) throw new ChoraleError('not-owner', 'this node does not own the key')
    return group
  }

  #requireOwner(key: Key): void {
    this.#requireRunning()
    if (!this.#overlay.owns(key)) throw new ChoraleError('not-owner', 'this node does not own the key')
  }

  #requireRunning(): void {
    if (this.#stopped) throw new ChoraleError('not-owner', 'this node is leaving')
  }

  #requireKind(kind: string): void {
    if (this.#table.knows(kind)) return
    this.#table.refused.unknownKind++
    throw new ChoraleError('unsupported', `no register kind ${kind}`)
  }
}

function accepted(merged: Merged): Extract<Merged, { accepted: true }> {
  if (!merged.accepted) throw new ChoraleError(merged.code, merged.reason)
  return merged
}
