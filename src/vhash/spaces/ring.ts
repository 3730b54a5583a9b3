/**
 * Chord's circle of circumference 1 (Stoica et al. 2001), as UrDHT puts it: the distance is clockwise. It is measured
 * from a key to a node, so a key's nearest node is the first at or after it, Chord's successor of the key.
 */

import type { Space } from '../space.ts'
import { coordinates } from './coordinates.ts'

export const ring: Space = {
  pointOf: (key) => coordinates(key, 1),

  /** Clockwise from a to b: not symmetric. */
  distance([a = 0], [b = 0]) {
    return b >= a ? b - a : b - a + 1
  },

  /** Half of the way clockwise from a to b: as far from a as b is from it. */
  midpoint([a = 0], [b = 0]) {
    const half = a + (b >= a ? b - a : b - a + 1) / 2
    return [half < 1 ? half : half - 1]
  },
}
