/**
 * Kademlia's metric (Maymounkov and Mazieres 2002): the exclusive or of two keys, read as a number. A point is the first
 * 52 bits of its key, in two words of 26 bits, so that distances are exact; more bits tell no two nodes apart in practice,
 * and where they would, ids break the tie.
 */
import type { Key } from '../../core/ids.ts'
import type { Space } from '../space.ts'

const WORD = 2 ** 26

export const xor: Space = {
  pointOf(key: Key) {
    const bits = Number.parseInt(key.slice(0, 13), 16)
    return [Math.floor(bits / WORD), bits % WORD]
  },

  /** In [0, 1). */
  distance([a = 0, a2 = 0], [b = 0, b2 = 0]) {
    return ((a ^ b) + (a2 ^ b2) / WORD) / WORD
  },

  /** From any point the distances to two others differ. */
  midpoint([a, a2], [b, b2]) {
    return a === b && a2 === b2 ? [a ?? 0, a2 ?? 0] : undefined
  },
}
