/**
 * Study `balance`: load balancing with Sybils as Rosen (2015-2021) published it (PAPERS 4), every row run again in the papers' own
 * model (`sybil-balance.ts`); what each strategy costs in messages, which the papers do not say; and beside them what Chorale
 * does instead, queues from which idle hosts pull: the real jobs service in virtual time, as `npm run sim -- balance` runs it.
 */
import { seededRandom } from '../../src/core/random.ts'
import { type BalanceFigures, runBalance } from '../scenarios/balance.ts'
import { caseName, MISREAD, PUBLISHED, PUBLISHED_TRIALS, type PublishedCase, tasksText } from './balance-cases.ts'
import { balanceFigures } from './balance-figures.ts'
import { ci95, compared, mean, standardDeviation } from './statistics.ts'
import type { Done, Report, Row, Study, StudyOptions, Table } from './study.ts'
import { sybilTrial, type Trial } from './sybil-balance.ts'
import { harmonic } from './uneven-load.ts'

interface ModelUnit {
  readonly kind: 'model'
  /** In `PUBLISHED`. */
  readonly index: number
  readonly seed: number
  readonly trials: number
}

interface QueuesUnit {
  readonly kind: 'queues'
  readonly nodes: number
  readonly tasks: number
  /** Hosts are of speed 1 to this. */
  readonly fastest: number
  readonly seed: number
  /** Runtime factor to reach, at full size. */
  readonly reach?: number
}

export type BalanceUnit = ModelUnit | QueuesUnit
export type BalanceResult = readonly Trial[] | BalanceFigures

/** All trials of a published case. */
export interface Measured {
  readonly published: PublishedCase
  readonly trials: readonly Trial[]
}

/** Our own service: the runs of one setting. */
export interface Pulled {
  readonly name: string
  readonly unit: QueuesUnit
  readonly runs: readonly BalanceFigures[]
}

const TASK_MS = 2_000
const MESSAGES_REACH = 0.3
const QUICK_LIMIT = 1e8

/** Trials per seed: 20 seeds make 400 of the smaller cases, 100 of the larger. */
function trialsOf({ given }: PublishedCase, quick: boolean): number {
  if (quick) return given.nodes * given.tasks > QUICK_LIMIT ? 0 : 8
  return given.nodes * given.tasks > QUICK_LIMIT ? 5 : 20
}

function queues({ seeds, quick }: StudyOptions): QueuesUnit[] {
  const unit = { kind: 'queues', nodes: 1000, fastest: 1, seed: seeds[0]! } as const
  if (quick) return [{ ...unit, nodes: 50, tasks: 1_000 }]
  return [
    { ...unit, tasks: 1e6, reach: 1.02 },
    { ...unit, tasks: 1e5, reach: 1.08 },
    { ...unit, tasks: 1e5, fastest: 5, reach: 1.1 },
  ]
}

export const study: Study<BalanceUnit, BalanceResult> = {
  name: 'balance',
  title: 'Load balancing with Sybils, what it costs in messages, and queues with pulling beside it',
  source: 'Rosen et al. 2015-2021, Autonomous Load Balancing in Distributed Hash Tables',
  defaultSeeds: (quick) => Array.from({ length: quick ? 2 : 20 }, (_, i) => i + 1),
  units(options) {
    const model = PUBLISHED.flatMap((published, index) => {
      const trials = trialsOf(published, options.quick)
      return trials === 0 ? [] : options.seeds.map((seed) => ({ kind: 'model', index, seed, trials }) as const)
    })
    const work = ({ index, trials }: ModelUnit) => PUBLISHED[index]!.given.tasks * trials
    return [...queues(options), ...model.sort((a, b) => work(b) - work(a))]
  },
  weight: (unit) =>
    unit.kind === 'queues' ? unit.tasks / 1_700 : (PUBLISHED[unit.index]!.given.tasks * unit.trials) / 5e6,
  run(unit) {
    if (unit.kind === 'queues') {
      const { nodes, tasks, seed, fastest } = unit
      return runBalance({ nodes, tasks, seed, taskMs: TASK_MS }, fastest)
    }
    const { given } = PUBLISHED[unit.index]!
    const random = seededRandom(`${unit.seed}/balance/${unit.index}`)
    return Array.from({ length: unit.trials }, (_, trial) => sybilTrial(given, random.fork(String(trial))))
  },
  report,
}

function report(done: readonly Done<BalanceUnit, BalanceResult>[], options: StudyOptions): Report {
  const measured: Measured[] = PUBLISHED.flatMap((published, index) => {
    const trials = done.flatMap(({ unit, result }) => {
      return unit.kind === 'model' && unit.index === index ? (result as readonly Trial[]) : []
    })
    return trials.length > 0 ? [{ published, trials }] : []
  })
  const pulled: Pulled[] = queues(options).map((unit) => {
    const runs = done.flatMap(({ unit: { kind, ...other }, result }) => {
      const same =
        kind === 'queues' && 'fastest' in other && other.tasks === unit.tasks && other.fastest === unit.fastest
      return same ? [result as BalanceFigures] : []
    })
    return { name: pulledName(unit), unit, runs }
  })
  return {
    rows: [...measured.flatMap(rowsOf), ...pulled.flatMap(rowsOfPulled)],
    tables: [factorTable(measured), costTable(measured, pulled)],
    figures: balanceFigures(measured, pulled),
    notes: NOTES,
  }
}

