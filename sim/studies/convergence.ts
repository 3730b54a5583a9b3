/**
 * Study `convergence`: how fast an overlay of nodes that know ten random others becomes one that routes (PAPERS 5). Greedy
 * lookups after each cycle of gossip, with the published exchange and with ours, and the bytes that each sends.
 *
 * Nodes are plain objects and cycles are in step (`gossip-graph.ts`); the choice of peers and the routing are the real ones.
 */
import { dot, lineY, ruleY } from '@observablehq/plot'
import { hashKey } from '../../src/core/ids.ts'
import { seededRandom } from '../../src/core/random.ts'
import { contactAt } from '../../src/net/contact.ts'
import { ContactSchema, defineMessage, encodeRequest, record } from '../../src/net/message.ts'
import { spaceNamed } from '../../src/vhash/spaces.ts'
import { GossipGraph, type GossipRule } from './gossip-graph.ts'
import { type SeriesPoint, seriesColours, seriesMarks, seriesNames } from './marks.ts'
import { ci95, combinedError, compared, mean, roundingError } from './statistics.ts'
import type { Done, Figure, Report, Row, Study, StudyOptions } from './study.ts'

interface Unit {
  readonly rule: GossipRule
  /** Of the torus. */
  readonly dimensions: number
  readonly n: number
  readonly seed: number
}

/** After each cycle; the first are those before any. */
interface Result {
  readonly hitRates: readonly number[]
  /** Sent until then, by all nodes together. */
  readonly contacts: readonly number[]
}

const CYCLES = 30
const LOOKUPS = 3000
/** The published shares are taken as of so many. */
const PUBLISHED_LOOKUPS = 1000
const DIMENSIONS = [2, 3, 4, 5]
/** After so many cycles. */
const AFTER = [10, 20, 30]

/** By nodes, by dimensions from 2 on, after `AFTER` cycles. */
const PUBLISHED: Readonly<Record<number, readonly (readonly number[])[]>> = {
  500: [
    [0.976, 0.999, 1.0],
    [0.987, 0.999, 1.0],
    [0.968, 0.991, 0.994],
    [0.963, 0.981, 0.993],
  ],
  1000: [
    [0.951, 0.995, 0.997],
    [0.96, 0.997, 1.0],
    [0.94, 0.99, 0.995],
    [0.921, 0.976, 0.979],
  ],
  5000: [
    [0.835, 0.98, 0.996],
    [0.861, 0.992, 1.0],
    [0.792, 0.987, 0.997],
    [0.776, 0.964, 0.972],
  ],
}

/** Large ones take long: so many seeds, of those asked for. Two are the fewest that tell an error. */
const LARGE_SEEDS = { published: 2, ours: 1 } as const

function units({ seeds, quick }: StudyOptions): Unit[] {
  const of = (n: number, dimensions: readonly number[], rules: readonly GossipRule[], most = seeds.length) =>
    dimensions.flatMap((d) =>
      rules.flatMap((rule) => seeds.slice(0, most).map((seed): Unit => ({ rule, dimensions: d, n, seed }))),
    )
  const both = ['published', 'ours'] as const
  if (quick) return of(500, [2, 3], both)
  return [
    ...of(10_000, [2], ['ours'], 1),
    ...of(5000, DIMENSIONS.toReversed(), ['ours'], LARGE_SEEDS.ours),
    ...of(5000, DIMENSIONS.toReversed(), ['published'], LARGE_SEEDS.published),
    ...of(1000, DIMENSIONS.toReversed(), both),
    ...of(500, DIMENSIONS.toReversed(), both),
  ]
}

