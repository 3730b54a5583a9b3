/**
 * Study `urdht`: one node logic over several spaces (Rosen et al. 2016; PAPERS 6): how many peers a node has, how many hops
 * a lookup takes and how long the longest way is, with 500 nodes at rest. Beside the published spaces stand our overlays.
 */
import { dot, ruleX, ruleY } from '@observablehq/plot'
import { seededRandom } from '../../src/core/random.ts'
import { seriesColours } from './marks.ts'
import { ci95, compared, mean, standardDeviation } from './statistics.ts'
import type { Done, Figure, Report, Row, Study, StudyOptions } from './study.ts'
import { chord, gossiped, kademlia, type Overlay, type Shape, shapeOf } from './urdht/overlays.ts'

interface Unit {
  readonly overlay: string
  readonly seed: number
}

const NODES = 500
const LOOKUPS = 2000
const CYCLES = 20
/** Contacts in a bucket of Kademlia: the whole number with which the degree comes nearest to the published one. */
const BUCKET = 3

interface Published {
  readonly meanDegree: number
  readonly maxDegree: number
  readonly hops: number
  readonly diameter: number
}

interface Kind {
  readonly name: string
  readonly make: (seed: number) => Overlay
  readonly published?: Published
}

const byUrdht = (space: string) => (seed: number) => gossiped(space, NODES, seed, CYCLES, 'published', 'relative')
const byUs = (space: string) => (seed: number) => gossiped(space, NODES, seed, CYCLES, 'ours', 'midpoint')

const KINDS: readonly Kind[] = [
  {
    name: 'Chord',
    make: (seed) => chord(NODES, seed),
    published: { meanDegree: 21.05, maxDegree: 58, hops: 4.5, diameter: 7 },
  },
  {
    name: 'Kademlia',
    make: (seed) => kademlia(NODES, seed, BUCKET),
    published: { meanDegree: 50.6, maxDegree: 76, hops: 3.24, diameter: 6 },
  },
  {
    name: 'Euclid',
    make: byUrdht('torus2'),
    published: { meanDegree: 109.4, maxDegree: 185, hops: 2.4, diameter: 3 },
  },
  {
    name: 'hyperbolic',
    make: byUrdht('hyperbolic2'),
    published: { meanDegree: 109.3, maxDegree: 167, hops: 2.35, diameter: 3 },
  },
  ...['symmetric', 'torus2', 'cube2', 'torus3', 'torus4', 'torus5', 'hyperbolic2', 'xor'].map((space) => ({
    name: `ours, ${space}`,
    make: byUs(space),
  })),
]

const MEASURES = {
  meanDegree: 'mean degree (in and out)',
  maxDegree: 'largest degree (in and out)',
  hops: 'hops of a lookup',
  diameter: 'diameter',
} as const satisfies Partial<Record<keyof Shape, string>>

function units({ seeds, quick }: StudyOptions): Unit[] {
  const kinds = quick ? KINDS.filter(({ name, published }) => published || name === 'ours, torus2') : KINDS
  return kinds.toReversed().flatMap(({ name }) => seeds.map((seed) => ({ overlay: name, seed })))
}

function run({ overlay, seed }: Unit): Shape {
  const { make } = KINDS.find(({ name }) => name === overlay)!
  return shapeOf(make(seed), LOOKUPS, seededRandom(`urdht lookups ${seed}`))
}

const TABLES = 'What their nodes keep is not published in full; ours have both neighbours, and each finger once.'
const BUCKETS = `Neither the size of a bucket nor how full it was is published; ours hold ${BUCKET} at random, and then ways are shorter.`
const FULL =
  'In and out together 109 is 54.7 peers of 56: their tables were not quite full. Ours are, after 20 cycles of gossip.'

/** Why a value is not the published one. */
const WHY: Readonly<Record<string, Readonly<Partial<Record<keyof Published, string>>>>> = {
  Chord: {
    meanDegree: TABLES,
    maxDegree: TABLES,
    hops: 'Half of log2 n, 4.48, is the way to the predecessor of the owner; ours counts the hop from there to the owner.',
    diameter: TABLES,
  },
  Kademlia: { meanDegree: BUCKETS, maxDegree: BUCKETS, hops: BUCKETS, diameter: BUCKETS },
  Euclid: { meanDegree: FULL, maxDegree: FULL, hops: FULL, diameter: FULL },
  hyperbolic: { meanDegree: FULL, maxDegree: FULL, hops: FULL, diameter: FULL },
}

