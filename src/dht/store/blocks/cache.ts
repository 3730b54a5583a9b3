/** Blocks that were read lately: least recently used ones go first, bounded in bytes. */
import type { Key } from '../../../core/ids.ts'

/** One block may take this share of the cache at most. */
const LARGEST_SHARE = 0.25

export interface Cached {
  readonly bytes: Uint8Array
  readonly expiresAtMs: number
  readonly publisher: string
}

export class BlockCache {
  readonly #capacityBytes: number
  /** In the order of use: a Map keeps the order of insertion. */
  readonly #blocks = new Map<Key, Cached>()
  #bytes = 0

  constructor(capacityBytes: number) {
    this.#capacityBytes = capacityBytes
  }

  get bytes(): number {
    return this.#bytes
  }

  get count(): number {
    return this.#blocks.size
  }

  /** Counts as a use. */
  get(key: Key, nowMs: number): Cached | undefined {
    const block = this.#blocks.get(key)
    if (!block) return undefined
    if (block.expiresAtMs <= nowMs) {
      this.delete(key)
      return undefined
    }
    this.#blocks.delete(key)
    this.#blocks.set(key, block)
    return block
  }

  set(key: Key, block: Cached): void {
    this.delete(key)
    if (block.bytes.length > this.#capacityBytes * LARGEST_SHARE) return
    this.#blocks.set(key, block)
    this.#bytes += block.bytes.length
    for (const oldest of this.#blocks.keys()) {
      if (this.#bytes <= this.#capacityBytes) break
      this.delete(oldest)
    }
  }

  delete(key: Key): void {
    const block = this.#blocks.get(key)
    if (!block) return
    this.#blocks.delete(key)
    this.#bytes -= block.bytes.length
  }
}
