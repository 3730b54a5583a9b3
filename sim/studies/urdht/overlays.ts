/**
 * Overlays at rest, as graphs: Chord's and Kademlia's tables made from full knowledge, and any space by gossip.
 */

import type { Random } from '../../../src/core/env.ts'
import { hashKey } from '../../../src/core/ids.ts'
import { seededRandom, shuffled } from '../../../src/core/random.ts'
import type { Heuristic } from '../../../src/vhash/dgvh.ts'
import { closest, nextHop, type Site } from '../../../src/vhash/route.ts'
import type { Point, Space } from '../../../src/vhash/space.ts'
import { ring } from '../../../src/vhash/spaces/ring.ts'
import { xor } from '../../../src/vhash/spaces/xor.ts'
import { spaceNamed } from '../../../src/vhash/spaces.ts'
import { GossipGraph, type GossipRule } from '../gossip-graph.ts'

export interface Node extends Site {
  readonly at: number
}

export interface Overlay {
  readonly space: Space
  readonly nodes: readonly Node[]
  /** Of each node, whom it knows. */
  readonly peers: readonly (readonly Node[])[]
  /** Undefined: the lookup ends here. */
  next(at: Node, target: Point): Node | undefined
}

/** Halves of the circle down to the last bit of a point. */
const BITS = 52

function scattered(space: Space, n: number, seed: number): Node[] {
  return Array.from({ length: n }, (_, at) => {
    const id = hashKey(`urdht ${seed} ${at}`)
    return { at, id, point: space.pointOf(id) }
  })
}

/** Both neighbours, and the owners of x + 2^-i, each once (Stoica et al. 2001). */
export function chord(n: number, seed: number): Overlay {
  const nodes = scattered(ring, n, seed)
  const byPlace = (a: Node, b: Node) => a.point[0]! - b.point[0]!
  const inOrder = nodes.toSorted(byPlace)
  const owner = (place: number) => inOrder.find(({ point }) => point[0]! >= place) ?? inOrder[0]!
  const successors = new Map(inOrder.map((node, i) => [node, inOrder[(i + 1) % n]!]))
  const peers = nodes.map((self) => {
    const successor = successors.get(self)!
    const predecessor = inOrder.at(inOrder.indexOf(self) - 1)!
    const found = new Set([successor, predecessor])
    for (let i = 1; i <= BITS; i++) found.add(owner((self.point[0]! + 2 ** -i) % 1))
    found.delete(self)
    return [...found]
  })
  return {
    space: ring,
    nodes,
    peers,
    /** The peer that is farthest on the way and not beyond the key; from the owner's predecessor, the owner. */
    next(at, target) {
      if (owner(target[0]!) === at) return undefined
      const way = ({ point }: Node) => ring.distance(at.point, point)
      const before = peers[at.at]!.filter((peer) => way(peer) < ring.distance(at.point, target))
      if (before.length === 0) return successors.get(at)
      return before.reduce((best, peer) => (way(peer) > way(best) ? peer : best))
    },
  }
}

/** Of the nodes that share so many first bits and no more, `bucket` at random (Maymounkov and Mazieres 2002). */
export function kademlia(n: number, seed: number, bucket: number): Overlay {
  const nodes = scattered(xor, n, seed)
  const random = seededRandom(`kademlia ${seed}`)
  const peers = nodes.map((self) => {
    const others = nodes.filter((node) => node !== self)
    const buckets = Map.groupBy(others, (node) => Math.floor(Math.log2(xor.distance(self.point, node.point))))
    return [...buckets.values()].flatMap((each) => shuffled(each, random).slice(0, bucket))
  })
  return greedy(xor, nodes, peers)
}

/** What gossip from ten random peers has come to. */
export function gossiped(
  name: string,
  n: number,
  seed: number,
  cycles: number,
  rule: GossipRule,
  heuristic: Heuristic,
): Overlay {
  const space = spaceNamed(name)
  const graph = new GossipGraph({ space, nodes: n, seed, rule, heuristic })
  for (let cycle = 0; cycle < cycles; cycle++) graph.cycle()
  const peers = graph.nodes.map(({ short, long }) => [...short, ...long])
  return greedy(space.space, graph.nodes, peers)
}

/** To the peer that is nearest to the key. */
function greedy(space: Space, nodes: readonly Node[], peers: Overlay['peers']): Overlay {
  return { space, nodes, peers, next: (at, target) => nextHop(space, target, at, peers[at.at]!) }
}

export interface Shape {
  /** In and out together. */
  readonly meanDegree: number
  readonly maxDegree: number
  /** Mean of the lookups that arrive. */
  readonly hops: number
  /** Share of lookups that end at the owner. */
  readonly delivered: number
  /** The longest of the shortest ways between two nodes; and their mean. */
  readonly diameter: number
  readonly meanPath: number
}

export function shapeOf(overlay: Overlay, lookups: number, random: Random): Shape {
  const { space, nodes, peers } = overlay
  const degrees = peers.map(({ length }) => length)
  for (const each of peers) for (const { at } of each) degrees[at]!++
  let hops = 0
  let hits = 0
  for (let i = 0; i < lookups; i++) {
    const target = space.pointOf(hashKey(random.bytes(32)))
    let at = nodes[random.int(nodes.length)]!
    let steps = 0
    for (let next = overlay.next(at, target); next; steps++) {
      at = next
      next = overlay.next(at, target)
    }
    if (at !== closest(space, target, nodes)) continue
    hits++
    hops += steps
  }
  const ways = nodes.map((node) => distancesFrom(node, peers))
  const all = ways.flat().filter((way) => way > 0)
  return {
    meanDegree: degrees.reduce((sum, degree) => sum + degree, 0) / nodes.length,
    maxDegree: Math.max(...degrees),
    hops: hops / hits,
    delivered: hits / lookups,
    diameter: all.reduce((most, way) => Math.max(most, way), 0),
    meanPath: all.reduce((sum, way) => sum + way, 0) / all.length,
  }
}

/** Steps to each node, breadth first; -1 where there is no way. */
function distancesFrom(start: Node, peers: Overlay['peers']): number[] {
  const steps = peers.map(() => -1)
  steps[start.at] = 0
  const queue = [start]
  for (const at of queue) {
    for (const peer of peers[at.at]!) {
      if (steps[peer.at]! >= 0) continue
      steps[peer.at] = steps[at.at]! + 1
      queue.push(peer)
    }
  }
  return steps
}
