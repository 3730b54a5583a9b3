import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { runRing } from '../../../../sim/scenarios/ring.ts'
import type { Lookup, Shape } from '../../../../sim/watch/run.ts'
import { frameOf, TerminalView } from '../../../../sim/watch/terminal.ts'
import { openWatch } from '../../../../sim/watch/watch.ts'
import { madeUp, recorded, SMALL } from './world.ts'

const folder = mkdtempSync(join(tmpdir(), 'chorale-watch-'))
afterAll(() => rmSync(folder, { recursive: true }))

const size = { columns: 80, rows: 24 }

/** Where there are dots: rows and columns of characters. */
function dotted(lines: readonly string[]): [row: number, column: number][] {
  return lines.flatMap((line, row) =>
    [...line].flatMap((sign, column): [number, number][] => (/[\u2801-\u28ff]/.test(sign) ? [[row, column]] : [])),
  )
}

test('the ring: noon at the top, clockwise, with its figures beside it', () => {
  const lines = frameOf(madeUp('ring', { phases: [[0, 'churn']] }), 1000, size, 'said last', false)
  expect(lines.at(-1)).toBe('said last')
  const dots = dotted(lines)
  const rows = lines.length - 1
  expect(dots.some(([row, column]) => row === 0 && Math.abs(column - rows) <= 1)).toBe(true)
  expect(dots.some(([row, column]) => Math.abs(row - rows / 2) <= 1 && column >= 2 * rows - 2)).toBe(true)
  expect(dots.every(([row]) => row < rows - 1)).toBe(true)
  expect(lines.join('\n')).toMatch(/1\.0 s: churn/)
  expect(lines.join('\n')).toMatch(/members +2\b/)
})

test.each([[{ columns: 80, rows: 24 }], [{ columns: 200, rows: 60 }], [{ columns: 50, rows: 50 }]])(
  'fits a terminal of %o, with colours and without',
  async (terminal) => {
    const { run } = await recorded()
    for (const timeMs of [0, 1234, 5678, run.endMs]) {
      const plain = frameOf(run, timeMs, terminal, 'x'.repeat(300), false)
      expect(plain.length).toBeLessThan(terminal.rows)
      for (const line of plain) expect(line.length).toBeLessThanOrEqual(terminal.columns)
      const coloured = frameOf(run, timeMs, terminal, 'x'.repeat(300), true)
      // biome-ignore lint/suspicious/noControlCharactersInRegex: colours begin with one
      expect(coloured.map((line) => line.replace(/\x1b\[[\d;]*m/g, ''))).toEqual(plain)
    }
  },
)

test.each(['ring', 'torus', 'cube'] satisfies Shape[])(
  'the dead are red, and lookups that end badly in colour: %s',
  (shape) => {
    const lookups: Lookup[] = [[4900, 5000, 2, 0, [0.4], [0, 1, 0, 90]]]
    const ended = frameOf(madeUp(shape, { lookups }), 5100, size, '', true).join('')
    expect(ended).toMatch(/\[1;31m[\u2801-\u28ff]/)
    expect(ended).toMatch(/\[1;33m[\u2801-\u28ff]/)
    const calm = frameOf(madeUp(shape), 1000, size, '', true).join('')
    expect(calm).not.toMatch(/\[1;3[13]m[\u2801-\u28ff]/)
  },
)

test('a way over the border of a torus comes back on the other side; in a cube it does not', () => {
  const lookups: Lookup[] = [[0, -1, 0, 0, [0.9, 0.1], [0, 1, 0, 100]]]
  const columns = (shape: Shape) =>
    dotted(frameOf(madeUp(shape, { lookups }), 100, size, '', false)).map(([, column]) => column)
  const middle = 22
  expect(columns('torus').some((column) => Math.abs(column - middle) < 6)).toBe(false)
  expect(columns('cube').some((column) => Math.abs(column - middle) < 6)).toBe(true)
})

test('draws over itself, not too often, and holds up a run that is too fast to be followed', () => {
  let realMs = 0
  const written: string[] = []
  const screen = { write: (text: string) => written.push(text), columns: 60, rows: 20 }
  const view = new TerminalView(
    madeUp('ring'),
    screen,
    () => realMs,
    (ms) => (realMs += ms),
  )
  for (let timeMs = 0; timeMs <= 8000; timeMs += 50) view.look(timeMs)
  expect(realMs).toBeGreaterThan(1900)
  expect(realMs).toBeLessThanOrEqual(2000)
  expect(written.length).toBeGreaterThan(15)
  expect(written.length).toBeLessThan(27)
  const lines = written[0]!.split('\n').length - 1
  expect(written[0]).not.toContain('\x1b[')
  for (const text of written.slice(1)) expect(text.startsWith(`\x1b[${lines}A\r\x1b[J`)).toBe(true)
  // A run that is slow by itself is never held up.
  realMs = 100_000
  const before = realMs
  for (let timeMs = 8000; timeMs <= 9000; timeMs += 50) {
    realMs += 100
    view.look(timeMs)
  }
  expect(realMs - before).toBe(2100)
})

function stream(isTTY: boolean) {
  const written: string[] = []
  const write = (text: string) => written.push(text)
  return { written, stream: { isTTY, write } as unknown as NodeJS.WriteStream }
}

test('without a terminal, and with a file that cannot be written, it says what to do before the run', () => {
  const { stream: none } = stream(false)
  const opened = (where: string | true) => () => openWatch(where, 'sim', none)
  expect(opened(true)).toThrow(
    /^--watch draws in a terminal, and this is none: --watch FILE\.html makes a page instead$/,
  )
  expect(opened(join(folder, 'run.txt'))).toThrow(/the page's name must end with \.html/)
  expect(opened(join(folder, 'none', 'run.html'))).toThrow(/cannot be written: ENOENT/)
  mkdirSync(join(folder, 'folder.html'))
  expect(opened(join(folder, 'folder.html'))).toThrow(/cannot be written: EISDIR/)
  expect(opened(join(folder, 'run.html'))).not.toThrow()
  expect(readdirSync(folder)).toEqual(['folder.html'])
  writeFileSync(join(folder, 'old.html'), 'old')
  expect(opened(join(folder, 'old.html'))).not.toThrow()
  expect(readFileSync(join(folder, 'old.html'), 'utf8')).toBe('old')
})

test('a page is written when the run is over, and none when it never began', async () => {
  const { stream: none, written } = stream(false)
  const file = join(folder, 'ring.html')
  const watch = openWatch(file, 'npm run sim -- ring', none)
  await watch.end()
  expect(existsSync(file)).toBe(false)
  const { digest } = await runRing({ ...SMALL, seconds: 2 }, watch.say, watch.recorder)
  expect(digest).toBe((await runRing({ ...SMALL, seconds: 2 })).digest)
  await watch.end()
  expect(readFileSync(file, 'utf8')).toContain('npm run sim -- ring')
  expect(written.at(-1)).toMatch(/ring\.html: 0\.\d MB, open it in a browser\n$/)
})
