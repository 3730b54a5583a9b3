/**
 * Study `sybil`: what an attacker gets who tries ports until their ids fall where it wants them (Rosen, Levin and
 * Bourgeois 2014; PAPERS 7). Simulations with real ids, next to the exact formulas of `src/market/sybil.ts` and the
 * published values; the same for ids whose top bits follow from the address; and how often a look at the density of
 * ids goes wrong.
 *
 * The published shares are single runs: those of gaps are whole numbers, times n. So each is compared with what one run
 * may give.
 */
import { EPHEMERAL_PORTS, expectedTries, ipsFor } from '../../src/market/sybil.ts'
import { ci95, mean, standardError, verdictOn } from './statistics.ts'
import type { Row, Study, StudyOptions, Table } from './study.ts'
import {
  captured,
  shareOfGaps,
  shareOfGapsByPrefix,
  shareOfGapsUnhashed,
  testDensity,
  tryOneGap,
} from './sybil/experiments.ts'
import { curveTable, figures } from './sybil/figures.ts'
import {
  DENSITY_NODES,
  digits,
  FALSE_ALARMS,
  GAP_IPS,
  GAPS,
  GROUP,
  HALF,
  KEYS,
  LINK_IPS,
  LINKS,
  MISSES,
  ONE,
  PREFIX_CASES,
  PREFIX_NODES,
  PUBLISHED_ATTEMPTS,
  type Quantity,
  quantities,
  type Result,
  Results,
  size,
  type Unit,
} from './sybil/quantities.ts'

/** Larger networks take long, and are left out when it must be quick. */
const QUICK_NODES = 10_000_000

export const study: Study<Unit, Result> = {
  name: 'sybil',
  title: 'Sybil attacks by mashing: gaps, links and replica groups captured, placement by prefix, density test',
  source: 'Rosen, Levin, Bourgeois 2014',
  defaultSeeds: (quick) => Array.from({ length: quick ? 3 : 20 }, (_, i) => i + 1),

  units({ seeds, quick }) {
    const attempts = quick ? 20 : 100
    const each = (seed: number): Unit[] => [
      { kind: 'half', nodes: HALF.nodes, seed },
      ...GAPS.map(({ nodes }): Unit => ({ kind: 'gaps', nodes, seed })),
      ...ONE.map(({ nodes }): Unit => ({ kind: 'one', nodes, seed, attempts })),
      ...LINKS.map(({ nodes, networks }): Unit => ({ kind: 'links', nodes, seed, networks })),
      ...PREFIX_NODES.flatMap((nodes) => PREFIX_CASES.map((from): Unit => ({ kind: 'prefix', nodes, seed, from }))),
      { kind: 'density', nodes: DENSITY_NODES, seed },
    ]
    const all = seeds.flatMap(each).filter(({ nodes }) => !quick || nodes <= QUICK_NODES)
    return all.sort((a, b) => weight(b) - weight(a))
  },
  weight,

  run(unit) {
    const { nodes, seed } = unit
    switch (unit.kind) {
      case 'gaps':
        return shareOfGaps(nodes, GAP_IPS, seed)
      case 'half':
        return shareOfGapsUnhashed(nodes, HALF.ips * EPHEMERAL_PORTS, seed)
      case 'links':
        return captured(nodes, unit.networks, LINK_IPS, { groupSize: GROUP, keys: KEYS }, seed)
      case 'one':
        return tryOneGap(nodes, unit.attempts, seed)
      case 'prefix':
        return shareOfGapsByPrefix(nodes, unit.from, seed)
      case 'density':
        return testDensity(
          nodes,
          MISSES.map(({ r }) => r),
          FALSE_ALARMS,
          seed,
        )
    }
  },

  report(done, options) {
    const results = new Results(done)
    const all = quantities(results)
    const rows = [...all.map(rowOf), ...formulaRows(all)]
    return { rows, tables: [tableOf(all), curveTable()], figures: figures(all), notes: notes(all, options) }
  },
}

/** Seconds, about. */
function weight(unit: Unit): number {
  const { kind, nodes } = unit
  if (kind === 'half') return 5
  if (kind === 'gaps') return 0.6 + nodes / 8e6
  if (kind === 'links') return unit.networks * (0.4 + nodes / 60_000)
  if (kind === 'one') return unit.attempts * (1e-6 * expectedTries(nodes, EPHEMERAL_PORTS) + 5e-8 * nodes)
  return kind === 'prefix' ? 0.1 + unit.from.addresses / 1e5 : 1.5
}

