/**
 * Fingers. Finger i of node x is the owner of x + 2^i (Stoica et al. 2001; the slides' formula is misprinted), or any
 * other node in the arc [x + 2^i, x + 2^(i+1)): each halves the way (proximity neighbour selection, Gummadi et al. 2003).
 * Those that fall within the successor list are left out: about log2(n / r) remain.
 */
import { between, KEY_BITS, type Key, plusPowerOfTwo } from '../../core/ids.ts'
import { type Contact, sameNode } from '../../net/contact.ts'

export class Fingers {
  readonly #self: Key
  readonly #targets = new Map<number, Key>()
  /** By exponent. */
  readonly #contacts = new Map<number, Contact>()
  #list: readonly Contact[] = []
  #next = KEY_BITS - 1

  constructor(self: Key) {
    this.#self = self
  }

  /** Without duplicates, farthest first. */
  list(): readonly Contact[] {
    return this.#list
  }

  target(exponent: number): Key {
    let target = this.#targets.get(exponent)
    if (target === undefined) this.#targets.set(exponent, (target = plusPowerOfTwo(this.#self, exponent)))
    return target
  }

  /** Where the arc of a finger ends. */
  end(exponent: number): Key {
    return exponent === KEY_BITS - 1 ? this.#self : this.target(exponent + 1)
  }

  /** Is a node at this id as good a finger as any? Else it only stands in, for its arc is empty. */
  fits(exponent: number, id: Key): boolean {
    const target = this.target(exponent)
    return id === target || between(target, id, this.end(exponent))
  }

  at(exponent: number): Contact | undefined {
    return this.#contacts.get(exponent)
  }

  /** The next exponent to refresh, from the farthest to the last that lies beyond the successor list, round and round. */
  nextExponent(lastSuccessor: Key): number {
    const exponent = this.#next
    if (exponent < 0 || !between(lastSuccessor, this.target(exponent), this.#self)) {
      for (const old of this.#contacts.keys()) if (old <= exponent) this.#contacts.delete(old)
      this.#relist()
      this.#next = KEY_BITS - 2
      return KEY_BITS - 1
    }
    this.#next--
    return exponent
  }

  set(exponent: number, contact: Contact): void {
    const old = this.#contacts.get(exponent)
    if (old !== undefined && sameNode(old, contact)) return
    this.#contacts.set(exponent, contact)
    this.#relist()
  }

  /** Another node's fingers, for a start. */
  adopt(contacts: readonly Contact[]): void {
    for (const contact of contacts) {
      if (contact.id === this.#self) continue
      for (let exponent = KEY_BITS - 1; exponent >= 0; exponent--) {
        // The largest power that does not pass the contact: it is the finger, or not far behind it.
        if (contact.id === this.target(exponent) || between(this.#self, this.target(exponent), contact.id)) {
          if (!this.#contacts.has(exponent)) this.#contacts.set(exponent, contact)
          break
        }
      }
    }
    this.#relist()
  }

  drop(contact: Contact): void {
    let changed = false
    for (const [exponent, known] of this.#contacts) {
      if (known.id === contact.id && known.incarnation <= contact.incarnation) {
        this.#contacts.delete(exponent)
        changed = true
      }
    }
    if (changed) this.#relist()
  }

  #relist(): void {
    const out: Contact[] = []
    for (const exponent of [...this.#contacts.keys()].sort((a, b) => b - a)) {
      const contact = this.#contacts.get(exponent)!
      if (!out.some((known) => known.id === contact.id)) out.push(contact)
    }
    this.#list = out
  }
}
