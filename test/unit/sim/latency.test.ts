import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { afterAll, expect, test } from 'vitest'
import { matrixLatency, readRttMatrix, uniformLatency } from '../../../sim/latency.ts'
import { seededRandom } from '../../../src/core/random.ts'

const home = mkdtempSync(join(tmpdir(), 'chorale-latency-'))
afterAll(() => rmSync(home, { recursive: true }))
const random = seededRandom(1)

function file(name: string, content: string | Uint8Array): string {
  const path = join(home, name)
  writeFileSync(path, content)
  return path
}

test('uniform delays fill their range', () => {
  const latency = uniformLatency(10, 80)
  const delays = Array.from({ length: 2000 }, () => latency(0, 1, random))
  expect(Math.min(...delays)).toBeGreaterThanOrEqual(10)
  expect(Math.max(...delays)).toBeLessThan(80)
  expect(delays.reduce((a, b) => a + b) / delays.length).toBeCloseTo(45, -1)
})

test.each([
  ['plain', '# ms\n0\t100\t20\n100\t0\t40\n20\t40\t0\n\n'],
  ['packed.gz', gzipSync('0 100 20\n100 0 40\n20 40 0')],
])('a matrix of round-trip times, %s: half of it is one way; more hosts than rows share them', (name, content) => {
  const latency = matrixLatency(readRttMatrix(file(name, content)))
  for (const [from, to, rtt] of [
    [0, 1, 100],
    [2, 1, 40],
    [3, 4, 100],
    [5, 1, 40],
  ] as const) {
    // biome-ignore format: a table
    const ms = latency(from, to, random)
    expect(ms).toBeGreaterThanOrEqual(rtt / 2)
    expect(ms).toBeLessThan((rtt / 2) * 1.1)
  }
  expect(latency(0, 3, random)).toBeGreaterThan(0) // two hosts in one place
})

test.each([
  ['empty', '', 'it is empty'],
  ['a short row', '0\t1\n1', 'row 2 has 1 values, and there are 2 rows'],
  ['wide', '0 1 2\n1 0 2', 'row 1 has 3 values, and there are 2 rows'],
  ['words', '0\ta\na\t0', "row 1, column 2: 'a' is no number of milliseconds"],
  ['endless', '0\tInfinity\n1\t0', "row 1, column 2: 'Infinity' is no number of milliseconds"],
  ['negative', '0\t1\n-1\t0', 'row 2, column 1: -1 is negative'],
  ['a gap', '0\t1\t2\n1\t\t2\n2\t2\t0', 'row 2, column 2: the value is missing'],
  ['a gap at the end', '0\t\n1\t0', 'row 1, column 2: the value is missing'],
  ['NaN', '0 NaN\n1 0', 'row 1, column 2: the value is missing'],
])('%s is no matrix: one line says why', (name, content, why) => {
  const path = file(name, content)
  const line = `${path}: not a square matrix of round-trip times: ${why}`
  expect(() => readRttMatrix(path)).toThrow(expect.objectContaining({ code: 'usage', message: line }))
})

test.each(['missing', 'broken.gz'])('%s: a file that cannot be read is named', (name) => {
  const path = name === 'missing' ? join(home, name) : file(name, 'not packed')
  const what = expect.stringContaining(`${path}: cannot be read as a matrix of round-trip times: `)
  expect(() => readRttMatrix(path)).toThrow(expect.objectContaining({ code: 'usage', message: what }))
})

const planetlab = fileURLToPath(new URL('../../../../shared/data/planetlab-490-rtt-ms.tsv.gz', import.meta.url))

test.skipIf(!existsSync(planetlab))('490 PlanetLab nodes: median round trip 135 ms', () => {
  const latency = matrixLatency(readRttMatrix(planetlab))
  const rtts: number[] = []
  for (let from = 0; from < 490; from += 7) for (let to = 0; to < 490; to += 3) rtts.push(2 * latency(from, to, random))
  rtts.sort((a, b) => a - b)
  expect(rtts[rtts.length >> 1]).toBeGreaterThan(120)
  expect(rtts[rtts.length >> 1]).toBeLessThan(155)
})
