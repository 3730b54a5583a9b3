/** Sets of blocks by name and lease, compared by digests of their parts (`reconcile.ts`). */
import type { Key } from '../../../core/ids.ts'
import { bucketDigests } from '../reconcile.ts'
import type { Named } from './messages.ts'

export interface BlockItem extends Named {
  /** The key, its halves exchanged: the keys of one owner mostly begin alike, and so do not spread over parts. */
  readonly place: string
  readonly digest: string
}

const HALF = 32

export function placeOfKey(key: Key): string {
  return key.slice(HALF) + key.slice(0, HALF)
}

/** The lease is what can differ between two copies; owners round it, so it seldom does. */
export function itemOf({ key, sizeBytes, expiresAtMs }: Named): BlockItem {
  return { key, sizeBytes, expiresAtMs, place: placeOfKey(key), digest: expiresAtMs.toString(36) }
}

export class ItemSet {
  readonly #items = new Map<Key, BlockItem>()
  #sorted: readonly BlockItem[] | undefined
  #digests: string[] | undefined

  get size(): number {
    return this.#items.size
  }

  get(key: Key): BlockItem | undefined {
    return this.#items.get(key)
  }

  has(key: Key): boolean {
    return this.#items.has(key)
  }

  values(): Iterable<BlockItem> {
    return this.#items.values()
  }

  set(item: BlockItem): void {
    if (this.#items.get(item.key)?.digest === item.digest) return
    this.#items.set(item.key, item)
    this.#changed()
  }

  delete(key: Key): void {
    if (this.#items.delete(key)) this.#changed()
  }

  /** Sorted by place. */
  below(prefix: string): readonly BlockItem[] {
    this.#sorted ??= [...this.#items.values()].sort((a, b) => (a.place < b.place ? -1 : 1))
    return prefix === '' ? this.#sorted : this.#sorted.filter(({ place }) => place.startsWith(prefix))
  }

  /** Of the sixteen parts below a prefix. */
  digests(prefix: string): readonly string[] {
    if (prefix !== '') return bucketDigests(this.below(prefix), prefix.length)
    return (this.#digests ??= bucketDigests(this.below(''), 0))
  }

  #changed(): void {
    this.#sorted = undefined
    this.#digests = undefined
  }
}
