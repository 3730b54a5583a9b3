import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { afterAll, expect, test } from 'vitest'
import { loadLatencyMatrix, uniformLatency } from '../../../sim/latency.ts'
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
  const latency = loadLatencyMatrix(file(name, content))
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
  ['empty', ''],
  ['not square', '0\t1\n1'],
  ['words', '0\ta\na\t0'],
  ['negative', '0\t-1\n-1\t0'],
])('%s is no matrix', (name, content) => {
  expect(() => loadLatencyMatrix(file(name, content))).toThrow(/not a square matrix/)
})

const planetlab = fileURLToPath(new URL('../../../../shared/data/planetlab-490-rtt-ms.tsv.gz', import.meta.url))

test.skipIf(!existsSync(planetlab))('490 PlanetLab nodes: median round trip 135 ms', () => {
  const latency = loadLatencyMatrix(planetlab)
  const rtts: number[] = []
  for (let from = 0; from < 490; from += 7) for (let to = 0; to < 490; to += 3) rtts.push(2 * latency(from, to, random))
  rtts.sort((a, b) => a - b)
  expect(rtts[rtts.length >> 1]).toBeGreaterThan(120)
  expect(rtts[rtts.length >> 1]).toBeLessThan(155)
})
