/** Errands in several messages: all parts, in order and once, or a refusal; never fewer. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { errorCode } from '../../../src/core/errors.ts'
import { Coming } from '../../../src/mapreduce/coming.ts'

const part = (number: number) => Uint8Array.of(number)
const busy = expect.objectContaining({ code: 'busy' })

test('in whatever order messages come, doubled and lost: all parts of the errand, or none', () => {
  const frame = fc.record({
    errand: fc.nat(3),
    at: fc.constantFrom(0, 2, 4, 4, 1),
    count: fc.constantFrom(2, 2, 2, 1, 3),
  })
  const frames = fc.array(frame, { minLength: 20, maxLength: 200 })
  let whole = 0
  fc.assert(
    fc.property(frames, (all) => {
      const coming = new Coming()
      for (const { errand, at, count } of all) {
        const parts = Array.from({ length: count }, (_, i) => part(10 * errand + at + i))
        try {
          const taken = coming.take(`e${errand}`, at, 6, parts, 0)
          if (!taken) continue
          whole++
          expect(taken).toEqual(Array.from({ length: 6 }, (_, i) => part(10 * errand + i)))
        } catch (error) {
          expect(['busy', 'bad-message']).toContain(errorCode(error))
        }
      }
    }),
  )
  expect(whole).toBeGreaterThan(10)
})

test('new ones are refused when there are many, none is dropped, and those that stay half are forgotten', () => {
  const coming = new Coming()
  for (let i = 0; i < 32; i++) expect(coming.take(`e${i}`, 0, 2, [part(i)], 0)).toBeUndefined()
  expect(() => coming.take('new', 0, 2, [part(99)], 1_000)).toThrow(busy)
  expect(coming.take('whole', 0, 1, [part(99)], 1_000)).toEqual([part(99)])
  expect(coming.take('e0', 1, 2, [part(100)], 1_000)).toEqual([part(0), part(100)])
  expect(coming.take('new', 0, 2, [part(99)], 1_000)).toBeUndefined()
  expect(() => coming.take('e0', 0, 2, [part(0)], 14_999)).toThrow(busy)
  expect(coming.take('e0', 0, 2, [part(0)], 15_000)).toBeUndefined()
  expect(() => coming.take('e1', 1, 2, [part(1)], 15_000)).toThrow(busy)
  expect(coming.take('new', 1, 2, [part(100)], 15_000)).toEqual([part(99), part(100)])
})
