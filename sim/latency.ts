/** How long a message takes from one host to another: a distribution, or a matrix of measured round-trip times. */
import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import type { Random } from '../src/core/env.ts'
import { ChoraleError, errorMessage } from '../src/core/errors.ts'

/** One-way delay in ms between the hosts with these numbers. */
export type Latency = (from: number, to: number, random: Random) => number

/** Uniform per message. The reference runs use 10 .. 80 ms. */
export function uniformLatency(minMs: number, maxMs: number): Latency {
  return (_from, _to, random) => minMs + (maxMs - minMs) * random.next()
}

/** Measured round-trip times between hosts, row by row. */
export interface RttMatrix {
  readonly size: number
  /** ms, `size` x `size`. */
  readonly rttMs: Float64Array
}

/** Half the round-trip time of the matrix, with up to 10 % of jitter; hosts beyond the matrix share its rows. */
export function matrixLatency({ rttMs, size }: RttMatrix): Latency {
  return (from, to, random) => {
    const rtt = rttMs[(from % size) * size + (to % size)]!
    return Math.max(0.2, (rtt / 2) * (1 + 0.1 * random.next()))
  }
}

/** Reads a square matrix of round-trip times in ms: values between blanks, a row a line; gzip by its name. */
export function readRttMatrix(path: string): RttMatrix {
  let text: string
  try {
    const bytes = readFileSync(path)
    text = (path.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8')
  } catch (error) {
    throw new ChoraleError('usage', `${path}: cannot be read as a matrix of round-trip times: ${errorMessage(error)}`)
  }
  return parseRttMatrix(path, text)
}

/** Throws `usage`, in one line that names the first thing wrong, and where. */
function parseRttMatrix(path: string, text: string): RttMatrix {
  const wrong = (what: string) => new ChoraleError('usage', `${path}: not a square matrix of round-trip times: ${what}`)
  const rows = text
    .split('\n')
    .filter((line) => line.trim() !== '' && !line.startsWith('#'))
    // Between tabs nothing may be missing; blanks may align columns.
    .map((line) => (line.includes('\t') ? line.replace(/\r$/, '').split('\t') : line.trim().split(/\s+/)))
  const size = rows.length
  if (size === 0) throw wrong('it is empty')
  const rttMs = new Float64Array(size * size)
  rows.forEach((row, y) => {
    if (row.length !== size) throw wrong(`row ${y + 1} has ${row.length} values, and there are ${size} rows`)
    row.forEach((text, x) => {
      const word = text.trim()
      const value = Number(word)
      const at = `row ${y + 1}, column ${x + 1}`
      if (/^(|-|nan?|null)$/i.test(word)) throw wrong(`${at}: the value is missing`)
      if (value < 0) throw wrong(`${at}: ${word} is negative`)
      if (!Number.isFinite(value)) throw wrong(`${at}: '${word}' is no number of milliseconds`)
      rttMs[y * size + x] = value
    })
  })
  return { size, rttMs }
}
