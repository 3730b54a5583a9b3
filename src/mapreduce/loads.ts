/**
 * Load figures (DESIGN 7): which hosts have tasks that others may be given. They ride on the messages that hosts send each other
 * anyway (reports, pulls, results) and fade. Idle hosts pull from where they say that there is work.
 */
import type { Random } from '../core/env.ts'
import type { Key } from '../core/ids.ts'
import { MAX_KNOWN_LOADS } from '../core/limits.ts'
import { CappedMap } from '../net/capped-map.ts'
import type { Contact } from '../net/contact.ts'
import type { Load } from './messages.ts'

/** A figure is believed for so long, whatever it says: tasks may last longer than was expected. */
const FADES_AFTER_MS = 1_000
/** It counts half after so long: of large jobs, or of others. */
const HALVES_AFTER_MS = { long: 10_000, short: 2_000 }
/**
 * Taken to have passed on the way, whatever it was: nobody measures that. If it were not counted, of two figures of a host
 * the one that has travelled most would be taken for the newer one, and old ones would go round for ever.
 */
const HOP_MS = 100
const MAX_HOPS = 8
/** Figures that ride on a message. */
const RIDERS = 16
/** A host whose tasks are not taken here is not asked for so long; others hear of it all the same. */
const AVOID_MS = 1_000

interface Known {
  readonly load: Load
  /** When it was so, by this host's clock. */
  readonly asOfMs: number
}

export class Loads {
  readonly #known = new Map<Key, Known>()
  /** Hosts that were found empty, and when. Older hearsay about them is not believed. */
  readonly #empty = new CappedMap<Key, number>(16 * MAX_KNOWN_LOADS)
  readonly #avoidUntilMs = new CappedMap<Key, number>(2 * MAX_KNOWN_LOADS)
  readonly #now: () => number
  readonly #random: Random
  readonly #self: string
  /** This host's own figure; undefined when nobody can pull from it. */
  own: () => Load | undefined = () => undefined
  /** Is there nothing under way but large jobs? */
  isLong: () => boolean = () => false
  /** Called when a queue has become known where none was. */
  onNews: () => void = () => {}
  constructor(self: string, random: Random, now: () => number) {
    this.#self = self
    this.#random = random
    this.#now = now
  }

  note(loads: readonly Load[]): void {
    let news = false
    for (const load of loads) news = this.#note(load) || news
    if (news) this.onNews()
  }

  /** Returns true when a queue has become known that was not. */
  #note(load: Load): boolean {
    const { id, peer } = load.contact
    const asOfMs = this.#now() - load.ageMs
    if (peer === this.#self || asOfMs <= (this.#empty.get(id) ?? -1)) return false
    const known = this.#known.get(id)
    if (known && asOfMs <= known.asOfMs) return false
    if (load.restMs === 0) {
      this.#empty.set(id, asOfMs)
      this.#known.delete(id)
      return false
    }
    const next = { load, asOfMs }
    if (!known && this.#known.size >= MAX_KNOWN_LOADS && !this.#makeRoom(next)) return false
    this.#known.set(id, next)
    return !known
  }

  /** It gave nothing, or does not answer: what is known of it is not believed any more. */
  forget({ id }: Contact): void {
    this.#empty.set(id, this.#now())
    this.#known.delete(id)
  }

  /** It has tasks, but none for this host. */
  avoid(contact: Contact): void {
    this.#avoidUntilMs.set(contact.id, this.#now() + AVOID_MS)
  }

  /** May it be asked for tasks? */
  isOpen({ id }: Contact): boolean {
    return (this.#avoidUntilMs.get(id) ?? 0) <= this.#now()
  }

  /** No job is under way that is known here. */
  clear(): void {
    this.#known.clear()
  }

  /** One of those known, the busier the likelier, but not always the busiest: idle hosts should not all run to one. */
  pick(): Contact | undefined {
    return this.#sample(MAX_KNOWN_LOADS).find(({ load }) => this.isOpen(load.contact))?.load.contact
  }

  /** The one of those near whose queue will last longest, if that is longer than this. */
  busiest(isNear: (contact: Contact) => boolean, thanMs: number): Contact | undefined {
    let most = thanMs
    let busiest: Contact | undefined
    for (const { load, asOfMs } of this.#known.values()) {
      const leftMs = load.restMs - (this.#now() - asOfMs)
      if (leftMs <= most || !this.isOpen(load.contact) || !isNear(load.contact)) continue
      most = leftMs
      busiest = load.contact
    }
    return busiest
  }

  /** How old the last figure of a host is, ms. */
  silentMs({ id }: Contact): number {
    return this.#now() - Math.max(this.#known.get(id)?.asOfMs ?? 0, this.#empty.get(id) ?? 0)
  }

  /** One of those whose queues will last longer than this; the longer the likelier, but not always the longest. */
  busier(thanMs: number): Contact | undefined {
    const sample = this.#sample(MAX_KNOWN_LOADS)
    const isLong = ({ load, asOfMs }: Known) => load.restMs - (this.#now() - asOfMs) > thanMs
    return sample.find((known) => isLong(known) && this.isOpen(known.load.contact))?.load.contact
  }

  /** For others: this host's own queue, and some of those known. */
  share(count = RIDERS): Load[] {
    const own = this.own()
    const others = this.#sample(own ? count - 1 : count).flatMap(({ load, asOfMs }) => {
      const hops = load.hops + 1
      return hops > MAX_HOPS ? [] : { ...load, ageMs: this.#now() - asOfMs + HOP_MS, hops }
    })
    return own ? [own, ...others] : others
  }

  /** Without replacement, weighted by what is left (Efraimidis and Spirakis 2006). */
  #sample(count: number): Known[] {
    for (const [id, known] of this.#known) if (this.#left(known) === 0) this.#known.delete(id)
    const keyed = [...this.#known.values()].map((known) => {
      return { known, key: Math.log(1 - this.#random.next()) / this.#left(known) }
    })
    return keyed
      .sort((a, b) => b.key - a.key)
      .slice(0, count)
      .map(({ known }) => known)
  }

  /** How long a queue may last still. Others have heard of it too, so old figures are worth little. */
  #left({ load, asOfMs }: Known): number {
    const agoMs = this.#now() - asOfMs
    const left = (load.restMs - agoMs) * 2 ** (-agoMs / (this.isLong() ? HALVES_AFTER_MS.long : HALVES_AFTER_MS.short))
    return left < 1 ? (agoMs < FADES_AFTER_MS ? 1 : 0) : left
  }

  #makeRoom(next: Known): boolean {
    let least = next
    for (const known of this.#known.values()) if (this.#left(known) < this.#left(least)) least = known
    return least !== next && this.#known.delete(least.load.contact.id)
  }
}
