/**
 * Study `strategies`: 30 suppliers and 30 customers that cheat with probabilities from 0 to 1, and what they have of it
 * (Eisele et al. 2020-22, Figures 5 and 6), with the payments of PAPERS 9: honesty pays most for both. And with those that
 * were published, where it does not always.
 */
import { lineY, ruleY } from '@observablehq/plot'
import { depositRatio, supplierUtility } from '../../src/market/verification/formulas.ts'
import { type SeriesPoint, seriesColours, seriesMarks, seriesNames } from './marks.ts'
import { ci95, compared, mean } from './statistics.ts'
import {
  cheatingOf,
  type Manner,
  OFFERS,
  offers,
  type Payments,
  PEOPLE,
  type Setting,
  stakesFor,
  TASKS,
  TESTS,
  type Utilities,
} from './strategies/offers.ts'
import type { Done, Figure, Report, Row, Study, StudyOptions, Table } from './study.ts'

interface Unit extends Setting {
  readonly payments: Payments
  readonly manner: Manner
  readonly seed: number
}

const SETTINGS: readonly Setting[] = [0, 0.9].flatMap((guess) =>
  [0.0035, 0.5, 0.9].map((costShare) => ({ costShare, guess })),
)
const KINDS = [
  { payments: 'corrected', manner: 'offer' },
  { payments: 'corrected', manner: 'task' },
  { payments: 'published', manner: 'offer' },
] as const

function units({ seeds }: StudyOptions): Unit[] {
  return SETTINGS.flatMap((setting) => KINDS.flatMap((kind) => seeds.map((seed) => ({ ...setting, ...kind, seed }))))
}

interface Series extends Setting {
  readonly payments: Payments
  readonly manner: Manner
  /** By seed. */
  readonly runs: readonly Utilities[]
}

type Side = 'suppliers' | 'customers'
const SIDES: readonly Side[] = ['suppliers', 'customers']

function seriesOf(done: readonly Done<Unit, Utilities>[]): Series[] {
  return SETTINGS.flatMap((setting) =>
    KINDS.map((kind) => {
      const isOne = ({ unit }: Done<Unit, Utilities>) =>
        unit.costShare === setting.costShare &&
        unit.guess === setting.guess &&
        unit.payments === kind.payments &&
        unit.manner === kind.manner
      return { ...setting, ...kind, runs: done.filter(isOne).map(({ result }) => result) }
    }),
  )
}

/** What is lost, by offer, by who cheats in all instead of none: a line through the utilities of all 30 (least squares). */
function lossOf(utilities: readonly number[]): number {
  const x = utilities.map((_, i) => cheatingOf(i) - 0.5)
  const slope = x.reduce((sum, x, i) => sum + x * utilities[i]!, 0) / x.reduce((sum, x) => sum + x * x, 0)
  return -slope
}

/** What honest ones have above the best of those that cheat; which of these is best is told by the mean of all runs. */
function leadOf({ runs }: Series): number[] {
  const means = Array.from({ length: PEOPLE }, (_, i) => mean(runs.map((run) => run.suppliers[i]!)))
  const best = means.indexOf(Math.max(...means.slice(1)), 1)
  // Where all is certain, sums differ in their last bits alone.
  return runs.map(({ suppliers }) => Number((suppliers[0]! - suppliers[best]!).toFixed(12)))
}

/**
 * Who cheats in whole offers has a utility that is linear in how often, so its slope tells all. Who cheats task by task has a
 * convex one, and the honest one is held against each of the others.
 */
function valuesOf(series: Series): { what: string; values: number[] }[] {
  const { runs, manner } = series
  if (manner === 'task') return [{ what: 'honest suppliers above the best that skips tasks', values: leadOf(series) }]
  return SIDES.map((side) => ({ what: `lost by ${side} that cheat`, values: runs.map((run) => lossOf(run[side])) }))
}

function rowsOf(series: Series): Row[] {
  const { costShare, guess, payments } = series
  return valuesOf(series).map(({ what, values }) =>
    compared(`${what}, e = ${costShare}, g = ${guess}, ${payments} payments`, null, values),
  )
}

/** D/A that is needed, against rho pi_s. */
function depositRows(): Row[] {
  return SETTINGS.map((setting): Row => {
    const ours = depositRatio(setting.costShare, TESTS, setting.guess)
    const published = stakesFor(setting, 'published').deposit
    return {
      name: `deposit over payment that makes honesty pay, e = ${setting.costShare}, g = ${setting.guess}, n = ${TESTS} of ${TASKS}`,
      published,
      ours,
      ci95: 0,
      verdict: 'corrected',
      why: 'rho = m/n is neither necessary nor enough: it is e / (1 - g^n) - 1, or nothing if that is less.',
    }
  })
}

