/**
 * Hot blocks. CFS caches a block along the path of the lookup that found it. Our lookups mostly take one hop, straight
 * to the owner, so there is no path to speak of: the readers themselves are the cache, and the owner, whom all of them
 * ask, is the one who knows them. Whoever has given a block to several askers within a few seconds sends further ones
 * to two of those, who have it by then and do the same in their turn. So a crowd of n readers becomes a tree of fan-out
 * `SERVED`: the owner gives `SERVED` copies per window and for the rest names, and the deepest reader is log n / log
 * `SERVED` steps away. Nobody has to push, and nobody needs to believe anybody: bytes are verified by whoever gets them,
 * and an asker who was sent to the wrong ones comes back and insists.
 */
import type { Random } from '../../../core/env.ts'
import type { Key } from '../../../core/ids.ts'
import { MAX_WARM_BLOCKS } from '../../../core/limits.ts'
import { CappedMap } from '../../../net/capped-map.ts'
import type { Contact } from '../../../net/contact.ts'

/** Copies of one block that a host gives away within a window before it sends askers on. */
export const SERVED = 8
/** How long a reader is taken to have the block in its cache, ms. */
export const HEAT_WINDOW_MS = 10_000
/** Readers that an asker is sent to. */
const NAMES = 2

interface Warmth {
  sinceMs: number
  readonly readers: Contact[]
}

export class Heat {
  readonly #random: Random
  readonly #blocks = new CappedMap<Key, Warmth>(MAX_WARM_BLOCKS)

  constructor(random: Random) {
    this.#random = random
  }

  /** Whom to send an asker to; empty: give it the block. */
  elsewhere(key: Key, asker: string, nowMs: number): Contact[] {
    const { readers } = this.#warmth(key, nowMs)
    if (readers.length < SERVED) return []
    const others = readers.filter((reader) => reader.peer !== asker)
    const first = this.#random.int(others.length)
    return Array.from({ length: Math.min(NAMES, others.length) }, (_, i) => others[(first + i) % others.length]!)
  }

  /** The asker gets the block. Only who can be dialled can be named to others. */
  served(key: Key, reader: Contact | undefined, nowMs: number): void {
    if (!reader) return
    const { readers } = this.#warmth(key, nowMs)
    if (readers.length < SERVED && !readers.some(({ peer }) => peer === reader.peer)) readers.push(reader)
  }

  #warmth(key: Key, nowMs: number): Warmth {
    let warmth = this.#blocks.get(key)
    if (!warmth || nowMs - warmth.sinceMs >= HEAT_WINDOW_MS) {
      warmth = { sinceMs: nowMs, readers: [] }
      this.#blocks.set(key, warmth)
    }
    return warmth
  }
}
