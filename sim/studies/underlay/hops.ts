/** Hops over a scale-free underlay: Chord against VHash as published, and a ring with as many peers as VHash has. */
import { seededRandom, shuffled } from '../../../src/core/random.ts'
import { nextHop } from '../../../src/vhash/route.ts'
import { spaceNamed } from '../../../src/vhash/spaces.ts'
import { GossipGraph, type GraphNode } from '../gossip-graph.ts'
import { RingGraph } from './ring-graph.ts'
import { hopsFrom, scaleFree } from './scale-free.ts'

export interface Hops {
  /** Mean number of peers that a node has. */
  readonly degree: number
  /** Per lookup. */
  readonly overlay: number
  readonly underlay: number
}

export interface HopsResult {
  /** Underlay hops between random nodes. */
  readonly pair: number
  readonly chord: Hops
  readonly vhash: Hops
  readonly equal: Hops
  /** Share of VHash's lookups that greedy routing strands; they do not count. */
  readonly stranded: number
}

const UNDERLAY_NODES = 10_000
/** Links of a new node. Not published; 7 come nearest to the published distance between random nodes. */
const UNDERLAY_LINKS = 7
const PAIRS = 10_000
/** The list's length is not published; ours on private networks. */
const SUCCESSORS = 4
const CYCLES = 12

export function runHops(nodes: number, seed: number): HopsResult {
  const random = seededRandom(`underlay hops ${nodes} ${seed}`)
  const graph = scaleFree(UNDERLAY_NODES, UNDERLAY_LINKS, random)
  const hosts = shuffled([...graph.keys()], random).slice(0, nodes)
  const between = hosts.map((host) => {
    const hops = hopsFrom(graph, host)
    return Uint8Array.from(hosts, (other) => hops[other]!)
  })
  const measure = (degree: number, route: (from: number, to: number) => readonly number[] | undefined) => {
    const pairs = random.fork('pairs')
    let overlay = 0
    let underlay = 0
    let stranded = 0
    for (let pair = 0; pair < PAIRS; pair++) {
      const path = route(pairs.int(nodes), pairs.int(nodes))
      if (path === undefined) stranded++
      else for (let hop = 1; hop < path.length; hop++, overlay++) underlay += between[path[hop - 1]!]![path[hop]!]!
    }
    const ended = PAIRS - stranded
    return { hops: { degree, overlay: overlay / ended, underlay: underlay / ended }, stranded: stranded / PAIRS }
  }
  const onRing = (ring: RingGraph) => measure(ring.meanDegree, (from, to) => ring.route(from, ring.placeOf(to))).hops
  const gossip = new GossipGraph({ space: spaceNamed('torus2'), nodes, seed, rule: 'published' })
  for (let cycle = 0; cycle < CYCLES; cycle++) gossip.cycle()
  const peers = gossip.nodes.map(({ short, long }) => [...short, ...long])
  const degree = peers.reduce((sum, { length }) => sum + length, 0) / nodes
  const { stranded, hops: vhash } = measure(degree, (from, to) => greedy(gossip, peers, from, to))
  const chord = new RingGraph({ nodes, successors: SUCCESSORS, fingers: 'chord' }, random.fork('ring'))
  let sum = 0
  for (const row of between) for (const hops of row) sum += hops
  return {
    pair: sum / (nodes * (nodes - 1)),
    chord: onRing(chord),
    vhash,
    equal: onRing(ringOfDegree(nodes, degree, () => random.fork('ring'))),
    stranded,
  }
}

function greedy(graph: GossipGraph, peers: readonly GraphNode[][], from: number, to: number): number[] | undefined {
  const { space } = graph.named
  const goal = graph.nodes[to]!
  const path = [from]
  for (let at = graph.nodes[from]!; at !== goal; path.push(at.at)) {
    const next = nextHop(space, goal.point, at, peers[at.at]!)
    if (next === undefined) return undefined
    at = next
  }
  return path
}

/** Half of the peers are successors, the others fingers in arcs that grow by less than 2. */
function ringOfDegree(nodes: number, degree: number, random: () => ReturnType<typeof seededRandom>): RingGraph {
  const successors = Math.round(degree / 2)
  for (let fingers = successors; ; fingers += 2) {
    const ring = new RingGraph({ nodes, successors, fingers }, random())
    // Short arcs may be empty.
    if (ring.meanDegree >= degree || fingers > 4 * degree) return ring
  }
}
