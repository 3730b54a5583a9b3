/**
 * A Voronoi overlay on the torus as a graph, with a fixed number of peers: short peers as the live overlay chooses them,
 * and long ones up to the degree, at random as published or by latency. Nodes learn of each other by the published gossip
 * (PAPERS 5), and may move.
 */
import type { Random } from '../../../src/core/env.ts'
import { hashKey } from '../../../src/core/ids.ts'
import { shuffled } from '../../../src/core/random.ts'
import { bestWay, chooseLong } from '../../../src/dht/proximity.ts'
import { shortPeers } from '../../../src/vhash/peers.ts'
import { closest, nearer, type Site } from '../../../src/vhash/route.ts'
import type { Point } from '../../../src/vhash/space.ts'
import { type NamedSpace, spaceNamed } from '../../../src/vhash/spaces.ts'
import { mean } from '../statistics.ts'
import type { Measure } from './ring-graph.ts'
import { pushed } from './spring.ts'

interface Node extends Site {
  point: Point
  readonly at: number
  short: readonly Node[]
  long: readonly Node[]
}

export class TorusGraph {
  readonly #named: NamedSpace = spaceNamed('torus2')
  readonly #nodes: readonly Node[]
  readonly #degree: number
  readonly #random: Random
  /** ms to candidates for long peers; undefined: they are taken at random. */
  readonly #expected: Measure | undefined

  constructor(size: number, degree: number, seed: number, random: Random, expected?: Measure) {
    this.#degree = degree
    this.#random = random
    this.#expected = expected
    this.#nodes = Array.from({ length: size }, (_, at) => {
      const id = hashKey(`torus ${seed} ${at}`)
      return { id, at, point: this.#named.space.pointOf(id), short: [], long: [] }
    })
    for (const node of this.#nodes) {
      const others = Array.from({ length: 10 }, () => this.#nodes[random.int(size)]!)
      this.#choose(node, new Set(others.filter((other) => other !== node)))
    }
  }

  peers(node: number): number[] {
    const { short, long } = this.#nodes[node]!
    return [...short, ...long].map(({ at }) => at)
  }

  get meanDegree(): number {
    return this.#nodes.reduce((sum, { short, long }) => sum + short.length + long.length, 0) / this.#nodes.length
  }

  /** A cycle of gossip: each node exchanges all its peers with a random short peer. */
  cycle(): void {
    for (const node of shuffled(this.#nodes, this.#random)) {
      const partner = node.short[this.#random.int(node.short.length)]
      if (partner === undefined) continue
      const all = new Set([node, partner, ...node.short, ...node.long, ...partner.short, ...partner.long])
      for (const each of [node, partner]) this.#choose(each, new Set([...all].filter((other) => other !== each)))
    }
  }

  #choose(node: Node, known: ReadonlySet<Node>): void {
    const candidates = [...known]
    const { peers, others } = shortPeers(this.#named, node, candidates)
    const room = Math.max(0, this.#degree - peers.length)
    const expected = this.#expected
    const mixed = shuffled(others, this.#random)
    node.short = peers
    if (expected === undefined) node.long = mixed.slice(0, room)
    else {
      const distanceOf = ({ point }: Node) => this.#named.space.distance(point, node.point)
      node.long = chooseLong(mixed, ({ at }) => expected(node.at, at), distanceOf, room)
    }
  }

  /** Every point is pushed by the springs of its short peers. */
  move(rtt: (a: number, b: number) => number): void {
    for (const node of this.#nodes) {
      const springs = node.short.map(({ at, point }) => ({ point, latencyMs: rtt(node.at, at) }))
      node.point = pushed(node.point, springs, 1 / Math.max(1, springs.length))
    }
  }

  /** Round-trip times that the points stand for, in the unit that fits all pairs best: the median of ms over distance. */
  predictions(rtt: (a: number, b: number) => number): (a: number, b: number) => number {
    const distance = (a: number, b: number) => this.#named.space.distance(this.#nodes[a]!.point, this.#nodes[b]!.point)
    const scales = this.#nodes.flatMap(({ at: a }) =>
      this.#nodes.slice(0, a).map(({ at: b }) => rtt(a, b) / Math.max(distance(a, b), Number.MIN_VALUE)),
    )
    const msPerLength = scales.sort((x, y) => x - y)[scales.length >> 1]!
    return (a, b) => distance(a, b) * msPerLength
  }

  owner(target: Point): number {
    return closest(this.#named.space, target, this.#nodes)!.at
  }

  /** Undefined: greedy routing is stuck before the owner. With `measure`, hops are chosen by latency too. */
  route(from: number, target: Point, measure?: Measure): number[] | undefined {
    const { space } = this.#named
    const path = [from]
    for (let at = this.#nodes[from]!; ; path.push(at.at)) {
      const better = [...at.short, ...at.long].filter((peer) => nearer(space, target, peer, at))
      if (better.length === 0) return at.at === this.owner(target) ? path : undefined
      const leftOf = ({ point }: Node) => this.#nodes.length * Math.PI * space.distance(target, point) ** 2
      const from = at
      if (measure === undefined) at = closest(space, target, better)!
      else {
        const latencyOf = (peer: Node) => measure(from.at, peer.at)
        at = bestWay(better, latencyOf, leftOf, mean(better.map((peer) => latencyOf(peer) ?? 0)))!
      }
    }
  }
}
