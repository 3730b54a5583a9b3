/** Groups that count a party once, crowds in arcs, and the size of a network from samples. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { seededRandom } from '../../../src/core/random.ts'
import { replicaGroup } from '../../../src/dht/replica-group.ts'
import {
  crowding,
  FALSE_ALARMS,
  groupCaptured,
  groupCapturedByArcs,
  groupCapturedByParties,
  majority,
  sizeFrom,
} from '../../../src/market/sybil.ts'
import { contactAt } from '../../../src/net/contact.ts'

/** All orders of these letters; letters of one kind are alike, so each order is equally likely. */
function* orders(letters: Readonly<Record<string, number>>): Generator<string> {
  const left = Object.entries(letters).filter(([, count]) => count > 0)
  if (left.length === 0) yield ''
  for (const [letter, count] of left) {
    for (const rest of orders({ ...letters, [letter]: count - 1 })) yield letter + rest
  }
}

/** Of a group of the rule itself: how many are not honest. Honest nodes, `h`, are each a party of their own. */
function taken(order: string, size: number): number {
  const inOrder = [...order].map((letter, n) => {
    const block = letter === 'h' ? n : 100 + letter.charCodeAt(0)
    return contactAt({ peer: `p${n}`, ip: `203.0.${block}.${n}`, port: 1, incarnation: 1 }, 0, 'ip-prefix')
  })
  const group = replicaGroup(inOrder, size, 'ip-prefix')
  return group.filter(({ ip }) => Number(ip.split('.')[2]) >= 100).length
}

describe('groups that count a party once', () => {
  test.each([
    { nodes: 3, parties: 1, idsEach: 4 },
    { nodes: 3, parties: 2, idsEach: 2 },
    { nodes: 4, parties: 3, idsEach: 1 },
    { nodes: 2, parties: 2, idsEach: 3 },
  ])('every order of $nodes nodes and $parties parties of $idsEach ids', ({ nodes, parties, idsEach }) => {
    const letters = Object.fromEntries([...'abc'.slice(0, parties)].map((party) => [party, idsEach]))
    const all = [...orders({ h: nodes, ...letters })]
    for (let size = 1; size <= Math.min(3, nodes + parties); size++) {
      for (let needed = 0; needed <= size; needed++) {
        const share = all.filter((order) => taken(order, size) >= needed).length / all.length
        expect(groupCapturedByParties(nodes, { parties, idsEach }, size, needed)).toBeCloseTo(share, 12)
      }
    }
  })

  test('one party never has a majority; parties of one id each are identities', () => {
    expect(groupCapturedByParties(10_000, { parties: 1, idsEach: 1e9 }, 3, 2)).toBe(0)
    expect(groupCapturedByParties(100, { parties: 7, idsEach: 1 }, 4, 3)).toBeCloseTo(groupCaptured(100, 7, 4, 3), 14)
    expect(() => groupCapturedByParties(1, { parties: 1, idsEach: 9 }, 3, 2)).toThrow('not larger')
  })

  test('grow with parties and ids, and stay below groups that count ids', () => {
    const cases = fc.record({
      nodes: fc.integer({ min: 8, max: 1e6 }),
      parties: fc.integer({ min: 1, max: 500 }),
      idsEach: fc.integer({ min: 1, max: 20_000 }),
      size: fc.integer({ min: 1, max: 8 }),
    })
    fc.assert(
      fc.property(cases, ({ nodes, parties, idsEach, size }) => {
        const of = (p: number, each: number) =>
          groupCapturedByParties(nodes, { parties: p, idsEach: each }, size, majority(size))
        const slack = 1 + 1e-9
        expect(of(parties, idsEach)).toBeLessThanOrEqual(of(parties + 1, idsEach) * slack)
        expect(of(parties, idsEach)).toBeLessThanOrEqual(of(parties, idsEach + 1) * slack)
        const bare = groupCaptured(nodes, parties * idsEach, size, majority(size))
        expect(of(parties, idsEach)).toBeLessThanOrEqual(bare * slack)
      }),
    )
  })
})

test.each([
  { nodes: 3, arcs: 2 },
  { nodes: 5, arcs: 1 },
  { nodes: 4, arcs: 3 },
])('crowds in $arcs arcs among $nodes nodes, where groups count ids', ({ nodes, arcs }) => {
  const all = [...orders({ h: nodes, s: arcs })].map((order) => order.replaceAll('s', 'ssss'))
  for (const [size, needed] of [
    [3, 2],
    [4, 3],
    [1, 1],
  ] as const) {
    const share = all.filter((c) => c.slice(0, size).replaceAll('h', '').length >= needed).length / all.length
    expect(groupCapturedByArcs(nodes, arcs, size, needed)).toBeCloseTo(share, 12)
  }
})

describe('the size of a network', () => {
  test.each([50, 1000, 200_000])('of %i: right on average, and within the interval 19 times of 20', (nodes) => {
    const random = seededRandom(`size ${nodes}`)
    const draw = (members: number) =>
      Array.from({ length: members }, () => -Math.log(1 - random.next())).reduce((sum, gap) => sum + gap, 0) / nodes
    const runs = 2000
    let [sum, within] = [0, 0]
    for (let run = 0; run < runs; run++) {
      const { members, low, high } = sizeFrom([4, 5, 3].map((found) => ({ members: found, share: draw(found) })))!
      sum += members / runs
      if (low <= nodes && nodes <= high) within++
    }
    // The mean of 11 / Erlang(12) is 1, with a deviation of 0.32 from one run to the next.
    expect(Math.abs(sum / nodes - 1)).toBeLessThan(0.03)
    expect(Math.abs(within / runs - 0.95)).toBeLessThan(0.02)
  })

  test('is not to be told from one member, or none', () => {
    expect(sizeFrom([])).toBeUndefined()
    expect(sizeFrom([{ members: 1, share: 0.5 }])).toBeUndefined()
    expect(sizeFrom([{ members: 3, share: 0 }])).toBeUndefined()
  })
})

test('crowds are improbable, honest neighbours are not', () => {
  expect(crowding({ members: 5, share: 5 / 1000 }, 1000)).toBeGreaterThan(0.3)
  expect(crowding({ members: 5, share: 0.1 / 1000 }, 1000)).toBeLessThan(FALSE_ALARMS)
  expect(crowding({ members: 5, share: 0.1 / 1000 }, 100)).toBeLessThan(
    crowding({ members: 5, share: 0.1 / 1000 }, 1000),
  )
})
