/** The unit cube with the Euclidean distance: nothing wraps around. */

import type { Space } from '../space.ts'
import { coordinates } from './coordinates.ts'

export function cube(dimensions: number): Space {
  return {
    pointOf: (key) => coordinates(key, dimensions),

    distance(a, b) {
      let sum = 0
      for (let i = 0; i < dimensions; i++) sum += (a[i]! - b[i]!) ** 2
      return Math.sqrt(sum)
    },

    midpoint: (a, b) => a.map((from, i) => (from + b[i]!) / 2),
  }
}
