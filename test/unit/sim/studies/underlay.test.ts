import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { runHops } from '../../../../sim/studies/underlay/hops.ts'
import { Learning, medianError } from '../../../../sim/studies/underlay/learning.ts'
import { RingGraph } from '../../../../sim/studies/underlay/ring-graph.ts'
import { hopsFrom, scaleFree } from '../../../../sim/studies/underlay/scale-free.ts'
import { pushed, unitOf } from '../../../../sim/studies/underlay/spring.ts'
import { TorusGraph } from '../../../../sim/studies/underlay/torus-graph.ts'
import { study } from '../../../../sim/studies/underlay.ts'
import { seededRandom } from '../../../../src/core/random.ts'

afterEach(() => vi.unstubAllEnvs())

test('a scale-free graph: so many links per newcomer, everybody reached, and a few have very many', () => {
  const graph = scaleFree(2000, 3, seededRandom(1))
  const degrees = graph.map(({ length }) => length)
  expect(degrees.reduce((a, b) => a + b)).toBe(2 * (6 + 3 * (2000 - 4)))
  expect(Math.min(...degrees)).toBe(3)
  expect(Math.max(...degrees)).toBeGreaterThan(60)
  for (const [node, neighbours] of graph.entries()) {
    expect(new Set(neighbours).size).toBe(neighbours.length)
    expect(neighbours).not.toContain(node)
  }
  const hops = hopsFrom(graph, 0)
  expect(hops[0]).toBe(0)
  expect(Math.max(...hops)).toBeLessThan(10)
  // One hop more than some neighbour, and no more than one apart from any.
  for (const [node, neighbours] of graph.entries()) {
    if (node > 0) expect(Math.min(...neighbours.map((next) => hops[next]!))).toBe(hops[node]! - 1)
  }
})

/** Hosts on a line, far ones far apart. */
const line = (a: number, b: number) => 5 + 3 * Math.abs(((a * 7919) % 200) - ((b * 7919) % 200))

describe('the ring as a graph', () => {
  const shapes = [
    { nodes: 200, successors: 4, fingers: 'chord' as const },
    { nodes: 200, successors: 16, fingers: 8 },
    { nodes: 5, successors: 4, fingers: 8 },
    { nodes: 20, successors: 2, fingers: 12 },
  ]

  test.each(shapes)('delivers every lookup, chosen by latency or not, and fingers stay in their arcs: %o', (shape) => {
    const random = seededRandom(1)
    const ring = new RingGraph(shape, random)
    const check = () => {
      for (let i = 0; i < 300; i++) {
        const key = random.next()
        const from = random.int(shape.nodes)
        for (const path of [ring.route(from, key), ring.route(from, key, line)]) {
          expect(path[0]).toBe(from)
          expect(path.at(-1)).toBe(ring.ownerOf(key))
          expect(new Set(path).size).toBe(path.length)
        }
      }
    }
    check()
    const degree = ring.meanDegree
    for (let round = 0; round < 20; round++) ring.refresh(random, line, line, 8)
    check()
    ring.chooseNearest(line)
    check()
    expect(ring.meanDegree).toBe(degree)
  })

  test('asking around brings fingers most of the way to the best that there are', () => {
    const make = () => new RingGraph({ nodes: 200, successors: 8, fingers: 6 }, seededRandom(2))
    const total = (ring: RingGraph) =>
      Array.from({ length: 200 }, (_, node) => ring.peers(node).reduce((sum, to) => sum + line(node, to), 0)).reduce(
        (a, b) => a + b,
      )
    const [plain, asked, best] = [make(), make(), make()]
    const random = seededRandom(3)
    for (let round = 0; round < 60; round++) asked.refresh(random, line, line, 8)
    best.chooseNearest(line)
    expect((total(plain) - total(asked)) / (total(plain) - total(best))).toBeGreaterThan(0.8)
  })
})

test('coordinates are learnt from a few peers', () => {
  const learning = new Learning(100, line, seededRandom(1))
  const peers = (node: number) => Array.from({ length: 12 }, (_, k) => (node * 31 + k * 17 + 1) % 100)
  const error = () => medianError(100, (a, b) => learning.predictedMs(a, b), line)
  const before = error()
  for (let round = 0; round < 300; round++) learning.round(peers)
  expect(before).toBeGreaterThan(0.9)
  expect(error()).toBeLessThan(0.15)
})

