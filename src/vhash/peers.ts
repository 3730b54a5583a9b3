/**
 * Which peers a node keeps. Short peers make the topology: by default the exact Delaunay neighbours in the plane, elsewhere
 * those of DGVH, filled up to 3d + 1; running nodes take the exact ones in all dimensions. Long peers (in the studies) are
 * shortcuts, at most (3d + 1)^2; those that greedy routing needs in order to deliver come first among them.
 */
import type { Heuristic, ShortPeers } from './dgvh.ts'
import { byReach, dgvh, longLimit, padded } from './dgvh.ts'
import type { Site } from './route.ts'
import type { NamedSpace } from './spaces.ts'

/** `exact`: the neighbours of the Voronoi cell, in spaces that know them (DGVH's `midpoint` in the others). */
export type Choice = 'exact' | Heuristic

/** The default: exact where it costs little and its neighbours are about as many as 3d + 1. */
export function defaultChoice({ dimensions, exact }: NamedSpace): Choice {
  return exact !== undefined && dimensions <= 2 ? 'exact' : 'midpoint'
}

/**
 * Candidates: all that self knows, without itself, no id twice. `among`: for the exact choice, those of them that can be
 * neighbours of the cell.
 */
export function shortPeers<S extends Site>(
  named: NamedSpace,
  self: Site,
  candidates: readonly S[],
  choice: Choice = defaultChoice(named),
  among: readonly S[] = candidates,
): ShortPeers<S> {
  if (choice !== 'exact' || named.exact === undefined) {
    return padded(dgvh(named.space, self, candidates, choice === 'exact' ? 'midpoint' : choice), named.dimensions)
  }
  const sites = byReach(named.space, self, candidates)
  const possible = new Set(among)
  const kept = exactAmong(
    named,
    self,
    sites.filter((site) => possible.has(site)),
  )
  const accepted = sites.filter((site) => kept.has(site))
  const rejected = sites.filter((site) => !kept.has(site))
  return padded({ accepted, rejected }, named.dimensions)
}

export interface LongPeers<S> {
  readonly peers: readonly S[]
  /** Those that greedy routing needs besides the short ones are among these: all, as long as all are kept. */
  readonly guides: readonly S[]
}

/**
 * Long peers out of all candidates, `short` being the peers already chosen. `among`: those of the candidates that can be
 * neighbours of the cell, where that is known. After exact neighbours, at random so that a
 * node at distance x is taken with a chance that falls as x^-d: then there are as many at every scale, and greedy routing
 * needs few hops (Kleinberg 2000). The chance is drawn from both ids, so the choice stays when nothing changes.
 */
export function longPeers<S extends Site>(
  named: NamedSpace,
  self: Site,
  candidates: readonly S[],
  short: readonly S[],
  among: readonly S[] = candidates,
): LongPeers<S> {
  const { space, dimensions } = named
  const taken = new Set(short)
  const limit = longLimit(dimensions)
  const others = candidates.filter((site) => !taken.has(site))
  if (others.length <= limit) return { peers: others, guides: others }
  const first = guides(named, self, named.exact === undefined ? candidates : among, short).slice(-limit)
  for (const site of first) taken.add(site)
  const drawn = others
    .filter((site) => !taken.has(site))
    .map((site) => ({ site, score: waiting(self.id, site.id) * space.distance(site.point, self.point) ** dimensions }))
    .sort((a, b) => a.score - b.score)
  return { peers: [...first, ...drawn.slice(0, limit - first.length).map(({ site }) => site)], guides: first }
}

/**
 * The long peers that greedy routing needs besides the short ones. Where exact neighbours are known, those; elsewhere for
 * any other candidate a peer that is less than half as far from it as self is. (In Kademlia's metric that is at least one
 * of each bucket, so greedy routing over them always delivers; on Chord's circle they are fingers.)
 */
function guides<S extends Site>(named: NamedSpace, self: Site, candidates: readonly S[], short: readonly S[]): S[] {
  if (named.exact !== undefined && defaultChoice(named) === 'exact') return []
  const sites = byReach(named.space, self, candidates)
  if (named.exact !== undefined) {
    const kept = exactAmong(named, self, sites)
    const isShort = new Set(short)
    return sites.filter((site) => kept.has(site) && !isShort.has(site))
  }
  const { distance } = named.space
  const out: S[] = []
  for (const site of sites) {
    const half = distance(site.point, self.point) / 2
    const guided = (peer: S) => distance(site.point, peer.point) < half || peer === site
    if (!short.some(guided) && !out.some(guided)) out.push(site)
  }
  return out
}

/** `sites` by reach. Of several at one point the first, which has the lowest id, stands for all. */
function exactAmong<S extends Site>({ space, exact }: NamedSpace, self: Site, sites: readonly S[]): Set<S> {
  const apart: S[] = []
  const kept = new Set<S>()
  let last: S | undefined
  for (const site of sites) {
    const twin = last !== undefined && space.distance(last.point, site.point) === 0
    if (!twin && space.distance(self.point, site.point) === 0) kept.add(site)
    else if (!twin) apart.push(site)
    last = site
  }
  const points = apart.map(({ point }) => point)
  for (const i of exact?.(self.point, points).neighbours ?? []) kept.add(apart[i]!)
  return kept
}

/** An exponential variate that belongs to the pair: of a set, the one with the least variate / weight is drawn by weight. */
function waiting(a: string, b: string): number {
  let mixed = Math.imul(Number.parseInt(a.slice(-8), 16) ^ 0x9e3779b9, 0x85ebca6b) ^ Number.parseInt(b.slice(-8), 16)
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x7feb352d)
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x846ca68b)
  mixed = (mixed ^ (mixed >>> 16)) >>> 0
  return -Math.log((mixed + 1) * 2 ** -32)
}
