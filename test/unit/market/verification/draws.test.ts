import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { hashKey, type Key } from '../../../../src/core/ids.ts'
import {
  type Candidate,
  Draws,
  drawHosts,
  drawPositions,
  drawTests,
  PPM,
  poolOf,
} from '../../../../src/market/verification/draws.ts'

const draws = (seed: number | string) => new Draws(hashKey(`${seed}`))

/** Chi-square of counts that should be equal, as a number of standard deviations (Wilson and Hilferty 1931). */
function unevenness(counts: readonly number[]): number {
  const expected = counts.reduce((sum, count) => sum + count, 0) / counts.length
  const chi = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0)
  const degrees = counts.length - 1
  const spread = 2 / (9 * degrees)
  return ((chi / degrees) ** (1 / 3) - (1 - spread)) / Math.sqrt(spread)
}

type Sampler = (seed: number, tests: number, tasks: number) => readonly number[]

/** How often each set of n of m positions is drawn, in a fixed order of sets. */
function counted(sampler: Sampler, tests: number, tasks: number, rounds: number): number[] {
  const counts = new Map<string, number>()
  const sets: string[] = []
  for (let mask = 0; mask < 2 ** tasks; mask++) {
    const set = Array.from({ length: tasks }, (_, i) => i).filter((i) => (mask >> i) & 1)
    if (set.length === tests) sets.push(set.join())
  }
  for (let seed = 0; seed < rounds; seed++) {
    const set = sampler(seed, tests, tasks).join()
    counts.set(set, (counts.get(set) ?? 0) + 1)
  }
  expect([...counts.keys()].filter((set) => !sets.includes(set))).toEqual([])
  return sets.map((set) => counts.get(set) ?? 0)
}

const ours: Sampler = (seed, tests, tasks) => drawPositions(draws(seed), tests, tasks)
const SURE = 4.5

describe('positions', () => {
  test.each([
    [1, 7],
    [2, 6],
    [3, 6],
    [5, 6],
  ])('every set of %i of %i is drawn as often', (tests, tasks) => {
    expect(unevenness(counted(ours, tests, tasks, 20_000))).toBeLessThan(SURE)
  })

  test('a sampler with a bias is caught', () => {
    const sorted = (set: Iterable<number>) => [...new Set(set)].sort((a, b) => a - b)
    /** A remainder of a byte: the first four of six come up 43 times in 256, the last two 42 times. */
    const remainder: Sampler = (seed, tests, tasks) => {
      const bytes = draws(seed)
      const drawn = new Set<number>()
      while (drawn.size < tests) drawn.add((bytes.below(8) + bytes.below(2)) % tasks)
      return sorted(drawn)
    }
    /** Floyd's with the wrong number put in: the last positions come too seldom. */
    const wrongTurn: Sampler = (seed, tests, tasks) => {
      const source = draws(seed)
      const drawn = new Set<number>()
      for (let last = tasks - tests; last < tasks; last++) {
        const position = source.below(last + 1)
        drawn.add(drawn.has(position) ? [0, 1, 2, 3, 4, 5].find((each) => !drawn.has(each))! : position)
      }
      return sorted(drawn)
    }
    for (const biased of [remainder, wrongTurn]) {
      expect(unevenness(counted(biased, 2, 6, 20_000))).toBeGreaterThan(SURE)
    }
  })

  test('numbers are even where 2^32 is no multiple of their count', () => {
    // Without the numbers thrown away, the lower half of 3/4 x 2^32 would come up twice as often.
    const source = draws('below')
    const below = 3 * 2 ** 30
    const halves = [0, 0, 0]
    for (let i = 0; i < 30_000; i++) halves[Math.floor((source.below(below) / below) * 3)]!++
    expect(unevenness(halves)).toBeLessThan(SURE)
    expect(unevenness([20_000, 5_000, 5_000])).toBeGreaterThan(SURE)
  })

  test('are ascending, different, in the window, and a function of the seed', () => {
    const window = fc
      .integer({ min: 1, max: 3000 })
      .chain((tasks) => fc.record({ tasks: fc.constant(tasks), tests: fc.integer({ min: 0, max: tasks }) }))
    fc.assert(
      fc.property(window, fc.string(), ({ tasks, tests }, seed) => {
        const positions = drawPositions(draws(seed), tests, tasks)
        expect(positions.length).toBe(tests)
        expect(positions.every((p, i) => Number.isInteger(p) && p > (positions[i - 1] ?? -1) && p < tasks)).toBe(true)
        expect(drawPositions(draws(seed), tests, tasks)).toEqual(positions)
      }),
    )
    expect(drawPositions(draws('fixed'), 4, 1000)).toMatchInlineSnapshot(`
      [
        325,
        327,
        466,
        736,
      ]
    `)
    expect(() => drawPositions(draws(1), 4, 3)).toThrow('4 of 3 tasks')
  })
})

