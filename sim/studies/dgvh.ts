/**
 * Study `dgvh`: how far the peers that the Distributed Greedy Voronoi Heuristic chooses are from the Voronoi neighbours
 * (PAPERS 5), with all nodes known to all; how many greedy lookups such an overlay strands; and what our own choice of
 * peers makes of it, also after gossip.
 */
import { ruleY } from '@observablehq/plot'
import { hashKey } from '../../src/core/ids.ts'
import { seededRandom } from '../../src/core/random.ts'
import { dgvh, padded } from '../../src/vhash/dgvh.ts'
import { closest, nextHop } from '../../src/vhash/route.ts'
import { type NamedSpace, spaceNamed } from '../../src/vhash/spaces.ts'
import { type Edges, exactEdges, type Node, scattered, type WrongEdges, wrongEdges } from './dgvh/edges.ts'
import { GossipGraph } from './gossip-graph.ts'
import { type SeriesPoint, seriesColours, seriesMarks, seriesNames } from './marks.ts'
import { ci95, compared, mean, standardDeviation } from './statistics.ts'
import type { Done, Report, Row, Study, StudyOptions } from './study.ts'

/** `heuristic`: DGVH with all nodes known. `gossip`: our choice after some cycles from ten random peers. */
interface Unit {
  readonly kind: 'heuristic' | 'gossip'
  readonly space: string
  readonly n: number
  readonly seed: number
}

interface Result extends WrongEdges {
  /** Shares of greedy lookups that end at the owner: over what was accepted, and with padding. Null: not measured. */
  readonly delivered: number | null
  readonly deliveredPadded: number | null
}

/** Wrong edges in all, mean of so many runs. */
const PUBLISHED_RUNS = 5
const PUBLISHED: Readonly<Record<number, number>> = { 100: 99.0, 500: 493.8, 1000: 1003.2, 5000: 5035.4 }
/** Dimensions, and nodes that keep the exact test of all pairs short. */
const HIGHER = [
  ['torus3', 1000],
  ['torus4', 500],
  ['torus5', 300],
] as const
const LOOKUPS = 2000
const LOOKUPS_AT = 1000
const CYCLES = 20

function units({ seeds, quick }: StudyOptions): Unit[] {
  const of = (kind: Unit['kind'], space: string, n: number) => seeds.map((seed): Unit => ({ kind, space, n, seed }))
  const planes = (n: number) => ['torus2', 'cube2'].flatMap((space) => of('heuristic', space, n))
  const higher = HIGHER.flatMap(([space, n]) => of('heuristic', space, quick ? n / 5 : n))
  if (quick) return [...of('gossip', 'torus2', 200), ...planes(500), ...planes(100), ...higher]
  return [
    ...planes(5000),
    ...['torus2', 'cube2'].flatMap((space) => [5000, 1000].flatMap((n) => of('gossip', space, n))),
    ...planes(1000),
    ...higher,
    ...planes(500),
    ...planes(100),
  ]
}

function run({ kind, space, n, seed }: Unit): Result {
  const named = spaceNamed(space)
  if (kind === 'gossip') {
    const graph = new GossipGraph({ space: named, nodes: n, seed, rule: 'ours' })
    for (let cycle = 0; cycle < CYCLES; cycle++) graph.cycle()
    const chosen = graph.nodes.map(({ short, accepted }) => new Set(short.slice(0, accepted).map(({ at }) => at)))
    const exact = exactEdges(named, graph.nodes)
    return { ...wrongEdges(chosen, exact), delivered: null, deliveredPadded: null }
  }
  const nodes = scattered(named, n, seed)
  const shorts = nodes.map((self) => {
    const others = nodes.filter((node) => node !== self)
    return padded(dgvh(named.space, self, others), named.dimensions)
  })
  const chosen: Edges = shorts.map(({ peers, accepted }) => new Set(peers.slice(0, accepted).map(({ at }) => at)))
  const measure = named.dimensions > 2 || n === LOOKUPS_AT
  const delivery = (most: (at: number) => number) =>
    measure ? delivered(named, nodes, (at) => shorts[at]!.peers.slice(0, most(at)), seed) : null
  return {
    ...wrongEdges(chosen, exactEdges(named, nodes)),
    delivered: delivery((at) => shorts[at]!.accepted),
    deliveredPadded: delivery(() => Number.POSITIVE_INFINITY),
  }
}

/** Share of greedy lookups, from random nodes for random points, that end at the owner. */
function delivered(
  { space }: NamedSpace,
  nodes: readonly Node[],
  peers: (at: number) => readonly Node[],
  seed: number,
) {
  const random = seededRandom(`dgvh lookups ${seed}`)
  let hits = 0
  for (let i = 0; i < LOOKUPS; i++) {
    const target = space.pointOf(hashKey(`dgvh key ${seed} ${i}`))
    let at = nodes[random.int(nodes.length)]!
    for (let next: Node | undefined = at; next; next = nextHop(space, target, at, peers(at.at))) at = next
    if (at === closest(space, target, nodes)) hits++
  }
  return hits / LOOKUPS
}