function rowOf(quantity: Quantity): Row {
  const { name, exact, values, spread, published = null, publishedError } = quantity
  const row = { name, published, ours: mean(values) }
  const error = errorOf(quantity)
  const interval = spread === undefined ? ci95(values) : 1.96 * error!
  if (published === null) return { ...row, ci95: interval, verdict: null, why: `The formula gives ${digits(exact)}.` }
  const verdict = verdictOn({ published, publishedError, ours: row.ours, error, corrected: exact })
  const why = {
    reproduced: undefined,
    corrected: `The published run is further from the exact ${digits(exact)} than one run should be.`,
    differs: `The simulation is further from the exact ${digits(exact)} than chance should bring it.`,
  }
  return { ...row, ci95: interval, verdict, why: verdict === null ? undefined : why[verdict] }
}

/** Standard error of the mean, as theory has it or as the runs show it. */
function errorOf({ values, spread }: Quantity): number | null {
  return spread === undefined ? standardError(values) : spread / Math.sqrt(values.length)
}

/** The published formulas, where they are wrong; and the number of addresses for half of a network. */
function formulaRows(all: readonly Quantity[]): Row[] {
  const rows = ONE.flatMap(({ nodes }) => {
    const gaps = all.find((q) => q.series === 'gaps' && q.nodes === nodes && q.by === 1)!
    const by = (formula: string, published: number, why: string): Row => {
      const row = rowOf({
        ...gaps,
        name: `formula ${formula} for a gap, n = ${size(nodes)}, 1 IP`,
        published: Number(digits(published)),
        publishedError: 0,
      })
      return row.verdict === 'corrected' ? { ...row, why } : row
    }
    return [
      by('k/n', EPHEMERAL_PORTS / nodes, 'It counts several ids in one gap as several gaps: k/(k+n-1) is exact.'),
      by(
        '1-(1-1/n)^k',
        -Math.expm1(EPHEMERAL_PORTS * Math.log1p(-1 / nodes)),
        'It takes all gaps for equal, and the long ones are hit most: k/(k+n-1) is exact.',
      ),
    ]
  })
  const half = { name: `IPs for half of ${size(HALF.nodes)} nodes`, published: HALF.ips, ours: ipsFor(0.5, HALF.nodes) }
  const verdict = half.ours === half.published ? 'reproduced' : 'differs'
  return [...rows, { ...half, ci95: 0, verdict, why: 'By the formula: k/(k+n-1) is a half at k = n-1 ids.' }]
}

/** Standard errors between the simulation and the formula; null when too few runs say how large they are. */
function errorsOff(quantity: Quantity): number | null {
  const { values, exact, spread } = quantity
  const error = spread === undefined && values.length < FEWEST_RUNS ? null : errorOf(quantity)
  return error === null || error === 0 ? null : (mean(values) - exact) / error
}

const FEWEST_RUNS = 8

function tableOf(all: readonly Quantity[]): Table {
  const columns = [
    'quantity',
    'nodes',
    'ips or r',
    'exact',
    'simulated',
    'standard error',
    'errors off',
    'runs',
    'published',
  ]
  const rows = all.map((q) => [
    q.name,
    q.nodes,
    q.by,
    q.exact,
    mean(q.values),
    errorOf(q),
    errorsOff(q),
    q.values.length,
    q.published ?? null,
  ])
  return { name: 'sybil', columns, rows }
}

function notes(all: readonly Quantity[], { quick }: StudyOptions): string[] {
  const off = all.flatMap((q) => errorsOff(q) ?? [])
  const within = off.filter((errors) => Math.abs(errors) <= 2).length
  const worst = off.reduce((most, errors) => (Math.abs(errors) > Math.abs(most) ? errors : most), 0)
  return [
    `Simulation against formula: ${within} of ${off.length} quantities within two standard errors (19 of 20 are ` +
      `to be expected), the farthest ${worst.toFixed(1)}.`,
    'Published shares of gaps and links are compared as single runs: those of gaps are whole numbers, times n.',
    `Published hits of one gap are compared as means of ${PUBLISHED_ATTEMPTS} attempts, as their two digits suggest.`,
    'Ports tried for one gap: the mean over all attempts, of which each ends with a hit or after 16,384 ports.',
    'A row of "formula" compares a published formula with the simulated share of gaps; the last is by formula alone.',
    'ip-prefix: gaps that an arc of the attacker touches, as if it made as many keys as it takes.',
    ...(quick ? [`Quick: nothing above ${size(QUICK_NODES)} nodes, and fewer attempts.`] : []),
  ]
}
