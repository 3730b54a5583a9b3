/**
 * Lookup latency over a matrix of measured round-trip times, at equal degree: rings and Voronoi overlays whose shortcuts
 * are chosen without regard to latency, by coordinates that the nodes learn from round trips to their own peers, and by
 * perfect knowledge. A lookup is forwarded, and its answer comes back the same way: its latency is the sum of its hops'
 * round-trip times.
 */
import { MAX_NEAR_CONTACTS } from '../../../src/core/limits.ts'
import { seededRandom, shuffled } from '../../../src/core/random.ts'
import { readRttMatrix } from '../../latency.ts'
import { Learning, medianError } from './learning.ts'
import { RingGraph } from './ring-graph.ts'
import { TorusGraph } from './torus-graph.ts'

export const DEGREE = 24

/** Lists as long as on open networks; the rest of the degree are fingers. */
const SUCCESSORS = 16
/** How long nodes learn: a round has two samples of each node, and one finger that is asked for a nearer one. */
const ROUNDS = 240
const CYCLES = 40
const LOOKUPS = 10_000

export const RING_VARIANTS = [
  'plain',
  'learnt: fingers',
  'learnt: fingers and next hops',
  'perfect: fingers',
  'perfect: fingers and next hops',
] as const
export const TORUS_VARIANTS = ['plain', 'learnt', 'perfect', 'moving points'] as const
export type TorusVariant = (typeof TORUS_VARIANTS)[number]

export interface Latency {
  readonly meanMs: number
  readonly hops: number
  readonly degree: number
  /** Share of the lookups that end at the owner. */
  readonly delivered: number
}

export interface RingResult {
  readonly variants: Readonly<Record<(typeof RING_VARIANTS)[number], Latency>>
  /** While nodes learn: relative error of predictions (median over all pairs), and latency with learnt fingers. */
  readonly curve: readonly { readonly round: number; readonly error: number; readonly meanMs: number }[]
}

export interface TorusResult extends Latency {
  /** Next hops chosen by latency too. */
  readonly byLatency: Latency
  /** Of Vivaldi; with moving points, of the points themselves, which springs have placed. */
  readonly error: number
  /** Of the keys that a node owns, the most over the mean. */
  readonly busiest: number
}

type Rtt = (a: number, b: number) => number

/** Round-trip times between nodes: the hosts of the matrix in random order. */
function world(path: string, seed: number): { nodes: number; rtt: Rtt } {
  const { rttMs, size } = readRttMatrix(path)
  const hosts = shuffled(
    Array.from({ length: size }, (_, host) => host),
    seededRandom(`underlay hosts ${seed}`),
  )
  return { nodes: size, rtt: (a, b) => rttMs[hosts[a]! * size + hosts[b]!]! }
}

/** `route` draws its own key. */
function measure(rtt: Rtt, nodes: number, degree: number, seed: number, route: Route): Latency {
  const random = seededRandom(`underlay lookups ${seed}`)
  let ms = 0
  let hops = 0
  let delivered = 0
  for (let lookup = 0; lookup < LOOKUPS; lookup++) {
    const path = route(random.int(nodes), [random.next(), random.next()])
    if (path === undefined) continue
    delivered++
    hops += path.length - 1
    for (let hop = 1; hop < path.length; hop++) ms += rtt(path[hop - 1]!, path[hop]!)
  }
  return { meanMs: ms / delivered, hops: hops / delivered, degree, delivered: delivered / LOOKUPS }
}

type Route = (from: number, key: readonly [number, number]) => readonly number[] | undefined

export function runRing(path: string, seed: number, quick: boolean): RingResult {
  const { nodes, rtt } = world(path, seed)
  const random = seededRandom(`underlay ring ${seed}`)
  const ring = new RingGraph({ nodes, successors: SUCCESSORS, fingers: DEGREE - SUCCESSORS }, random.fork('places'))
  const greedy = () => measure(rtt, nodes, ring.meanDegree, seed, (from, [key]) => ring.route(from, key))
  const byLatency = () => measure(rtt, nodes, ring.meanDegree, seed, (from, [key]) => ring.route(from, key, rtt))
  const plain = greedy()
  const learning = new Learning(nodes, rtt, random.fork('learning'))
  const predicted: Rtt = (a, b) => learning.predictedMs(a, b)
  const curve: { round: number; error: number; meanMs: number }[] = []
  const rounds = quick ? ROUNDS / 2 : ROUNDS
  for (let round = 0, look = 5; round <= rounds; round++) {
    if (round === look || round === rounds) {
      look *= 2
      curve.push({ round, error: medianError(nodes, predicted, rtt), meanMs: greedy().meanMs })
    }
    for (let sample = 0; sample < 2; sample++) learning.round((node) => ring.peers(node))
    ring.refresh(random, predicted, rtt, MAX_NEAR_CONTACTS)
  }
  const learnt = greedy()
  const learntHops = byLatency()
  ring.chooseNearest(rtt)
  return {
    variants: {
      plain,
      'learnt: fingers': learnt,
      'learnt: fingers and next hops': learntHops,
      'perfect: fingers': greedy(),
      'perfect: fingers and next hops': byLatency(),
    },
    curve,
  }
}

export function runTorus(path: string, seed: number, quick: boolean, variant: TorusVariant): TorusResult {
  const { nodes, rtt } = world(path, seed)
  const random = seededRandom(`underlay torus ${seed}`)
  const learning = new Learning(nodes, rtt, random.fork('learning'))
  const predicted: Rtt = (a, b) => learning.predictedMs(a, b)
  const expected = { plain: undefined, learnt: predicted, perfect: rtt, 'moving points': predicted }[variant]
  const torus = new TorusGraph(nodes, DEGREE, seed, random.fork('gossip'), expected)
  const cycles = quick ? CYCLES / 2 : CYCLES
  for (let cycle = 0; cycle < cycles; cycle++) {
    torus.cycle()
    for (let sample = 0; sample < 4; sample++) learning.round((node) => torus.peers(node))
    // The last cycles are for peers to settle.
    if (variant === 'moving points' && cycle < 0.7 * cycles) torus.move(rtt)
  }
  const degree = torus.meanDegree
  const keys = new Map<number, number>()
  const draw = random.fork('load')
  for (let key = 0; key < LOOKUPS; key++) {
    const owner = torus.owner([draw.next(), draw.next()])
    keys.set(owner, (keys.get(owner) ?? 0) + 1)
  }
  return {
    ...measure(rtt, nodes, degree, seed, (from, key) => torus.route(from, key)),
    byLatency: measure(rtt, nodes, degree, seed, (from, key) => torus.route(from, key, rtt)),
    error: medianError(nodes, variant === 'moving points' ? torus.predictions(rtt) : predicted, rtt),
    busiest: (Math.max(...keys.values()) * nodes) / LOOKUPS,
  }
}
