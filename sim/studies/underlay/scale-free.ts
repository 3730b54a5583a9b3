/**
 * A scale-free network to lay overlays on: preferential attachment (Barabasi and Albert 1999). Every new node links to
 * `links` others, chosen by their number of links.
 */
import type { Random } from '../../../src/core/env.ts'

/** Neighbours of each node. */
export type Graph = readonly (readonly number[])[]

export function scaleFree(nodes: number, links: number, random: Random): Graph {
  const neighbours: number[][] = Array.from({ length: nodes }, () => [])
  /** Every node as often as it has links. */
  const ends: number[] = []
  const connect = (a: number, b: number) => {
    neighbours[a]!.push(b)
    neighbours[b]!.push(a)
    ends.push(a, b)
  }
  // The first ones are all linked to each other.
  for (let node = 0; node <= links; node++) for (let other = 0; other < node; other++) connect(node, other)
  for (let node = links + 1; node < nodes; node++) {
    const chosen = new Set<number>()
    while (chosen.size < links) chosen.add(ends[random.int(ends.length)]!)
    for (const other of chosen) connect(node, other)
  }
  return neighbours
}

/** Hops from one node to every other, by breadth-first search. */
export function hopsFrom(graph: Graph, source: number): Uint8Array {
  const hops = new Uint8Array(graph.length).fill(255)
  hops[source] = 0
  const queue = [source]
  for (let at = 0; at < queue.length; at++) {
    const node = queue[at]!
    for (const next of graph[node]!) {
      if (hops[next] !== 255) continue
      hops[next] = hops[node]! + 1
      queue.push(next)
    }
  }
  return hops
}
