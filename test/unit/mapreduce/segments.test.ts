import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  bitsOf,
  childCount,
  countBits,
  firstChild,
  fullMask,
  hasSegment,
  lowestBits,
  parentIndex,
  segmentCount,
  taskCount,
  tasksOf,
  topLevel,
} from '../../../src/mapreduce/segments.ts'
import { segmentKey } from '../../../src/mapreduce/spec.ts'

const trees = fc.record({
  tasks: fc.integer({ min: 1, max: 2 ** 22 }),
  fanIn: fc.constantFrom(2, 3, 16),
  leaf: fc.constantFrom(1, 3, 16),
})

test.each([
  [1, 1],
  [16, 1],
  [17, 2],
  [256, 2],
  [257, 3],
  [2 ** 20, 5],
])('%i tasks with a fan-in of 16 have their top at level %i', (tasks, level) => {
  expect(topLevel({ tasks, fanIn: 16, leaf: 16 })).toBe(level)
})

test('one segment covers everything, and none is above it', () => {
  fc.assert(
    fc.property(trees, (tree) => {
      const top = topLevel(tree)
      expect(segmentCount(tree, top)).toBe(1)
      expect(tasksOf(tree, top, 0)).toEqual({ first: 0, end: tree.tasks })
      expect(hasSegment(tree, top + 1, 0)).toBe(false)
    }),
  )
})

test('the children of a segment are its tasks, each once and in order', () => {
  fc.assert(
    fc.property(trees, fc.nat(), fc.nat(), (tree, a, b) => {
      const level = 1 + (a % topLevel(tree))
      const index = b % segmentCount(tree, level)
      const whole = tasksOf(tree, level, index)
      let next = whole.first
      let count = 0
      for (let i = 0; i < childCount(tree, level, index); i++) {
        const child = firstChild(tree, level, index) + i
        expect(hasSegment(tree, level - 1, child)).toBe(true)
        expect(parentIndex(tree, level - 1, child)).toBe(index)
        const part = tasksOf(tree, level - 1, child)
        expect(part.first).toBe(next)
        expect(part.end).toBeGreaterThan(part.first)
        next = part.end
        count += taskCount(tree, level - 1, child)
      }
      expect(next).toBe(whole.end)
      expect(count).toBe(taskCount(tree, level, index))
      expect(countBits(fullMask(tree, level, index))).toBe(childCount(tree, level, index))
    }),
  )
})

test('masks: lowest bits, positions, counts', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 0xffff }), fc.integer({ min: 0, max: 16 }), (mask, count) => {
      const bits = [...bitsOf(mask)]
      expect(bits.reduce((sum, bit) => sum + 2 ** bit, 0)).toBe(mask)
      expect([...bitsOf(lowestBits(mask, count))]).toEqual(bits.slice(0, count))
      expect(countBits(mask)).toBe(bits.length)
    }),
  )
})

test('every segment of every job has its own key', () => {
  const keys = new Set([segmentKey('a', 1, 11), segmentKey('a', 11, 1), segmentKey('b', 1, 11), segmentKey('a', 1, 1)])
  expect(keys.size).toBe(4)
})
