import fc from 'fast-check'
import { expect, test } from 'vitest'
import { hashKey } from '../../../src/core/ids.ts'
import { majority } from '../../../src/dht/store/quorum.ts'
import {
  batch,
  bucketDigest,
  bucketDigests,
  buckets,
  differing,
  groupHosts,
  planRepair,
  sharedEntries,
} from '../../../src/dht/store/reconcile.ts'
import { type Entry, placeOf } from '../../../src/dht/store/table.ts'
import { contactAt } from '../../../src/net/contact.ts'

const at = (peer: string, slot = 0) =>
  contactAt({ peer, ip: '10.0.0.1', port: 1 + peer.charCodeAt(0), incarnation: 1 }, slot)
const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((peer) => at(peer)) as [ReturnType<typeof at>, ...ReturnType<typeof at>[]]

function entryOf(name: string, value = 'v'): Entry {
  const key = hashKey(name)
  const digest = hashKey(value)
  return { place: placeOf('k', key), kind: 'k', key, value, digest, sizeBytes: value.length, changedAtMs: 0 }
}

const sorted = (entries: Entry[]) => entries.sort((x, y) => (x.place < y.place ? -1 : 1))

test('a majority is more than half', () => {
  expect([1, 2, 3, 4, 5].map(majority)).toEqual([1, 2, 2, 3, 3])
})

test('virtual nodes of one host count once in a group', () => {
  expect(groupHosts([at('a', 0), at('a', 1), b!, at('a', 2), c!, d!], 3)).toEqual([at('a', 0), b, c])
})

test('an owner compares with its replicas, a replica with the owner, and the rest is astray', () => {
  const entries = ['mine', 'theirs', 'astray'].map((name) => entryOf(name))
  const groups = new Map([
    [entries[0]!.key, [a, b!, c!]],
    [entries[1]!.key, [b!, a, c!]],
    [entries[2]!.key, [b!, c!, d!]],
  ])
  const plan = planRepair(entries, (key) => groups.get(key) ?? [], 'a')
  expect(plan.shares).toEqual([
    { peer: b, owner: 'asker' },
    { peer: c, owner: 'asker' },
    { peer: b, owner: 'asked' },
  ])
  expect(plan.strays).toEqual([entries[2]])
})

test('a group of one has nobody to compare with', () => {
  expect(planRepair([entryOf('x')], () => [a], 'a')).toEqual({ shares: [], strays: [] })
})

test('both sides of a share see the same set, whatever else they hold', () => {
  const peers = [a, b!, c!, d!]
  const group = (key: string) => {
    const first = Number.parseInt(key.slice(0, 2), 16) % 4
    return [0, 1, 2].map((step) => peers[(first + step) % 4]!)
  }
  const all = Array.from({ length: 200 }, (_, index) => entryOf(`entry ${index}`))
  const heldBy = (peer: string) => all.filter((entry) => group(entry.key).some((host) => host.peer === peer))
  for (const owner of ['a', 'b']) {
    const [one, other] = [heldBy(owner), heldBy(owner === 'a' ? 'b' : 'a')]
    const replica = owner === 'a' ? 'b' : 'a'
    expect(sharedEntries(one, group, owner, replica)).toEqual(sharedEntries(other, group, owner, replica))
  }
})

test('the digests differ in exactly the parts whose entries differ', () => {
  const names = fc.uniqueArray(fc.string({ maxLength: 6 }), { maxLength: 40 })
  fc.assert(
    fc.property(names, names, fc.constantFrom('v', 'w'), (mine, theirs, value) => {
      const left = sorted(mine.map((name) => entryOf(name)))
      const right = sorted(theirs.map((name) => entryOf(name, value)))
      const found = differing(bucketDigests(left, 0), bucketDigests(right, 0))
      const listing = (entries: Entry[]) => entries.map((entry) => entry.place + entry.digest).join()
      const expected = buckets(left, 0).flatMap((part, digit) =>
        listing(part) === listing(buckets(right, 0)[digit] ?? []) ? [] : [digit],
      )
      expect(found).toEqual(expected)
    }),
  )
})

test('an empty part has the empty digest', () => {
  expect(bucketDigest([])).toBe('')
  expect(bucketDigest([entryOf('x')])).toMatch(/^[0-9a-f]{32}$/)
})

test('a batch carries at least one, and keeps to both caps', () => {
  const entries = Array.from({ length: 5 }, (_, index) => entryOf(`e${index}`, 'x'.repeat(100)))
  expect(batch(entries, { count: 3, bytes: 10_000 }, 0)).toMatchObject({ copies: { length: 3 }, rest: { length: 2 } })
  expect(batch(entries, { count: 9, bytes: 700 }, 0)).toMatchObject({ copies: { length: 2 }, rest: { length: 3 } })
  expect(batch(entries, { count: 9, bytes: 1 }, 0)).toMatchObject({ copies: { length: 1 }, rest: { length: 4 } })
  expect(batch([], { count: 9, bytes: 1 }, 0)).toEqual({ copies: [], rest: [] })
})
