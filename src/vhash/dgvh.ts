/**
 * The Distributed Greedy Voronoi Heuristic (Benshoof, Rosen et al. 2014-15): which of the nodes that it knows does a node
 * keep as peers? Pure. Candidates never hold self, nor one id twice.
 */
import type { Site } from './route.ts'
import type { Space } from './space.ts'

/**
 * `midpoint`: a candidate is turned down when an accepted peer is nearer to the point halfway to it than self is (as
 * published; it is a Gabriel test whose only blockers are accepted peers). `relative`: when an accepted peer is nearer to
 * the candidate than self is (UrDHT's variant; it turns down more).
 */
export type Heuristic = 'midpoint' | 'relative'

export interface Chosen<S> {
  /** Nearest first. */
  readonly accepted: readonly S[]
  /** Nearest first. */
  readonly rejected: readonly S[]
}

/**
 * Where two points have no midpoint, `midpoint` falls back on `relative`. Of several candidates at one point the one with
 * the lowest id stands for all: it owns what they could own.
 */
export function dgvh<P, S extends Site<P>>(
  space: Space<P>,
  self: Site<P>,
  candidates: readonly S[],
  heuristic: Heuristic = 'midpoint',
): Chosen<S> {
  const accepted: S[] = []
  const rejected: S[] = []
  let last: Ranked<S> | undefined
  for (const ranked of rankedByReach(space, self, candidates)) {
    const { site } = ranked
    const twin = last?.distance === ranked.distance && space.distance(last.site.point, site.point) === 0
    last = ranked
    const middle = heuristic === 'midpoint' ? space.midpoint(site.point, self.point) : undefined
    const target = middle ?? site.point
    const own = middle ? space.distance(target, self.point) : ranked.distance
    ;(twin || isBlocked(space, target, own, accepted) ? rejected : accepted).push(site)
  }
  return { accepted, rejected }
}

/** Is anybody nearer to the target than `own`? */
function isBlocked<P, S extends Site<P>>(space: Space<P>, target: P, own: number, accepted: readonly S[]): boolean {
  for (const peer of accepted) if (space.distance(target, peer.point) < own) return true
  return false
}

export interface ShortPeers<S> {
  /** All accepted, and of the others the nearest, so that there are at least 3d + 1 if so many are known. */
  readonly peers: readonly S[]
  /** How many of them were accepted: they come first, nearest first. */
  readonly accepted: number
  /** The rest of the candidates, nearest first. */
  readonly others: readonly S[]
}

/** Fills what a heuristic has accepted up to 3d + 1. */
export function padded<S>({ accepted, rejected }: Chosen<S>, dimensions: number): ShortPeers<S> {
  const more = Math.max(0, shortLimit(dimensions) - accepted.length)
  return { peers: [...accepted, ...rejected.slice(0, more)], accepted: accepted.length, others: rejected.slice(more) }
}

/** Candidates by their distance to self, nearest first: on Chord's circle the predecessor, from which keys are reached. */
export function byReach<P, S extends Site<P>>(space: Space<P>, self: Site<P>, candidates: readonly S[]): S[] {
  return rankedByReach(space, self, candidates).map(({ site }) => site)
}

interface Ranked<S> {
  readonly site: S
  readonly distance: number
}

function rankedByReach<P, S extends Site<P>>(space: Space<P>, self: Site<P>, candidates: readonly S[]): Ranked<S>[] {
  const ranked = candidates.map((site) => ({ site, distance: space.distance(site.point, self.point) }))
  return ranked.sort((a, b) => a.distance - b.distance || (a.site.id < b.site.id ? -1 : 1))
}

/** 3d + 1. */
export function shortLimit(dimensions: number): number {
  return 3 * dimensions + 1
}

/** (3d + 1)^2. */
export function longLimit(dimensions: number): number {
  return shortLimit(dimensions) ** 2
}
