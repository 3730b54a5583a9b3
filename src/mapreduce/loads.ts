/**
 * Load figures (DESIGN 7): which hosts have tasks in their queues. They go from neighbour to neighbour, three steps at
 * most, and fade. Idle hosts pull from where they say that there is work.
 */
import type { Random } from '../core/env.ts'
import type { Key } from '../core/ids.ts'
import { MAX_KNOWN_LOADS } from '../core/limits.ts'
import { CappedMap } from '../net/capped-map.ts'
import type { Contact } from '../net/contact.ts'
import type { Load } from './messages.ts'

/** A figure that was not repeated for so long is forgotten. Roots repeat theirs every second. */
const FADES_AFTER_MS = 3_000
const MAX_HOPS = 3
const REPEAT_MS = 1_000
/** Hearsay about a host that was found empty is not believed for so long; what it says itself is. */
const EMPTY_MS = 500
/** A host whose tasks are not taken here is not asked for so long; others hear of it all the same. */
const AVOID_MS = 1_000

interface Known {
  readonly load: Load
  readonly atMs: number
  /** When neighbours were told; 0: not yet. */
  toldAtMs: number
}

export class Loads {
  readonly #known = new Map<Key, Known>()
  readonly #emptyUntilMs = new CappedMap<Key, number>(2 * MAX_KNOWN_LOADS)
  readonly #avoidUntilMs = new CappedMap<Key, number>(2 * MAX_KNOWN_LOADS)
  readonly #now: () => number
  readonly #self: string

  constructor(self: string, now: () => number) {
    this.#self = self
    this.#now = now
  }

  /** Returns true when a queue has become known that was not. */
  note(load: Load): boolean {
    if (load.contact.peer === this.#self) return false
    if (load.hops > 0 && (this.#emptyUntilMs.get(load.contact.id) ?? 0) > this.#now()) return false
    const known = this.#known.get(load.contact.id)
    if (load.queued === 0) {
      if (known && known.load.hops >= load.hops) this.#known.delete(load.contact.id)
      return false
    }
    if (!known && this.#known.size >= MAX_KNOWN_LOADS && !this.#makeRoom(load.queued)) return false
    this.#known.set(load.contact.id, { load, atMs: this.#now(), toldAtMs: known?.toldAtMs ?? 0 })
    return !known
  }

  /** It has nothing, or does not answer. */
  forget(contact: Contact): void {
    this.#known.delete(contact.id)
    this.#emptyUntilMs.set(contact.id, this.#now() + EMPTY_MS)
  }

  /** It has tasks, but none for this host. */
  avoid(contact: Contact): void {
    this.#avoidUntilMs.set(contact.id, this.#now() + AVOID_MS)
  }

  /** One of those known, the busier the likelier, so that idle hosts do not all run to the same. */
  pick(random: Random): Contact | undefined {
    this.#fade()
    const some = [...this.#known.values()].filter(
      ({ load }) => (this.#avoidUntilMs.get(load.contact.id) ?? 0) <= this.#now(),
    )
    let rest = random.next() * some.reduce((sum, { load }) => sum + load.queued, 0)
    for (const { load } of some) {
      rest -= load.queued
      if (rest < 0) return load.contact
    }
    return undefined
  }

  /** What neighbours have not been told, or not for a while and it has been heard again since; one step further. */
  takeNews(): Load[] {
    const out: Load[] = []
    for (const known of this.#known.values()) {
      const due = known.toldAtMs === 0 || (known.atMs > known.toldAtMs && known.toldAtMs + REPEAT_MS <= this.#now())
      if (!due || known.load.hops >= MAX_HOPS) continue
      known.toldAtMs = this.#now()
      out.push({ ...known.load, hops: known.load.hops + 1 })
    }
    return out.slice(0, MAX_KNOWN_LOADS - 1)
  }

  /** For those who ask: the busiest few. */
  hints(count: number): Load[] {
    this.#fade()
    return [...this.#known.values()]
      .map((known) => ({ ...known.load, hops: Math.min(8, known.load.hops + 1) }))
      .sort((a, b) => b.queued - a.queued || (a.contact.id < b.contact.id ? -1 : 1))
      .slice(0, count)
  }

  #makeRoom(queued: number): boolean {
    let least: Known | undefined
    for (const known of this.#known.values()) if (!least || known.load.queued < least.load.queued) least = known
    if (!least || least.load.queued >= queued) return false
    this.#known.delete(least.load.contact.id)
    return true
  }

  #fade(): void {
    const before = this.#now() - FADES_AFTER_MS
    for (const [id, known] of this.#known) if (known.atMs < before) this.#known.delete(id)
  }
}
