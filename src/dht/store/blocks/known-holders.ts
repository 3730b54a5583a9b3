/**
 * What an owner knows of who has the blocks of its keys: the holders tell it (`reports.ts`), members of the replica group
 * and others alike. From that it counts copies (Carbonite, Chun et al. 2006: a copy that comes back, or that is left
 * over from an earlier group, counts). Pure; bounded in holders and in names.
 */
import type { Key } from '../../../core/ids.ts'
import { MAX_KNOWN_HOLDERS, MAX_KNOWN_HOLDINGS } from '../../../core/limits.ts'
import type { Contact } from '../../../net/contact.ts'
import { differing } from '../reconcile.ts'
import { BlockItem, ItemSet } from './item-set.ts'
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
  /** When to ask whether it is there. */
  auditAtMs: number
  /** Audits in a row that it did not answer. */
  unanswered: number
  /** Did its copies count when that was last looked at? */
  counted: boolean
}

const STRIKES = 3
/** Who does not answer so many audits in a row is forgotten: if it comes back, it will say what it has. */
const UNANSWERED = 3
const DISTRUST_MS = 24 * 3_600_000

export class KnownHolders {
  readonly #holders = new Map<string, Holder>()
  /** Who has it, by key: also those that do not count. */
  readonly #byKey = new Map<Key, Holder[]>()
  readonly #staleMs: number
  readonly #auditMs: number
  /** Keys whose holders have changed since somebody took them. */
  #touched = new Set<Key>()
  #names = 0
  /** No audit is due before. */
  #nextAuditMs = Number.POSITIVE_INFINITY

  /** Who has not been heard of for `staleMs` does not count any more; who is new is audited after `auditMs`. */
  constructor(staleMs: number, auditMs: number) {
    this.#staleMs = staleMs
    this.#auditMs = auditMs
  }

  /** The digits at which what is known of a holder differs from what it has. Hears of it. */
  differs(contact: Contact, prefix: string, digests: readonly string[], nowMs: number): number[] {
    const holder = this.#heard(contact, nowMs)
    return holder ? differing(digests, holder.items.digests(prefix)) : []
  }

  /** A holder names what it has below some prefixes, and all of it. */
  list(contact: Contact, prefixes: readonly string[], items: readonly Named[], nowMs: number): void {
    const holder = this.#heard(contact, nowMs)
    if (!holder) return
    const named = new Set(items.map(({ key }) => key))
    for (const prefix of prefixes) {
      const before = prefix === '' ? [...holder.items.values()] : [...holder.items.below(prefix)]
      for (const { key } of before) if (!named.has(key)) this.#drop(holder, key)
    }
    for (const item of items) this.#add(holder, item)
  }

  /** A copy was given to a holder that we may not have heard of yet. */
  gave(contact: Contact, item: Named, nowMs: number): void {
    const holder = this.#holders.get(contact.peer) ?? this.#heard(contact, nowMs)
    if (holder) this.#add(holder, item)
  }

  /** It turned out not to have it. */
  lacks(peer: string, key: Key): void {
    const holder = this.#holders.get(peer)
    if (holder?.items.has(key)) this.#drop(holder, key)
  }

  /** It would like to drop it. */
  leaving(peer: string, key: Key): void {
    const holder = this.#holders.get(peer)
    if (!holder?.items.has(key)) return
    holder.leaving.add(key)
    this.#touched.add(key)
  }

  /** It could not show that it has what it says; `lied`: it showed something else. */
  caught(peer: string, key: Key, lied: boolean, nowMs: number): void {
    const holder = this.#holders.get(peer)
    if (!holder) return
    this.lacks(peer, key)
    holder.strikes += lied ? STRIKES : 1
    if (holder.strikes >= STRIKES) holder.distrustedUntilMs = nowMs + DISTRUST_MS
  }

  shown(peer: string): void {
    const holder = this.#holders.get(peer)
    if (holder) holder.strikes = 0
  }

