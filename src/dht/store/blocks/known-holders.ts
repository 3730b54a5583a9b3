/**
 * What an owner knows of who has the blocks of its keys: the holders tell it (`repair.ts`), members of the replica group
 * and others alike. From that it counts copies (Carbonite, Chun et al. 2006: a copy that comes back, or that is left
 * over from an earlier group, counts). Pure; bounded in holders and in names.
 */
import type { Key } from '../../../core/ids.ts'
import { MAX_KNOWN_HOLDERS, MAX_KNOWN_HOLDINGS } from '../../../core/limits.ts'
import type { Contact } from '../../../net/contact.ts'
import { differing } from '../reconcile.ts'
import { type BlockItem, ItemSet, itemOf } from './item-set.ts'
import type { Named } from './messages.ts'

interface Holder {
  contact: Contact
  heardAtMs: number
  readonly items: ItemSet
  /** Copies that it would like to drop: they no longer count. */
  readonly leaving: Set<Key>
  strikes: number
  /** It was caught without what it claims to have. */
  distrustedUntilMs: number
}

const STRIKES = 3
const DISTRUST_MS = 24 * 3_600_000

export class KnownHolders {
  readonly #holders = new Map<string, Holder>()
  readonly #staleMs: number
  #names = 0
  /** Grows with every change. */
  version = 0

  /** Who has not been heard of for `staleMs` does not count any more. */
  constructor(staleMs: number) {
    this.#staleMs = staleMs
  }

  /** The digits at which what is known of a holder differs from what it has. Hears of it. */
  differs(contact: Contact, prefix: string, digests: readonly string[], nowMs: number): number[] {
    const holder = this.#heard(contact, nowMs)
    return holder ? differing(digests, holder.items.digests(prefix)) : []
  }

  /** A holder names what it has below a prefix, and all of it. */
  list(contact: Contact, prefix: string, items: readonly Named[], nowMs: number): void {
    const holder = this.#heard(contact, nowMs)
    if (!holder) return
    const before = holder.items.size
    const named = new Set(items.map(({ key }) => key))
    for (const { key } of [...holder.items.below(prefix)]) if (!named.has(key)) this.#drop(holder, key)
    this.#names += holder.items.size - before
    for (const item of items) this.#add(holder, itemOf(item))
    this.version++
  }

  /** A copy was given to a holder that we may not have heard of yet. */
  gave(contact: Contact, item: Named, nowMs: number): void {
    const holder = this.#holders.get(contact.peer) ?? this.#heard(contact, nowMs)
    if (holder) this.#add(holder, itemOf(item))
    this.version++
  }

  /** It turned out not to have it. */
  lacks(peer: string, key: Key): void {
    const holder = this.#holders.get(peer)
    if (!holder?.items.has(key)) return
    this.#drop(holder, key)
    this.#names--
    this.version++
  }

  /** It would like to drop it. */
  leaving(peer: string, key: Key): void {
    this.#holders.get(peer)?.leaving.add(key)
    this.version++
  }

  /** It could not show that it has what it says; `lied`: it showed something else. */
  caught(peer: string, key: Key, lied: boolean, nowMs: number): void {
    const holder = this.#holders.get(peer)
    if (!holder) return
    this.lacks(peer, key)
    holder.strikes += lied ? STRIKES : 1
    if (holder.strikes >= STRIKES) holder.distrustedUntilMs = nowMs + DISTRUST_MS
    this.version++
  }

  shown(peer: string): void {
    const holder = this.#holders.get(peer)
    if (holder) holder.strikes = 0
  }

  /** Who has it, as far as is known. */
  of(key: Key, nowMs: number): Contact[] {
    const out: Contact[] = []
    for (const holder of this.#holders.values()) {
      if (this.#counts(holder, nowMs) && holder.items.has(key) && !holder.leaving.has(key)) out.push(holder.contact)
    }
    return out
  }

  /** Every holder that counts, and what it has. */
  *fresh(nowMs: number): Iterable<{ contact: Contact; items: ItemSet; leaving: ReadonlySet<Key> }> {
    for (const holder of this.#holders.values()) if (this.#counts(holder, nowMs)) yield holder
  }

  /** It does not answer: its copies do not count until it is heard of again. */
  silent(peer: string): void {
    const holder = this.#holders.get(peer)
    if (!holder) return
    holder.heardAtMs = Number.NEGATIVE_INFINITY
    this.version++
  }

  /** How to reach a holder that counts. */
  contact(peer: string, nowMs: number): Contact | undefined {
    const holder = this.#holders.get(peer)
    return holder && this.#counts(holder, nowMs) ? holder.contact : undefined
  }

  forget(peer: string): void {
    const holder = this.#holders.get(peer)
    if (!holder) return
    this.#names -= holder.items.size
    this.#holders.delete(peer)
    this.version++
  }

  /**
   * Forgets names that are no concern of ours any more, and the holders that have none left. Returns the holders
   * that have told us more than is ours.
   */
  retain(wanted: (item: BlockItem) => boolean, nowMs: number): Contact[] {
    const misled = new Set<Contact>()
    for (const [peer, holder] of this.#holders) {
      for (const item of [...holder.items.values()]) {
        if (wanted(item)) continue
        misled.add(holder.contact)
        this.#drop(holder, item.key)
        this.#names--
        this.version++
      }
      if (holder.items.size === 0 && !this.#counts(holder, nowMs) && nowMs >= holder.distrustedUntilMs)
        this.forget(peer)
    }
    return [...misled]
  }

  #heard(contact: Contact, nowMs: number): Holder | undefined {
    let holder = this.#holders.get(contact.peer)
    if (!holder) {
      if (this.#holders.size >= MAX_KNOWN_HOLDERS && !this.#evictStale(nowMs)) return undefined
      holder = {
        contact,
        heardAtMs: nowMs,
        items: new ItemSet(),
        leaving: new Set(),
        strikes: 0,
        distrustedUntilMs: 0,
      }
      this.#holders.set(contact.peer, holder)
    }
    if (holder.contact.incarnation !== contact.incarnation) {
      // Started anew, with its disk or without: it will say.
      for (const { key } of [...holder.items.values()]) this.lacks(contact.peer, key)
    }
    holder.contact = contact
    if (nowMs - holder.heardAtMs > this.#staleMs) this.version++
    holder.heardAtMs = nowMs
    return holder
  }

  #evictStale(nowMs: number): boolean {
    for (const [peer, { heardAtMs }] of this.#holders) {
      if (nowMs - heardAtMs <= this.#staleMs) continue
      this.forget(peer)
      return true
    }
    return false
  }

  #counts({ heardAtMs, distrustedUntilMs }: Holder, nowMs: number): boolean {
    return nowMs - heardAtMs <= this.#staleMs && nowMs >= distrustedUntilMs
  }

  #add(holder: Holder, item: BlockItem): void {
    if (!holder.items.has(item.key)) {
      if (this.#names >= MAX_KNOWN_HOLDINGS) return
      this.#names++
    }
    holder.items.set(item)
    holder.leaving.delete(item.key)
  }

  #drop(holder: Holder, key: Key): void {
    holder.items.delete(key)
    holder.leaving.delete(key)
  }
}