function report(done: readonly Done<Unit, Result>[]): Report {
  const groups = Map.groupBy(done, ({ unit: { kind, space, n } }) => `${kind} ${space} ${n}`)
  const of = (kind: Unit['kind'], space: string, n: number) => groups.get(`${kind} ${space} ${n}`) ?? []
  const rows: Row[] = []
  const dispersion = mean([...groups.values()].map(dispersionOf).filter((value) => !Number.isNaN(value)))
  for (const [n, published] of Object.entries(PUBLISHED)) {
    for (const [space, where, why] of [
      ['torus2', 'torus, chosen by both ends', WHY_TORUS],
      ['cube2', 'square, chosen by both ends', WHY_SQUARE],
    ] as const) {
      const runs = of('heuristic', space, Number(n))
      if (runs.length === 0) continue
      const totals = runs.map(({ result }) => result.mutualWrong)
      const publishedError = Math.sqrt((dispersion * published) / PUBLISHED_RUNS)
      const leastError = Math.sqrt((dispersion * published) / runs.length)
      rows.push(compared(`wrong edges, n = ${n}, ${where}`, published, totals, { publishedError, leastError, why }))
    }
  }
  rows.push(...perNode(of('heuristic', 'cube2', 1000), dispersion))
  for (const { unit, result } of [...groups.values()].map((runs) => runs[0]!)) {
    const runs = of(unit.kind, unit.space, unit.n)
    const each = runs.map(wrongPerNode)
    if (unit.kind === 'gossip') {
      const name = `our choice after ${CYCLES} cycles of gossip, wrong edges per node, ${unit.space}, n = ${unit.n}`
      rows.push(compared(name, null, each))
    } else if (result.delivered !== null && unit.space !== 'torus2' && unit.space !== 'cube2') {
      rows.push(compared(`wrong edges per node, ${unit.space}, n = ${unit.n}`, null, each))
      const padded = runs.map((run) => run.result.deliveredPadded ?? Number.NaN)
      rows.push(compared(`greedy delivery, padded, ${unit.space}, n = ${unit.n}`, null, padded))
    }
  }
  return { rows, tables: [table(done)], figures: [wrongFigure(groups), higherFigure(groups)], notes: NOTES }
}

const WHY_TORUS = 'More or fewer than published, though counted on the torus, where most published values fit.'
const WHY_SQUARE =
  'Per node the published totals do not grow towards small n, as they do in a square, whose border has long edges that the heuristic misses; they fit the torus.'
const NOTES = [
  'Every node knows all others. Exact neighbours: of one triangulation in two dimensions, by linear programmes beyond.',
  'How wrong edges were counted is not published: here an edge is there when both of its ends have chosen it, and each pair counts once. The table has the other ways to count.',
  'The values per node at n = 1000 are taken as those of a single run, so our spread between runs is their error. They fit the square, and the totals the torus.',
]

/** The published figures of one overlay of 1000 nodes, in the square. */
function perNode(runs: readonly Done<Unit, Result>[], dispersion: number): Row[] {
  if (runs.length === 0) return []
  const row = (name: string, published: number, value: (result: Result) => number, why: string, least = 0) => {
    const values = runs.map(({ result }) => value(result))
    const publishedError = Math.max(least, values.length > 1 ? standardDeviation(values) : 0)
    return compared(`${name}, n = 1000, square`, published, values, { publishedError, why })
  }
  const ofCount = (rate: number) => Math.sqrt((dispersion * rate) / 1000)
  const unknown = 'How it was counted is not published, and no count of ours comes to it.'
  const greedy = 'Which lookups were made is not published; ours are from random nodes for random points.'
  return [
    row('missing edges per node', 0.913, ({ eitherMissing }) => eitherMissing / 1000, unknown, ofCount(0.913)),
    row('extra edges per node', 0.226, ({ eitherExtra }) => eitherExtra / 1000, unknown, ofCount(0.226)),
    row('edges chosen by both ends, of all chosen', 0.914, ({ symmetric }) => symmetric, unknown),
    row('greedy delivery', 0.966, (result) => result.delivered ?? Number.NaN, greedy),
    row('greedy delivery, padded', 0.987, (result) => result.deliveredPadded ?? Number.NaN, greedy),
  ]
}

/**
 * Variance over mean of the wrong edges of an overlay, which is about the same for all sizes: what is far apart is
 * independent. It tells the spread of the published runs too, better than the few runs of one size do.
 */
