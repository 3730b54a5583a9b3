/** The graph model of gossip: it comes to rest in the right neighbours, costs what it says, and repeats itself. */
import { describe, expect, test } from 'vitest'
import { study } from '../../../../sim/studies/delivery.ts'
import { GossipGraph, type GossipRule } from '../../../../sim/studies/gossip-graph.ts'
import { hashKey } from '../../../../src/core/ids.ts'
import { shortPeers } from '../../../../src/vhash/peers.ts'
import { spaceNamed } from '../../../../src/vhash/spaces.ts'

const torus2 = spaceNamed('torus2')

function gossiped(rule: GossipRule, cycles: number, nodes = 300, seed = 1): GossipGraph {
  const graph = new GossipGraph({ space: torus2, nodes, seed, rule })
  for (let i = 0; i < cycles; i++) graph.cycle()
  return graph
}

const edges = (graph: GossipGraph) =>
  graph.nodes.map(({ short, long }) => [...short, ...long].map(({ at }) => at).join(' ')).join('\n')

function hitRate(graph: GossipGraph, width = 1): number {
  let hits = 0
  for (let i = 0; i < 500; i++) {
    const target = torus2.space.pointOf(hashKey(`hit ${i}`))
    if (graph.lookup(graph.nodes[i % graph.nodes.length]!, target, width).owner === graph.owner(target)) hits++
  }
  return hits / 500
}

describe('gossip', () => {
  test('ours comes to rest in the neighbours that all nodes together make', () => {
    const graph = gossiped('ours', 15)
    const wrong = graph.nodes.filter((node) => {
      const all = shortPeers(
        torus2,
        node,
        graph.nodes.filter((other) => other !== node),
      )
      const accepted = (list: readonly { at: number }[], count: number) =>
        list
          .slice(0, count)
          .map((n) => n.at)
          .sort()
          .join(' ')
      return accepted(node.short, node.accepted) !== accepted(all.peers, all.accepted)
    })
    expect(wrong).toEqual([])
    expect(hitRate(graph)).toBe(1)
  })

  test('ours finds more with a fraction of the contacts that are sent', () => {
    const [ours, published] = [gossiped('ours', 6), gossiped('published', 6)]
    expect(hitRate(ours)).toBeGreaterThan(hitRate(published))
    expect(ours.contactsSent).toBeLessThan(published.contactsSent / 3)
  })

  test('a horizon finds what greedy routing misses in an overlay that is not at rest', () => {
    const graph = gossiped('published', 4)
    expect(hitRate(graph)).toBeLessThan(0.95)
    expect(hitRate(graph, 7)).toBeGreaterThan(hitRate(graph) + 0.02)
  })

  test('the same seed gives the same graph, another seed another', () => {
    expect(edges(gossiped('ours', 3, 60))).toBe(edges(gossiped('ours', 3, 60)))
    expect(edges(gossiped('ours', 3, 60))).not.toBe(edges(gossiped('ours', 3, 60, 2)))
  })

  test.each([1, 2, 3])('%i nodes', (nodes) => {
    expect(hitRate(gossiped('ours', 2, nodes))).toBe(1)
    expect(hitRate(gossiped('published', 2, nodes))).toBe(1)
  })
})

test.each(['torus2', 'torus5', 'cube3', 'xor', 'ring', 'symmetric', 'hyperbolic3'])(
  'in %s one node is an owner',
  (space) => {
    const named = spaceNamed(space)
    const graph = new GossipGraph({ space: named, nodes: 60, seed: 1, rule: 'ours' })
    for (let i = 0; i < 50; i++) {
      const target = named.space.pointOf(hashKey(`owned ${i}`))
      expect(graph.nodes.filter((node) => graph.isOwner(node, target))).toEqual([graph.owner(target)])
    }
  },
)

test.each(['torus2', 'cube3', 'xor', 'ring', 'hyperbolic2'])('delivery in %s: no lookup is lost', async (space) => {
  const unit = { space, n: 150, lookups: 1500, seed: 3 }
  const result = await study.run(unit)
  expect(result.missed).toBe(0)
  expect(result.hops).toBeGreaterThan(result.hopsGreedily)
  const report = study.report([{ unit, result }], { seeds: [3], quick: true })
  expect(report.rows.map(({ ours }) => ours)).toEqual([
    1,
    1 - result.missedGreedily / 1500,
    result.hops - result.hopsGreedily,
  ])
})