function report(done: readonly Done<Unit, Utilities>[], { seeds }: StudyOptions): Report {
  const all = seriesOf(done)
  const corrected = all.filter(({ payments }) => payments === 'corrected').flatMap(valuesOf)
  return {
    rows: [...all.flatMap(rowsOf), ...depositRows()],
    tables: [table(all)],
    figures: SIDES.flatMap((side) => [0, 0.9].map((guess) => figure(all, side, guess))),
    summary: { leastLossByCheating: Math.min(...corrected.map(({ values }) => mean(values))) },
    notes: [
      `${PEOPLE} suppliers and ${PEOPLE} customers, ${OFFERS} offers each, ${seeds.length} runs; windows of ${TASKS} tasks, ${TESTS} tests by the customer.`,
      'In payments, by offer; above 0: honesty pays most. Half of all offers here are cheated on.',
      'The published deposits of customers are no payment that is held: who accuses in vain loses the deposit, and has not paid.',
      'Their Table 6 leaves both sides no reason to take part: fixed costs of 8.25 against a joint surplus of 0.42 (PAPERS 9).',
    ],
  }
}

function table(all: readonly Series[]): Table {
  const columns = ['cost_share', 'guess', 'payments', 'manner', 'side', 'cheating', 'utility', 'ci95']
  const rows = all.flatMap((series) =>
    SIDES.flatMap((side) =>
      Array.from({ length: PEOPLE }, (_, i) => {
        const values = series.runs.map((run) => run[side][i]!)
        const { costShare, guess, payments, manner } = series
        return [costShare, guess, payments, manner, side, cheatingOf(i), mean(values), ci95(values)]
      }),
    ),
  )
  return { name: 'utilities', columns, rows }
}

function nameOf({ costShare, payments }: Series): string {
  return payments === 'published' ? `published payments, e = ${costShare}` : `e = ${costShare}`
}

function figure(all: readonly Series[], side: Side, guess: number): Figure {
  const shown = all.filter((series) => series.guess === guess && series.manner === 'offer')
  const points = shown
    .filter(({ payments, costShare }) => payments === 'corrected' || costShare === 0.9)
    .flatMap((series) =>
      Array.from({ length: PEOPLE }, (_, i): SeriesPoint => {
        const values = series.runs.map((run) => run[side][i]!)
        return { series: nameOf(series), x: cheatingOf(i), y: mean(values), error: ci95(values) ?? 0 }
      }),
    )
  const byTask = side === 'customers' ? [] : curves(guess)
  const names = seriesNames([...points, ...byTask])
  return {
    name: `${side}-${guess === 0 ? 'no-guess' : 'guess'}`,
    title: `${side === 'suppliers' ? 'Figure 5: suppliers' : 'Figure 6: customers'}, guesses right with ${guess}`,
    caption:
      'Mean utility of an offer by how often one cheats, in payments. With corrected payments it is largest on the left.' +
      (byTask.length > 0 ? ' Curves: who cheats task by task, by the formula U(P).' : ''),
    plot: {
      x: { label: 'probability to cheat', grid: true },
      y: { label: 'utility of an offer, over the payment', grid: true },
      color: { legend: true, ...seriesColours(names) },
      symbol: { legend: true, domain: seriesNames(points) },
      marks: [
        ruleY([0]),
        lineY(byTask, { x: 'x', y: 'y', stroke: 'series', strokeDasharray: '5 4' }),
        ...seriesMarks(points),
      ],
    },
  }
}

/** U(P), with P the chance that a task is worked on, and honest customers. */
function curves(guess: number) {
  return [0.0035, 0.5, 0.9].flatMap((costShare) => {
    const { deposit } = stakesFor({ costShare, guess }, 'corrected')
    return Array.from({ length: 101 }, (_, i) => ({
      series: `e = ${costShare}`,
      x: i / 100,
      y: supplierUtility(1 - i / 100, TESTS, { payment: 1, deposit, cost: costShare }, guess),
    }))
  })
}

export const study: Study<Unit, Utilities> = {
  name: 'strategies',
  title: 'what suppliers and customers have of cheating with probabilities from 0 to 1',
  source: 'Eisele et al. 2020-22, Figures 5 and 6',
  defaultSeeds: (quick) => Array.from({ length: quick ? 3 : 20 }, (_, i) => i + 1),
  units,
  run: (unit) => offers(unit, unit.payments, unit.manner, unit.seed),
  report,
}