function dispersionOf(runs: readonly Done<Unit, Result>[]): number {
  const totals = runs.filter(({ unit }) => unit.kind === 'heuristic').map(({ result }) => result.mutualWrong)
  return standardDeviation(totals) ** 2 / mean(totals)
}

function wrongPerNode({ unit, result }: Done<Unit, Result>): number {
  return result.mutualWrong / unit.n
}

function table(done: readonly Done<Unit, Result>[]): Report['tables'][number] {
  const columns = ['kind', 'space', 'n', 'seed', 'degree', 'exact_degree', 'own_missing', 'own_extra', 'either_missing']
  columns.push('either_extra', 'mutual_wrong', 'symmetric', 'greedy_delivery', 'greedy_delivery_padded')
  const rows = done.map(({ unit: { kind, space, n, seed }, result: r }) => [
    ...[kind, space, n, seed, r.degree, r.exactDegree, r.ownMissing, r.ownExtra, r.eitherMissing, r.eitherExtra],
    ...[r.mutualWrong, r.symmetric, r.delivered, r.deliveredPadded],
  ])
  return { name: 'edges', columns, rows }
}

type Groups = ReadonlyMap<string, readonly Done<Unit, Result>[]>

function wrongFigure(groups: Groups): Report['figures'][number] {
  const names: Readonly<Record<string, string>> = {
    'heuristic torus2': 'DGVH, torus',
    'heuristic cube2': 'DGVH, square',
    'gossip torus2': `our choice, torus, after ${CYCLES} cycles`,
    'gossip cube2': `our choice, square, after ${CYCLES} cycles`,
  }
  const points: SeriesPoint[] = Object.entries(PUBLISHED).map(([n, total]) => ({
    series: 'published',
    x: Number(n),
    y: total / Number(n),
    error: 0,
  }))
  for (const runs of groups.values()) {
    const { kind, space, n } = runs[0]!.unit
    const series = names[`${kind} ${space}`]
    const values = runs.map(wrongPerNode)
    if (series !== undefined) points.push({ series, x: n, y: mean(values), error: ci95(values) ?? 0 })
  }
  return {
    name: 'wrong-edges',
    title: 'Wrong edges in two dimensions',
    caption:
      'Missing and extra edges per node, against the Delaunay triangulation; an edge counts when both ends have chosen it. The heuristic is wrong about once per node at any size, our exact choice hardly ever. Bars: 95 %.',
    plot: {
      x: { type: 'log', label: 'nodes', ticks: [100, 200, 500, 1000, 2000, 5000], tickFormat: 'd' },
      y: { label: 'wrong edges per node', grid: true, zero: true },
      color: seriesColours(seriesNames(points)),
      symbol: { domain: seriesNames(points) },
      marks: [ruleY([0]), seriesMarks(points)],
    },
  }
}

function higherFigure(groups: Groups): Report['figures'][number] {
  const points: SeriesPoint[] = []
  const seen = new Set<number>()
  for (const runs of groups.values()) {
    const { kind, space, n } = runs[0]!.unit
    const { dimensions } = spaceNamed(space)
    if (kind !== 'heuristic' || !space.startsWith('torus') || seen.has(dimensions)) continue
    seen.add(dimensions)
    const parts = {
      'exact neighbours': runs.map(({ result }) => result.exactDegree),
      'accepted by DGVH': runs.map(({ result }) => result.degree),
      'neighbours that DGVH lacks': runs.map(({ result }) => result.ownMissing / n),
      'accepted, and no neighbours': runs.map(({ result }) => result.ownExtra / n),
    }
    for (const [series, values] of Object.entries(parts)) {
      points.push({ series, x: dimensions, y: mean(values), error: ci95(values) ?? 0 })
    }
  }
  return {
    name: 'dimensions',
    title: 'Peers of the heuristic from two to five dimensions',
    caption:
      'Per node, on the torus, as each node has them. Exact neighbours grow much faster with the dimension than those that the heuristic accepts, which nearly all are neighbours. Bars: 95 %.',
    plot: {
      x: { label: 'dimensions', ticks: [2, 3, 4, 5], tickFormat: 'd', inset: 20 },
      y: { label: 'peers per node', grid: true, zero: true },
      color: seriesColours(seriesNames(points)),
      symbol: { domain: seriesNames(points) },
      marks: [ruleY([0]), seriesMarks(points)],
    },
  }
}

export const study: Study<Unit, Result> = {
  name: 'dgvh',
  title: 'wrong edges of the greedy Voronoi heuristic',
  source: 'Benshoof, Rosen et al. 2014-15, VHash and DGVH',
  defaultSeeds: (quick) => (quick ? [1, 2, 3] : [1, 2, 3, 4, 5]),
  units,
  // The heuristic looks at all pairs; gossip at what a node knows, in every cycle.
  weight: ({ kind, n }) => (kind === 'heuristic' ? (n / 1000) ** 2 : n / 500),
  run,
  report,
}
