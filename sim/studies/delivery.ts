/**
 * Study `delivery`: lookups in an overlay at rest, space by space. Does every lookup end at the owner of its key, by greedy
 * routing alone and with the rule for local minima, and what does the rule cost? The overlay has come about by gossip from
 * ten random peers each.
 */
import { barX } from '@observablehq/plot'
import { hashKey } from '../../src/core/ids.ts'
import { seededRandom } from '../../src/core/random.ts'
import { spaceNamed } from '../../src/vhash/spaces.ts'
import { GossipGraph } from './gossip-graph.ts'
import { seriesColours } from './marks.ts'
import { compared, verdictOn } from './statistics.ts'
import type { Done, Report, Row, Study, StudyOptions } from './study.ts'

interface Unit {
  readonly space: string
  readonly n: number
  readonly lookups: number
  readonly seed: number
}

interface Result {
  /** Lookups that did not end at the owner. */
  readonly missed: number
  /** Messages per lookup, without the answer. */
  readonly hops: number
  /** The same of one lookup in `GREEDY_EVERY`, which were done by greedy routing alone too. */
  readonly missedGreedily: number
  readonly hopsGreedily: number
  /** Mean number of short and long peers. */
  readonly degree: number
}

/** The heaviest first. */
const SPACES =
  'torus5 cube5 hyperbolic5 torus4 cube4 hyperbolic4 torus3 cube3 hyperbolic3 torus2 cube2 hyperbolic2 xor symmetric ring'
/**
 * The overlay is at rest when nobody has changed its peers for so many cycles, some of which are deep; or after the most:
 * on the ring, and by XOR, far peers are bettered for long.
 */
const QUIET_CYCLES = 20
const MOST_CYCLES = 150
/** Width of the horizon: how many of the nodes nearest to a key must have been asked before a lookup ends. */
const WIDTH = 2
const GREEDY_EVERY = 10
/** DGVH alone and padded, in the plane (PAPERS 5). */
const PUBLISHED = { accepted: 0.966, padded: 0.987 }

function units({ seeds, quick }: StudyOptions): Unit[] {
  const n = quick ? 60 : 1000
  const lookups = quick ? 2000 : 1_000_000
  return SPACES.split(' ').flatMap((space) => seeds.map((seed) => ({ space, n, lookups, seed })))
}

function run({ space, n, lookups, seed }: Unit): Result {
  const named = spaceNamed(space)
  const graph = new GossipGraph({ space: named, nodes: n, seed, rule: 'ours' })
  graph.settle(QUIET_CYCLES, MOST_CYCLES)
  const random = seededRandom(`delivery ${space} ${seed}`)
  let missedGreedily = 0
  let missed = 0
  let hopsGreedily = 0
  let hops = 0
  for (let i = 0; i < lookups; i++) {
    const target = named.space.pointOf(hashKey(`delivery ${seed} ${i}`))
    const from = graph.nodes[random.int(n)]!
    const search = graph.lookup(from, target, WIDTH)
    if (!graph.isOwner(search.owner, target)) missed++
    hops += search.hops
    if (i % GREEDY_EVERY > 0) continue
    const greedy = graph.lookup(from, target)
    if (!graph.isOwner(greedy.owner, target)) missedGreedily++
    hopsGreedily += greedy.hops
  }
  const greedyLookups = Math.ceil(lookups / GREEDY_EVERY)
  const degree = graph.nodes.reduce((sum, node) => sum + node.short.length + node.long.length, 0) / n
  return { missedGreedily, missed, hops: hops / lookups, hopsGreedily: hopsGreedily / greedyLookups, degree }
}

function report(done: readonly Done<Unit, Result>[]): Report {
  const rows = SPACES.split(' ').flatMap((space): Row[] => {
    const here = done.filter(({ unit }) => unit.space === space)
    const [first] = here
    if (first === undefined) return []
    const { n, lookups } = first.unit
    const each = (value: (result: Result) => number) => here.map(({ result }) => value(result))
    const total = here.length * lookups
    const missed = each((result) => result.missed).reduce((sum, count) => sum + count, 0)
    const greedily = each(({ missedGreedily }) => 1 - missedGreedily / Math.ceil(lookups / GREEDY_EVERY))
    const added = each(({ hops, hopsGreedily }) => hops - hopsGreedily)
    const where = `${space}, n = ${n}`
    const published = space === 'cube2' ? PUBLISHED.padded : null
    return [
      delivery(`delivered, ${where}, ${total} lookups`, published, missed, total),
      compared(`delivered by greedy routing alone, ${where}`, null, greedily),
      compared(`messages per lookup that the rule adds, ${where}`, null, added),
    ]
  })
  const columns = ['space', 'seed', 'n', 'lookups', 'missed', 'missed_greedily', 'hops', 'hops_greedily', 'degree']
  const table = done.map(({ unit: { space, seed, n, lookups }, result: r }) => [
    space,
    seed,
    n,
    lookups,
    r.missed,
    r.missedGreedily,
    r.hops,
    r.hopsGreedily,
    r.degree,
  ])
  const seeds = new Set(done.map(({ unit }) => unit.seed)).size
  const bars = done.flatMap(({ unit: { space }, result }) => [
    { space, routing: 'greedy alone', hops: result.hopsGreedily / seeds },
    { space, routing: 'what the rule adds', hops: (result.hops - result.hopsGreedily) / seeds },
  ])
  return {
    rows,
    tables: [{ name: 'delivery', columns, rows: table }],
    figures: [
      {
        name: 'delivery-hops',
        title: 'Messages per lookup in an overlay at rest',
        caption: `Greedy steps over short and long peers, and the messages by which the rule for local minima makes sure that nobody is nearer (a horizon of ${WIDTH}).`,
        plot: {
          marginLeft: 100,
          x: { label: 'messages per lookup', grid: true },
          y: { label: null },
          color: { ...seriesColours(['greedy alone', 'what the rule adds']), legend: true },
          marks: [barX(bars, { x: 'hops', y: 'space', fill: 'routing' })],
        },
      },
    ],
    notes: [
      `Gossip from ten random peers each, until nobody has changed its peers for ${QUIET_CYCLES} cycles, at most ${MOST_CYCLES}. Keys are uniform.`,
      `Published for DGVH in the plane, with all nodes known: ${PUBLISHED.accepted} over accepted peers, ${PUBLISHED.padded} with padding.`,
      'The interval of a share of lookups none of which missed reaches down to three of all of them (the rule of three).',
    ],
  }
}

/** Lookups are independent, so the error of their share follows from their number: at least one of them, when none missed. */
function delivery(name: string, published: number | null, missed: number, total: number): Row {
  const ours = 1 - missed / total
  const error = Math.sqrt(Math.max(1, missed)) / total
  const row = { name, published, ours, ci95: missed === 0 ? 3 / total : 2 * error }
  if (published === null) return { ...row, verdict: null }
  return { ...row, verdict: verdictOn({ published, ours, error, corrected: 1 }), why: WHY }
}

const WHY =
  'The heuristic leaves out peers that greedy routing needs; over exact neighbours, with the rule for local minima, every lookup ends at the owner.'

export const study: Study<Unit, Result> = {
  name: 'delivery',
  title: 'Lookups that end at the owner, in every space, greedily and with the rule for local minima',
  source: 'VHash and DGVH (Benshoof, Rosen et al. 2014-15)',
  defaultSeeds: () => [1],
  units,
  weight: ({ space, lookups }) => (lookups * (spaceNamed(space).dimensions + 1)) / 1000,
  run,
  report,
}
