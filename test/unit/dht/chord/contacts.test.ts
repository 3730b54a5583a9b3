import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { inArc, type Key, keyFromBigint } from '../../../../src/core/ids.ts'
import { MAX_CACHED_CONTACTS } from '../../../../src/core/limits.ts'
import { seededRandom } from '../../../../src/core/random.ts'
import { ContactCache } from '../../../../src/dht/chord/contacts.ts'
import type { Contact } from '../../../../src/net/contact.ts'

const key = (n: number): Key => keyFromBigint(BigInt(n))
const at = (n: number, incarnation = 1): Contact => ({
  peer: `p${n}`,
  ip: '10.0.0.1',
  port: 1,
  slot: 0,
  incarnation,
  id: key(n),
})
const anybody = () => true
const cache = () => new ContactCache(seededRandom(1))
const FRESH_MS = 10_000

describe('cache', () => {
  test('never holds more than its cap, and rather lets go who was silent for long', () => {
    const held = cache()
    for (let i = 0; i < 3 * MAX_CACHED_CONTACTS; i++) {
      held.heard(at((i * 7919) % 100_003), i)
      expect(held.size).toBe(Math.min(i + 1, MAX_CACHED_CONTACTS))
    }
    // Of the oldest third nearly nobody is left: the one heard from for longest among five goes.
    let old = 0
    for (let i = 0; i < MAX_CACHED_CONTACTS; i++) {
      const n = (i * 7919) % 100_003
      if (held.before(key(n + 1), i, anybody)?.id === key(n)) old++
    }
    expect(old).toBeLessThan(MAX_CACHED_CONTACTS / 10)
  })

  test('the fresh ones of an arc, clockwise, where it begins and not where it ends', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.nat({ max: 40 }), { maxLength: 20 }),
        fc.uniqueArray(fc.nat({ max: 40 }), { maxLength: 10 }),
        fc.nat({ max: 40 }),
        fc.nat({ max: 40 }),
        (fresh, stale, from, to) => {
          const held = cache()
          for (const n of stale) held.heard(at(n), 0)
          for (const n of fresh) held.heard(at(n), FRESH_MS + 1)
          const inside = (n: number) => (from < to ? n >= from && n < to : n >= from || n < to)
          const order = (n: number) => (n - from + 1000) % 1000
          const expected = fresh.filter(inside).sort((a, b) => order(a) - order(b))
          const found = held.within(key(from), key(to), FRESH_MS + 1)
          expect(found.map(({ id }) => id)).toEqual(expected.map(key))
        },
      ),
    )
  })

  test('hearing from one again takes no second place', () => {
    const held = cache()
    for (let i = 0; i < 100; i++) held.heard(at(5), i)
    expect(held.size).toBe(1)
    held.heard(at(5, 2), 100)
    expect(held.size).toBe(1)
    expect(held.any()).toEqual(at(5, 2))
    held.heard(at(5, 1), 200) // an old message of the one before
    expect(held.any()).toEqual(at(5, 2))
  })

  test('an owner is known while it is fresh, for the arc that it confirmed', () => {
    const held = cache()
    held.heard(at(50), 0, key(40))
    expect(held.ownerOf(key(45), 0)).toEqual(at(50))
    expect(held.ownerOf(key(50), 0)).toEqual(at(50))
    expect(held.ownerOf(key(40), 0)).toBeUndefined()
    expect(held.ownerOf(key(51), 0)).toBeUndefined()
    expect(held.ownerOf(key(45), FRESH_MS)).toEqual(at(50))
    expect(held.ownerOf(key(45), FRESH_MS + 1)).toBeUndefined()
    held.heard(at(50), 20_000) // spoke, said nothing of its arc: the old one stands
    expect(held.ownerOf(key(45), 20_000)).toEqual(at(50))
    held.heard(at(50, 2), 20_000) // another incarnation has confirmed nothing
    expect(held.ownerOf(key(45), 20_000)).toBeUndefined()
    held.heard(at(10), 20_000)
    expect(held.ownerOf(key(5), 20_000)).toBeUndefined() // a contact without an arc owns nothing
    held.heard(at(10), 20_000, key(50))
    expect(held.ownerOf(key(5), 20_000)).toEqual(at(10)) // around zero
    expect(held.ownerOf(key(99), 20_000)).toEqual(at(10))
  })

  test('who is forgotten is gone; others stay', () => {
    const held = cache()
    held.heard(at(5), 0, key(1))
    held.heard(at(9), 0, key(5))
    held.forget(at(7))
    expect(held.size).toBe(2)
    held.forget(at(5))
    expect(held.size).toBe(1)
    expect(held.ownerOf(key(3), 0)).toBeUndefined()
    expect(cache().any()).toBeUndefined()
    expect(cache().ownerOf(key(3), 0)).toBeUndefined()
    expect(cache().before(key(3), 0, anybody)).toBeUndefined()
  })

  test('`before` finds the nearest fresh one before a key that may be used', () => {
    const held = cache()
    for (const n of [10, 20, 30]) held.heard(at(n), 0)
    held.heard(at(25), -FRESH_MS - 1)
    expect(held.before(key(30), 0, anybody)).toEqual(at(20)) // 25 is old, 30 is the key itself
    expect(held.before(key(31), 0, anybody)).toEqual(at(30))
    expect(held.before(key(5), 0, anybody)).toEqual(at(30)) // around zero
    expect(held.before(key(31), 0, (c) => c.id < key(15))).toEqual(at(10))
    expect(held.before(key(31), 0, () => false)).toBeUndefined()
  })

  test('answers as a sorted map would, whatever was heard', () => {
    const event = fc.record({ n: fc.nat(40), arc: fc.option(fc.nat(40)), incarnation: fc.integer({ min: 1, max: 2 }) })
    fc.assert(
      fc.property(fc.array(event, { maxLength: 60 }), fc.nat(40), (events, asked) => {
        const held = cache()
        const model = new Map<number, { incarnation: number; arc: number | undefined }>()
        for (const { n, arc, incarnation } of events) {
          held.heard(at(n, incarnation), 0, arc === null ? undefined : key(arc))
          const known = model.get(n)
          if (known === undefined || known.incarnation < incarnation)
            model.set(n, { incarnation, arc: arc ?? undefined })
          else if (known.incarnation === incarnation && arc !== null) known.arc = arc
        }
        expect(held.size).toBe(model.size)
        const sorted = [...model.keys()].sort((a, b) => a - b)
        const next = sorted.find((n) => n >= asked) ?? sorted[0]
        const owner = next === undefined ? undefined : model.get(next)
        const owns = owner?.arc !== undefined && inArc(key(owner.arc), key(asked), key(next!))
        expect(held.ownerOf(key(asked), 0)).toEqual(owns ? at(next!, owner.incarnation) : undefined)
      }),
    )
  })
})
