/**
 * The latency embedding of VHash (PAPERS 5), corrected: each peer is a spring whose natural length is its latency in the
 * node's own unit, the sum of its distances over the sum of its latencies. The paper divides by the distance between
 * points where a point has to move along the unit vector.
 */
import type { Point } from '../../../src/vhash/space.ts'
import { torusWay } from '../../../src/vhash/spaces/torus.ts'

export interface Spring {
  readonly point: Point
  readonly latencyMs: number
}

/** Length in the space of one ms, as a node sees it; 0 when it has no peers apart from it. */
export function unitOf(self: Point, peers: readonly Spring[]): number {
  const latencies = peers.reduce((sum, { latencyMs }) => sum + latencyMs, 0)
  const distances = peers.reduce((sum, { point }) => sum + Math.hypot(...torusWay(self, point)), 0)
  return latencies > 0 ? distances / latencies : 0
}

/**
 * Where the springs push a point of a torus: by the sum of (ideal - distance) away from each peer, times `gain`. A gain
 * of 1, as published, throws a node with many peers beyond its goal; one over their number is the mean push.
 */
export function pushed(self: Point, peers: readonly Spring[], gain: number): Point {
  const unit = unitOf(self, peers)
  const to = self.slice()
  for (const { point, latencyMs } of peers) {
    const away = torusWay(point, self)
    const distance = Math.hypot(...away)
    if (distance === 0) continue
    const push = (gain * (latencyMs * unit - distance)) / distance
    for (let axis = 0; axis < to.length; axis++) to[axis]! += push * away[axis]!
  }
  return to.map((value) => {
    const inside = value - Math.floor(value)
    return inside < 1 ? inside : 0 // a hair below 0 rounds up to 1
  })
}
