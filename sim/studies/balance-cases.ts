/**
 * What Rosen (2015-2021) published on load balancing with Sybils (PAPERS 4), as cases to run again: the papers' tables and, for
 * thresholds, Sybil limits, unlike hosts and both ways of working, the averages in the raw data published with them. Each
 * value is the mean of 100 trials.
 */
import type { SybilCase } from './sybil-balance.ts'

export const PUBLISHED_TRIALS = 100

export interface PublishedCase {
  /** Without nodes and tasks. */
  readonly name: string
  readonly group: 'none' | 'churn' | 'strategy' | 'setting'
  readonly given: SybilCase
  /** Mean runtime factor. */
  readonly factor: number
  /** Of the loads at the start. */
  readonly median?: number
  readonly deviation?: number
  /** T / ticks. */
  readonly tasksPerTick?: number
}

const BASE: SybilCase = {
  nodes: 1000,
  tasks: 100_000,
  strategy: 'none',
  churn: 0,
  everyTicks: 5,
  threshold: 0,
  strength: 5,
  hosts: 'equal',
  work: 'one',
  successors: 5,
}

/** Nodes, tasks, factor, median, deviation; of the first line the deviation is that of the raw data, see `MISREAD`. */
const WITHOUT: readonly (readonly [number, number, number, number, number])[] = [
  [1000, 1e5, 7.476, 69.41, 100.305],
  [1000, 5e5, 7.338, 346.57, 499.169],
  [1000, 1e6, 7.464, 692.3, 996.982],
  [5000, 1e5, 9.317, 13.81, 20.477],
  [5000, 5e5, 9.065, 69.28, 100.344],
  [5000, 1e6, 9.212, 138.36, 200.564],
  [10_000, 1e5, 10.189, 7, 10.492],
  [10_000, 5e5, 9.719, 34.55, 50.366],
  [10_000, 1e6, 9.71, 69.18, 100.319],
]

/**
 * The printed standard deviation of the first line above. It is the next column of the raw data: the tasks done per tick.
 */
export const MISREAD = 137.27

const none: PublishedCase[] = WITHOUT.map(([nodes, tasks, factor, median, deviation], i) => ({
  name: 'no strategy',
  group: 'none',
  given: { ...BASE, nodes, tasks },
  factor,
  median,
  deviation,
  ...(i === 0 && { tasksPerTick: MISREAD }),
}))

const churn = (
  [
    [0.0001, 7.122],
    [0.001, 6.047],
    [0.01, 3.721],
    [0.1, 2.168],
  ] as const
).map(([rate, factor]): PublishedCase => {
  return { name: `churn ${rate} per tick`, group: 'churn', given: { ...BASE, churn: rate }, factor }
})

function strategy(name: string, factor: number, given: Partial<SybilCase>): PublishedCase {
  return { name, group: 'strategy', given: { ...BASE, ...given }, factor }
}

const strategies: readonly PublishedCase[] = [
  strategy('random injection', 1.167, { strategy: 'random', tasks: 1e6 }),
  strategy('random injection, 10 Sybils, threshold 0.1', 1.121, {
    strategy: 'random',
    tasks: 1e6,
    strength: 10,
    threshold: 0.1,
  }),
  strategy('random injection, every tick', 1.254, { strategy: 'random', everyTicks: 1 }),
  strategy('neighbour injection, the published program', 5.033, { strategy: 'neighbour-published' }),
  strategy('neighbour injection, as described', 2.84, { strategy: 'neighbour' }),
  strategy('neighbour injection, as described, 10 successors', 2.23, { strategy: 'neighbour', successors: 10 }),
  strategy('smart neighbour injection', 4.612, { strategy: 'smart' }),
  strategy('smart neighbour injection, 10 successors', 4.197, { strategy: 'smart', successors: 10 }),
  strategy('smart neighbour injection', 4.605, { strategy: 'smart', tasks: 1e6 }),
  strategy('smart neighbour injection, 10 successors', 4.308, { strategy: 'smart', tasks: 1e6, successors: 10 }),
  strategy('invitation', 5.673, { strategy: 'invite' }),
]

/** Random injection, 1000 nodes, 10^5 tasks: hosts, work, then factors at thresholds 0, 0.1 and 0.25 with 5 and with 10 Sybils. */
const SETTINGS: readonly (readonly [SybilCase['hosts'], SybilCase['work'], readonly number[], readonly number[]])[] = [
  ['equal', 'one', [1.558, 1.457, 1.441], [1.563, 1.429, 1.359]],
  ['equal', 'strength', [2.285, 2.157, 2.048], [2.823, 2.678, 2.582]],
  ['uniform', 'one', [1.59, 1.515, 1.527], [1.583, 1.478, 1.44]],
  ['uniform', 'strength', [2.647, 2.571, 2.638], [3.895, 3.943, 3.948]],
]
const THRESHOLDS = [0, 0.1, 0.25]

const settings = SETTINGS.flatMap(([hosts, work, five, ten]) =>
  [five, ten].flatMap((factors, i) =>
    factors.map((factor, j): PublishedCase => {
      const strength = [5, 10][i]!
      const threshold = THRESHOLDS[j]!
      const who = hosts === 'equal' ? `${strength} Sybils` : `1 to ${strength} Sybils`
      const name = `random injection, ${who}, threshold ${threshold}, ${work === 'one' ? 'one task' : 'as many tasks'} a tick`
      const given = { ...BASE, strategy: 'random', hosts, work, strength, threshold } as const
      return { name, group: 'setting', given, factor }
    }),
  ),
)

export const PUBLISHED: readonly PublishedCase[] = [...none, ...churn, ...strategies, ...settings]

/** `n = 1000, 10^5 tasks, random injection`. */
export function caseName({ name, given }: PublishedCase): string {
  return `n = ${given.nodes}, ${tasksText(given.tasks)} tasks, ${name}`
}

export function tasksText(tasks: number): string {
  const power = Math.floor(Math.log10(tasks))
  const lead = tasks / 10 ** power
  return lead === 1 ? `10^${power}` : `${lead}x10^${power}`
}
