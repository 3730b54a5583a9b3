/**
 * The unit torus: a cube whose opposite faces are one (Benshoof et al. 2015). In one dimension it is the symmetric ring,
 * a circle on which the distance is the shorter way round.
 */

import type { Point, Space } from '../space.ts'
import { coordinates } from './coordinates.ts'

export function torus(dimensions: number): Space {
  return {
    pointOf: (key) => coordinates(key, dimensions),

    distance(a, b) {
      let sum = 0
      for (let i = 0; i < dimensions; i++) {
        // The shorter way round, exact for coordinates of 53 bits. No branch: it would be guessed wrongly half of the time.
        const way = 0.5 - Math.abs(Math.abs(a[i]! - b[i]!) - 0.5)
        sum += way * way
      }
      return Math.sqrt(sum)
    },

    midpoint(a, b) {
      const out: number[] = []
      for (let i = 0; i < dimensions; i++) {
        const straight = Math.abs(a[i]! - b[i]!)
        if (straight === 0.5) return undefined // two ways round are as short
        const half = (a[i]! + b[i]!) / 2
        out.push(straight < 0.5 ? half : half < 0.5 ? half + 0.5 : half - 0.5)
      }
      return out
    },
  }
}

/** The way from a to b on the torus as a vector, each coordinate in [-1/2, 1/2]. */
export function torusWay(a: Point, b: Point): number[] {
  return a.map((from, i) => {
    const straight = b[i]! - from
    return straight > 0.5 ? straight - 1 : straight < -0.5 ? straight + 1 : straight
  })
}
