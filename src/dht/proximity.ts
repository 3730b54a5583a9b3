/**
 * Choices by latency among what a topology allows, pure: which of several correct shortcuts to keep (proximity neighbour
 * selection, PNS) and which of several correct next hops to take (proximity route selection, PRS; both after Gummadi et
 * al., SIGCOMM 2003). The ring, VHash and the studies choose by these same functions.
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

/**
 * At most `cap` long peers of those that the topology allows: the nearest by latency, in the order of `candidates` where
 * that is equal; those of which nothing is known come last. With unknown latencies alone it keeps the order given.
 */
export function chooseLong<C>(candidates: readonly C[], latencyOf: LatencyOf<C>, cap: number): C[] {
  return candidates
    .map((candidate, order) => ({ candidate, order, ms: latencyOf(candidate) ?? Number.POSITIVE_INFINITY }))
    .sort((a, b) => (a.ms === b.ms ? a.order - b.order : a.ms - b.ms))
    .slice(0, cap)
    .map(({ candidate }) => candidate)
}

/** One way on: a neighbour that is nearer to the goal. */
export interface Way<C> {
  readonly to: C
  /** Round-trip time to it, ms; undefined when not known. */
  readonly ms: number | undefined
  /** Nodes that lie between it and the goal, about. */
  readonly left: number
}

/**
 * The way with the least latency in all: to the neighbour, and on from there, where every halving of the nodes that are
 * left takes half a hop. `usualMs` is what a hop of this node usually takes; ways of unknown latency count as usual ones. The
 * first of equal ways; undefined when there are none.
 */
export function bestWay<C>(ways: readonly Way<C>[], usualMs: number): C | undefined {
  const halvingMs = (usualMs + HOP_COST_MS) / 2
  let best: C | undefined
  let bestMs = Number.POSITIVE_INFINITY
  for (const { to, ms, left } of ways) {
    const inAll = (ms ?? usualMs) + halvingMs * Math.log2(1 + Math.max(left, 0))
    if (inAll < bestMs) {
      best = to
      bestMs = inAll
    }
  }
  return best
}
