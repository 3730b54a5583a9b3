import { expect, test } from 'vitest'
import * as format from '../../../src/cli/format.ts'
import { createLogger } from '../../../src/cli/log.ts'
import { progressLine, progressRows, remainingMs } from '../../../src/cli/view.ts'
import { jobView } from './fake-host.ts'

const plain = { width: 80, unicode: true, paint: (_: string, text: string) => text } as const
const since = { done: 5, elapsedMs: 400 }
const estimate = { pi: 3.140_625_4, ci95: 0.000_52 }

test('what is left is an estimate: no milliseconds', () => {
  expect(format.remaining(999, 'about ')).toBe('less than 1 s left')
  expect(format.remaining(1000, 'about ')).toBe('about 1.0 s left')
})

test('one is not many', () => {
  expect([0, 1, 2, 1234].map((n) => format.some(n, 'block'))).toEqual([
    '0 blocks',
    '1 block',
    '2 blocks',
    '1,234 blocks',
  ])
})

test('the live view', () => {
  const rows = progressRows({ job: jobView({ estimate }), nodes: 4, elapsedMs: 2000, since }, plain)
  expect(rows).toEqual([
    '  map      ██████████░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░ 25 %  25/100 tasks',
    '  nodes    4  3 working, 1 task reassigned',
    '  estimate 3.14063 ± 0.00052  (95 %)',
    '  time     2.0 s  about 6.0 s left',
  ])
})

test.each([200, 80, 40, 20, 5])('no line is wider than a terminal of %d columns', (width) => {
  for (const done of [0, 1, 50, 99, 100]) {
    const job = jobView({ tasks: { total: 100, done, reassigned: 12 }, estimate })
    const rows = progressRows({ job, nodes: undefined, elapsedMs: 1e7 }, { ...plain, width })
    for (const row of rows) expect(row.length).toBeLessThanOrEqual(Math.max(10, width - 1))
  }
})

test('a terminal without UTF-8 gets ASCII', () => {
  const rows = progressRows({ job: jobView({ estimate }), nodes: 4, elapsedMs: 0 }, { ...plain, unicode: false })
  expect(rows.join('')).toMatch(/^[ -~]+$/)
})

test('a line for pipes', () => {
  expect(progressLine({ job: jobView({ estimate }), nodes: 4, elapsedMs: 2000, since })).toBe(
    'running 25 %, 25/100 tasks, 4 nodes, 1 reassigned, estimate 3.14063 ± 0.00052, 2.0 s elapsed, ~6.0 s left',
  )
})

test.each([
  ['nothing is done', 0, 5000, undefined],
  ['nothing was done since', 5, 5000, undefined],
  ['one task is no pace', 6, 5000, undefined],
  ['a moment is no pace', 55, 800, undefined],
  ['half a second and a twentieth of the tasks', 10, 1400, 18_000],
  ['the end', 100, 2400, 0],
])('how long it takes: %s', (_, done, elapsedMs, wanted) => {
  const job = jobView({ tasks: { total: 100, done, reassigned: 0 } })
  expect(remainingMs({ job, nodes: 1, elapsedMs, since })).toBe(wanted)
  expect(remainingMs({ job, nodes: 1, elapsedMs })).toBeUndefined()
})

test('of many tasks sixteen are a pace, of few one', () => {
  const long = jobView({ tasks: { total: 100_000, done: 21, reassigned: 0 } })
  expect(remainingMs({ job: long, nodes: 1, elapsedMs: 1400, since })).toBeGreaterThan(0)
  const short = jobView({ tasks: { total: 8, done: 6, reassigned: 0 } })
  expect(remainingMs({ job: short, nodes: 1, elapsedMs: 1400, since })).toBe(2000)
})

test.each([
  [format.count(1_234_567), '1,234,567'],
  [format.count(999), '999'],
  [format.bytes(1023), '1023 B'],
  [format.bytes(1536), '1.5 KiB'],
  [format.bytes(160 * 2 ** 20), '160 MiB'],
  [format.span(0), '0 ms'],
  [format.span(1499), '1.5 s'],
  [format.span(59_990), '1 min 0 s'],
  [format.span(3_600_000), '1 h 0 min'],
  [format.span(1e9), '11 days'],
  [format.percent(999, 1000), '99 %'],
  [format.percent(0, 0), '0 %'],
  [format.value({ pi: 3.5, ci95: [3.25, 3.75] }), '3.50 ± 0.25'],
  [format.value({ pi: 4, ci95: 0 }), '4'],
  [format.value({ words: 3 }), '{"words":3}'],
  [format.value(undefined), undefined],
  [
    format.columns([
      ['a', 'b'],
      ['long', 'c'],
    ]),
    'a     b\nlong  c',
  ],
])('%s', (text, wanted) => expect(text).toBe(wanted))

test('a log line is one line, whatever a peer puts into it', () => {
  const lines: string[] = []
  const options = { level: 'info', json: false, write: (line: string) => lines.push(line), now: () => 0 } as const
  const log = createLogger(options).child('net')
  log.debug('not shown')
  log.warn('bad\n\u001b[31mpeer', { ip: '127.0.0.1', said: 'a "b"\n', times: 2, never: undefined })
  createLogger({ ...options, json: true }).info('x', { y: 1 })
  expect(lines).toEqual([
    '1970-01-01T00:00:00.000Z warn  net: bad [31mpeer ip=127.0.0.1 said="a \\"b\\"\\n" times=2\n',
    '{"v":1,"type":"log","time":"1970-01-01T00:00:00.000Z","level":"info","name":"","message":"x","y":1}\n',
  ])
})
