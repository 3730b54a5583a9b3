import fc from 'fast-check'
import { expect, test } from 'vitest'
import { hashKey, type Key } from '../../../../src/core/ids.ts'
import { isCommitteeSize, nextCommittee, quorumOf } from '../../../../src/market/ledger/committee.ts'

const hosts = Array.from({ length: 40 }, (_, i) => hashKey(`host ${i}`)).sort()
const seed = hashKey('seed')
const some = (count: number, from = 0) => hosts.slice(from, from + count)

test.each([
  [1, 1],
  [4, 3],
  [7, 5],
  [31, 21],
  [64, 43],
])('of %i, %i bind', (seats, quorum) => {
  expect(quorumOf(seats)).toBe(quorum)
  const liars = (seats - 1) / 3
  expect(2 * quorum - seats).toBeGreaterThan(liars) // two quorums share an honest one
  expect(seats - liars).toBeGreaterThanOrEqual(quorum) // the honest are one
})

test.each([
  ['a founder stays alone', 1, 1, 1],
  ['three are no committee', 1, 3, 1],
  ['grows with the fourth', 1, 4, 4],
  ['grows one step at a time', 1, 40, 4],
  ['waits for three more', 4, 6, 4],
  ['stops at the cap', 31, 40, 31],
  ['shrinks by a step', 7, 6, 4],
  ['shrinks one step at a time', 31, 2, 28],
  ['keeps the last one', 4, 0, 1],
  ['keeps a silent founder', 1, 0, 1],
])('%s: from %i with %i eligible to %i', (_, now, eligible, then) => {
  expect(nextCommittee({ current: some(now), eligible: some(eligible), cap: 31, seed })).toHaveLength(then)
})

test('who is there and eligible stays, seats that are free go by lot, and the silent fill what is left', () => {
  const current = some(4)
  const able = [...some(3, 1), ...some(10, 20)] // host 0 is silent
  const grown = nextCommittee({ current, eligible: able, cap: 4, seed })
  expect(grown.filter((host) => current.includes(host))).toEqual(some(3, 1))
  const newcomers = Array.from({ length: 200 }, (_, i) =>
    nextCommittee({ current, eligible: able, cap: 4, seed: hashKey(`${i}`) }).find((host) => !current.includes(host)),
  )
  for (const host of some(10, 20)) expect(newcomers.filter((other) => other === host).length).toBeGreaterThan(5)
  expect(nextCommittee({ current: some(7), eligible: some(2), cap: 31, seed }).slice(0, 2)).toEqual(some(2))
})

test('any choice is a committee in order, one step away at most, of as many of the eligible as have room', () => {
  const subset = fc.subarray(hosts)
  const steps = fc.constantFrom(1, 4, 7, 10, 31)
  fc.assert(
    fc.property(steps, steps, subset, fc.string().map(hashKey), (now, cap, eligible, seed: Key) => {
      const current = some(now, 5)
      const next = nextCommittee({ current, eligible, cap, seed })
      expect(next).toEqual([...new Set(next)].sort())
      expect(isCommitteeSize(next.length)).toBe(true)
      expect(Math.abs(next.length - now)).toBeLessThanOrEqual(3)
      if (now <= cap) expect(next.length).toBeLessThanOrEqual(cap)
      const able = next.filter((host) => eligible.includes(host)).length
      expect(able).toBe(Math.min(next.length, eligible.length))
      expect(nextCommittee({ current, eligible: eligible.toReversed(), cap, seed })).toEqual(next)
    }),
  )
})
