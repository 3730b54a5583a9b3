import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Circle, clockwise, portId, randomAscending, randomIds } from '../../../../sim/studies/sybil/circle.ts'
import {
  captured,
  LINK_BITS,
  shareOfGaps,
  shareOfGapsByPrefix,
  shareOfGapsUnhashed,
  testDensity,
  tryOneGap,
} from '../../../../sim/studies/sybil/experiments.ts'
import { study } from '../../../../sim/studies/sybil.ts'
import { keyToBigint } from '../../../../src/core/ids.ts'
import { seededRandom } from '../../../../src/core/random.ts'
import {
  densityMiss,
  EPHEMERAL_PORTS,
  expectedTries,
  gapHit,
  gapHitByPrefix,
  gapHitDeviation,
  groupCaptured,
  linksHit,
  maskedAddresses,
  triesDeviation,
} from '../../../../src/market/sybil.ts'
import { contactAt } from '../../../../src/net/contact.ts'

const average = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
const seeds = (count: number) => Array.from({ length: count }, (_, i) => i + 1)

/** Is the mean of so many runs within four standard errors of what it should be? */
function expectNear(values: readonly number[], exact: number, spread: number): void {
  expect(Math.abs(average(values) - exact)).toBeLessThan((4 * spread) / Math.sqrt(values.length) + 1e-12)
}

describe('circle', () => {
  test('finds the place of any point', () => {
    const ids = fc.array(fc.integer({ min: 0, max: 999 }), { minLength: 1, maxLength: 60 })
    fc.assert(
      fc.property(ids, fc.integer({ min: 0, max: 999 }), (numbers, at) => {
        const sorted = numbers.map((n) => n / 1000).sort((a, b) => a - b)
        const circle = new Circle(Float64Array.from(numbers, (n) => n / 1000))
        const point = at / 1000
        expect(circle.rank(point)).toBe(sorted.filter((id) => id < point).length)
        expect(circle.ahead(point)).toBe(Math.min(...sorted.map((id) => clockwise(point, id))))
        expect(Array.from({ length: numbers.length }, (_, i) => circle.at(i))).toEqual(sorted)
        const ascending = circle.ascending()
        expect([...sorted, Number.POSITIVE_INFINITY]).toEqual([...sorted, 0].map(() => ascending.next()))
      }),
    )
  })

  test('random ids come in order, and as evenly as random ones do', () => {
    const count = 100_000
    const stream = randomAscending(count, 'order')
    const ids = Array.from({ length: count }, () => stream.next())
    expect(stream.next()).toBe(Number.POSITIVE_INFINITY)
    expect(ids.every((id, i) => id >= (ids[i - 1] ?? 0) && id < 1)).toBe(true)
    // Kolmogorov and Smirnov: beyond 2.2 / sqrt(n) once in 8,000 times.
    const farthest = Math.max(...ids.map((id, i) => Math.abs(id - (i + 0.5) / count)))
    expect(farthest * Math.sqrt(count)).toBeLessThan(2.2)
    expect(farthest * Math.sqrt(count)).toBeGreaterThan(0.3)
    const drawn = randomIds(1000, seededRandom('drawn'))
    expect(Math.abs(average([...drawn]) - 0.5)).toBeLessThan(0.04)
  })

  test('ports have the ids that live nodes derive', () => {
    const { id } = contactAt({ peer: 'p', ip: '1.2.3.4', port: 50_000, incarnation: 7 }, 0)
    expect(portId('1.2.3.4', 50_000)).toBe(Number(keyToBigint(id) >> 204n) / 2 ** 52)
  })
})

