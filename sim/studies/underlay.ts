/**
 * Study `underlay`: what an overlay's hops cost in the network under it (PAPERS 5). Hops over a scale-free underlay, Chord
 * against VHash as published and at equal degree; and mean lookup latency over PlanetLab's matrix, at equal degree, with
 * shortcuts that regard latency and without.
 */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { readRttMatrix } from '../latency.ts'
import { compared } from './statistics.ts'
import type { Done, Report, Row, Study, StudyOptions } from './study.ts'
import { hopsFigure, latencyFigure, learningFigure } from './underlay/figures.ts'
import { type HopsResult, runHops } from './underlay/hops.ts'
import {
  DEGREE,
  RING_VARIANTS,
  type RingResult,
  runRing,
  runTorus,
  TORUS_VARIANTS,
  type TorusResult,
  type TorusVariant,
} from './underlay/latency.ts'

type Unit =
  | { readonly part: 'hops'; readonly nodes: number; readonly seed: number }
  | { readonly part: 'ring'; readonly matrix: string; readonly seed: number; readonly quick: boolean }
  | {
      readonly part: 'torus'
      readonly variant: TorusVariant
      readonly matrix: string
      readonly seed: number
      readonly quick: boolean
    }

type Result = HopsResult | RingResult | TorusResult

const FILE = 'planetlab-490-rtt-ms.tsv.gz'
const NODES = [1000, 500, 100] as const

/** Where PlanetLab's matrix is; undefined: not here. One that cannot be read is an error at once, not in a thread later. */
function matrixPath(): string | undefined {
  const folder = process.env.CHORALE_DATA || fileURLToPath(new URL('../../../shared/data', import.meta.url))
  const path = `${folder}/${FILE}`
  if (!existsSync(path)) return undefined
  readRttMatrix(path)
  return path
}

const MISSING = `Latency was not measured: ${FILE} is not here. Set CHORALE_DATA to the folder that holds it.`

function units({ seeds, quick }: StudyOptions): Unit[] {
  const matrix = matrixPath()
  const variants = quick ? (['plain', 'learnt'] as const) : TORUS_VARIANTS
  const latency = seeds.flatMap((seed): Unit[] =>
    matrix === undefined
      ? []
      : [
          { part: 'ring', matrix, seed, quick },
          ...variants.map((variant): Unit => ({ part: 'torus', variant, matrix, seed, quick })),
        ],
  )
  const hops = NODES.flatMap((nodes) => seeds.map((seed): Unit => ({ part: 'hops', nodes, seed })))
  return [...latency, ...(quick ? hops.filter((unit) => unit.part === 'hops' && unit.nodes <= 500) : hops)]
}

function run(unit: Unit): Result {
  if (unit.part === 'hops') return runHops(unit.nodes, unit.seed)
  if (unit.part === 'ring') return runRing(unit.matrix, unit.seed, unit.quick)
  return runTorus(unit.matrix, unit.seed, unit.quick, unit.variant)
}

// ---------------------------------------------------------------------------------------------------------------------

const PUBLISHED_HOPS: Readonly<Record<number, readonly [chord: number, vhash: number]>> = {
  100: [9.722, 4.224],
  1000: [13.995, 6.281],
}
const PUBLISHED_PAIR = 3.395
const PUBLISHED_PER_HOP = [3.37, 3.61] as const
/** The middle of .53 .. .57, and the standard deviation of a value that may be anywhere between them. */
const PUBLISHED_PERFECT = [0.55, 0.04 / Math.sqrt(12)] as const

const WHY_UNDERLAY =
  'How many links a new node of the underlay makes is not published; with 7 random nodes come nearest to what was measured.'
const WHY_CHORD =
  "The length of the successors' lists is not published; with 4, as on our private networks, a lookup takes this many hops."
const WHY_VHASH =
  'Dimensions and numbers of peers are not published; here it is the plane with 3d + 1 = 7 short and 49 long peers.'
const WHY_PER_HOP = 'A hop between random hosts costs what random pairs are apart, whichever the overlay.'
const WHY_DEGREE =
  'The published advantage is that of having several times as many peers: a ring with as many peers as VHash needs no more hops than VHash.'
