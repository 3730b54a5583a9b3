/**
 * Study `chordreduce`: the speed-up of a Monte Carlo pi against workers and under churn as published (PAPERS 3), beside the
 * published design in virtual time, the published model and a linear one fitted to the same table, and the same work on
 * Chorale's jobs service in virtual time.
 *
 * Under churn the published design is the model that its authors made later to explain it (PAPERS 4, `sybil-balance.ts`): hosts
 * that leave and join even out load. Its ticks are stretched so that the mean run without churn lasts as long as theirs did.
 */
import { seededRandom } from '../../src/core/random.ts'
import { designTrial } from './chordreduce-design.ts'
import { chordreduceFigures } from './chordreduce-figures.ts'
import { type OurRun, speedUp, underChurn } from './chordreduce-ours.ts'
import * as published from './chordreduce-published.ts'
import { ci95, compared, mean, roundingError, standardDeviation, verdictOn } from './statistics.ts'
import type { Done, Report, Row, Study, StudyOptions, Table } from './study.ts'
import { type SybilCase, sybilTrial } from './sybil-balance.ts'
import { busiest } from './uneven-load.ts'

/** One number for each of many trials: of the design by workers, of the later model by churn. */
interface TrialsUnit {
  readonly kind: 'design' | 'model'
  /** Samples; of the model always 8. */
  readonly power: number
  readonly workers: number
  /** Per cent of the hosts per second; of the design always 0. */
  readonly percent: number
  readonly seed: number
}

/** One run of ours: of an overlay that knows, or of the real ring under churn. */
interface OursUnit {
  readonly kind: 'speed' | 'churn'
  readonly power: number
  readonly workers: number
  readonly percent: number
  readonly seed: number
}

export type ChordreduceUnit = TrialsUnit | OursUnit
export type ChordreduceResult = readonly number[] | OurRun

/** What was found of one setting: seconds of each trial or run. */
export interface Found {
  readonly kind: ChordreduceUnit['kind']
  readonly power: number
  readonly workers: number
  readonly percent: number
  readonly seconds: readonly number[]
}

const TASKS = 1000
/** Per seed: 10 seeds make 400. */
const TRIALS = 40
/** Of ours without churn, where runs of different seeds hardly differ. */
const SPEED_SEEDS = 3
const CHURNED = { power: 8, workers: 40 } as const

const ALONE = new Map(published.SPEED.map(({ power, seconds }) => [power, seconds[0]!]))

const LATER_MODEL: SybilCase = {
  nodes: CHURNED.workers,
  tasks: TASKS,
  strategy: 'none',
  churn: 0,
  everyTicks: 5,
  threshold: 0,
  strength: 1,
  hosts: 'equal',
  work: 'one',
  successors: 5,
}
const TASKS_EACH = LATER_MODEL.tasks / LATER_MODEL.nodes
const SECONDS_PER_TICK = published.WITHOUT_CHURN / (TASKS_EACH * busiest(LATER_MODEL.nodes, TASKS_EACH))

const RATES = [0, ...published.CHURN.map(({ percent }) => percent)]

export const study: Study<ChordreduceUnit, ChordreduceResult> = {
  name: 'chordreduce',
  title: 'Speed-up against workers and under churn: the published times, models of them, and ours',
  source: 'Rosen et al. 2013/14, ChordReduce',
  defaultSeeds: (quick) => (quick ? [1] : Array.from({ length: 10 }, (_, i) => i + 1)),
  units({ seeds, quick }: StudyOptions) {
    const units: ChordreduceUnit[] = []
    for (const seed of seeds.slice(0, SPEED_SEEDS)) {
      for (const { power } of published.SPEED) {
        for (const workers of published.WORKERS) {
          const wanted = quick ? power === 8 && workers % 20 === 0 : workers > 1
          if (wanted) units.push({ kind: 'speed', power, workers, percent: 0, seed })
        }
      }
    }
    for (const seed of seeds) {
      for (const percent of quick ? [0, 0.8] : RATES) units.push({ kind: 'churn', ...CHURNED, percent, seed })
    }
    for (const seed of seeds) {
      for (const { power } of published.SPEED) {
        const several = published.pointsOf(power).filter(({ workers }) => workers > 1)
        for (const { workers } of several) units.push({ kind: 'design', power, workers, percent: 0, seed })
      }
      for (const percent of RATES) units.push({ kind: 'model', ...CHURNED, percent, seed })
    }
    return units.sort((a, b) => weight(b) - weight(a))
  },
  weight,
  run(unit) {
    const { power, workers, percent, seed } = unit
    const seconds = ALONE.get(power)!
    if (unit.kind === 'speed') return speedUp({ workers, tasks: TASKS, seconds, seed })
    if (unit.kind === 'churn') return underChurn({ workers, tasks: TASKS, seconds, seed }, percent / 100)
    const random = seededRandom(`${seed}/${unit.kind}/${power}/${workers}/${percent}`)
    return Array.from({ length: TRIALS }, (_, i) => {
      const own = random.fork(String(i))
      if (unit.kind === 'design') return designTrial(workers, TASKS, seconds, own)
      const churn = (percent / 100) * SECONDS_PER_TICK
      return SECONDS_PER_TICK * sybilTrial({ ...LATER_MODEL, churn }, own).ticks
    })
  },
  report,
}