const NOTES = [
  'Published values are means of 100 trials; their standard error is taken to be that of 100 of our trials.',
  'A request is a message and its answer another. Sybil strategies: probes of neighbours, lookups of a place (half log2 of the ids, and the answer), joins and leaves of Sybils (2 each), invitations (2); not the upkeep of Sybils, nor how tasks reach their owners. Queues with pulling: every message of the jobs service, dispatch and results included.',
  'The published program compared positions in its list of ids where it meant ids: it always injected into the first gap, and for the last hosts of the list anywhere. Put right, neighbour injection is nearly twice as fast.',
  'The papers say that checking every tick instead of every 5 makes hardly a difference; for random injection it does.',
  'The published program hands a host its tasks on a stack, and those that come from elsewhere on top; under churn that matters by several per cent.',
]

const UNKNOWN = 'the rules as they are described give another value than the published program did'

function rowsOf({ published, trials }: Measured): Row[] {
  const { given, factor, median, deviation, tasksPerTick } = published
  const name = caseName(published)
  const row = (what: string, value: number | null, values: readonly number[], corrected?: number, why = UNKNOWN) => {
    // What 100 trials such as ours leave open.
    const publishedError = standardDeviation(values) / Math.sqrt(PUBLISHED_TRIALS)
    return compared(`${name}: ${what}`, value, values, { publishedError, corrected, why })
  }
  const load = given.tasks / given.nodes
  const expected = Math.sqrt(load + load ** 2)
  const factors = trials.map((trial) => trial.factor)
  const medians = trials.map((trial) => trial.median)
  const deviations = trials.map((trial) => trial.deviation)
  const rows = [row('runtime factor', factor, factors)]
  if (median !== undefined) rows.push(row('median load', median, medians))
  if (deviation !== undefined) rows.push(row('standard deviation of load', deviation, deviations))
  if (tasksPerTick !== undefined) {
    const why = `the printed value is another column of the data, tasks per tick; theory says ${expected.toFixed(1)}`
    rows.push(row('standard deviation of load, as printed', MISREAD, deviations, expected, why))
    const rates = trials.map(({ ticks }) => given.tasks / ticks)
    rows.push(row('tasks per tick', tasksPerTick, rates))
  }
  // The analytic values are limits for many tasks per host.
  if (published.group === 'none' && load >= 1000) {
    const exact = (what: string, value: number, values: readonly number[]) =>
      compared(`${name}: ${what}`, value, values)
    rows.push(exact('runtime factor, analytic: H_n', harmonic(given.nodes), factors))
    rows.push(exact('median load, analytic: m ln 2', load * Math.LN2, medians))
    rows.push(exact('standard deviation, analytic: sqrt(m + m^2)', expected, deviations))
  }
  return rows
}

function pulledName({ nodes, tasks, fastest }: QueuesUnit): string {
  const hosts = fastest === 1 ? '' : `, hosts of 1x to ${fastest}x`
  return `n = ${nodes}, ${tasksText(tasks)} tasks, Chorale's queues${hosts}`
}

function rowsOfPulled({ name, unit, runs }: Pulled): Row[] {
  if (runs.length === 0) return []
  if (runs.some(({ exact }) => !exact)) throw new Error(`${name}: the value is not what the tasks come to`)
  const factors = runs.map(({ factor }) => factor)
  const messages = runs.map(({ messagesPerTask }) => messagesPerTask)
  return [
    compared(`${name}: runtime factor${reach(unit.reach)}`, null, factors),
    compared(`${name}: messages per task${reach(unit.reach && MESSAGES_REACH)}`, null, messages),
  ]
}

const reach = (value: number | undefined) => (value === undefined ? '' : ` (to reach: ${value})`)

const SETTINGS = ['strategy', 'churn', 'everyTicks', 'threshold', 'hosts', 'strength', 'work', 'successors'] as const

function factorTable(measured: readonly Measured[]): Table {
  return {
    name: 'balance-factors',
    columns: ['case', 'nodes', 'tasks', ...SETTINGS, 'published', 'ours', 'ci95', 'median', 'deviation', 'trials'],
    rows: measured.map(({ published, trials }) => {
      const { given } = published
      const factors = trials.map(({ factor }) => factor)
      const loads = [mean(trials.map(({ median }) => median)), mean(trials.map(({ deviation }) => deviation))]
      const found = [published.factor, mean(factors), ci95(factors), ...loads, trials.length]
      return [published.name, given.nodes, given.tasks, ...SETTINGS.map((name) => given[name]), ...found]
    }),
  }
}

function costTable(measured: readonly Measured[], pulled: readonly Pulled[]): Table {
  const model = measured.map(({ published, trials }) => {
    const { tasks } = published.given
    const per = (count: (trial: Trial) => number) => mean(trials.map(count)) / tasks
    const cost = [per(({ messages }) => messages), per(({ moved }) => moved), per(({ sybils }) => sybils)]
    return [caseName(published), mean(trials.map(({ factor }) => factor)), ...cost]
  })
  const ours = pulled
    .filter(({ runs }) => runs.length > 0)
    .map(({ name, runs }) => {
      return [name, mean(runs.map(({ factor }) => factor)), mean(runs.map((run) => run.messagesPerTask)), null, null]
    })
  return {
    name: 'balance-messages',
    columns: ['case', 'factor', 'messagesPerTask', 'tasksMovedPerTask', 'sybilsPerTask'],
    rows: [...model, ...ours],
  }
}
