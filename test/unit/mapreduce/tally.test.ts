import fc from 'fast-check'
import { expect, test } from 'vitest'
import { addTallies, MAX_TALLY, markOf, mergeTallies, type Tally } from '../../../src/mapreduce/tally.ts'

const tallies: fc.Arbitrary<Tally> = fc
  .uniqueArray(fc.tuple(fc.nat(30), fc.integer({ min: 1, max: 9 })), { selector: ([host]) => host, maxLength: 12 })
  .map((all) => all.sort((a, b) => a[0] - b[0]))
const sum = (tally: Tally) => tally.reduce((all, [, tasks]) => all + tasks, 0)

test('tallies of different tasks add up, in any order, and nothing is lost', () => {
  fc.assert(
    fc.property(tallies, tallies, tallies, (a, b, c) => {
      expect(addTallies(a, b)).toEqual(addTallies(b, a))
      expect(addTallies(addTallies(a, b), c)).toEqual(addTallies(a, addTallies(b, c)))
      expect(sum(addTallies(a, b))).toBe(sum(a) + sum(b))
      expect(addTallies(a, [])).toEqual(a)
    }),
  )
})

test('tallies of the same tasks merge in any order, any number of times', () => {
  fc.assert(
    fc.property(tallies, tallies, tallies, (a, b, c) => {
      expect(mergeTallies(a, b)).toEqual(mergeTallies(b, a))
      expect(mergeTallies(mergeTallies(a, b), c)).toEqual(mergeTallies(a, mergeTallies(b, c)))
      expect(mergeTallies(mergeTallies(a, b), b)).toEqual(mergeTallies(a, b))
    }),
  )
})

test('of too many hosts those stay that did most', () => {
  const many: Tally = Array.from({ length: 200 }, (_, i) => [i, i + 1] as const)
  const kept = addTallies(many.slice(0, 100), many.slice(100))
  expect(kept).toHaveLength(MAX_TALLY)
  expect(kept).toEqual(many.slice(-MAX_TALLY))
})

test('a mark is the same for the same peer', () => {
  expect([markOf('a'), markOf('a')]).toEqual([markOf('a'), 0xca978112])
  expect(markOf('b')).not.toBe(markOf('a'))
})
