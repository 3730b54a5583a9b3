import fc from 'fast-check'
import { expect, test } from 'vitest'
import { between, hashKey, KEY_BITS, type Key, keyFromBigint, keyToBigint } from '../../../../src/core/ids.ts'
import { Fingers } from '../../../../src/dht/chord/fingers.ts'
import type { Contact } from '../../../../src/net/contact.ts'

const at = (id: Key, incarnation = 1): Contact => ({ peer: 'p', ip: '10.0.0.1', port: 1, slot: 0, incarnation, id })
const self = hashKey('self')
const after = (distance: bigint): Key => keyFromBigint(keyToBigint(self) + distance)
/** Distances of all magnitudes: a random exponent, and something on top. */
const distance = fc
  .tuple(fc.integer({ min: 0, max: KEY_BITS - 1 }), fc.bigInt({ min: 0n, max: 2n ** 256n - 1n }))
  .map(([exponent, more]) => 2n ** BigInt(exponent) + (more % 2n ** BigInt(exponent)))

test('targets are powers of two away, around the circle', () => {
  const fingers = new Fingers(self)
  for (const exponent of [0, 1, 100, 255]) expect(fingers.target(exponent)).toBe(after(2n ** BigInt(exponent)))
})

test('any node in its arc fits a finger: the arcs are apart, and together they are all of the circle', () => {
  const fingers = new Fingers(self)
  fc.assert(
    fc.property(distance, (d) => {
      const id = after(d)
      const fit = Array.from({ length: KEY_BITS }, (_, e) => e).filter((e) => fingers.fits(e, id))
      expect(fit).toEqual([d.toString(2).length - 1])
    }),
  )
  expect([fingers.end(0), fingers.end(100), fingers.end(255)]).toEqual([after(2n), after(2n ** 101n), self])
})

test('refreshes go from the farthest to the last beyond the successor list, round and round', () => {
  fc.assert(
    fc.property(distance, (reach) => {
      const fingers = new Fingers(self)
      const last = after(reach)
      const round = () => {
        const out = [fingers.nextExponent(last)]
        for (;;) {
          const next = fingers.nextExponent(last)
          if (next === KEY_BITS - 1) return out
          out.push(next)
        }
      }
      const first = round()
      // All whose target lies past the last successor; the farthest always has its turn.
      const beyond = Array.from({ length: KEY_BITS }, (_, e) => KEY_BITS - 1 - e).filter((e) => 2n ** BigInt(e) > reach)
      expect(first).toEqual(beyond.length > 0 ? beyond : [KEY_BITS - 1])
    }),
    { numRuns: 30 },
  )
})

test('fingers that the successor list has come to cover are let go', () => {
  const fingers = new Fingers(self)
  for (let exponent = 240; exponent < KEY_BITS; exponent++) {
    fingers.set(exponent, at(after(2n ** BigInt(exponent) + 1n)))
  }
  expect(fingers.list().length).toBe(16)
  const last = after(2n ** 250n)
  for (let i = 0; i < 20; i++) fingers.nextExponent(last)
  expect(fingers.list().map((c) => c.id)).toEqual([255, 254, 253, 252, 251].map((e) => after(2n ** BigInt(e) + 1n)))
})

test('the list has no duplicates and begins with the farthest; setting the same again changes nothing', () => {
  const fingers = new Fingers(self)
  const far = at(hashKey('far'))
  const near = at(hashKey('near'))
  fingers.set(254, far)
  fingers.set(255, far)
  fingers.set(200, near)
  expect(fingers.list()).toEqual([far, near])
  const list = fingers.list()
  fingers.set(255, at(far.id))
  expect(fingers.list()).toBe(list)
  expect(fingers.at(254)).toBe(far)
})

test('a dead contact goes from all its places; a newer incarnation does not go with it', () => {
  const fingers = new Fingers(self)
  const old = at(hashKey('x'), 1)
  const back = at(hashKey('x'), 2)
  fingers.set(255, old)
  fingers.set(254, old)
  fingers.set(253, back)
  fingers.drop(old)
  expect(fingers.at(255)).toBeUndefined()
  expect(fingers.at(254)).toBeUndefined()
  expect(fingers.list()).toEqual([back])
  fingers.drop(at(hashKey('x'), 3)) // what is older than the dead is dead too
  expect(fingers.list()).toEqual([])
})

test('adopted fingers lie past the power that they are kept for, and push nobody out', () => {
  fc.assert(
    fc.property(fc.array(distance, { maxLength: 20 }), (distances) => {
      const fingers = new Fingers(self)
      const held = at(after(2n ** 255n + 7n))
      fingers.set(255, held)
      fingers.adopt([at(self), ...distances.map((d) => at(after(d)))])
      expect(fingers.at(255)).toBe(held)
      for (let exponent = 0; exponent < KEY_BITS; exponent++) {
        const finger = fingers.at(exponent)
        if (finger === undefined) continue
        expect(finger.id).not.toBe(self)
        const target = fingers.target(exponent)
        expect(finger.id === target || between(target, finger.id, self)).toBe(true)
      }
      expect(fingers.list().length).toBeLessThanOrEqual(KEY_BITS)
    }),
    { numRuns: 30 },
  )
})
