import fc from 'fast-check'
import { expect, test } from 'vitest'
import { hashKey, type Key } from '../../../../src/core/ids.ts'
import { nextCommittee, quorumOf } from '../../../../src/market/ledger/committee.ts'

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

/** The first so many of the present committee are there, and so many newcomers; the rest is silent but for those that are gone. */
const chosen = (now: number, there: number, newcomers = 0, gone = 0) => {
  const current = some(now)
  const eligible = [...some(there), ...some(newcomers, 35 - newcomers)]
  return nextCommittee({ current, eligible, silent: some(now - there - gone, there), cap: 31, seed })
}

test.each([
  ['a founder stays alone', 1, 1, 0, 0, 1],
  ['three are no committee', 1, 1, 2, 0, 1],
  ['grows with the fourth', 1, 1, 3, 0, 4],
  ['grows one step at a time', 1, 1, 30, 0, 4],
  ['waits for three more', 4, 4, 2, 0, 4],
  ['stops at the cap', 31, 31, 4, 0, 31],
  ['keeps a silent founder', 1, 0, 0, 0, 1],
  ['keeps a founder who wants to go', 1, 0, 0, 1, 1],
  ['keeps one that is silent', 4, 3, 0, 0, 4],
  ['keeps two that are silent', 7, 5, 0, 0, 7],
  ['shrinks by a step when three are silent', 10, 7, 0, 0, 7],
  ['shrinks one step at a time', 31, 21, 0, 0, 28],
  ['is not shrunk by the silence of so many that no quorum is left to sign it', 31, 20, 0, 0, 31],
  ['is not shrunk by the silence of all', 4, 0, 0, 0, 4],
  ['leaves the seat of one that is gone vacant', 4, 3, 0, 1, 3],
  ['leaves two seats vacant', 7, 5, 0, 2, 5],
  ['keeps the silent beside a vacant seat', 7, 5, 0, 1, 6],
  ['is a step smaller when three are gone', 7, 4, 0, 3, 4],
  ['is a step smaller when all are gone', 7, 0, 0, 7, 4],
  ['leaves more seats vacant, a step in all', 5, 3, 0, 2, 3],
  ['gives a vacant seat to a newcomer', 3, 3, 1, 0, 4],
  ['fills vacant seats before it grows', 5, 5, 30, 0, 7],
  ['keeps its size for the silent where a seat is vacant', 6, 5, 0, 0, 6],
  ['shrinks by a step when two are vacant and one is silent', 5, 4, 0, 0, 4],
  ['is a step smaller when the last but one is gone', 2, 1, 0, 1, 1],
])('%s: of %i there are %i, %i come, %i go: %i', (_, now, there, newcomers, gone, then) => {
  expect(chosen(now, there, newcomers, gone)).toHaveLength(then)
})

test('a committee with vacant seats is bound as safely as a whole one', () => {
  for (let full = 4; full <= 64; full += 3) {
    const liars = (full - 1) / 3
    for (const seats of [full, full - 1, full - 2]) expect(2 * quorumOf(seats) - seats).toBeGreaterThan(liars)
    expect(quorumOf(full - 1)).toBe(quorumOf(full)) // as if the vacant seat were a silent one
  }
})

test('who is there and eligible stays, seats that are free go by lot, and the silent fill what is left', () => {
  const current = some(4)
  const able = [...some(3, 1), ...some(10, 20)] // host 0 is silent
  const choice = { current, eligible: able, silent: some(1), cap: 4 }
  const grown = nextCommittee({ ...choice, seed })
  expect(grown.filter((host) => current.includes(host))).toEqual(some(3, 1))
  const newcomers = Array.from({ length: 200 }, (_, i) =>
    nextCommittee({ ...choice, seed: hashKey(`${i}`) }).find((host) => !current.includes(host)),
  )
  for (const host of some(10, 20)) expect(newcomers.filter((other) => other === host).length).toBeGreaterThan(5)
  expect(chosen(10, 6)).toEqual(some(10))
  expect(chosen(31, 27)).toEqual(expect.arrayContaining(some(27)))
})

test('whatever the seed, no banker loses its seat because of one or two that are silent or gone', () => {
  for (const now of [4, 7, 10, 31]) {
    for (const lost of [1, 2]) {
      for (let i = 0; i < 100; i++) {
        const eligible = some(now - lost)
        const choice = { current: some(now), eligible, cap: 31, seed: hashKey(`${i}`) }
        expect(nextCommittee({ ...choice, silent: some(lost, now - lost) })).toEqual(some(now))
        expect(nextCommittee({ ...choice, silent: [] })).toEqual(eligible)
      }
    }
  }
})

test('any choice is a committee in order, one step away at most, of as many of the eligible as have room', () => {
  const subset = fc.subarray(hosts)
  const steps = fc.constantFrom(1, 4, 7, 10, 31)
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 31 }),
      steps,
      subset,
      subset,
      fc.string().map(hashKey),
      (now, cap, up, down, seed: Key) => {
        const current = some(now, 5)
        const silent = down.filter((host) => current.includes(host) && !up.includes(host))
        const next = nextCommittee({ current, eligible: up, silent, cap, seed })
        expect(next).toEqual([...new Set(next)].sort())
        expect(next.length).toBeGreaterThan(0)
        expect(Math.abs(next.length - now)).toBeLessThanOrEqual(3)
        if (now <= cap) expect(next.length).toBeLessThanOrEqual(cap)
        const able = next.filter((host) => up.includes(host)).length
        const seats = Math.min(Math.ceil((now - 1) / 3) * 3 + 1, cap)
        expect(able).toBeGreaterThanOrEqual(Math.min(seats, up.length))
        expect(able).toBeGreaterThanOrEqual(Math.min(next.length, up.length))
        const reversed = { eligible: up.toReversed(), silent: silent.toReversed() }
        expect(nextCommittee({ current, ...reversed, cap, seed })).toEqual(next)
      },
    ),
  )
})
