/**
 * A run as it goes on, in the terminal: the overlay in Braille dots beside its figures, drawn over itself. Drawing is a
 * pure function of the run; the view decides when, and holds up the run so that it can be followed.
 */
import { OUTCOMES, type Run } from './run.ts'
import { type Scene, sceneAt } from './scene.ts'

/** Virtual seconds per second, at most. */
const SPEED = 4
const REDRAW_MS = 80
/** For so long of virtual time joins and deaths, and lookups that have ended, stay to be seen. */
const FLASH_MS = 900 * SPEED
const LINGER_MS = 100 * SPEED
/** Of a lookup, so many of its last ways are drawn. */
const LAST_MOVES = 4
/** Beside the picture: the figures. */
const PANEL_COLUMNS = 30
const LEAST_ROWS = 8
const MOST_ROWS = 40

/** SGR codes; what has the higher number is drawn over the others. */
const INKS = {
  none: '',
  member: '39',
  lookup: '34',
  joined: '1;32',
  wrong: '1;33',
  failed: '1;35',
  died: '1;31',
} as const
type Ink = keyof typeof INKS
const ORDER = Object.keys(INKS) as Ink[]

/** Dots, two columns and four rows of them to a character, each character in one colour. */
class Braille {
  readonly columns: number
  readonly rows: number
  readonly #dots: Uint8Array
  readonly #inks: Uint8Array

  constructor(columns: number, rows: number) {
    this.columns = columns
    this.rows = rows
    this.#dots = new Uint8Array(columns * rows)
    this.#inks = new Uint8Array(columns * rows)
  }

  /** x and y in dots, from the top left. */
  dot(x: number, y: number, ink: Ink): void {
    const column = Math.floor(x) >> 1
    const row = Math.floor(y) >> 2
    if (column < 0 || row < 0 || column >= this.columns || row >= this.rows) return
    const at = row * this.columns + column
    this.#dots[at]! |= BITS[Math.floor(y) & 3]![Math.floor(x) & 1]!
    this.#inks[at] = Math.max(this.#inks[at]!, ORDER.indexOf(ink))
  }

