/**
 * Contacts beyond the ring's own lists: those heard of lately, with the arcs that they own, so that small networks are
 * one-hop.
 */

import type { Random } from '../../core/env.ts'
import { between, type Key } from '../../core/ids.ts'
import { MAX_CACHED_CONTACTS } from '../../core/limits.ts'
import type { Contact } from '../../net/contact.ts'

interface Cached {
  contact: Contact
  /** Its predecessor when it last confirmed a lookup: it owns (arcStart, id]. */
  arcStart: Key | undefined
  heardAtMs: number
}

/** A contact that is not heard from for so long is not used: under churn of 1 % per second every tenth would be dead. */
const FRESH_MS = 10_000

/** The first 48 bits of a key. */
function placeOf(key: Key): number {
  return Number.parseInt(key.slice(0, 12), 16)
}

/**
 * Bounded, sorted by id. When it is full, the one not heard from for longest among a few picked at random goes. Every
 * message looks here, so a contact is found by name, and the sorted order by numbers that lie beside each other.
 */
export class ContactCache {
  readonly #byId = new Map<Key, Cached>()
  readonly #sorted: Cached[] = []
  /** Where on the circle the contacts of `#sorted` are, as `placeOf`. */
  readonly #places = new Float64Array(MAX_CACHED_CONTACTS + 1)
  readonly #random: Random

  constructor(random: Random) {
    this.#random = random
  }

  get size(): number {
    return this.#sorted.length
  }

  /** Index of the first contact at or after the key; the size when there is none. */
  #at(key: Key): number {
    const place = placeOf(key)
    const sorted = this.#sorted
    const places = this.#places
    let low = 0
    let high = sorted.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const there = places[middle]!
      if (there < place || (there === place && sorted[middle]!.contact.id < key)) low = middle + 1
      else high = middle
    }
    return low
  }

  heard(contact: Contact, nowMs: number, arcStart?: Key | undefined): void {
    const there = this.#byId.get(contact.id)
    if (there !== undefined) {
      if (there.contact.incarnation > contact.incarnation) return
      if (there.contact.incarnation !== contact.incarnation) {
        there.contact = contact
        there.arcStart = undefined
      }
      there.heardAtMs = nowMs
      if (arcStart !== undefined) there.arcStart = arcStart
      return
    }
    const at = this.#at(contact.id)
    const cached = { contact, arcStart, heardAtMs: nowMs }
    this.#places.copyWithin(at + 1, at, this.#sorted.length)
    this.#places[at] = placeOf(contact.id)
    this.#sorted.splice(at, 0, cached)
    this.#byId.set(contact.id, cached)
    if (this.#sorted.length > MAX_CACHED_CONTACTS) this.#evict()
  }

  #evict(): void {
    let oldest = this.#random.int(this.#sorted.length)
    for (let i = 0; i < 4; i++) {
      const other = this.#random.int(this.#sorted.length)
      if (this.#sorted[other]!.heardAtMs < this.#sorted[oldest]!.heardAtMs) oldest = other
    }
    this.#remove(oldest)
  }

  #remove(at: number): void {
    const [gone] = this.#sorted.splice(at, 1)
    this.#places.copyWithin(at, at + 1, this.#sorted.length + 1)
    this.#byId.delete(gone!.contact.id)
  }

  forget(contact: Contact): void {
    if (this.#byId.has(contact.id)) this.#remove(this.#at(contact.id))
  }

  /** The contact that confirmed an arc with this key in it. */
  ownerOf(key: Key, nowMs: number): Contact | undefined {
    if (this.#sorted.length === 0) return undefined
    const found = this.#sorted[this.#at(key) % this.#sorted.length]!
    if (found.arcStart === undefined || nowMs - found.heardAtMs > FRESH_MS) return undefined
    return found.contact.id === key || between(found.arcStart, key, found.contact.id) ? found.contact : undefined
  }

  /** The nearest fresh contact before the key that `usable` lets pass; looks at a few. */
  before(key: Key, nowMs: number, usable: (contact: Contact) => boolean): Contact | undefined {
    const size = this.#sorted.length
    for (let back = 1, at = this.#at(key); back <= Math.min(size, 8); back++) {
      const found = this.#sorted[(at - back + size) % size]!
      if (nowMs - found.heardAtMs <= FRESH_MS && usable(found.contact)) return found.contact
    }
    return undefined
  }

  /** The fresh contacts in [from, to), clockwise. */
  within(from: Key, to: Key, nowMs: number): Contact[] {
    const out: Contact[] = []
    const size = this.#sorted.length
    for (let step = 0, at = this.#at(from); step < size; step++) {
      const { contact, heardAtMs } = this.#sorted[(at + step) % size]!
      if (contact.id !== from && !between(from, contact.id, to)) break
      if (nowMs - heardAtMs <= FRESH_MS) out.push(contact)
    }
    return out
  }

  /** Any contact, fresh or not. */
  any(): Contact | undefined {
    return this.#sorted[this.#random.int(this.#sorted.length)]?.contact
  }
}
