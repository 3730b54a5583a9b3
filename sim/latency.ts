/** How long a message takes from one host to another: a distribution, or a matrix of measured round-trip times. */
import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import type { Random } from '../src/core/env.ts'
import { ChoraleError } from '../src/core/errors.ts'

/** One-way delay in ms between the hosts with these numbers. */
export type Latency = (from: number, to: number, random: Random) => number

/** Uniform per message. The reference runs use 10 .. 80 ms. */
export function uniformLatency(minMs: number, maxMs: number): Latency {
  return (_from, _to, random) => minMs + (maxMs - minMs) * random.next()
}

/** Half the round-trip time of the matrix, with up to 10 % of jitter; hosts beyond the matrix share its rows. */
export function matrixLatency(rttMs: Float64Array, size: number): Latency {
  return (from, to, random) => {
    const rtt = rttMs[(from % size) * size + (to % size)]!
    return Math.max(0.2, (rtt / 2) * (1 + 0.1 * random.next()))
  }
}

/** Reads a square, tab-separated matrix of round-trip times in ms; gzip by its name. */
export function loadLatencyMatrix(path: string): Latency {
  const bytes = readFileSync(path)
  const text = (path.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8')
  const rows = text
    .split('\n')
    .filter((line) => line.trim() !== '' && !line.startsWith('#'))
    .map((line) => line.trim().split(/\s+/).map(Number))
  const size = rows.length
  if (size === 0 || rows.some((row) => row.length !== size || row.some((value) => !(value >= 0)))) {
    throw new ChoraleError('config', `${path}: not a square matrix of round-trip times in ms`)
  }
  return matrixLatency(Float64Array.from(rows.flat()), size)
}
