/**
 * Members that stopped answering: the dead, so that gossip does not bring them back; and the lost, so that healed
 * partitions find each other.
 */
import type { Random } from '../core/env.ts'
import type { Key } from '../core/ids.ts'
import { MAX_LOST_CONTACTS } from '../core/limits.ts'
import { type Contact, sameNode } from '../net/contact.ts'

/** So long a member that did not answer is kept out of lists that others send, unless it speaks for itself. */
const DEAD_MS = 30_000
const MAX_DEAD = 256

interface Grave {
  readonly contact: Contact
  readonly atMs: number
  readonly left: boolean
  readonly wasStranger: boolean
}

export interface Burial {
  /** It said so itself, and will not be back as this incarnation. */
  readonly left?: boolean
  /** It never spoke to us, so it may never have been: this says nothing of an older one at its place. */
  readonly wasStranger?: boolean
}

export class Graveyard {
  readonly #dead = new Map<Key, Grave>()
  readonly #lost: Contact[] = []
  readonly #random: Random

  constructor(random: Random) {
    this.#random = random
  }

  bury(contact: Contact, nowMs: number, { left = false, wasStranger = false }: Burial = {}): void {
    const grave = this.#dead.get(contact.id)
    if (wasStranger && grave?.wasStranger === false) return // what may never have been hides nobody who was
    const hasLeft = left || this.left(contact)
    this.#dead.delete(contact.id)
    this.#dead.set(contact.id, { contact, atMs: nowMs, left: hasLeft, wasStranger })
    if (this.#dead.size > MAX_DEAD) {
      for (const id of this.#dead.keys()) {
        this.#dead.delete(id)
        break
      }
    }
    if (wasStranger) return
    const known = this.#lost.findIndex((lost) => lost.id === contact.id)
    if (known >= 0) this.#lost[known] = contact
    else if (this.#lost.length < MAX_LOST_CONTACTS) this.#lost.push(contact)
    else this.#lost[this.#random.int(this.#lost.length)] = contact
  }

  /** It spoke: it is alive. */
  raise(contact: Contact): void {
    const grave = this.#dead.get(contact.id)
    if (grave !== undefined && !this.left(contact)) this.#dead.delete(contact.id)
  }

  /** Did it say that it leaves? A message of its own may have been overtaken by that one. */
  left(contact: Contact): boolean {
    const grave = this.#dead.get(contact.id)
    return grave?.left === true && grave.contact.incarnation >= contact.incarnation
  }

  /** Did this member, or an older one at its place, die within the last `withinMs`? */
  holds(contact: Contact, nowMs: number, withinMs = DEAD_MS): boolean {
    const grave = this.#dead.get(contact.id)
    if (grave === undefined || nowMs - grave.atMs > withinMs) return false
    return grave.wasStranger ? sameNode(grave.contact, contact) : grave.contact.incarnation >= contact.incarnation
  }

  /** Somebody who stopped answering once. */
  anyLost(): Contact | undefined {
    return this.#lost[this.#random.int(this.#lost.length)]
  }

  forgetLost(contact: Contact): void {
    const at = this.#lost.indexOf(contact)
    if (at >= 0) this.#lost.splice(at, 1)
  }
}
