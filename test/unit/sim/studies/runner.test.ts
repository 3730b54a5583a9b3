import fc from 'fast-check'
import { expect, test } from 'vitest'
import { duration, progressLine } from '../../../../sim/studies/runner/progress.ts'
import { checkReport, formatNumber, formatOurs } from '../../../../sim/studies/runner/rows.ts'
import { formatSeeds, parseSeeds } from '../../../../sim/studies/runner/seeds.ts'
import type { Report, Row } from '../../../../sim/studies/study.ts'

test.each([
  ['7', [7]],
  ['1..4', [1, 2, 3, 4]],
  ['3..3', [3]],
  ['1..3, 8,2', [1, 2, 3, 8]],
])('seeds: %s', (text, seeds) => {
  expect(parseSeeds(text)).toEqual(seeds)
})

test.each(['', ',', '1,', 'a', '1..', '..3', '-1', '1.5', '1...3', '1e3', '2..1', '0..10000'])(
  'no seeds: %j',
  (text) => {
    expect(() => parseSeeds(text)).toThrow(`--seeds ${text}: `)
  },
)

test('seeds that are written are read again', () => {
  expect(formatSeeds([1, 2, 3, 4, 9, 7, 8, 20])).toBe('1..4,9,7,8,20')
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(30), { minLength: 1 }), (seeds) => {
      expect(parseSeeds(formatSeeds(seeds))).toEqual(seeds)
    }),
  )
})

test.each([
  [1003.2, 0.31, '1003.20 +- 0.31'],
  [0.97634, 0.00214, '0.9763 +- 0.0021'],
  [7.5, 12, '8 +- 12'],
  [7.5, 0, '7.5'],
  [0.123456, null, '0.1235'],
  [3.2654e-9, 1e-11, '3.265e-9 +- 1e-11'],
  [12_345, 0, '12345'],
])('%d, %d is shown as %s', (ours, ci95, text) => {
  expect(formatOurs({ ours, ci95 })).toBe(text)
})

test('numbers of four digits', () => {
  expect([0.000123456, 1234.56, 12_345.6, 5, 2e7].map(formatNumber)).toEqual([
    '0.0001235',
    '1235',
    '12350',
    '5',
    '20000000',
  ])
})

test('durations and progress', () => {
  expect([0, 31_400, 725_000, 3_727_000].map(duration)).toEqual(['0:00', '0:31', '12:05', '1:02:07'])
  const state = { label: 'dgvh', share: 0.25, detail: '1 of 4 units', even: true, elapsedMs: 10_000 }
  expect(progressLine(state, false)).toBe('dgvh 25 %, 1 of 4 units, 0:10, about 0:30 left')
  expect(progressLine({ ...state, even: false }, true)).toBe(`dgvh [######${'.'.repeat(18)}] 25 %, 1 of 4 units, 0:10`)
})

const row: Row = { name: 'a', published: 1, ours: 1, ci95: 0, verdict: 'reproduced' }
const figure = { name: 'a', title: '', caption: '', plot: {} }

test.each<[string, Partial<Report>]>([
  ['two times "a"', { rows: [row, row] }],
  ['"A b" is no name of a file', { figures: [{ ...figure, name: 'A b' }] }],
  ['a table is named rows', { tables: [{ name: 'rows', columns: [], rows: [] }] }],
  ['lines of other lengths', { tables: [{ name: 'a', columns: ['b'], rows: [[1, 2]] }] }],
  ['ours is NaN', { rows: [{ ...row, ours: Number.NaN }] }],
  ['the confidence interval is NaN', { rows: [{ ...row, ci95: Number.NaN }] }],
  ['a verdict on nothing', { rows: [{ ...row, published: null }] }],
  ['a value of the summary is named rows', { summary: { rows: 1 } }],
  ['best of the summary is NaN', { summary: { best: Number.NaN } }],
  ['no word why', { rows: [{ ...row, verdict: 'corrected' }] }],
])('a report is refused: %s', (said, report) => {
  const whole = { rows: [row], tables: [], figures: [figure], ...report }
  expect(() => checkReport('s', whole)).toThrow(said)
})