  lines(colours: boolean): string[] {
    return Array.from({ length: this.rows }, (_, row) => {
      let line = ''
      for (let at = row * this.columns; at < (row + 1) * this.columns; at++) {
        const sign = this.#dots[at] === 0 ? ' ' : String.fromCharCode(0x2800 + this.#dots[at]!)
        line += painted(sign, sign === ' ' ? 'none' : ORDER[this.#inks[at]!]!, colours)
      }
      return line
    })
  }
}

/** Unicode's numbers of the dots, by row and column. */
const BITS = [
  [0x01, 0x08],
  [0x02, 0x10],
  [0x04, 0x20],
  [0x40, 0x80],
] as const

function painted(text: string, ink: Ink, colours: boolean): string {
  return colours && INKS[ink] !== '' ? `\x1b[${INKS[ink]}m${text}\x1b[0m` : text
}

export interface Size {
  readonly columns: number
  readonly rows: number
}

/** The lines of one picture, none longer than the terminal is wide. */
export function frameOf(run: Run, timeMs: number, size: Size, said: string, colours: boolean): string[] {
  const scene = sceneAt(run, timeMs, FLASH_MS, LINGER_MS)
  const room = Math.floor((size.columns - PANEL_COLUMNS - 1) / 2)
  const rows = Math.max(LEAST_ROWS, Math.min(MOST_ROWS, size.rows - 2, room))
  const picture = drawn(run, scene, rows).lines(colours)
  const panel = figures(scene, timeMs)
  const top = Math.max(0, (rows - panel.length) >> 1)
  const lines = picture.map((line, row) => {
    const [ink, text] = panel[row - top] ?? ['none', '']
    return `${line} ${painted(text, ink, colours)}`
  })
  return [...lines, said.slice(0, size.columns - 1)]
}

function figures(scene: Scene, timeMs: number): (readonly [Ink, string])[] {
  const [, joined, died, lookups, wrong, failed] = scene.counts
  const line = (name: string, figure: number) => `${name.padEnd(9)}${String(figure).padStart(9)}`
  return [
    ['none', `${(timeMs / 1000).toFixed(1)} s: ${scene.phase}`.slice(0, PANEL_COLUMNS)],
    ['none', ''],
    ['member', line('members', scene.members.length)],
    ['joined', line('joined', joined)],
    ['died', line('died', died)],
    ['lookup', line('lookups', lookups)],
    ['wrong', line('wrong', wrong)],
    ['failed', line('failed', failed)],
  ]
}

function drawn(run: Run, scene: Scene, rows: number): Braille {
  const canvas = new Braille(2 * rows, rows)
  const side = 4 * rows
  const middle = side / 2
  const wraps = run.shape === 'torus'
  const at = ([x = 0, y = 0]: readonly number[]): [number, number] => {
    if (run.shape !== 'ring') return [x * (side - 1), (1 - y) * (side - 1)]
    const radius = middle - 2
    return [middle + radius * Math.sin(2 * Math.PI * x), middle - radius * Math.cos(2 * Math.PI * x)]
  }
  const way = (from: number, to: number, share: number, ink: Ink) => {
    const [ax, ay] = at(run.points[from]!)
    let [bx, by] = at(run.points[to]!)
    if (wraps) {
      bx -= side * Math.round((bx - ax) / side)
      by -= side * Math.round((by - ay) / side)
    }
    const steps = Math.ceil(Math.max(Math.abs(bx - ax), Math.abs(by - ay)))
    for (let step = 0; step <= steps * share; step += 2) {
      const x = ax + ((bx - ax) * step) / Math.max(steps, 1)
      const y = ay + ((by - ay) * step) / Math.max(steps, 1)
      canvas.dot(wraps ? (x + side) % side : x, wraps ? (y + side) % side : y, ink)
    }
  }
  for (const node of scene.members) canvas.dot(...at(run.points[node]!), 'member')
  for (const { row, moves, age } of scene.lookups) {
    const outcome = age > 0 ? OUTCOMES[row[2]] : 'open'
    const ink = outcome === 'wrong' || outcome === 'failed' ? outcome : 'lookup'
    for (const { from, to, done } of moves.slice(-LAST_MOVES)) way(from, to, done, ink)
  }
  const mark = (node: number, ink: Ink) => {
    const [x, y] = at(run.points[node]!)
    for (const [dx, dy] of [
      [0, 0],
      [1, 0],
      [-1, 0],
      [0, 1],
      [0, -1],
    ] as const)
      canvas.dot(x + dx, y + dy, ink)
  }
  for (const { node } of scene.joined) mark(node, 'joined')
  for (const { node } of scene.died) mark(node, 'died')
  return canvas
}

/** What the view needs of a terminal. */
export interface Screen {
  write(text: string): unknown
  readonly columns?: number
  readonly rows?: number
  hasColors?(): boolean
}

export class TerminalView {
  readonly #run: Run
  readonly #screen: Screen
  readonly #realMs: () => number
  readonly #hold: (ms: number) => void
  #startedAtMs: number | undefined
  #drawnAtMs = Number.NEGATIVE_INFINITY
  #lines = 0
  /** The last thing that the run said. */
  said = ''

  /** `realMs`: the clock of whoever watches; `hold` stops the run for so long of it. */
  constructor(run: Run, screen: Screen, realMs: () => number, hold: (ms: number) => void) {
    this.#run = run
    this.#screen = screen
    this.#realMs = realMs
    this.#hold = hold
  }

  /** Draws when it is time to, at this time of the run. */
  look(timeMs: number): void {
    this.#startedAtMs ??= this.#realMs() - timeMs / SPEED
    const early = this.#startedAtMs + timeMs / SPEED - this.#realMs()
    // Where the run is slower than it may be, it is not to catch up later.
    if (early < 0) this.#startedAtMs -= early
    else if (early > REDRAW_MS / 4) this.#hold(early)
    if (this.#realMs() - this.#drawnAtMs >= REDRAW_MS) this.draw(timeMs)
  }

  draw(timeMs: number): void {
    this.#drawnAtMs = this.#realMs()
    const { columns = 80, rows = 24 } = this.#screen
    const colours = this.#screen.hasColors?.() ?? false
    const lines = frameOf(this.#run, timeMs, { columns, rows }, this.said, colours)
    const up = this.#lines > 0 ? `\x1b[${this.#lines}A\r\x1b[J` : ''
    this.#screen.write(`${up}${lines.join('\n')}\n`)
    this.#lines = lines.length
  }
}
