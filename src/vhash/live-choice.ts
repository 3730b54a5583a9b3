/**
 * The short peers of a running node: its exact Voronoi neighbours among all that it knows, and the nearest others up to
 * 3d + 1. In three dimensions and more a small network is one in which nearly all cells touch, and on a torus many touch
 * around the back, which the exact neighbours there do not heed: so of few, everybody is a short peer.
 */
import type { Peer } from './peer.ts'
import { shortPeers } from './peers.ts'
import { nearest } from './route.ts'
import type { NamedSpace } from './spaces.ts'

/** As many as a node can watch over with ease. */
const FEW = 64

/** Nearest first where all are taken; else the exact ones first. */
export function livePeers(named: NamedSpace, self: Peer, candidates: readonly Peer[]): readonly Peer[] {
  if (named.dimensions > 2 && candidates.length <= FEW) return nearest(named.space, self.point, candidates)
  return shortPeers(named, self, candidates, 'exact').peers
}
