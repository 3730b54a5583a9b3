/**
 * Greedy routing in a space, as pure rules: who is nearest to a point, the next hop, and a search that goes on where
 * greedy routing is stuck. How far a node is from a point is `distance(point, node)`, in this order (only on Chord's
 * circle it matters); of two that are as far the one with the lower id is nearer, so there is always one owner, also when
 * nodes are at the same point.
 *
 * The search is best-first, with the few nearest nodes that it has heard of as its horizon. Greedy steps are the rule
 * while they come nearer. Where a node knows nobody nearer to the point than itself, which may only mean that it lacks a
 * neighbour, the search goes on to the nearest node of the horizon that has not been asked, and it ends when all of the
 * horizon have been. It ends because nobody is asked twice. With a horizon of 1 it is plain greedy routing.
 */
import type { Point, Space } from './space.ts'

/** A node at its place. Whatever has these two can be routed to. */
export interface Site<P = Point> {
  readonly id: string
  readonly point: P
}

/** Is a nearer to the target than b? */
export function nearer<P>(space: Space<P>, target: P, a: Site<P>, b: Site<P>): boolean {
  const toA = space.distance(target, a.point)
  const toB = space.distance(target, b.point)
  return toA < toB || (toA === toB && a.id < b.id)
}

/** The owner of the target among the sites. Undefined only when there are none. */
export function closest<P, S extends Site<P>>(space: Space<P>, target: P, sites: Iterable<S>): S | undefined {
  let best: S | undefined
  let least = 0
  for (const site of sites) {
    const distance = space.distance(target, site.point)
    if (best === undefined || distance < least || (distance === least && site.id < best.id)) {
      best = site
      least = distance
    }
  }
  return best
}

/** The sites by distance from the target, nearest first; at most `most`. The first ones are the replica group. */
export function nearest<P, S extends Site<P>>(space: Space<P>, target: P, sites: readonly S[], most?: number): S[] {
  const ranked = sites.map((site) => ({ site, distance: space.distance(target, site.point) }))
  ranked.sort((a, b) => a.distance - b.distance || (a.site.id < b.site.id ? -1 : 1))
  if (most !== undefined && ranked.length > most) ranked.length = most
  return ranked.map(({ site }) => site)
}

/** The peer nearest to the target, if it is nearer than self. Undefined: self knows nobody nearer. */
export function nextHop<P, S extends Site<P>>(
  space: Space<P>,
  target: P,
  self: Site<P>,
  peers: Iterable<S>,
): S | undefined {
  const best = closest<P, S>(space, target, peers)
  return best !== undefined && best.id !== self.id && nearer(space, target, best, self) ? best : undefined
}

/** What a lookup carries from node to node. */
export interface Search<S> {
  /** The nearest to the target that it has heard of, nearest first; asked or not; as many as the horizon is wide. */
  readonly horizon: readonly S[]
  /** Ids of the nodes that have answered, in this order. */
  readonly asked: readonly string[]
  /** Ids of those that did not: they are never on the horizon again, whoever names them. */
  readonly failed: readonly string[]
}

export function searchBegun<S>(): Search<S> {
  return { horizon: [], asked: [], failed: [] }
}

export interface SearchStep<S> {
  readonly search: Search<S>
  /** To be asked next; undefined: the search has ended, and the owner is the first of the horizon. */
  readonly next: S | undefined
}

/** `self` has been asked and knows `peers`. `width` is that of the horizon, at least 1. */
export function searched<P, S extends Site<P>>(
  space: Space<P>,
  target: P,
  width: number,
  search: Search<S>,
  self: S,
  peers: Iterable<S>,
): SearchStep<S> {
  const horizon: S[] = []
  const distances: number[] = []
  const meet = (site: S) => {
    const distance = space.distance(target, site.point)
    let at = horizon.length
    if (at === width && distances[at - 1]! < distance) return // most end here
    const before = (i: number) => distances[i]! < distance || (distances[i] === distance && horizon[i]!.id < site.id)
    if (at === width && before(at - 1)) return
    while (at > 0 && !before(at - 1)) at--
    if (horizon[at]?.id === site.id) return
    horizon.splice(at, 0, site)
    distances.splice(at, 0, distance)
    if (horizon.length > width) {
      horizon.pop()
      distances.pop()
    }
  }
  for (const site of search.horizon) meet(site)
  const { failed } = search
  for (const site of peers) if (failed.length === 0 || !failed.includes(site.id)) meet(site)
  meet(self)
  const asked = search.asked.includes(self.id) ? search.asked : [...search.asked, self.id]
  return stepOf({ horizon, asked, failed: search.failed })
}

/** `site` did not answer. */
export function searchedInVain<S extends Site<unknown>>(search: Search<S>, site: S): SearchStep<S> {
  const horizon = search.horizon.filter(({ id }) => id !== site.id)
  return stepOf({ horizon, asked: search.asked, failed: [...search.failed, site.id] })
}

function stepOf<S extends Site<unknown>>(search: Search<S>): SearchStep<S> {
  return { search, next: search.horizon.find(({ id }) => !search.asked.includes(id)) }
}