function report(done: readonly Done<Unit, Shape>[]): Report {
  const rows: Row[] = []
  const shown = KINDS.map((kind) => ({
    ...kind,
    shapes: done.filter(({ unit }) => unit.overlay === kind.name).map(({ result }) => result),
  })).filter(({ shapes }) => shapes.length > 0)
  for (const { name, published, shapes } of shown) {
    for (const [key, measure] of Object.entries(MEASURES) as [keyof Published, string][]) {
      const values = shapes.map((shape) => shape[key])
      // Published of one network: its error is what our networks differ by.
      const publishedError = values.length > 1 ? standardDeviation(values) : 0
      rows.push(
        compared(`${name}: ${measure}`, published?.[key] ?? null, values, { publishedError, why: WHY[name]?.[key] }),
      )
    }
    const delivered = shapes.map((shape) => shape.delivered)
    rows.push(compared(`${name}: share of greedy lookups that arrive`, null, delivered))
  }
  return {
    rows,
    tables: [table(done)],
    figures: [
      figure(shown, 'meanDegree', {
        name: 'degree',
        title: 'Peers of a node, by space',
        caption: `Mean of ${NODES} nodes: whom a node knows, and who knows it. Bars: 95 %.`,
      }),
      figure(shown, 'hops', {
        name: 'hops',
        title: 'Hops of a lookup, by space',
        caption:
          'Mean of the lookups that arrive. Spaces with more peers need fewer hops: see the figure above. Bars: 95 %.',
      }),
    ],
    notes: NOTES,
  }
}

const NOTES = [
  `${NODES} nodes at rest. Chord and Kademlia are made from full knowledge, the others by ${CYCLES} cycles of gossip: Euclid (a torus) and hyperbolic with UrDHT's heuristic and the published exchange, the others with ours.`,
  'Chord routes by its fingers, the others greedily; hops are those of lookups that arrive. Published values are taken as of one network, so the spread of ours is their error.',
]

function table(done: readonly Done<Unit, Shape>[]): Report['tables'][number] {
  const columns = ['overlay', 'seed', 'mean_degree', 'max_degree', 'hops', 'delivered', 'diameter', 'mean_path']
  const rows = done.map(({ unit, result }) => [
    unit.overlay,
    unit.seed,
    result.meanDegree,
    result.maxDegree,
    result.hops,
    result.delivered,
    result.diameter,
    result.meanPath,
  ])
  return { name: 'shapes', columns, rows }
}

const SERIES = ['published', 'as published, run again', 'our overlays']

/** One line per overlay, the published value and ours on it. */
function figure(
  shown: readonly (Kind & { shapes: readonly Shape[] })[],
  key: 'meanDegree' | 'hops',
  words: Pick<Figure, 'name' | 'title' | 'caption'>,
): Figure {
  const points = shown.flatMap(({ name, published, shapes }) => {
    const values = shapes.map((shape) => shape[key])
    const ours = { name, series: published ? SERIES[1] : SERIES[2], value: mean(values), error: ci95(values) ?? 0 }
    return published ? [{ name, series: SERIES[0], value: published[key], error: 0 }, ours] : [ours]
  })
  return {
    ...words,
    plot: {
      height: 110 + 26 * shown.length,
      marginLeft: 130,
      x: { label: MEASURES[key], grid: true, zero: true },
      y: { label: null, domain: shown.map(({ name }) => name) },
      color: seriesColours(SERIES),
      symbol: { domain: SERIES },
      marks: [
        ruleX([0]),
        ruleY(points, {
          y: 'name',
          x1: ({ value, error }) => value - error,
          x2: ({ value, error }) => value + error,
          stroke: 'series',
        }),
        dot(points, { x: 'value', y: 'name', stroke: 'series', symbol: 'series', r: 4.5 }),
      ],
    },
  }
}

export const study: Study<Unit, Shape> = {
  name: 'urdht',
  title: 'degree, hops and diameter of one node logic over several spaces',
  source: 'Rosen et al. 2016, UrDHT',
  defaultSeeds: (quick) => (quick ? [1, 2] : [1, 2, 3, 4, 5]),
  units,
  weight: ({ overlay }) => (/^(Chord|Kademlia)$/.test(overlay) ? 1 : 4),
  run,
  report,
}
