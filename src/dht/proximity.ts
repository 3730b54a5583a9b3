/**
 * Choices by latency among what a topology allows, pure: which of several correct shortcuts to keep (proximity neighbour
 * selection, PNS) and which of several correct next hops to take (proximity route selection, PRS; both after Gummadi et
 * al., SIGCOMM 2003). The ring and the studies choose by these same functions; VHash nodes choose next hops so.
 */

/** Round-trip time to a candidate, ms: measured, or predicted; undefined when nothing is known of it. */
export type LatencyOf<C> = (candidate: C) => number | undefined

/** What handling a hop costs beside the round trip, ms: below that, shorter is not worth a hop more. */
const HOP_COST_MS = 5

/**
 * The candidate with the lowest latency; undefined when none is known. It is to be faster than `thanMs` by a tenth: a
 * change costs a connection, and round-trip times waver.
 */
export function nearest<C>(
  candidates: readonly C[],
  latencyOf: LatencyOf<C>,
  thanMs = Number.POSITIVE_INFINITY,
): C | undefined {
  let best: C | undefined
  let bestMs = 0.9 * thanMs
  for (const candidate of candidates) {
    const ms = latencyOf(candidate)
    if (ms === undefined || !(ms < bestMs)) continue
    best = candidate
    bestMs = ms
  }
  return best
}

/** The `count` nearest by latency, nearest first; those that are alike in the order given, the unknown ones last. */
export function nearestFew<C>(candidates: readonly C[], latencyOf: LatencyOf<C>, count: number): C[] {
  return candidates
    .map((candidate, order) => ({ candidate, order, ms: latencyOf(candidate) ?? Number.POSITIVE_INFINITY }))
    .sort((a, b) => (a.ms === b.ms ? a.order - b.order : a.ms - b.ms))
    .slice(0, count)
    .map(({ candidate }) => candidate)
}

/**
 * At most `cap` long peers out of all that the topology allows, as fingers are chosen on the ring: as many at each scale of
 * distance, so that no way is long for want of far peers, and at each scale the nearest by latency. A scale is a doubling of
 * the distance, in whatever unit. (Nearest by latency alone takes 1.2 times as long on PlanetLab's matrix: study `underlay`.)
 */
export function chooseLong<C>(
  candidates: readonly C[],
  latencyOf: LatencyOf<C>,
  distanceOf: (candidate: C) => number,
  cap: number,
): C[] {
  const byScale = new Map<number, C[]>()
  for (const candidate of candidates) {
    const scale = Math.floor(Math.log2(distanceOf(candidate)))
    const alike = byScale.get(scale)
    if (alike === undefined) byScale.set(scale, [candidate])
    else alike.push(candidate)
  }
  const scales = [...byScale]
    .sort(([a], [b]) => b - a)
    .map(([, alike]) => nearestFew(alike, latencyOf, Math.min(alike.length, cap)))
  const out: C[] = []
  for (let turn = 0; out.length < Math.min(cap, candidates.length); turn++) {
    for (const alike of scales) {
      const next = alike[turn]
      if (next !== undefined && out.length < cap) out.push(next)
    }
  }
  return out
}

/**
 * Of neighbours that are nearer to the goal, the one over which it is reached soonest: the round trip to it, and on from
 * there, where every halving of the nodes that are left in between (`leftOf`) takes half a hop. `usualMs` is what a hop of
 * this node usually takes; ways of unknown latency count as usual ones. The first of equal ways; undefined: there is none.
 */
export function bestWay<C>(
  ways: readonly C[],
  latencyOf: LatencyOf<C>,
  leftOf: (way: C) => number,
  usualMs: number,
): C | undefined {
  const halvingMs = (usualMs + HOP_COST_MS) / 2
  let best: C | undefined
  let bestMs = Number.POSITIVE_INFINITY
  for (const way of ways) {
    const inAll = (latencyOf(way) ?? usualMs) + halvingMs * Math.log2(1 + Math.max(leftOf(way), 0))
    if (inAll < bestMs) {
      best = way
      bestMs = inAll
    }
  }
  return best
}
