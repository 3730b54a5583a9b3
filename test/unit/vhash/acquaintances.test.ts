import { expect, test } from 'vitest'
import { hashKey } from '../../../src/core/ids.ts'
import { MAX_CACHED_CONTACTS } from '../../../src/core/limits.ts'
import { seededRandom } from '../../../src/core/random.ts'
import { contactAt } from '../../../src/net/contact.ts'
import { Acquaintances } from '../../../src/vhash/acquaintances.ts'
import { peerAt } from '../../../src/vhash/peer.ts'
import { closest } from '../../../src/vhash/route.ts'
import { spaceNamed } from '../../../src/vhash/spaces.ts'

const { space } = spaceNamed('cube3')
const at = (n: number, incarnation = 1) =>
  contactAt({ peer: `p${n}`, ip: `10.0.${n >> 8}.${n & 255}`, port: 4001, incarnation }, 0)
const met = () => new Acquaintances(space, seededRandom(1))
const target = space.pointOf(hashKey('target'))
const anybody = () => true

test('the nearest of those heard of lately, if it may be used', () => {
  const held = met()
  const contacts = Array.from({ length: 50 }, (_, n) => at(n))
  for (const contact of contacts) held.heard(contact, 0)
  const places = contacts.map((contact) => peerAt(space, contact))
  const first = closest(space, target, places)!
  expect(held.nearestTo(target, 10_000, anybody)).toEqual(first)
  const rest = places.filter((place) => place.id !== first.id)
  expect(held.nearestTo(target, 0, ({ id }) => id !== first.id)).toEqual(closest(space, target, rest))
  expect(held.nearestTo(target, 10_001, anybody)).toBeUndefined()
  expect(held.any()).toBeDefined() // heard of lately or not
  expect(met().any()).toBeUndefined()
})

test('of two starts of one host the later counts; who is forgotten is gone', () => {
  const held = met()
  held.heard(at(1, 2), 0)
  held.heard(at(1, 1), 20_000)
  expect(held.nearestTo(target, 20_000, anybody)).toBeUndefined() // the old one says nothing of the new
  held.heard(at(1, 3), 20_000)
  expect(held.nearestTo(target, 20_000, anybody)?.contact).toEqual(at(1, 3))
  expect(held.size).toBe(1)
  held.forget(at(1, 3))
  expect(held.size).toBe(0)
})

test('never more than its cap: who was silent for longest goes', () => {
  const held = met()
  for (let n = 0; n < MAX_CACHED_CONTACTS + 10; n++) held.heard(at(n), n)
  held.heard(at(10), 1000)
  held.heard(at(5000), 1000)
  expect(held.size).toBe(MAX_CACHED_CONTACTS)
  const has = (n: number) => held.nearestTo(target, 1000, ({ id }) => id === at(n).id) !== undefined
  expect([0, 9, 10, 11, 12, 5000].map(has)).toEqual([false, false, true, false, true, true])
})