const WHY_PERFECT =
  'Lower than measured elsewhere: the 8 fingers of a node choose among all nodes of long arcs. How the 24 peers were divided there is not known.'

function hopsRows(done: readonly Done<Unit, Result>[]): Row[] {
  const runs = (nodes: number) =>
    done.flatMap(({ unit, result }) => (unit.part === 'hops' && unit.nodes === nodes ? [result as HopsResult] : []))
  const all = NODES.flatMap(runs)
  const rows = [
    compared(
      'underlay hops between two random nodes',
      PUBLISHED_PAIR,
      all.map(({ pair }) => pair),
      { why: WHY_UNDERLAY },
    ),
  ]
  for (const nodes of NODES.toReversed()) {
    const results = runs(nodes)
    if (results.length === 0) continue
    const [chord, vhash] = PUBLISHED_HOPS[nodes] ?? [null, null]
    const row = (name: string, published: number | null, value: (result: HopsResult) => number, why?: string) =>
      compared(`n = ${nodes}, ${name}`, published, results.map(value), { why: published === null ? undefined : why })
    rows.push(
      row('Chord, underlay hops of a lookup', chord, (result) => result.chord.underlay, WHY_CHORD),
      row('VHash, underlay hops of a lookup', vhash, (result) => result.vhash.underlay, WHY_VHASH),
      row("ring with VHash's degree, underlay hops of a lookup", null, (result) => result.equal.underlay),
    )
    if (nodes === NODES[0]) {
      const perHop = ({ underlay, overlay }: HopsResult['chord']) => underlay / overlay
      const [chordHop, vhashHop] = PUBLISHED_PER_HOP
      rows.push(
        row('Chord, underlay hops per hop', chordHop, (result) => perHop(result.chord), WHY_PER_HOP),
        row('VHash, underlay hops per hop', vhashHop, (result) => perHop(result.vhash), WHY_PER_HOP),
      )
    }
    const published = chord === null ? null : Math.round((1000 * chord) / vhash) / 1000
    rows.push(
      row(
        'Chord / VHash, underlay hops, as published',
        published,
        (result) => result.chord.underlay / result.vhash.underlay,
        WHY_VHASH,
      ),
      corrected(
        row(
          'Chord / VHash, underlay hops, at equal degree',
          published,
          (result) => result.equal.underlay / result.vhash.underlay,
        ),
      ),
    )
  }
  return rows
}

/** Known to be wrong as published: there is no advantage where degrees are equal, so ours should be 1 or less. */
function corrected(row: Row): Row {
  if (row.verdict !== 'differs' || row.ours > 1.05) return row
  return { ...row, verdict: 'corrected', why: WHY_DEGREE }
}

function latencyRows(done: readonly Done<Unit, Result>[]): Row[] {
  const rings = done.flatMap(({ unit, result }) =>
    unit.part === 'ring' ? [{ seed: unit.seed, ...(result as RingResult) }] : [],
  )
  if (rings.length === 0) return []
  const toruses = (variant: TorusVariant) =>
    done.flatMap(({ unit, result }) =>
      unit.part === 'torus' && unit.variant === variant ? [{ seed: unit.seed, ...(result as TorusResult) }] : [],
    )
  const plain = new Map(rings.map(({ seed, variants }) => [seed, variants.plain.meanMs]))
  const rows = [
    compared(
      'mean lookup latency, ms, ring, plain',
      null,
      rings.map(({ variants }) => variants.plain.meanMs),
    ),
  ]
  for (const variant of RING_VARIANTS.slice(1)) {
    const ratios = rings.map(({ variants }) => variants[variant].meanMs / variants.plain.meanMs)
    const name = `latency / plain ring, degree ${DEGREE}: ring, ${variant}`
    if (variant !== 'perfect: fingers') rows.push(compared(name, null, ratios))
    else {
      const [published, publishedError] = PUBLISHED_PERFECT
      rows.push(compared(name, published, ratios, { publishedError, why: WHY_PERFECT }))
    }
  }
  for (const variant of TORUS_VARIANTS) {
    const results = toruses(variant)
    if (results.length === 0) continue
    const name = `latency / plain ring, degree ${DEGREE}: VHash torus2, ${variant}`
    rows.push(
      compared(
        name,
        null,
        results.map(({ seed, meanMs }) => meanMs / plain.get(seed)!),
      ),
      compared(
        `${name}, and next hops`,
        null,
        results.map(({ seed, byLatency }) => byLatency.meanMs / plain.get(seed)!),
      ),
    )
    if (variant !== 'moving points') continue
    rows.push(
      compared(
        'busiest / mean by keys: VHash torus2, plain',
        null,
        toruses('plain').map(({ busiest }) => busiest),
      ),
      compared(
        'busiest / mean by keys: VHash torus2, moving points',
        null,
        results.map(({ busiest }) => busiest),
      ),
      compared(
        'relative error of predictions, median: points moved by springs',
        null,
        results.map(({ error }) => error),
      ),
    )
  }
  const errors = rings.map(({ curve }) => curve.at(-1)!.error)
  return [...rows, compared('relative error of predictions, median: Vivaldi on a ring', null, errors)]
}