function run({ rule, dimensions, n, seed }: Unit): Result {
  const space = spaceNamed(`torus${dimensions}`)
  const graph = new GossipGraph({ space, nodes: n, seed, rule })
  const random = seededRandom(`convergence ${seed}`)
  const keys = Array.from({ length: LOOKUPS }, (_, i) => {
    const target = space.space.pointOf(hashKey(`convergence ${seed} ${i}`))
    return { target, owner: graph.owner(target) }
  })
  const hitRates: number[] = []
  const contacts: number[] = []
  for (let cycle = 0; cycle <= CYCLES; cycle++) {
    if (cycle > 0) graph.cycle()
    const hits = keys.filter(({ target, owner }) => graph.lookup(graph.nodes[random.int(n)]!, target).owner === owner)
    hitRates.push(hits.length / LOOKUPS)
    contacts.push(graph.contactsSent)
  }
  return { hitRates, contacts }
}

const CONTACTS = defineMessage('contacts', { request: record({ contact: ContactSchema }), reply: record({}) })

/** Of a contact in a message, as the nodes encode it. */
function contactBytes(): number {
  const peer = '12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp'
  const address = { peer, ip: '203.0.113.77', port: 54_321, incarnation: 1_750_000_000_000 }
  const whole = encodeRequest(CONTACTS, { contact: contactAt(address, 0) })
  return whole.length - 'contact'.length - 2
}

function report(done: readonly Done<Unit, Result>[]): Report {
  const groups = Map.groupBy(done, ({ unit: { rule, dimensions, n } }) => `${rule} ${dimensions} ${n}`)
  const bytes = contactBytes()
  const rows: Row[] = []
  for (const runs of groups.values()) {
    const { rule, dimensions, n } = runs[0]!.unit
    const where = `n = ${n}, ${dimensions}-D`
    for (const [i, after] of AFTER.entries()) {
      const published = rule === 'published' ? (PUBLISHED[n]?.[dimensions - 2]?.[i] ?? null) : null
      const rates = runs.map(({ result }) => result.hitRates[after]!)
      const name = `hit rate after ${after} cycles, ${EXCHANGE[rule]}, ${where}`
      const rate = mean(rates)
      // Of a share of so many lookups, whatever the overlay.
      const leastError = Math.sqrt((rate * (1 - rate)) / LOOKUPS / runs.length)
      const of = published ?? rate
      const publishedError = combinedError(Math.sqrt((of * (1 - of)) / PUBLISHED_LOOKUPS), roundingError(3))
      const why = published === null ? undefined : rate > published ? WHY_FASTER : WHY_STRANDED
      rows.push(compared(name, published, rates, { publishedError, leastError, why }))
    }
    const sent = runs.map(({ result }) => (result.contacts[CYCLES]! / n / CYCLES) * bytes)
    rows.push(compared(`bytes per node and cycle, ${EXCHANGE[rule]}, ${where}`, null, sent))
  }
  const sizes = [...new Set(done.map(({ unit }) => unit.n))].sort((a, b) => a - b)
  return {
    rows,
    tables: [table(done, bytes)],
    figures: [...sizes.map((n) => cyclesFigure([...groups.values()], n)), bytesFigure([...groups.values()], bytes)],
    notes: [
      `Lookups are greedy, over short and long peers, from random nodes for ${LOOKUPS} random points; published shares are taken as of ${PUBLISHED_LOOKUPS}.`,
      `A contact is ${bytes} bytes on the wire. Both ends of an exchange send, and every node begins one per cycle.`,
    ],
  }
}

/** Less is drawn as this. */
const LEAST_MISSED = 1e-4

const EXCHANGE = { published: 'published exchange', ours: 'our exchange' } as const
const WHY_FASTER =
  'Faster than published: the papers leave open what of an exchange is learnt by whom, and here both ends learn all of it. With one end only it is slower than published.'
const WHY_STRANDED =
  'Greedy routing over the peers of the heuristic strands a few lookups, however long the gossip; how the published ones ended is not told.'

function table(done: readonly Done<Unit, Result>[], bytes: number): Report['tables'][number] {
  const columns = ['exchange', 'dimensions', 'n', 'seed', 'cycle', 'hit_rate', 'bytes_per_node']
  const rows = done.flatMap(({ unit: { rule, dimensions, n, seed }, result: { hitRates, contacts } }) =>
    hitRates.map((rate, cycle) => [rule, dimensions, n, seed, cycle, rate, (contacts[cycle]! / n) * bytes]),
  )
  return { name: 'cycles', columns, rows }
}