  /** Who has it, as far as is known. */
  of(key: Key, nowMs: number): Contact[] {
    const out: Contact[] = []
    for (const holder of this.#byKey.get(key) ?? []) if (this.#has(holder, key, nowMs)) out.push(holder.contact)
    return out
  }

  /** How many have it. */
  count(key: Key, nowMs: number): number {
    let count = 0
    for (const holder of this.#byKey.get(key) ?? []) if (this.#has(holder, key, nowMs)) count++
    return count
  }

  /** Who has it with a shorter lease. */
  behind(key: Key, expiresAtMs: number, nowMs: number): Contact[] {
    const shorter = (holder: Holder) => holder.items.get(key)!.expiresAtMs < expiresAtMs
    const holders = this.#byKey.get(key)?.filter((holder) => shorter(holder) && this.#has(holder, key, nowMs)) ?? []
    return holders.map(({ contact }) => contact)
  }

  /** Every key that somebody is known to have. */
  keys(): Iterable<Key> {
    return this.#byKey.keys()
  }

  /** Keys of which it may have changed who has them, and whether they count, since the last call. */
  takeTouched(nowMs: number): ReadonlySet<Key> {
    for (const holder of this.#holders.values()) {
      const counts = this.#counts(holder, nowMs)
      if (counts === holder.counted) continue
      holder.counted = counts
      for (const { key } of holder.items.values()) this.#touched.add(key)
    }
    const touched = this.#touched
    if (touched.size > 0) this.#touched = new Set()
    return touched
  }

  /** Look at it again. */
  touch(key: Key): void {
    this.#touched.add(key)
  }

  /** Holders to be audited now, and what they have. */
  due(nowMs: number): { contact: Contact; items: ItemSet }[] {
    const due: Holder[] = []
    if (nowMs < this.#nextAuditMs) return due
    let nextMs = Number.POSITIVE_INFINITY
    for (const holder of this.#holders.values()) {
      nextMs = Math.min(nextMs, holder.auditAtMs)
      if (holder.auditAtMs <= nowMs && nowMs >= holder.distrustedUntilMs && holder.items.size > 0) due.push(holder)
    }
    this.#nextAuditMs = nextMs
    return due
  }

  #auditAt(holder: Holder, ms: number): void {
    holder.auditAtMs = ms
    this.#nextAuditMs = Math.min(this.#nextAuditMs, ms)
  }

  /** It has answered an audit, and is next asked at `nextMs`. */
  audited({ peer, incarnation }: Contact, nowMs: number, nextMs: number): void {
    const holder = this.#holders.get(peer)
    if (holder?.contact.incarnation !== incarnation) return
    holder.heardAtMs = nowMs
    holder.unanswered = 0
    this.#auditAt(holder, nextMs)
  }

  /** It has not answered an audit: its copies do not count; it is asked again at `nextMs`, unless it is given up. */
  unanswered({ peer, incarnation }: Contact, nextMs: number): void {
    const holder = this.#holders.get(peer)
    if (holder?.contact.incarnation !== incarnation) return
    this.#auditAt(holder, nextMs)
    if (++holder.unanswered >= UNANSWERED) this.forget(peer)
    else this.silent(peer)
  }

  /** It does not answer: its copies do not count until it is heard of again. */
  silent(peer: string): void {
    const holder = this.#holders.get(peer)
    if (holder) holder.heardAtMs = Number.NEGATIVE_INFINITY
  }

  /** How to reach a holder that counts. */
  contact(peer: string, nowMs: number): Contact | undefined {
    const holder = this.#holders.get(peer)
    return holder && this.#counts(holder, nowMs) ? holder.contact : undefined
  }

  forget(peer: string): void {
    const holder = this.#holders.get(peer)
    if (!holder) return
    for (const { key } of [...holder.items.values()]) this.#drop(holder, key)
    this.#holders.delete(peer)
  }

  /**
   * Forgets names that are no concern of ours any more, and the holders that have none left. Returns the holders
   * that have told us more than is ours.
   */
  retain(wanted: (item: BlockItem) => boolean, nowMs: number): Contact[] {
    const misled = new Set<Contact>()
    for (const [peer, holder] of this.#holders) {
      for (const item of holder.items.values()) {
        if (wanted(item)) continue
        misled.add(holder.contact)
        this.#drop(holder, item.key)
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
        auditAtMs: nowMs + this.#auditMs,
        unanswered: 0,
        counted: true,
      }
      this.#holders.set(contact.peer, holder)
      this.#auditAt(holder, holder.auditAtMs)
    }
    if (holder.contact.incarnation !== contact.incarnation) {
      // Started anew, with its disk or without: it will say.
      for (const { key } of [...holder.items.values()]) this.lacks(contact.peer, key)
    }
    holder.contact = contact
    holder.heardAtMs = nowMs
    holder.unanswered = 0
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

  #has(holder: Holder, key: Key, nowMs: number): boolean {
    const item = holder.items.get(key)
    return item !== undefined && item.expiresAtMs > nowMs && !holder.leaving.has(key) && this.#counts(holder, nowMs)
  }

  #add(holder: Holder, item: Named): void {
    const { key } = item
    const known = holder.items.get(key)
    if (!known) {
      if (this.#names >= MAX_KNOWN_HOLDINGS) return
      this.#names++
      const others = this.#byKey.get(key)
      if (others) others.push(holder)
      else this.#byKey.set(key, [holder])
    }
    if (holder.leaving.delete(key) || known?.expiresAtMs !== item.expiresAtMs) {
      holder.items.set(new BlockItem(item))
      this.#touched.add(key)
    }
  }

  #drop(holder: Holder, key: Key): void {
    holder.items.delete(key)
    holder.leaving.delete(key)
    this.#names--
    this.#touched.add(key)
    const others = this.#byKey.get(key)!
    if (others.length === 1) this.#byKey.delete(key)
    else others.splice(others.indexOf(holder), 1)
  }
}
