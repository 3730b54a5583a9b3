/** The figures of the study `sybil`: curves of the formulas, with what was simulated and what was published as dots. */
import * as Plot from '@observablehq/plot'
import {
  densityMiss,
  EPHEMERAL_PORTS,
  expectedTries,
  gapHit,
  gapHitByPrefix,
  groupCaptured,
  linksHit,
  majority,
  maskedAddresses,
} from '../../../src/market/sybil.ts'
import { mean } from '../statistics.ts'
import type { Figure, Table } from '../study.ts'
import { LINK_BITS } from './experiments.ts'
import {
  count,
  FALSE_ALARMS,
  GAP_IPS,
  GROUP,
  LINK_IPS,
  MISSES,
  PREFIX_NODES,
  type Quantity,
  size,
} from './quantities.ts'

interface Point {
  readonly x: number
  readonly y: number
  readonly series: string
}

/** From one power of ten to another, ten points each. */
function powers(from: number, to: number): number[] {
  return Array.from({ length: Math.round((to - from) * 10) + 1 }, (_, i) => 10 ** (from + i / 10))
}

const NODES = powers(3, 7.3)
const ADDRESSES = powers(0, 5)

const ipSeries = (ips: number) => count(ips, 'IP')

function perIps(all: readonly number[], exact: (nodes: number, identities: number) => number): Point[] {
  return all.flatMap((ips) => NODES.map((x) => ({ x, y: exact(x, ips * EPHEMERAL_PORTS), series: ipSeries(ips) })))
}

const CURVES = {
  gaps: perIps(GAP_IPS, gapHit),
  links: perIps(LINK_IPS, (nodes, identities) => linksHit(nodes, identities, LINK_BITS)),
  groups: perIps(LINK_IPS, (nodes, identities) => groupCaptured(nodes, identities, GROUP, majority(GROUP))),
  tries: NODES.map((x) => ({ x, y: expectedTries(x, EPHEMERAL_PORTS), series: '1 IP' })),
  prefix: ADDRESSES.flatMap((x) =>
    PREFIX_NODES.flatMap((nodes) => [
      { x, y: gapHit(nodes, x * EPHEMERAL_PORTS), series: `ip-port, n = ${size(nodes)}` },
      { x, y: gapHitByPrefix(nodes, maskedAddresses(x)), series: `ip-prefix, n = ${size(nodes)}` },
    ]),
  ),
  misses: MISSES.flatMap(({ r }) => powers(-6, -1).map((x) => ({ x, y: densityMiss(r, x), series: `r = ${r}` }))),
} satisfies Record<string, Point[]>

export function curveTable(): Table {
  const rows = Object.entries(CURVES).flatMap(([name, points]) =>
    points.map(({ x, y, series }) => [name, series, x, y]),
  )
  return { name: 'sybil-curves', columns: ['figure', 'series', 'x', 'y'], rows }
}

export function figures(all: readonly Quantity[]): Figure[] {
  const dots = (name: Quantity['series'], point: (q: Quantity) => Omit<Point, 'y'>) =>
    all
      .filter(({ series }) => series === name)
      .flatMap((q) => [
        { ...point(q), y: mean(q.values), from: 'simulated' },
        ...(q.published === undefined || name === 'tries' ? [] : [{ ...point(q), y: q.published, from: 'published' }]),
      ])
  const byNodes = (q: Quantity) => ({ x: q.nodes, series: ipSeries(q.by) })
  const nodesAxis = { type: 'log', label: 'honest nodes', tickFormat: '~s' } as const
  const power = (x: number) => (x < 0.001 ? x.toExponential() : String(x))
  const shareAxis = (label: string, least: number) =>
    ({ type: 'log', label, grid: true, domain: [least, 1], ticks: 5, tickFormat: power }) as const
  const plot = (
    curve: readonly Point[],
    points: readonly (Point & { from: string })[],
    axes: Pick<Plot.PlotOptions, 'x' | 'y'>,
  ): Plot.PlotOptions => ({
    ...axes,
    color: { legend: true, domain: [...new Set(curve.map(({ series }) => series))] },
    symbol: { legend: true, domain: [...new Set(points.map(({ from }) => from))], range: ['circle', 'times'] },
    marks: [
      Plot.lineY(curve, { x: 'x', y: 'y', stroke: 'series', clip: true }),
      Plot.dot(points, { x: 'x', y: 'y', stroke: 'series', symbol: 'from', r: 4 }),
    ],
  })
  return [
    {
      name: 'sybil-gaps',
      title: 'Gaps between neighbours that an attacker can enter',
      caption: `Lines: k/(k+n-1) for ${size(EPHEMERAL_PORTS)} ids per address; with a share of 1 it enters every gap.`,
      plot: plot(CURVES.gaps, dots('gaps', byNodes), { x: nodesAxis, y: shareAxis('share of gaps hit', 0.0005) }),
    },
    {
      name: 'sybil-links',
      title: `Finger links that an attacker captures, of all ${LINK_BITS} of each node`,
      caption:
        'Lines: the exact expectation. Nearly all links are short and end at the next node, so they fall together.',
      plot: plot(CURVES.links, dots('links', byNodes), {
        x: nodesAxis,
        y: shareAxis('share of links captured', 0.0005),
      }),
    },
    {
      name: 'sybil-groups',
      title: `Replica groups of ${GROUP} with a majority of attackers`,
      caption:
        'Lines: the hypergeometric tail. Groups of any keys: for those that the attacker chooses it is the same.',
      plot: plot(CURVES.groups, dots('groups', byNodes), {
        x: nodesAxis,
        y: shareAxis('share of groups captured', 1e-6),
      }),
    },
    {
      name: 'sybil-tries',
      title: 'Ports that one address tries for one gap, until it hits or has no more',
      caption: `Line: (n-1)(H(n-2+k) - H(n-2)) with k = ${size(EPHEMERAL_PORTS)}.`,
      plot: plot(CURVES.tries, dots('tries', byNodes), {
        x: nodesAxis,
        y: { label: 'ports tried', grid: true, zero: true },
      }),
    },
    {
      name: 'sybil-prefix',
      title: 'What addresses are worth under both placements',
      caption:
        'Lines: formulas. With placement ip-prefix an address reaches eight short arcs, with ip-port 16,384 points.',
      plot: plot(
        CURVES.prefix,
        dots('prefix', (q) => ({ x: q.by, series: `ip-prefix, n = ${size(q.nodes)}` })),
        {
          x: { type: 'log', label: 'addresses of the attacker', tickFormat: '~s' },
          y: shareAxis('share of gaps hit', 0.0005),
        },
      ),
    },
    {
      name: 'sybil-density',
      title: 'The density test: what it misses, for what it alarms in vain',
      caption:
        'Lines: the chance that one gap is long enough for r Sybils to stand as far apart as honest nodes might.',
      plot: plot(
        CURVES.misses,
        dots('misses', (q) => ({ x: FALSE_ALARMS, series: `r = ${q.by}` })),
        {
          x: { type: 'log', label: 'false alarms, share of honest nodes', tickFormat: power },
          y: shareAxis('share of attacks missed', 1e-6),
        },
      ),
    },
  ]
}