describe('number of tests', () => {
  test('is the rate times the tasks, on average, and one of the two whole numbers beside it', () => {
    for (const [rate, tasks] of [
      [98_000, 1],
      [98_000, 37],
      [4917, 12_000],
      [0, 10],
      [PPM, 10],
    ] as const) {
      const exact = (rate * tasks) / PPM
      const counts = Array.from({ length: 4000 }, (_, seed) => drawTests(draws(seed), rate, tasks))
      expect(counts.every((n) => n === Math.floor(exact) || n === Math.ceil(exact))).toBe(true)
      const part = exact % 1
      const mean = counts.reduce((sum, n) => sum + n, 0) / counts.length
      expect(Math.abs(mean - exact)).toBeLessThanOrEqual(4.5 * Math.sqrt((part * (1 - part)) / 4000) + 1e-12)
    }
  })
})

const candidate = (host: number, account: number, prefix: number): Candidate => ({
  host: hashKey(`host ${host}`),
  account: hashKey(`account ${account}`),
  prefix: `10.0.${prefix}`,
})
const nobody = () => false

describe('hosts', () => {
  const some = fc
    .array(fc.record({ account: fc.integer({ min: 0, max: 12 }), prefix: fc.integer({ min: 0, max: 8 }) }), {
      maxLength: 40,
    })
    .map((all) => all.map(({ account, prefix }, host) => candidate(host, account, prefix)))

  test('are of different owners, no more than allowed of a block, none that is excluded, in any order of candidates', () => {
    const count = fc.integer({ min: 0, max: 12 })
    const perPrefix = fc.integer({ min: 1, max: 3 })
    fc.assert(
      fc.property(some, count, perPrefix, fc.string(), (all, count, perPrefix, seed) => {
        const excludes = ({ host }: Candidate) => host.startsWith('0')
        const drawn = drawHosts(draws(seed), poolOf(all), { count, perPrefix, excludes })
        expect(drawn.length).toBeLessThanOrEqual(count)
        expect(drawn.some(excludes)).toBe(false)
        expect(new Set(drawn.map(({ account }) => account)).size).toBe(drawn.length)
        for (const { prefix } of drawn) {
          expect(drawn.filter((other) => other.prefix === prefix).length).toBeLessThanOrEqual(perPrefix)
        }
        expect(drawHosts(draws(seed), poolOf(all.toReversed()), { count, perPrefix, excludes })).toEqual(drawn)
      }),
    )
  })

  test('all are found when they do not stand in each other s way', () => {
    const all = Array.from({ length: 30 }, (_, i) => candidate(i, i, i % 10))
    expect(drawHosts(draws(1), poolOf(all), { count: 30, perPrefix: 3, excludes: nobody }).length).toBe(30)
    const ten = drawHosts(draws(1), poolOf(all), { count: 12, perPrefix: 2, excludes: nobody })
    expect(new Set(ten.slice(0, 10).map(({ prefix }) => prefix)).size).toBe(10) // every block has its turn first
    expect(drawHosts(draws(1), poolOf(all), { count: 12, excludes: nobody }).length).toBe(10)
  })

  test('a block with a hundred hosts is drawn no more often than one with one', () => {
    const crowd = Array.from({ length: 100 }, (_, i) => candidate(i, i, 0))
    const pool = poolOf([...crowd, ...[1, 2, 3, 4].map((prefix) => candidate(100 + prefix, 100 + prefix, prefix))])
    const counts = new Map<string, number>()
    for (let seed = 0; seed < 10_000; seed++) {
      const [drawn] = drawHosts(draws(seed), pool, { count: 1, excludes: nobody })
      counts.set(drawn!.prefix, (counts.get(drawn!.prefix) ?? 0) + 1)
    }
    expect(unevenness([...counts.values()])).toBeLessThan(SURE)
    const byHost = drawHosts(draws(1), poolOf(crowd), { count: 5, perPrefix: 5, excludes: nobody })
    expect(new Set(byHost.map(({ host }: { host: Key }) => host)).size).toBe(5)
  })
})
