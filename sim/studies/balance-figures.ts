/** The figures of the study `balance`. */
import * as Plot from '@observablehq/plot'
import type { Measured, Pulled } from './balance.ts'
import { ci95, mean } from './statistics.ts'
import type { Figure } from './study.ts'
import { harmonic } from './uneven-load.ts'

const PUBLISHED = 'published'
const OURS = 'ours, with 95 % interval'
const SERIES = { domain: [PUBLISHED, OURS], range: ['#d95f02', '#1b6ca8'], legend: true }

export function balanceFigures(measured: readonly Measured[], pulled: readonly Pulled[]): Figure[] {
  const points = measured.map((one) => {
    const factors = one.trials.map(({ factor }) => factor)
    const messages = mean(one.trials.map((trial) => trial.messages)) / one.published.given.tasks
    return { ...one, factor: mean(factors), error: ci95(factors) ?? 0, messages }
  })
  const small = points.filter(({ published: { given } }) => given.nodes === 1000 && given.tasks === 1e5)
  const ours = pulled.flatMap(({ name, unit, runs }) => {
    if (runs.length === 0) return []
    const factor = mean(runs.map((run) => run.factor))
    return [{ name, unit, factor, messages: mean(runs.map((run) => run.messagesPerTask)) }]
  })
  return [...strategies(small, ours), ...unbalanced(points), ...churn(small), ...settings(small), ...costs(small, ours)]
}

interface Point extends Measured {
  readonly factor: number
  readonly error: number
  readonly messages: number
}

interface OursPoint {
  readonly name: string
  readonly unit: Pulled['unit']
  readonly factor: number
  readonly messages: number
}

const beside = (points: readonly Point[], label: (point: Point) => string | number) =>
  points.flatMap((point) => {
    const at = label(point)
    const { factor, error, published } = point
    const own = { at, series: OURS, factor, low: factor - error, high: factor + error }
    return [{ ...own, series: PUBLISHED, factor: published.factor }, own]
  })

function strategies(points: readonly Point[], ours: readonly OursPoint[]): Figure[] {
  const shown = points.filter(({ published }) => published.group !== 'setting' || isBase(published.given))
  const rows = beside(shown, ({ published }) => published.name)
  const pulls = ours.map(({ name, factor }) => ({ at: name, series: OURS, factor, low: factor, high: factor }))
  return [
    {
      name: 'balance-strategies',
      title: 'Runtime factor of each strategy, 1,000 nodes and 10^5 tasks',
      caption:
        'Time until all tasks are done over the time if none rested: 1 is ideal. Below, the queues of Chorale, which need no Sybils.',
      plot: {
        marginLeft: 440,
        width: 900,
        x: { label: 'runtime factor (ticks / ideal ticks)', domain: [1, 8], grid: true },
        y: { label: null, domain: [...new Set([...rows, ...pulls].map(({ at }) => at))] },
        color: SERIES,
        symbol: { domain: [PUBLISHED, OURS], range: ['diamond', 'circle'], legend: true },
        marks: [
          Plot.ruleY([...rows.filter(({ series }) => series === OURS), ...pulls], {
            x1: 'low',
            x2: 'high',
            y: 'at',
            stroke: 'series',
          }),
          Plot.dot([...rows, ...pulls], { x: 'factor', y: 'at', stroke: 'series', symbol: 'series', r: 4 }),
        ],
      },
    },
  ]
}

const isBase = ({ threshold, strength, hosts, work }: Measured['published']['given']) =>
  work === 'one' && hosts === 'equal' && (threshold === 0 ? strength === 5 : threshold === 0.25 && strength === 10)

function unbalanced(points: readonly Point[]): Figure[] {
  const none = points.filter(({ published }) => published.group === 'none')
  const sizes = [1000, 2000, 3000, 5000, 7000, 10_000]
  const rows = beside(none, ({ published }) => published.given.nodes)
  const theory = 'H_n'
  return [
    {
      name: 'balance-none',
      title: 'Runtime factor without a strategy',
      caption:
        'Without a strategy the busiest node decides: H_n times the mean load when there are many tasks per node, a little more when there are few. The points of one n are 10^5, 5x10^5 and 10^6 tasks.',
      plot: {
        x: { label: 'nodes n', type: 'log', ticks: [1000, 2000, 5000, 10_000], tickFormat: ',', domain: [900, 11_000] },
        y: { label: 'runtime factor', grid: true, domain: [7, 10.5] },
        color: { domain: [PUBLISHED, OURS, theory], range: [...SERIES.range, '#777777'], legend: true },
        marks: [
          Plot.line(
            sizes.map((n) => ({ n, factor: harmonic(n), series: theory })),
            { x: 'n', y: 'factor', stroke: 'series' },
          ),
          Plot.ruleX(
            rows.filter(({ series }) => series === OURS),
            { x: 'at', y1: 'low', y2: 'high', stroke: 'series' },
          ),
          Plot.dot(rows, { x: 'at', y: 'factor', stroke: 'series' }),
        ],
      },
    },
  ]
}