/** Ours by virtual time, mostly; trials take next to nothing. */
function weight({ kind, power, workers }: ChordreduceUnit): number {
  if (kind === 'design' || kind === 'model') return 0.2
  return 1 + (ALONE.get(power)! / workers) * (1 + workers / 100) * 0.05
}

function report(done: readonly Done<ChordreduceUnit, ChordreduceResult>[]): Report {
  const found = new Map<string, Found & { readonly seconds: number[] }>()
  let wrong = 0
  let died = 0
  for (const { unit, result } of done) {
    const { kind, power, workers, percent } = unit
    const name = [kind, power, workers, percent].join()
    const of = found.get(name) ?? { kind, power, workers, percent, seconds: [] }
    found.set(name, of)
    if ('seconds' in result) {
      of.seconds.push(result.seconds)
      wrong += result.missing + result.doubled
      died += result.died
    } else of.seconds.push(...result)
  }
  const all = [...found.values()]
  return {
    rows: [
      ...modelRows(),
      ...all.filter(({ kind }) => kind === 'design').map(designRow),
      ...churnRows(all),
      ...ourRows(all),
      {
        name: 'ours, tasks missing or counted twice in all runs',
        published: null,
        ours: wrong,
        ci95: 0,
        verdict: null,
      },
      { name: 'ours, hosts that died in all runs under churn', published: null, ours: died, ci95: 0, verdict: null },
    ],
    tables: [speedTable(all), fitTable(), churnTable(all)],
    figures: chordreduceFigures(all),
    notes: NOTES,
  }
}

const NOTES = [
  'How many runs a published time averages is not known; its standard error is taken to be the spread of one run of the design, which is wide: random ids decide who has most to do.',
  'The times of one worker are taken as given, at 10^9 too, where the published one is extrapolated.',
  'Hashing alone explains every time at 10^9 samples and those of 10 and 20 workers at 10^8: no overhead is needed there. At 10^7 the times grow by about 12 s per worker, with 30 and 40 workers at 10^8 too they are far above the design; no part of it costs that. Their machines were small and at times overwhelmed by traffic.',
  'T_1/n + k log2 n fits no row of the table: k is 15 to 194. A linear overhead fits 10^7 to 5 s; neither fits 10^8 (35 and 30 s off) or 10^9 (204 and 261 s off).',
  'The same 40 workers and 10^8 samples take 191.90 s in the table of workers and 411.57 s in that of churn, a factor as large as the largest effect of churn.',
  'Every published time under churn lies within what one run of the later model can give; below 0.4 %/s the table shows chance. The row .0775 % is printed .00775 %.',
  'Ours: 1,000 equal tasks for the samples, virtual time, one core per host; speed-up over an overlay that knows its members, churn over the real ring. Their job lasted 329 s at 0.4 %/s, in which some 50 of 40 hosts died and came; ours lasts 12 s, in which 2 do.',
]

const sizes = published.SPEED.map(({ power }) => published.pointsOf(power))

function modelRows(): Row[] {
  const exact = (
    name: string,
    value: number,
    ours: number,
    error: number,
    corrected: number | undefined,
    why: string,
  ): Row => {
    const verdict = verdictOn({ published: value, publishedError: error, ours, error: 0, corrected })
    return { name, published: value, ours, ci95: 0, verdict, why: verdict === 'reproduced' ? undefined : why }
  }
  const speedUpRow = (what: string, factor: number, value: number) => {
    const why = 'it does not follow from the printed times'
    return exact(`${what}: speed-up from the printed times`, factor, value, roundingError(2), undefined, why)
  }
  const k = published.meanK(sizes.slice(0, 2))
  const noK = `the printed times at 10^7 and 10^8 give this mean; all three rows give ${published.meanK(sizes).toFixed(1)}`
  const c = published.fit(published.LINEAR, sizes.slice(0, 1)).weight
  const alone9 = ALONE.get(9)!
  const noAlone = 'ten times the time at 10^8; what else the extrapolation used is not said'
  const noBase = 'every printed speed-up is against 411.57 s: a digit is wrong'
  return [
    exact('k of T_1/n + k log2 n, seconds', published.PRINTED_K, k, roundingError(3), k, noK),
    exact(
      '10^9 samples, 1 worker: seconds, extrapolated',
      alone9,
      10 * ALONE.get(8)!,
      roundingError(0),
      undefined,
      noAlone,
    ),
    exact('seconds per worker at 10^7, linear', 12, c, roundingError(0), undefined, 'least squares over three times'),
    exact(
      'churn 0 %/s, 40 workers, 10^8 samples: seconds, as printed',
      published.WITHOUT_CHURN_AS_PRINTED,
      published.WITHOUT_CHURN,
      0,
      published.WITHOUT_CHURN,
      noBase,
    ),
    ...published.PRINTED_SPEED_UPS.map(([power, workers, factor]) => {
      const points = published.pointsOf(power)
      const value = points[0]!.seconds / points.find((point) => point.workers === workers)!.seconds
      return speedUpRow(`10^${power} samples, ${workers} workers`, factor, value)
    }),
    ...published.CHURN.map(({ percent, seconds, factor }) => {
      return speedUpRow(`churn ${percent} %/s, 40 workers, 10^8 samples`, factor, published.WITHOUT_CHURN / seconds)
    }),
  ]
}

