/**
 * Sets of blocks by name and lease, compared by digests of their parts (`reconcile.ts`). A change costs the digest of
 * one of sixteen parts, when somebody next asks for it.
 */
import type { Random } from '../../../core/env.ts'
import { hashKey, type Key } from '../../../core/ids.ts'
import { BUCKETS } from '../messages.ts'
import { bucketDigest, bucketDigests, type Item } from '../reconcile.ts'
import type { Named } from './messages.ts'

/** A host may know hundreds of thousands: what can be told from the key is not kept. */
export class BlockItem implements Item, Named {
  readonly key: Key
  readonly sizeBytes: number
  readonly expiresAtMs: number

  constructor({ key, sizeBytes, expiresAtMs }: Named) {
    this.key = key
    this.sizeBytes = sizeBytes
    this.expiresAtMs = expiresAtMs
  }

  get place(): string {
    return placeOfKey(this.key)
  }

  /** The lease is what can differ between two copies; owners round it, so it seldom does. */
  get digest(): string {
    return String(this.expiresAtMs)
  }
}

const HALF = 32

/** The key, its halves exchanged: the keys of one owner mostly begin alike, and so do not spread over parts. */
export function placeOfKey(key: Key): string {
  return key.slice(HALF) + key.slice(0, HALF)
}

/** What is known of one of the sixteen parts; undefined: it has changed since. */
interface Part {
  sorted: readonly BlockItem[] | undefined
  digest: string | undefined
}

export class ItemSet {
  readonly #items = new Map<Key, BlockItem>()
  readonly #parts: Part[] = Array.from({ length: BUCKETS }, () => ({ sorted: undefined, digest: undefined }))
  #digests: readonly string[] | undefined
  #root: string | undefined
  /** Grows with every change. */
  version = 0

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
    if (this.#items.get(item.key)?.expiresAtMs === item.expiresAtMs) return
    this.#items.set(item.key, item)
    this.#changed(item.key)
  }

  delete(key: Key): void {
    if (this.#items.delete(key)) this.#changed(key)
  }

  /** Of one digit or more; sorted by key. */
  below(prefix: string): readonly BlockItem[] {
    const sorted = this.#sorted(Number.parseInt(prefix.charAt(0), 16))
    return prefix.length === 1 ? sorted : sorted.filter(({ place }) => place.startsWith(prefix))
  }

  /** Of the sixteen parts below a prefix. */
  digests(prefix: string): readonly string[] {
    if (prefix !== '') return bucketDigests(this.below(prefix), prefix.length)
    return (this.#digests ??= this.#parts.map((part, digit) => (part.digest ??= bucketDigest(this.#sorted(digit)))))
  }

  /** Of all of it. */
  root(): string {
    return (this.#root ??= hashKey(this.digests('').join()).slice(0, 32))
  }

  /** One of them, by chance; undefined: there is none. */
  drawn(random: Random): BlockItem | undefined {
    const first = random.int(BUCKETS)
    for (let step = 0; step < BUCKETS && this.#items.size > 0; step++) {
      const part = this.#sorted((first + step) % BUCKETS)
      if (part.length > 0) return part[random.int(part.length)]
    }
    return undefined
  }

  #sorted(digit: number): readonly BlockItem[] {
    const part = this.#parts[digit]!
    if (part.sorted) return part.sorted
    // Whoever asks for one part mostly asks for others too: one walk finds all that are missing.
    const found: (BlockItem[] | undefined)[] = this.#parts.map(({ sorted }) => (sorted ? undefined : []))
    for (const item of this.#items.values()) found[digitOf(item.key)]?.push(item)
    for (const [at, items] of found.entries()) {
      if (items) this.#parts[at]!.sorted = items.sort((a, b) => (a.key < b.key ? -1 : 1))
    }
    return part.sorted!
  }

  #changed(key: Key): void {
    const part = this.#parts[digitOf(key)]!
    part.sorted = undefined
    part.digest = undefined
    this.#digests = undefined
    this.#root = undefined
    this.version++
  }
}

/** The first of the place. */
function digitOf(key: Key): number {
  const code = key.charCodeAt(HALF)
  return code < 58 ? code - 48 : code - 87
}
