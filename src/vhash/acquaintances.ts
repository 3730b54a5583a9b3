/**
 * Contacts heard of lately, wherever they are: shortcuts for lookups, as Chord's cache is. In a small network they are
 * everybody. Bounded; whoever was silent for longest goes first.
 */
import type { Random } from '../core/env.ts'
import type { Key } from '../core/ids.ts'
import { MAX_CACHED_CONTACTS } from '../core/limits.ts'
import { type Contact, sameNode } from '../net/contact.ts'
import { isNewer, type Peer, peerAt } from './peer.ts'
import { closest } from './route.ts'
import type { Point, Space } from './space.ts'

/** Who was silent for so long is not used: under churn of 1 % per second every tenth would be dead. */
const FRESH_MS = 10_000

export class Acquaintances {
  readonly #space: Space
  readonly #random: Random
  /** The one heard of last is the last. */
  readonly #heard = new Map<Key, { readonly peer: Peer; readonly atMs: number }>()

  constructor(space: Space, random: Random) {
    this.#space = space
    this.#random = random
  }

  get size(): number {
    return this.#heard.size
  }

  heard(contact: Contact, nowMs: number): void {
    const known = this.#heard.get(contact.id)
    if (known !== undefined && isNewer(known.peer.contact, contact)) return
    this.#heard.delete(contact.id)
    const same = known !== undefined && !isNewer(contact, known.peer.contact)
    this.#heard.set(contact.id, { peer: same ? known.peer : peerAt(this.#space, contact), atMs: nowMs })
    if (this.#heard.size <= MAX_CACHED_CONTACTS) return
    for (const id of this.#heard.keys()) {
      this.#heard.delete(id)
      break
    }
  }

  knows(contact: Contact): boolean {
    const known = this.#heard.get(contact.id)
    return known !== undefined && sameNode(known.peer.contact, contact)
  }

  forget(contact: Contact): void {
    if (this.knows(contact)) this.#heard.delete(contact.id)
  }

  /** The nearest to a point of those heard of lately that `usable` lets pass. */
  nearestTo(target: Point, nowMs: number, usable: (contact: Contact) => boolean): Peer | undefined {
    const usables: Peer[] = []
    for (const { peer, atMs } of this.#heard.values()) {
      if (nowMs - atMs <= FRESH_MS && usable(peer.contact)) usables.push(peer)
    }
    return closest(this.#space, target, usables)
  }

  /** Anybody, heard of lately or not. */
  any(): Contact | undefined {
    const all = [...this.#heard.values()]
    return all[this.#random.int(all.length)]?.peer.contact
  }
}