function table(done: readonly Done<Unit, Result>[]): Report['tables'] {
  const columns = ['overlay', 'nodes', 'seed', 'degree', 'overlay hops', 'underlay hops'] as const
  const hops = done.flatMap(({ unit, result }) => {
    if (unit.part !== 'hops') return []
    const { chord, vhash, equal } = result as HopsResult
    return Object.entries({ chord, vhash, equal }).map(([name, { degree, overlay, underlay }]) => {
      return [name, unit.nodes, unit.seed, degree, overlay, underlay]
    })
  })
  const latency = done.flatMap(({ unit, result }) => {
    if (unit.part === 'hops') return []
    const { seed } = unit
    if (unit.part === 'ring') {
      return Object.entries((result as RingResult).variants).map(([name, { meanMs, hops, degree, delivered }]) => {
        return [`ring, ${name}`, seed, meanMs, hops, degree, delivered]
      })
    }
    const { byLatency, ...greedy } = result as TorusResult
    return [greedy, byLatency].map(({ meanMs, hops, degree, delivered }, i) => {
      return [`VHash torus2, ${unit.variant}${i === 1 ? ', and next hops' : ''}`, seed, meanMs, hops, degree, delivered]
    })
  })
  const curve = done.flatMap(({ unit, result }) => {
    if (unit.part !== 'ring') return []
    return (result as RingResult).curve.map(({ round, error, meanMs }) => [unit.seed, round, error, meanMs])
  })
  const tables = [{ name: 'hops', columns, rows: hops }]
  if (latency.length === 0) return tables
  return [
    ...tables,
    { name: 'latency', columns: ['overlay', 'seed', 'mean ms', 'hops', 'degree', 'delivered'], rows: latency },
    { name: 'learning', columns: ['seed', 'round', 'relative error', 'mean ms'], rows: curve },
  ]
}

function report(done: readonly Done<Unit, Result>[]): Report {
  const latency = latencyRows(done)
  const tables = table(done)
  const [hops, times, learning] = tables
  const notes = [
    'A lookup over the matrix is forwarded and answered over the same hops: its latency is the sum of their round trips.',
    `Rings keep 16 successors and 8 fingers; VHash keeps its short peers and long ones up to ${DEGREE}.`,
    'Learnt: coordinates come from Vivaldi on round trips to peers that a node has anyway, two a round; whatever is chosen by them is measured before it is kept.',
  ]
  return {
    rows: [...hopsRows(done), ...latency],
    tables,
    figures: [
      hopsFigure(hops!, PUBLISHED_HOPS),
      ...(times && learning ? [latencyFigure(times), learningFigure(learning)] : []),
    ],
    notes: latency.length === 0 ? [MISSING] : notes,
  }
}

export const study: Study<Unit, Result> = {
  name: 'underlay',
  title: 'what hops cost in the network underneath, at equal degree too',
  source: 'Benshoof, Rosen et al. 2014-15; Dabek et al. 2004',
  defaultSeeds: (quick) => (quick ? [1, 2] : [1, 2, 3, 4, 5, 6, 7, 8]),
  units,
  weight: (unit) => (unit.part === 'hops' ? unit.nodes / 100 : 20),
  run,
  report,
}
