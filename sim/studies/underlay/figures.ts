/** The figures of study `underlay`, drawn from the rows of its tables. */
import { barX, barY, dot, lineY, ruleX, ruleY, text, tickY } from '@observablehq/plot'
import { ci95, mean } from '../statistics.ts'
import type { Figure, Table } from '../study.ts'

interface Bar {
  readonly name: string
  readonly group: string
  readonly mean: number
  readonly error: number
}

/** Means over seeds: one bar per value of `name` and `group`, in the order of the table. */
function bars(table: Table, nameOf: (row: Table['rows'][number]) => string, column: string, group?: string): Bar[] {
  const at = table.columns.indexOf(column)
  const groupAt = group === undefined ? -1 : table.columns.indexOf(group)
  const groups = Map.groupBy(table.rows, (row) => `${nameOf(row)}|${row[groupAt] ?? ''}`)
  return [...groups].map(([key, rows]) => {
    const values = rows.map((row) => Number(row[at]))
    const [name, of] = key.split('|') as [string, string]
    return { name, group: of, mean: mean(values), error: ci95(values) ?? 0 }
  })
}

const OVERLAYS: Readonly<Record<string, string>> = {
  chord: 'Chord',
  vhash: 'VHash',
  equal: 'ring with as many peers as VHash',
}

export function hopsFigure(table: Table, published: Readonly<Record<number, readonly [number, number]>>): Figure {
  const all = bars(table, (row) => OVERLAYS[String(row[0])]!, 'underlay hops', 'nodes')
  const names = Object.values(OVERLAYS)
  const claimed = Object.entries(published)
    .filter(([nodes]) => all.some(({ group }) => group === nodes))
    .flatMap(([group, hops]) => hops.map((mean, i) => ({ name: names[i]!, group, mean })))
  return {
    name: 'hops',
    title: 'Underlay hops of a lookup over a scale-free network',
    caption:
      "10,000 pairs over 10,000 underlay nodes; black ticks are the published values. VHash's advantage over Chord is that of its many peers: a ring with as many does as well or better. Bars: 95 %.",
    plot: {
      marginBottom: 40,
      fx: {
        label: 'overlay nodes',
        domain: [...new Set(all.map(({ group }) => group))].sort((a, b) => Number(a) - Number(b)),
      },
      x: { axis: null, domain: names },
      y: { label: 'underlay hops', grid: true },
      color: { domain: names, legend: true },
      marks: [
        barY(all, { fx: 'group', x: 'name', y: 'mean', fill: 'name' }),
        ruleX(all, {
          fx: 'group',
          x: 'name',
          y1: ({ mean, error }) => mean - error,
          y2: ({ mean, error }) => mean + error,
        }),
        tickY(claimed, { fx: 'group', x: 'name', y: 'mean', strokeWidth: 2.5 }),
        ruleY([0]),
      ],
    },
  }
}

/** The target, as a share of the plain ring. */
const TARGET = 0.65

export function latencyFigure(table: Table): Figure {
  const all = bars(table, (row) => String(row[0]), 'mean ms')
  const plain = all.find(({ name }) => name === 'ring, plain')?.mean ?? Number.NaN
  const kinds = ['without regard to latency', 'learnt coordinates', 'perfect knowledge', 'moving points']
  const kindOf = ({ name }: Bar) =>
    kinds[name.includes('learnt') ? 1 : name.includes('perfect') ? 2 : name.includes('moving') ? 3 : 0]!
  return {
    name: 'latency',
    title: "Mean lookup latency over PlanetLab's matrix, at equal degree",
    caption:
      'Sum of the round trips of all hops; 490 nodes, 24 peers each. The dashed line is 0.65 of the plain ring. Coordinates that are learnt by the way do nearly as well as knowing all. Bars: 95 %.',
    plot: {
      marginLeft: 300,
      x: { label: 'mean lookup latency (ms)', grid: true },
      y: { label: null, domain: all.map(({ name }) => name) },
      color: { domain: kinds.filter((kind) => all.some((bar) => kindOf(bar) === kind)), legend: true },
      marks: [
        barX(all, { y: 'name', x: 'mean', fill: kindOf }),
        ruleY(all, { y: 'name', x1: ({ mean, error }) => mean - error, x2: ({ mean, error }) => mean + error }),
        text(all, {
          y: 'name',
          x: 0,
          dx: 4,
          text: ({ mean }) => `${mean.toFixed(0)} ms`,
          textAnchor: 'start',
          fill: 'white',
        }),
        ruleX([TARGET * plain], { strokeDasharray: '4 3' }),
        ruleX([0]),
      ],
    },
  }
}

export function learningFigure(table: Table): Figure {
  const rounds = bars(table, (row) => String(row[1]), 'relative error').map(({ name, mean, error }) => {
    return { round: Number(name), mean, error }
  })
  return {
    name: 'learning',
    title: 'How fast coordinates are learnt',
    caption:
      'Median relative error of predicted round-trip times over all pairs, while every node samples its own peers on a ring twice a round. Bars: 95 %.',
    plot: {
      x: { type: 'log', label: 'rounds', tickFormat: 'd' },
      y: { label: 'relative error, median', grid: true, zero: true },
      marks: [
        ruleY([0]),
        lineY(rounds, { x: 'round', y: 'mean', stroke: 'steelblue' }),
        ruleX(rounds, {
          x: 'round',
          y1: ({ mean, error }) => Math.max(0, mean - error),
          y2: ({ mean, error }) => mean + error,
        }),
        dot(rounds, { x: 'round', y: 'mean', fill: 'steelblue', r: 3.5 }),
      ],
    },
  }
}
