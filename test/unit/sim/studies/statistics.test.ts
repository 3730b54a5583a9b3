import { expect, test } from 'vitest'
import {
  ci95,
  compared,
  mean,
  roundingError,
  standardDeviation,
  standardError,
  studentT95,
  verdictOn,
} from '../../../../sim/studies/statistics.ts'

test('mean, deviation and error of a sample', () => {
  const values = [2, 4, 4, 4, 5, 5, 7, 9]
  expect(mean(values)).toBe(5)
  expect(standardDeviation(values)).toBeCloseTo(Math.sqrt(32 / 7), 12)
  expect(standardError(values)).toBeCloseTo(Math.sqrt(32 / 7 / 8), 12)
  expect(ci95(values)).toBeCloseTo(Math.sqrt(32 / 7 / 8) * 2.3646, 3)
  expect(standardError([1])).toBeNull()
  expect(ci95([1])).toBeNull()
})

// From the tables of Abramowitz and Stegun.
test.each([
  [1, 12.706],
  [2, 4.303],
  [4, 2.776],
  [5, 2.571],
  [6, 2.447],
  [9, 2.262],
  [19, 2.093],
  [30, 2.042],
  [120, 1.98],
  [1e9, 1.96],
])("Student's t of %i degrees is %f", (degrees, t) => {
  expect(Math.abs(studentT95(degrees) - t)).toBeLessThan(8e-4)
})

test.each([
  ['equal', { published: 1, ours: 1, error: 0 }, 'reproduced'],
  ['equal but for the last bits', { published: 0.3, ours: 0.1 + 0.2, error: 0 }, 'reproduced'],
  ['within three errors', { published: 1, ours: 1.29, error: 0.1 }, 'reproduced'],
  ['beyond', { published: 1, ours: 1.31, error: 0.1 }, 'differs'],
  ['within, with the error of the other', { published: 1, publishedError: 0.1, ours: 1.4, error: 0.1 }, 'reproduced'],
  ['rounded', { published: 0.979, publishedError: roundingError(3), ours: 0.9795, error: 0 }, 'reproduced'],
  ['what theory says', { published: 1, ours: 2.2, error: 0.1, corrected: 2 }, 'corrected'],
  [
    'theory says it, but the published value fits',
    { published: 2, ours: 2.1, error: 0.1, corrected: 2.1 },
    'reproduced',
  ],
  ['neither', { published: 1, ours: 2.5, error: 0.1, corrected: 2 }, 'differs'],
  ['one run', { published: 1, ours: 1, error: null }, null],
])('the verdict on a value: %s', (_, claim, verdict) => {
  expect(verdictOn(claim)).toBe(verdict)
})

test('a row says why only where it has to', () => {
  const why = 'because'
  expect(compared('a', 2, [1, 2, 3], { why })).toEqual({
    name: 'a',
    published: 2,
    ours: 2,
    ci95: expect.closeTo(2.4841, 3),
    verdict: 'reproduced',
    why: undefined,
  })
  expect(compared('a', 20, [1, 2, 3], { why })).toMatchObject({ verdict: 'differs', why })
  expect(compared('a', null, [1, 2, 3])).toMatchObject({ published: null, verdict: null })
  expect(compared('a', 2, [2])).toMatchObject({ verdict: null, ci95: null })
  // Two runs that agree by chance.
  expect(compared('a', 2.1, [2, 2])).toMatchObject({ verdict: 'differs', ci95: 0 })
  expect(compared('a', 2.1, [2, 2], { leastError: 0.05 })).toMatchObject({ verdict: 'reproduced' })
})
