import { expect, test } from 'vitest'
import { type BalanceUnit, study } from '../../../../sim/studies/balance.ts'
import { PUBLISHED } from '../../../../sim/studies/balance-cases.ts'
import { mean, standardError } from '../../../../sim/studies/statistics.ts'
import { type Strategy, type SybilCase, sybilTrial, type Trial } from '../../../../sim/studies/sybil-balance.ts'
import { busiest } from '../../../../sim/studies/uneven-load.ts'
import { seededRandom } from '../../../../src/core/random.ts'
import { plainTrial } from './plain-balance.ts'

const SMALL: SybilCase = {
  nodes: 12,
  tasks: 150,
  strategy: 'none',
  churn: 0,
  everyTicks: 5,
  threshold: 0,
  strength: 3,
  hosts: 'equal',
  work: 'one',
  successors: 3,
}

test.each<[Strategy, Partial<SybilCase>]>([
  ['none', {}],
  ['none', { churn: 0.02 }],
  ['none', { churn: 0.3 }],
  ['random', {}],
  ['random', { churn: 0.02 }],
  ['random', { threshold: 0.25, hosts: 'uniform', work: 'strength' }],
  ['random', { everyTicks: 1, strength: 5 }],
  ['neighbour', {}],
  ['neighbour', { successors: 6, hosts: 'uniform' }],
  ['neighbour-published', {}],
  ['smart', {}],
  ['smart', { threshold: 0.25 }],
  ['invite', {}],
  ['invite', { threshold: 0.5, hosts: 'uniform', work: 'strength' }],
])('%s is what the plain model does: %o', (strategy, given) => {
  for (let seed = 1; seed <= 20; seed++) {
    const one = { ...SMALL, ...given, strategy }
    const plain = plainTrial(one, seededRandom(seed))
    const loads = plain.loads.toSorted((a, b) => a - b)
    const { ticks, moved, median } = sybilTrial(one, seededRandom(seed))
    expect({ seed, ticks, moved, median }).toEqual({ seed, ticks: plain.ticks, moved: plain.moved, median: loads[5] })
  }
})

function factors(given: Partial<SybilCase>, trials: number): number[] {
  return Array.from({ length: trials }, (_, i) => sybilTrial({ ...SMALL, ...given }, seededRandom(i)).factor)
}

test('without a strategy the factor is H_n, and the load is spread as theory says', () => {
  const given = { ...SMALL, nodes: 100, tasks: 20_000 }
  const trials = Array.from({ length: 400 }, (_, i) => sybilTrial(given, seededRandom(i)))
  const found = trials.map(({ factor }) => factor)
  expect(Math.abs(mean(found) - busiest(100, 200))).toBeLessThan(4 * standardError(found)!)
  expect(mean(trials.map(({ median }) => median)) / (200 * Math.LN2)).toBeCloseTo(1, 1)
  expect(mean(trials.map(({ deviation }) => deviation)) / Math.sqrt(200 + 200 ** 2)).toBeCloseTo(1, 1)
})

test('one host alone has an ideal runtime, with and without a strategy', () => {
  for (const strategy of ['none', 'random', 'neighbour', 'smart', 'invite'] as const) {
    expect(factors({ nodes: 1, strategy, successors: 1 }, 5), strategy).toEqual([1, 1, 1, 1, 1])
  }
})

test('churn evens out, loses no task, and is the same again for the same seed', () => {
  const given = { ...SMALL, nodes: 50, tasks: 5_000 }
  const [quiet, rough] = [0, 0.02].map((churn) => mean(factors({ ...given, churn }, 40)))
  expect(rough!).toBeLessThan(0.8 * quiet!)
  const again = [1, 1, 2].map((seed) => JSON.stringify(sybilTrial({ ...given, churn: 0.05 }, seededRandom(seed))))
  expect(again[1]).toBe(again[0])
  expect(again[2]).not.toBe(again[0])
})

test('each strategy pays for what it does', () => {
  const trial = (strategy: Strategy) => sybilTrial({ ...SMALL, nodes: 100, tasks: 5_000, strategy }, seededRandom(7))
  expect(trial('none')).toMatchObject({ messages: 0, sybils: 0, moved: 0 })
  const [random, smart] = [trial('random'), trial('smart')]
  expect(random.messages).toBeGreaterThan(4 * random.sybils) // a lookup, a join, and most leave again
  expect(random.messages).toBeLessThan(10 * random.sybils)
  expect(smart.messages).toBeGreaterThan(8 * smart.sybils) // each asks three neighbours first
})

const options = { seeds: [1, 2], quick: true }

function measure(bend: (trial: Trial) => Trial = (trial) => trial) {
  const indices = ['no strategy', 'neighbour injection, as described'].map((name) => {
    return PUBLISHED.findIndex((published) => published.name === name)
  })
  const units = study.units(options).filter((unit) => unit.kind === 'model' && indices.includes(unit.index))
  const done = units.map((unit: BalanceUnit) => {
    return { unit, result: (study.run(unit) as readonly Trial[]).map((trial) => bend(trial)) }
  })
  return study.report(done, options)
}

test('the report judges each published value, with names of their own', () => {
  const { rows, figures, tables } = measure()
  const verdicts = rows.filter(({ published }) => published !== null).map(({ verdict }) => verdict)
  expect(verdicts.filter((verdict) => verdict === 'corrected')).toHaveLength(1) // the misread column
  expect(verdicts.filter((verdict) => verdict === 'reproduced')).toHaveLength(verdicts.length - 1)
  expect(new Set(rows.map(({ name }) => name)).size).toBe(rows.length)
  expect(figures.length).toBeGreaterThan(3)
  for (const { columns, rows: lines } of tables) for (const line of lines) expect(line).toHaveLength(columns.length)
})

test('a runtime factor that is off by a third is not reproduced', () => {
  const { rows } = measure((trial) => ({ ...trial, factor: trial.factor * 1.33 }))
  const off = rows.filter(({ name, verdict }) => name.endsWith('runtime factor') && verdict !== null)
  expect(off.map(({ verdict }) => verdict)).toEqual(['differs', 'differs'])
  for (const { why } of off) expect(why).toBeTruthy()
})

test('every published case has a name of its own', () => {
  const names = PUBLISHED.map(({ name, given }) => `${given.nodes} ${given.tasks} ${name}`)
  expect(new Set(names).size).toBe(names.length)
})