function designRow({ power, workers, seconds }: Found): Row {
  const value = published.pointsOf(power).find((point) => point.workers === workers)!.seconds
  const above = (value - mean(seconds)) / workers
  const why = `hashing and the design explain ${mean(seconds).toFixed(0)} s; what is above, ${above.toFixed(1)} s per worker, we take for overload of their machines`
  const name = `10^${power} samples, ${workers} workers: seconds, published design`
  return compared(name, value, seconds, { publishedError: standardDeviation(seconds), why })
}

function churnRows(all: readonly Found[]): Row[] {
  return all
    .filter(({ kind }) => kind === 'model')
    .toSorted((a, b) => b.percent - a.percent)
    .map(({ percent, seconds }) => {
      const row = published.CHURN.find((churn) => churn.percent === percent)
      const name = `churn ${percent} %/s, 40 workers, 10^8 samples: seconds, later model`
      const why = 'churn evens out load less than that in the later model'
      const publishedError = standardDeviation(seconds)
      return compared(name, row?.seconds ?? published.WITHOUT_CHURN, seconds, { publishedError, why })
    })
}

function ourRows(all: readonly Found[]): Row[] {
  const base = all.find(({ kind, percent }) => kind === 'churn' && percent === 0)
  return all
    .filter(({ kind }) => kind === 'speed' || kind === 'churn')
    .toSorted((a, b) => a.power - b.power || a.workers - b.workers || a.percent - b.percent)
    .flatMap(({ kind, power, workers, percent, seconds }) => {
      if (kind === 'speed') {
        const speedUps = seconds.map((value) => ALONE.get(power)! / value)
        return [compared(`ours, 10^${power} samples, ${workers} workers: speed-up`, null, speedUps)]
      }
      const name = `ours, churn ${percent} %/s, 40 workers, 10^8 samples`
      const rows = [compared(`${name}: seconds`, null, seconds)]
      if (base && percent > 0) {
        const factors = seconds.map((value) => mean(base.seconds) / value)
        rows.push(compared(`${name}: speed-up against no churn`, null, factors))
      }
      return rows
    })
}

function speedTable(all: readonly Found[]): Table {
  const of = (kind: Found['kind'], power: number, workers: number) => {
    return all.find((one) => one.kind === kind && one.power === power && one.workers === workers)?.seconds
  }
  const weights = new Map(
    published.SPEED.map(({ power }, i) => [power, published.fit(published.LINEAR, [sizes[i]!]).weight]),
  )
  return {
    name: 'chordreduce-speed',
    columns: [
      'power',
      'workers',
      'published',
      'logarithmic',
      'linear',
      'design',
      'designDeviation',
      'ours',
      'oursCi95',
    ],
    rows: published.SPEED.flatMap(({ power, seconds }) =>
      published.WORKERS.map((workers, i) => {
        const alone = ALONE.get(power)!
        const models = [
          alone / workers + published.PRINTED_K * Math.log2(workers),
          alone / workers + (workers > 1 ? weights.get(power)! * workers : 0),
        ]
        const design = of('design', power, workers) ?? []
        const ours = of('speed', power, workers) ?? []
        const found = [orNull(mean(design)), orNull(standardDeviation(design)), orNull(mean(ours)), ci95(ours)]
        return [power, workers, seconds[i] ?? null, ...models, ...found]
      }),
    ),
  }
}

const orNull = (value: number) => (Number.isNaN(value) ? null : value)

/** Which model fits which row. */
function fitTable(): Table {
  const models = [published.LOGARITHMIC, published.LINEAR]
  return {
    name: 'chordreduce-fits',
    columns: ['model', 'samples', 'weight', 'residualSeconds'],
    rows: models.flatMap((model) => {
      const each = published.SPEED.map(({ power }, i) => [`10^${power}`, published.fit(model, [sizes[i]!])] as const)
      const rows = [...each, ['all', published.fit(model, sizes)] as const]
      return rows.map(([samples, { weight: found, residual }]) => [model.name, samples, found, residual])
    }),
  }
}

function churnTable(all: readonly Found[]): Table {
  const of = (kind: Found['kind'], percent: number) => {
    return all.find((one) => one.kind === kind && one.percent === percent)?.seconds ?? []
  }
  return {
    name: 'chordreduce-churn',
    columns: ['percentPerSecond', 'published', 'laterModel', 'laterModelDeviation', 'ours', 'oursCi95'],
    rows: RATES.map((percent) => {
      const value = published.CHURN.find((row) => row.percent === percent)?.seconds ?? published.WITHOUT_CHURN
      const [model, ours] = [of('model', percent), of('churn', percent)]
      return [percent, value, orNull(mean(model)), orNull(standardDeviation(model)), orNull(mean(ours)), ci95(ours)]
    }),
  }
}
