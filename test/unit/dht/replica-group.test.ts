import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { firstOfParties, replicaGroup } from '../../../src/dht/replica-group.ts'
import { majority } from '../../../src/market/sybil.ts'
import { type Contact, contactAt } from '../../../src/net/contact.ts'
import { holdersOf } from '../../../src/net/placement.ts'

const at = (ip: string, n: number): Contact =>
  contactAt({ peer: `p${n}`, ip, port: 4001 + n, incarnation: 1 }, 0, 'ip-prefix')
/** 'abca': nodes of parties a, b, c, and another one of a. */
const nodes = (parties: string) => [...parties].map((party, n) => at(`203.0.${party.charCodeAt(0)}.${n + 1}`, n))
const named = (group: readonly Contact[]) =>
  group.map(({ ip }) => String.fromCharCode(Number(ip.split('.')[2]))).join('')
const group = (parties: string, size: number) => named(replicaGroup(nodes(parties), size, 'ip-prefix'))

test('under ip-port they are the first, whoever holds them', () => {
  const all = nodes('aaab')
  expect(replicaGroup(all, 3, 'ip-port')).toEqual(all.slice(0, 3))
  expect(replicaGroup(all, 9, 'ip-port')).toEqual(all)
})

describe('under ip-prefix', () => {
  test.each([
    ['abcd', 3, 'abc'],
    ['aaabc', 3, 'abc'],
    ['aabbc', 3, 'abc'],
    ['aaaa', 3, 'aaa'], // on one machine
    ['aab', 3, 'aba'], // copies at one party are better than none
    ['aabb', 4, 'abab'],
    ['a', 3, 'a'],
    ['', 3, ''],
  ])('of %s the first %i are %s', (parties, size, wanted) => {
    expect(group(parties, size)).toBe(wanted)
  })

  test('whom a party shares a block with does not pass on: only members count', () => {
    // The second shares a block with the first, the third a masked address with the second, not with the first.
    const chain = ['1.2.3.4', '1.2.3.5', '5.18.67.5'].map(at)
    expect(replicaGroup(chain, 2, 'ip-prefix')).toEqual([chain[0], chain[2]])
  })

  const parties = fc.array(fc.constantFrom('a', 'b', 'c', 'd', 'e'), { maxLength: 12 }).map((all) => all.join(''))
  const size = fc.integer({ min: 1, max: 6 })

  test('no party has a majority while there are as many others as the group is large', () => {
    fc.assert(
      fc.property(parties, size, (all, most) => {
        const chosen = group(all, most)
        const distinct = new Set(all).size
        expect(chosen.length).toBe(Math.min(most, all.length))
        expect(new Set(chosen).size).toBe(Math.min(distinct, most, all.length))
        if (distinct < most || most < 2) return
        for (const party of new Set(chosen)) {
          expect(chosen.split(party).length - 1).toBeLessThan(Math.max(majority(most), 2))
        }
      }),
    )
  })

  test('the owner is first, a smaller group is the beginning of a larger one, and nobody is in it twice', () => {
    fc.assert(
      fc.property(parties, size, (all, most) => {
        const inOrder = nodes(all)
        const chosen = replicaGroup(inOrder, most, 'ip-prefix')
        expect(chosen[0]).toBe(inOrder[0])
        expect(replicaGroup(inOrder, most + 1, 'ip-prefix').slice(0, most)).toEqual(chosen)
        expect(new Set(chosen).size).toBe(chosen.length)
        expect(firstOfParties(inOrder, most).length).toBe(Math.min(new Set(all).size, most))
      }),
    )
  })

  test('among random addresses it is the plain rule, but for those that chance has put together', () => {
    const ip = fc.tuple(...Array.from({ length: 4 }, () => fc.nat(255))).map((bytes) => bytes.join('.'))
    fc.assert(
      fc.property(fc.array(ip, { minLength: 4, maxLength: 4 }), (ips) => {
        const inOrder = ips.map(at)
        const names = ips.flatMap((each) => holdersOf(each))
        fc.pre(new Set(names).size === names.length)
        expect(replicaGroup(inOrder, 3, 'ip-prefix')).toEqual(inOrder.slice(0, 3))
      }),
    )
  })
})