describe('experiments give what the formulas say', () => {
  const nodes = 2000

  test('gaps', () => {
    const runs = seeds(5).map((seed) => shareOfGaps(nodes, [1, 2], seed))
    for (const [i, ips] of [1, 2].entries()) {
      const identities = ips * EPHEMERAL_PORTS
      const shares = runs.map((shares) => shares[i]!)
      expectNear(shares, gapHit(nodes, identities), gapHitDeviation(nodes, identities))
    }
    const few = seeds(8000).map((seed) => shareOfGapsUnhashed(20, 5, seed))
    expectNear(few, gapHit(20, 5), gapHitDeviation(20, 5))
    expect(new Set(few).size).toBeGreaterThan(2)
    expect(shareOfGapsUnhashed(1, 1, 1)).toBe(1)
  })

  test('links and groups', () => {
    const runs = seeds(5).map((seed) => captured(nodes, 2, [1], { groupSize: 3, keys: 500 }, seed)[0]!)
    const spread = gapHitDeviation(nodes, EPHEMERAL_PORTS) / Math.SQRT2
    expectNear(
      runs.map(({ gaps }) => gaps),
      gapHit(nodes, EPHEMERAL_PORTS),
      spread,
    )
    expectNear(
      runs.map(({ links }) => links),
      linksHit(nodes, EPHEMERAL_PORTS, LINK_BITS),
      spread,
    )
    // Keys are independent, and nearly so the groups, of which there are many.
    const groups = groupCaptured(nodes, EPHEMERAL_PORTS, 3, 2)
    expectNear(
      runs.map((run) => run.groups),
      groups,
      Math.sqrt((groups * (1 - groups)) / 500),
    )
  })

  test('tries for one gap', () => {
    const [size, attempts] = [2000, 5]
    const runs = seeds(10).map((seed) => tryOneGap(size, attempts, seed))
    const hit = gapHit(size, EPHEMERAL_PORTS)
    expectNear(
      runs.map((run) => run.hit),
      hit,
      Math.sqrt((hit * (1 - hit)) / attempts),
    )
    expectNear(
      runs.map(({ tries }) => tries),
      expectedTries(size, EPHEMERAL_PORTS),
      triesDeviation(size, EPHEMERAL_PORTS) / Math.sqrt(attempts),
    )
  })

  test.each([
    { addresses: 1, block: true },
    { addresses: 256, block: true },
    { addresses: 4000, block: false },
  ])('placement by prefix: $addresses addresses', (from) => {
    const masked = from.block ? from.addresses : maskedAddresses(from.addresses)
    const shares = seeds(5).map((seed) => shareOfGapsByPrefix(nodes, from, seed))
    expectNear(shares, gapHitByPrefix(nodes, masked), gapHitDeviation(nodes, 8 * masked))
  })

  test('density', () => {
    const runs = seeds(10).flatMap((seed) => testDensity(20_000, [8], 0.01, seed))
    expectNear(
      runs.map(({ alarms }) => alarms),
      0.01,
      Math.sqrt((0.01 * 8) / 20_000),
    )
    // Erlang(8) is below 2.9061 once in a hundred times.
    const missed = Math.exp(-2.9061)
    expectNear(
      runs.map(({ misses }) => misses),
      missed,
      Math.sqrt(missed / 20_000),
    )
  })
})

describe('report', () => {
  const options = { seeds: [1, 2, 3], quick: false }
  const units = study.units(options)
  /** Results as if each run gave what the formulas say, times `bias`. */
  const doneWith = (bias: (unit: (typeof units)[number]) => number) =>
    units.map((unit) => ({ unit, result: exactly(unit, bias(unit)) }))
  const exactly = (unit: (typeof units)[number], bias: number) => {
    const { nodes } = unit
    const gaps = (ips: number) => bias * gapHit(nodes, ips * EPHEMERAL_PORTS)
    switch (unit.kind) {
      case 'gaps':
        return [1, 5, 19].map(gaps)
      case 'links':
        return [1, 3, 9].map((ips) => ({
          links: bias * linksHit(nodes, ips * EPHEMERAL_PORTS, LINK_BITS),
          gaps: gaps(ips),
          groups: bias * groupCaptured(nodes, ips * EPHEMERAL_PORTS, 3, 2),
        }))
      case 'one':
        return { attempts: unit.attempts, hit: gaps(1), tries: bias * expectedTries(nodes, EPHEMERAL_PORTS) }
      case 'density':
        return [8, 16, 20].map((r) => ({ alarms: bias * 1e-4, misses: bias * densityMiss(r, 1e-4) }))
      case 'half':
        return gaps(1221)
      case 'prefix':
        return bias * gapHitByPrefix(nodes, unit.from.addresses)
    }
  }

  test('exact values reproduce what was published, but for the wrong formulas', () => {
    const { rows, tables, figures } = study.report(
      doneWith(() => 1),
      options,
    )
    expect(rows.filter(({ verdict }) => verdict === 'differs')).toEqual([])
    const corrected = rows.filter(({ verdict }) => verdict === 'corrected')
    expect(corrected.map(({ name }) => name).every((name) => name.startsWith('formula '))).toBe(true)
    expect(corrected.length).toBe(8)
    expect(rows.filter(({ verdict }) => verdict === 'reproduced').length).toBe(9 + 9 + 8 + 6 + 1)
    expect(new Set(rows.map(({ name }) => name)).size).toBe(rows.length)
    for (const { columns, rows: lines } of tables) {
      for (const line of lines) expect(line.length).toBe(columns.length)
    }
    expect(figures.every(({ plot }) => plot.x?.label && plot.y?.label)).toBe(true)
  })

  test('a simulation that strays from its formula differs, however near to the published value it is', () => {
    const { rows } = study.report(
      doneWith(({ nodes }) => (nodes === 5000 ? 1.03 : 1)),
      options,
    )
    expect(rows.find(({ name }) => name === 'gaps hit, n = 5,000, 5 IPs')).toMatchObject({ verdict: 'differs' })
    expect(rows.find(({ name }) => name === 'formula k/n for a gap, n = 5,000, 1 IP')?.verdict).toBe('differs')
  })

  test('quick leaves out what takes long', () => {
    const quick = study.units({ seeds: [1], quick: true })
    expect(Math.max(...quick.map(({ nodes }) => nodes))).toBe(10_000_000)
    expect(units.length).toBe(3 * 20)
  })
})
