/** Who owns a point, and a search that goes on where greedy routing is stuck. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  closest,
  nearest,
  nextHop,
  type Site,
  searchBegun,
  searched,
  searchedInVain,
} from '../../../src/vhash/route.ts'
import { spaceNamed } from '../../../src/vhash/spaces.ts'

const site = (id: string, ...point: number[]): Site => ({ id, point })
const { space } = spaceNamed('cube2')

describe('owners', () => {
  test('the nearest; of two as far, the lower id', () => {
    const [a, b, c] = [site('a', 0.2, 0.5), site('b', 0.8, 0.5), site('c', 0.8, 0.5)]
    expect(closest(space, [0.5, 0.5], [b, a])).toBe(a)
    expect(closest(space, [0.9, 0.5], [c, b, a])).toBe(b)
    expect(nearest(space, [0.6, 0.5], [a, c, b], 2)).toEqual([b, c])
    expect(closest(space, [0.5, 0.5], [])).toBeUndefined()
  })

  test("on Chord's circle the first node at or after the key", () => {
    const { space: ring } = spaceNamed('ring')
    const sites = [site('a', 0.2), site('b', 0.6)]
    expect([0.1, 0.2, 0.21, 0.6, 0.61].map((at) => closest(ring, [at], sites)?.id).join('')).toBe('aabba')
  })

  test('a hop is nearer, or there is none', () => {
    const [self, twin, far] = [site('m', 0.5, 0.5), site('a', 0.5, 0.5), site('z', 0.9, 0.9)]
    expect(nextHop(space, [0.4, 0.4], self, [far, twin])).toBe(twin)
    expect(nextHop(space, [0.4, 0.4], twin, [far, self])).toBeUndefined()
    expect(nextHop(space, [0.8, 0.8], self, [twin, far])).toBe(far)
    expect(nextHop(space, [0.8, 0.8], self, [])).toBeUndefined()
  })
})

describe('search', () => {
  //  target   trap      start
  //     |       |         |        the owner is known only to `detour`, which is farther away than `trap`
  const start = site('start', 0.9, 0.5)
  const trap = site('trap', 0.3, 0.5)
  const detour = site('detour', 0.4, 0.5)
  const owner = site('owner', 0.1, 0.5)
  const knows = new Map([
    [start, [trap, detour]],
    [trap, [start]],
    [detour, [start, owner]],
    [owner, [detour]],
  ])
  const target = [0.1, 0.45]

  function run(width: number, dead?: Site): string {
    let step = searched(space, target, width, searchBegun<Site>(), start, knows.get(start)!)
    const way = ['start']
    while (step.next !== undefined) {
      const at = step.next
      way.push(at.id)
      step =
        at === dead ? searchedInVain(step.search, at) : searched(space, target, width, step.search, at, knows.get(at)!)
    }
    return `${way.join(' ')} | ${step.search.horizon[0]?.id}`
  }

  test('a horizon of one is greedy routing, which can be stuck', () => {
    expect(run(1)).toBe('start trap | trap')
  })

  test('a wider one goes on to the next nearest', () => {
    expect(run(2)).toBe('start trap detour owner | owner')
    expect(run(3)).toBe('start trap detour owner | owner')
    expect(run(4)).toBe('start trap detour owner | owner')
  })

  test('the dead are passed over, and own nothing', () => {
    expect(run(2, trap)).toBe('start trap detour owner | owner')
    expect(run(3, owner)).toBe('start trap detour owner | trap')
  })

  test('over any graph: nobody is asked twice, and a horizon of all finds the owner among all that can be reached', () => {
    const aGraph = fc.array(fc.tuple(fc.integer({ min: 0, max: 9 }), fc.array(fc.integer({ min: 0, max: 11 }))), {
      minLength: 12,
      maxLength: 12,
    })
    fc.assert(
      fc.property(aGraph, fc.integer({ min: 1, max: 12 }), (graph, width) => {
        const sites = graph.map(([x], i) => site(`n${i}`, x / 10, (i % 3) / 3))
        const peers = graph.map(([, to]) => to.map((j) => sites[j]!))
        const asked = [0]
        let step = searched(space, [0.5, 0.5], width, searchBegun<Site>(), sites[0]!, peers[0]!)
        for (; step.next !== undefined; ) {
          const i = sites.indexOf(step.next)
          asked.push(i)
          step = searched(space, [0.5, 0.5], width, step.search, step.next, peers[i]!)
          expect(step.search.horizon).toEqual(nearest(space, [0.5, 0.5], step.search.horizon))
          expect(step.search.horizon.length).toBeLessThanOrEqual(width)
        }
        expect(new Set(asked).size).toBe(asked.length)
        const reached = new Set([0])
        for (const i of reached) for (const j of graph[i]![1]) reached.add(j)
        const best = closest(
          space,
          [0.5, 0.5],
          [...reached].map((i) => sites[i]!),
        )
        if (width === 12) expect(step.search.horizon[0]).toBe(best)
      }),
    )
  })
})
