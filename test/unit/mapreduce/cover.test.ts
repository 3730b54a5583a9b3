import fc from 'fast-check'
import { expect, test } from 'vitest'
import { coverOf, coverSize, decodeCover, encodeCover, indicesOf, rangeCover } from '../../../src/mapreduce/cover.ts'

const LIMIT = 262_144
const sets = fc
  .uniqueArray(fc.integer({ min: 0, max: LIMIT - 1 }), { maxLength: 300 })
  .map((all) => all.sort((a, b) => a - b))

test('a cover is the set that it was made of, on the wire too', () => {
  fc.assert(
    fc.property(sets, (indices) => {
      const cover = coverOf(indices)
      expect([...indicesOf(cover)]).toEqual(indices)
      expect(coverSize(cover)).toBe(indices.length)
      expect(decodeCover(encodeCover(cover), LIMIT)).toEqual(cover)
    }),
  )
})

test('dense random sets travel as bitmaps', () => {
  fc.assert(
    fc.property(
      fc.array(fc.boolean(), { minLength: 500, maxLength: 5000 }),
      fc.integer({ min: 0, max: 1000 }),
      (bits, from) => {
        const cover = coverOf(bits.flatMap((bit, i) => (bit ? [from + i] : [])))
        const bytes = encodeCover(cover)
        expect(bytes.length).toBeLessThanOrEqual(5 + bits.length / 8)
        expect(decodeCover(bytes, LIMIT)).toEqual(cover)
      },
    ),
  )
})

test('all segments of the largest job take a few bytes, every second one a bitmap', () => {
  expect(encodeCover(rangeCover(0, LIMIT)).length).toBeLessThan(8)
  const half = coverOf(Array.from({ length: LIMIT / 2 }, (_, i) => 2 * i))
  expect(encodeCover(half).length).toBeLessThanOrEqual(LIMIT / 8 + 2)
})

test('hostile bytes are refused or are a cover within the limit, and never much more work than bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), fc.integer({ min: 1, max: LIMIT }), (bytes, limit) => {
      try {
        const cover = decodeCover(bytes, limit)
        expect(cover.at(-1) ?? 0).toBeLessThanOrEqual(limit)
        expect(coverSize(cover)).toBeLessThanOrEqual(limit)
      } catch (error) {
        expect(error).toMatchObject({ code: 'bad-message' })
      }
    }),
    { numRuns: 2000 },
  )
})