function churn(points: readonly Point[]): Figure[] {
  const rows = beside(
    points.filter(({ published }) => published.group === 'churn'),
    ({ published }) => published.given.churn,
  )
  return [
    {
      name: 'balance-churn',
      title: 'Churn instead of a strategy, 1,000 nodes and 10^5 tasks',
      caption: 'Nodes that leave and join at random even out load too, at the price of moving tasks again and again.',
      plot: {
        x: {
          label: 'probability that a node leaves, per tick',
          type: 'log',
          ticks: [1e-4, 1e-3, 0.01, 0.1],
          tickFormat: String,
        },
        y: {
          label: 'runtime factor (log)',
          type: 'log',
          grid: true,
          domain: [1, 8],
          ticks: [1, 1.1, 1.25, 1.5, 2, 3, 4, 6, 8],
          tickFormat: String,
        },
        color: SERIES,
        marks: [
          Plot.line(rows, { x: 'at', y: 'factor', stroke: 'series', strokeOpacity: 0.4 }),
          Plot.ruleX(
            rows.filter(({ series }) => series === OURS),
            { x: 'at', y1: 'low', y2: 'high', stroke: 'series' },
          ),
          Plot.dot(rows, { x: 'at', y: 'factor', stroke: 'series' }),
        ],
      },
    },
  ]
}

function settings(points: readonly Point[]): Figure[] {
  const rows = points
    .filter(({ published }) => published.group === 'setting')
    .flatMap(({ published: { given, factor }, factor: found, error }) => {
      const hosts = given.hosts === 'equal' ? 'equal hosts' : 'unlike hosts'
      const work = given.work === 'one' ? 'one task a tick' : 'tasks by strength'
      const at = { panel: `${hosts}, ${work}`, threshold: given.threshold, sybils: `${given.strength} Sybils` }
      const own = { ...at, series: OURS, factor: found, low: found - error, high: found + error }
      return [{ ...own, series: PUBLISHED, factor }, own]
    })
  return [
    {
      name: 'balance-settings',
      title: 'Random injection: threshold, Sybil limit, hosts and ways of working, 1,000 nodes and 10^5 tasks',
      caption:
        'More Sybils help equal hosts that do one task a tick; they harm wherever strength is also the work done, for then weak hosts take tasks from strong ones.',
      plot: {
        width: 900,
        marginTop: 40,
        fx: { label: null },
        x: { label: 'threshold (share of T/n)', domain: [-0.03, 0.28], ticks: [0, 0.1, 0.25] },
        y: { label: 'runtime factor', grid: true, domain: [1, 4.2] },
        color: SERIES,
        symbol: { domain: ['5 Sybils', '10 Sybils'], range: ['circle', 'square'], legend: true },
        marks: [
          Plot.ruleX(
            rows.filter(({ series }) => series === OURS),
            { fx: 'panel', x: 'threshold', y1: 'low', y2: 'high', stroke: 'series' },
          ),
          Plot.dot(rows, { fx: 'panel', x: 'threshold', y: 'factor', stroke: 'series', symbol: 'sybils' }),
        ],
      },
    },
  ]
}

function costs(points: readonly Point[], ours: readonly OursPoint[]): Figure[] {
  const strategies = points
    .filter(({ messages, published }) => messages > 0 && (published.group !== 'setting' || isBase(published.given)))
    .map(({ published, factor, messages }) => ({ name: published.name, factor, messages, series: 'Sybils and churn' }))
  const pulls = ours.map(({ name, factor, messages }) => {
    return { name: name.replace(/^n = .*?, /, ''), factor, messages, series: 'Chorale' }
  })
  // Names of points that lie at the same height go above and below in turn.
  const all = [...strategies, ...pulls].toSorted((a, b) => a.factor - b.factor)
  const [above, below] = [1, 0].map((odd) => all.filter((_, i) => i % 2 === odd))
  const text = { x: 'messages', y: 'factor', text: 'name', dx: 8, textAnchor: 'start', fontSize: 10 } as const
  return [
    {
      name: 'balance-messages',
      title: 'What evenness costs: runtime factor against messages per task',
      caption:
        'Down and to the left is better. For the Sybil strategies only probes, lookups, joins and leaves are counted; for Chorale every message of the jobs service.',
      plot: {
        width: 900,
        height: 520,
        marginRight: 240,
        x: { label: 'messages per task', type: 'log', grid: true, ticks: [0.01, 0.1, 1, 10], tickFormat: String },
        y: { label: 'runtime factor', grid: true, domain: [1, 8] },
        color: { domain: ['Sybils and churn', 'Chorale'], range: ['#777777', '#1b6ca8'], legend: true },
        marks: [
          Plot.dot(all, { x: 'messages', y: 'factor', fill: 'series', r: 4 }),
          Plot.text(above, { ...text, dy: -6 }),
          Plot.text(below, { ...text, dy: 6 }),
        ],
      },
    },
  ]
}