type Groups = readonly (readonly Done<Unit, Result>[])[]

function cyclesFigure(groups: Groups, n: number): Figure {
  const points: (SeriesPoint & { dimensions: string })[] = []
  for (const runs of groups.filter(([first]) => first!.unit.n === n)) {
    const { rule, dimensions } = runs[0]!.unit
    const facet = { dimensions: `${dimensions} dimensions` }
    for (let cycle = 0; cycle <= CYCLES; cycle++) {
      const rates = runs.map(({ result }) => result.hitRates[cycle]!)
      points.push({ ...facet, series: EXCHANGE[rule], x: cycle, y: mean(rates), error: ci95(rates) ?? 0 })
    }
    if (rule !== 'published') continue
    for (const [i, after] of AFTER.entries()) {
      const y = PUBLISHED[n]?.[dimensions - 2]?.[i]
      if (y !== undefined) points.push({ ...facet, series: 'published values', x: after, y, error: 0 })
    }
  }
  const missed = ({ y }: SeriesPoint) => Math.max(LEAST_MISSED, 1 - y)
  const values = points.filter(({ series }) => series === 'published values')
  const lines = points.filter(({ series }) => series !== 'published values')
  return {
    name: `cycles-${n}`,
    title: `Greedy lookups that do not arrive, by cycle of gossip, ${n} nodes`,
    caption: `From ten random peers each, on the torus. Dots: as published. None that misses is drawn at the bottom.${n > 1000 ? ' Our exchange sends a fraction of the bytes (see the last figure).' : ''}`,
    plot: {
      height: 360,
      fx: { label: null },
      x: { label: 'cycles', ticks: [0, 10, 20, 30] },
      y: {
        label: 'share that does not arrive (log)',
        type: 'log',
        grid: true,
        domain: [LEAST_MISSED, 1],
        ticks: [1, 0.1, 0.01, 0.001, LEAST_MISSED],
        tickFormat: String,
      },
      color: seriesColours(seriesNames(points)),
      marks: [
        lineY(lines, { fx: 'dimensions', x: 'x', y: missed, stroke: 'series' }),
        dot(values, { fx: 'dimensions', x: 'x', y: missed, fill: 'series', r: 4 }),
      ],
    },
  }
}

function bytesFigure(groups: Groups, bytes: number): Figure {
  const largest = Math.max(...groups.map(([first]) => first!.unit.n).filter((n) => n <= 5000))
  const points: SeriesPoint[] = []
  for (const runs of groups.filter(([first]) => first!.unit.n === largest)) {
    const { rule, dimensions, n } = runs[0]!.unit
    const sent = runs.map(({ result }) => ((result.contacts[CYCLES]! / n / CYCLES) * bytes) / 1000)
    points.push({ series: EXCHANGE[rule], x: dimensions, y: mean(sent), error: ci95(sent) ?? 0 })
  }
  return {
    name: 'bytes',
    title: `What gossip costs, ${largest} nodes`,
    caption:
      'Sent per node and cycle, mean of 30 cycles, as contacts are encoded. The published exchange sends all that both ends know, ours the few contacts that the other may need.',
    plot: {
      x: { label: 'dimensions', ticks: DIMENSIONS, tickFormat: 'd', inset: 20 },
      y: { label: 'kilobytes per node and cycle', grid: true, zero: true },
      color: seriesColours(seriesNames(points)),
      symbol: { domain: seriesNames(points) },
      marks: [ruleY([0]), seriesMarks(points)],
    },
  }
}

export const study: Study<Unit, Result> = {
  name: 'convergence',
  title: 'greedy lookups that arrive while an overlay forms by gossip',
  source: 'Benshoof, Rosen et al. 2014-15, VHash and DGVH',
  defaultSeeds: (quick) => (quick ? [1, 2] : [1, 2, 3]),
  units,
  weight: ({ rule, dimensions, n }) => n * dimensions * (rule === 'published' ? 2 : 1),
  run,
  report,
}
