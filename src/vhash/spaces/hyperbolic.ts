/**
 * The Poincare ball: hyperbolic space of curvature -1 inside of the unit ball. Points are uniform in the hyperbolic
 * measure of the ball around the middle that reaches out to the Euclidean radius 0.96 (hyperbolic 3.89; in the plane an
 * area of 148.9). UrDHT (Rosen et al. 2016) does not say how its points are drawn. A space for studies: `pointOf` is the
 * same on every machine (it draws and rejects, with nothing beyond a square root), but `distance` uses arcosh, whose last
 * bit may differ between engines.
 */
import type { Key } from '../../core/ids.ts'
import { seededRandom } from '../../core/random.ts'
import type { Point, Space } from '../space.ts'

/** Squared Euclidean radius that no point is beyond. */
const MOST = 0.96 ** 2

export function hyperbolic(dimensions: number): Space {
  return {
    /** Drawn uniformly from the cube around the ball, kept when in the ball and with the density there over the highest. */
    pointOf(key: Key) {
      const random = seededRandom(`hyperbolic ${key}`)
      for (;;) {
        const point: number[] = []
        for (let i = 0; i < dimensions; i++) point.push((2 * random.next() - 1) * 0.96)
        const square = norm2(point)
        if (square > MOST) continue
        if (random.next() < ((1 - MOST) / (1 - square)) ** dimensions) return point
      }
    },

    distance(a, b) {
      let square = 0
      for (let i = 0; i < dimensions; i++) square += (a[i]! - b[i]!) ** 2
      // arcosh(1 + 2u) = 2 arsinh(sqrt(u)), which keeps its digits when u is small.
      return 2 * Math.asinh(Math.sqrt(square / ((1 - norm2(a)) * (1 - norm2(b)))))
    },

    /**
     * In the hyperboloid model (cosh r, sinh r * direction) the midpoint is the sum of both, scaled back onto the sheet.
     * A point p of the ball is there (1 + p^2, 2p) / (1 - p^2), and (t, x) is in the ball x / (1 + t).
     */
    midpoint(a, b) {
      const wa = 1 / (1 - norm2(a))
      const wb = 1 / (1 - norm2(b))
      const t = (1 + norm2(a)) * wa + (1 + norm2(b)) * wb
      const x = a.map((from, i) => 2 * (from * wa + b[i]! * wb))
      const scale = Math.sqrt(t * t - norm2(x))
      return x.map((each) => each / (scale + t))
    },
  }
}

function norm2(a: Point): number {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += a[i]! * a[i]!
  return sum
}
