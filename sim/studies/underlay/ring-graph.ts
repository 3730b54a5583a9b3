/**
 * A ring as a graph, without a network under it: nodes at random places on a circle of length 1, in order; successors and
 * fingers by index. Fingers lie in arcs whose lengths grow by a constant factor (2 in Chord; less where a node may keep
 * more of them). What is chosen within an arc, and the next hop, is chosen by the functions that the nodes run.
 */
import type { Random } from '../../../src/core/env.ts'
import { bestWay, type LatencyOf, nearest, nearestFew } from '../../../src/dht/proximity.ts'

import { mean } from '../statistics.ts'

/** ms from one node to another; undefined: not known. */
export type Measure = (from: number, to: number) => number | undefined

export interface RingShape {
  readonly nodes: number
  readonly successors: number
  /** Arcs double in length ('chord'), or there are so many, which grow by the factor that this takes. */
  readonly fingers: 'chord' | number
}

export class RingGraph {
  readonly shape: RingShape
  readonly #places: Float64Array
  /** Per node and arc: the finger, if anybody is in the arc. */
  readonly #fingers: (number | undefined)[][]
  readonly #arcs: (readonly (readonly [from: number, to: number])[])[]

  constructor(shape: RingShape, random: Random) {
    this.shape = shape
    this.#places = Float64Array.from({ length: shape.nodes }, () => random.next()).sort()
    this.#arcs = Array.from({ length: shape.nodes }, (_, node) => this.#arcsOf(node))
    this.#fingers = this.#arcs.map((arcs, node) => arcs.map((_, arc) => this.inArc(node, arc)[0]))
  }

  /** Arcs beyond the last successor, as distances from the node. */
  #arcsOf(node: number): (readonly [number, number])[] {
    const { nodes, successors, fingers } = this.shape
    if (successors >= nodes - 1) return []
    const last = this.#clockwise(node, (node + successors) % nodes)
    const out: [number, number][] = []
    if (fingers === 'chord') {
      for (let length = 0.5; 2 * length > last; length /= 2)
        out.push([Math.max(length, last * (1 + 1e-12)), 2 * length])
    } else {
      const factor = last ** (-1 / fingers)
      for (let arc = 0; arc < fingers; arc++) out.push([last * factor ** arc * (1 + 1e-12), last * factor ** (arc + 1)])
    }
    return out
  }

  #clockwise(a: number, b: number): number {
    return this.#way(a, this.#places[b]!)
  }

  /** From a node clockwise to a place. */
  #way(node: number, place: number): number {
    const way = place - this.#places[node]!
    return way < 0 ? way + 1 : way
  }

  placeOf(node: number): number {
    return this.#places[node]!
  }

  /** The first node at or after a place. */
  ownerOf(place: number): number {
    let low = 0
    let high = this.#places.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#places[middle]! < place) low = middle + 1
      else high = middle
    }
    return low % this.#places.length
  }

  /** The nodes in an arc, clockwise. */
  inArc(node: number, arc: number): number[] {
    const [from, to] = this.#arcs[node]![arc]!
    const { nodes } = this.shape
    const out: number[] = []
    for (
      let at = this.ownerOf((this.#places[node]! + from) % 1), left = nodes;
      left > 0;
      left--, at = (at + 1) % nodes
    ) {
      const way = this.#clockwise(node, at)
      if (way < from || way >= to) break
      out.push(at)
    }
    return out
  }

  successors(node: number): number[] {
    const { nodes, successors } = this.shape
    return Array.from({ length: Math.min(successors, nodes - 1) }, (_, k) => (node + 1 + k) % nodes)
  }

  peers(node: number): number[] {
    return [...new Set([...this.successors(node), ...this.#fingers[node]!.filter((finger) => finger !== undefined)])]
  }

  get meanDegree(): number {
    let links = 0
    for (let node = 0; node < this.shape.nodes; node++) links += this.peers(node).length
    return links / this.shape.nodes
  }

  /** Every finger becomes the nearest of all in its arc: what perfect knowledge would choose. */
  chooseNearest(measure: Measure): void {
    this.#fingers.forEach((fingers, node) => {
      for (let arc = 0; arc < fingers.length; arc++) {
        fingers[arc] = nearest(this.inArc(node, arc), (to) => measure(node, to)) ?? fingers[arc]
      }
    })
  }

  /**
   * A round of what the live ring does: every node asks one of its fingers whom it knows in the arc near by, and takes the
   * best if it is nearer when measured. A node knows its peers, and those that have it as a finger and so ask it.
   */
  refresh(random: Random, expected: Measure, measure: Measure, told: number): void {
    const askers: Set<number>[] = this.#fingers.map(() => new Set())
    this.#fingers.forEach((fingers, node) => {
      for (const finger of fingers) if (finger !== undefined) askers[finger]!.add(node)
    })
    const known = this.#fingers.map((_, node) => [...this.peers(node), ...askers[node]!])
    this.#fingers.forEach((fingers, node) => {
      const arc = random.int(fingers.length)
      const held = fingers[arc]
      if (held === undefined) return
      const inside = new Set(this.inArc(node, arc))
      const within = (peers: readonly number[]) => peers.filter((peer) => inside.has(peer) && peer !== held)
      // The one that is asked chooses by the coordinates of both, as the live one does.
      const theirs = nearestFew(within(known[held]!), (to) => expected(node, to), told)
      const heldMs = measure(node, held)
      const latencyOf: LatencyOf<number> = (to) => expected(node, to)
      const chosen = nearest([...within(known[node]!), ...theirs], latencyOf, heldMs)
      if (chosen !== undefined && nearest([chosen], (to) => measure(node, to), heldMs) !== undefined)
        fingers[arc] = chosen
    })
  }

  /** The nodes that a lookup visits, the asker first and the owner last. With `measure`, hops are chosen by latency too. */
  route(from: number, place: number, measure?: Measure): number[] {
    const owner = this.ownerOf(place)
    const { nodes, successors } = this.shape
    const path = [from]
    for (let at = from; at !== owner; path.push(at)) {
      const on = (owner - at + nodes) % nodes
      if (on <= successors) at = owner
      else {
        const rest = (to: number) => this.#way(to, place)
        const ways = this.peers(at).filter((to) => this.#clockwise(at, to) <= rest(at))
        const from = at
        const usualMs = measure === undefined ? 0 : mean(ways.map((to) => measure(from, to) ?? 0))
        at = bestWay(
          ways,
          (to) => measure?.(from, to),
          (to) => rest(to) * nodes,
          usualMs,
        )!
      }
    }
    return path
  }
}
