/** The figures of the study `chordreduce`. */
import * as Plot from '@observablehq/plot'
import type { Found } from './chordreduce.ts'
import * as published from './chordreduce-published.ts'
import { mean, standardDeviation } from './statistics.ts'
import type { Figure } from './study.ts'

const PUBLISHED = 'published'
const DESIGN = 'published design, mean and deviation of one run'
const LOGARITHMIC = 'T_1/n + k log2 n, k = 36.5'
const LINEAR = 'T_1/n + c n, c fitted to each size'
const OURS = 'ours'
const IDEAL = 'ideal'
const MAX_WORKERS = 40

export function chordreduceFigures(all: readonly Found[]): Figure[] {
  return [speed(all), churn(all)]
}

function speed(all: readonly Found[]): Figure {
  const lines = published.SPEED.flatMap(({ power }) => {
    const points = published.pointsOf(power)
    const alone = points[0]!.seconds
    const { weight } = published.fit(published.LINEAR, [points])
    return Array.from({ length: MAX_WORKERS }, (_, i) => i + 1).flatMap((workers) => {
      const at = { panel: panel(power), workers }
      const logarithmic = alone / workers + published.PRINTED_K * Math.log2(workers)
      const linear = alone / workers + (workers > 1 ? weight * workers : 0)
      return [
        { ...at, series: LOGARITHMIC, speedUp: alone / logarithmic },
        { ...at, series: LINEAR, speedUp: alone / linear },
        { ...at, series: IDEAL, speedUp: workers },
      ]
    })
  })
  const points = published.SPEED.flatMap(({ power }) => {
    const [first, ...rest] = published.pointsOf(power)
    return rest.map(({ workers, seconds }) => {
      return { panel: panel(power), workers, series: PUBLISHED, speedUp: first!.seconds / seconds }
    })
  })
  const found = all.flatMap(({ kind, power, workers, seconds }) => {
    if (kind !== 'design' && kind !== 'speed') return []
    const alone = published.pointsOf(power)[0]!.seconds
    const speedUps = seconds.map((value) => alone / value)
    const spread = kind === 'design' ? standardDeviation(speedUps) : 0
    const speedUp = mean(speedUps)
    const series = kind === 'design' ? DESIGN : OURS
    return [
      { panel: panel(power), workers, series, speedUp, low: Math.max(0.1, speedUp - spread), high: speedUp + spread },
    ]
  })
  return {
    name: 'chordreduce-speed-up',
    title: 'Speed-up against workers',
    caption:
      'T_1 / T_n of a Monte Carlo pi. Random ids alone keep the published design far below the ideal; at 10^7 samples, and beyond 20 workers at 10^8, its machines stayed behind even that.',
    plot: {
      width: 960,
      height: 380,
      marginTop: 40,
      fx: { label: null },
      x: { label: 'workers', domain: [0, MAX_WORKERS + 2] },
      y: {
        label: 'speed-up (log)',
        type: 'log',
        grid: true,
        domain: [0.1, MAX_WORKERS],
        ticks: [0.1, 0.3, 1, 3, 10, 30],
        tickFormat: String,
      },
      color: {
        domain: [PUBLISHED, DESIGN, LOGARITHMIC, LINEAR, OURS, IDEAL],
        range: ['#d95f02', '#7570b3', '#e7298a', '#66a61e', '#1b6ca8', '#bbbbbb'],
        legend: true,
      },
      marks: [
        Plot.line(lines, { fx: 'panel', x: 'workers', y: 'speedUp', stroke: 'series' }),
        Plot.ruleX(found, { fx: 'panel', x: 'workers', y1: 'low', y2: 'high', stroke: 'series' }),
        Plot.dot(found, { fx: 'panel', x: 'workers', y: 'speedUp', fill: 'series' }),
        Plot.dot(points, {
          fx: 'panel',
          x: 'workers',
          y: 'speedUp',
          stroke: 'series',
          symbol: 'diamond',
          strokeWidth: 2,
        }),
      ],
    },
  }
}

const panel = (power: number) => `10^${power} samples`

function churn(all: readonly Found[]): Figure {
  const LATER = 'their later model, mean and deviation of one run'
  const base = (kind: Found['kind']) => {
    return mean(all.find((one) => one.kind === kind && one.percent === 0 && one.workers === MAX_WORKERS)?.seconds ?? [])
  }
  const found = all.flatMap(({ kind, percent, seconds }) => {
    if ((kind !== 'model' && kind !== 'churn') || percent === 0) return []
    const factors = seconds.map((value) => base(kind) / value)
    const spread = kind === 'model' ? standardDeviation(factors) : 0
    const factor = mean(factors)
    return [{ series: kind === 'model' ? LATER : OURS, percent, factor, low: factor - spread, high: factor + spread }]
  })
  const points = published.CHURN.map(({ percent, factor }) => ({ series: PUBLISHED, percent, factor }))
  const rates = published.CHURN.map(({ percent }) => percent).sort((a, b) => a - b)
  return {
    name: 'chordreduce-churn',
    title: 'Speed-up under churn, 40 workers and 10^8 samples',
    caption:
      'Time without churn over time with it; above 1 churn helps. It helps a design that leaves load uneven. Ours has nothing to gain from it, and loses only what the dead were doing.',
    plot: {
      x: { label: 'hosts that leave and come, per cent per second', type: 'point', domain: rates, tickFormat: String },
      y: { label: 'speed-up against no churn', grid: true, domain: [0, 2.4] },
      color: { domain: [PUBLISHED, LATER, OURS], range: ['#d95f02', '#7570b3', '#1b6ca8'], legend: true },
      marks: [
        Plot.ruleY([1], { stroke: '#bbbbbb' }),
        Plot.ruleX(found, { x: 'percent', y1: 'low', y2: 'high', stroke: 'series' }),
        Plot.dot(found, { x: 'percent', y: 'factor', fill: 'series' }),
        Plot.dot(points, { x: 'percent', y: 'factor', stroke: 'series', symbol: 'diamond', strokeWidth: 2 }),
      ],
    },
  }
}