describe('springs', () => {
  test('pull a point to the distance that its latency stands for, the short way round', () => {
    const near = { point: [0.1, 0.5], latencyMs: 10 }
    const far = { point: [0.4, 0.5], latencyMs: 30 }
    const self = [0.95, 0.5]
    expect(unitOf(self, [near, far])).toBeCloseTo((0.15 + 0.45) / 40)
    // Both are where their latencies say: nothing moves.
    expect(pushed(self, [near, far], 1)[0]).toBeCloseTo(0.95)
    // The near one takes longer than it is far: away from it, over the border and on the other side of it.
    const [x, y] = pushed(
      self,
      [
        { ...near, latencyMs: 30 },
        { point: [0.85, 0.5], latencyMs: 20 },
      ],
      0.5,
    )
    expect(y).toBe(0.5)
    expect(x).toBeCloseTo(0.95 + 0.5 * (-(30 * (0.25 / 50) - 0.15) + (20 * (0.25 / 50) - 0.1)))
  })

  test('a point stays on the torus, and alone or on top of another it stays where it is', () => {
    expect(pushed([0.5, 0.5], [], 1)).toEqual([0.5, 0.5])
    expect(pushed([0.5, 0.5], [{ point: [0.5, 0.5], latencyMs: 10 }], 1)).toEqual([0.5, 0.5])
    const random = seededRandom(1)
    for (let i = 0; i < 500; i++) {
      const place = () => [random.next(), random.next()]
      const peers = Array.from({ length: 5 }, () => ({ point: place(), latencyMs: 500 * random.next() }))
      for (const value of pushed(place(), peers, 1)) {
        expect(value).toBeGreaterThanOrEqual(0)
        expect(value).toBeLessThan(1)
      }
    }
  })
})

test('a Voronoi overlay keeps its degree and delivers after some gossip; by latency its lookups are quicker', () => {
  const overlay = (expected?: typeof line) => {
    const torus = new TorusGraph(120, 20, 1, seededRandom(1), expected)
    for (let cycle = 0; cycle < 12; cycle++) torus.cycle()
    return torus
  }
  const meanMs = (torus: TorusGraph) => {
    expect(torus.meanDegree).toBeCloseTo(20, 1)
    const random = seededRandom(2)
    let sum = 0
    for (let i = 0; i < 300; i++) {
      const key = [random.next(), random.next()]
      const path = torus.route(random.int(120), key)
      expect(path?.at(-1)).toBe(torus.owner(key))
      for (let hop = 1; hop < path!.length; hop++) sum += line(path![hop - 1]!, path![hop]!)
    }
    return sum / 300
  }
  expect(meanMs(overlay(line))).toBeLessThan(0.85 * meanMs(overlay()))
})

describe('the study', () => {
  const options = { seeds: [1], quick: true }

  test('without the matrix: the hops alone, and a line that says what to do', () => {
    vi.stubEnv('CHORALE_DATA', '/nowhere')
    const units = study.units(options)
    expect(new Set(units.map(({ part }) => part))).toEqual(new Set(['hops']))
    const report = study.report([], options)
    expect(report.notes).toEqual([expect.stringMatching(/Set CHORALE_DATA to the folder/)])
  })

  test('a matrix that is none is told at once', () => {
    const folder = mkdtempSync(join(tmpdir(), 'chorale-underlay-'))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    writeFileSync(join(folder, 'planetlab-490-rtt-ms.tsv.gz'), gzipSync('0 1\n1 -2\n'))
    vi.stubEnv('CHORALE_DATA', folder)
    const line = expect.stringMatching(/not a square matrix of round-trip times: row 2, column 2: -2 is negative$/)
    expect(() => study.units(options)).toThrow(expect.objectContaining({ code: 'usage', message: line }))
  })

  test('a small one, from units to rows and figures', async () => {
    vi.stubEnv('CHORALE_DATA', '/nowhere')
    const unit = study.units(options).find((each) => each.part === 'hops' && each.nodes === 100)!
    const result = await study.run(unit)
    expect(result).toEqual(runHops(100, 1))
    const { rows, figures, tables } = study.report([{ unit, result }], options)
    const row = (name: string) => rows.find((each) => each.name === `n = 100, ${name}`)!
    // Twice as many hops as VHash with its many peers; as many peers, as many hops.
    expect(row('Chord / VHash, underlay hops, as published').ours).toBeGreaterThan(1.7)
    expect(Math.abs(row('Chord / VHash, underlay hops, at equal degree').ours - 1)).toBeLessThan(0.1)
    expect(figures.map(({ name }) => name)).toEqual(['hops'])
    expect(tables.map(({ name, rows: { length } }) => [name, length])).toEqual([['hops', 3]])
  })
})
