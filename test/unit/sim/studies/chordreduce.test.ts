import { expect, test } from 'vitest'
import { type ChordreduceUnit, study } from '../../../../sim/studies/chordreduce.ts'
import { designTrial, hops, ownerOf } from '../../../../sim/studies/chordreduce-design.ts'
import { speedUp, underChurn } from '../../../../sim/studies/chordreduce-ours.ts'
import * as published from '../../../../sim/studies/chordreduce-published.ts'
import { mean, standardError } from '../../../../sim/studies/statistics.ts'
import { busiest } from '../../../../sim/studies/uneven-load.ts'
import { seededRandom } from '../../../../src/core/random.ts'

test('least squares finds the weight that made the points, and the best one among others', () => {
  const made = [1, 10, 20, 40].map((workers) => ({ workers, seconds: 600 / workers + 7 * (workers > 1 ? workers : 0) }))
  const { weight, residual } = published.fit(published.LINEAR, [made])
  expect(weight).toBeCloseTo(7, 10)
  expect(residual).toBeCloseTo(0, 10)
  const table = [7, 8, 9].map((power) => published.pointsOf(power))
  for (const model of [published.LINEAR, published.LOGARITHMIC]) {
    const best = published.fit(model, table)
    const squares = (w: number) => {
      const one = { ...model, shape: (n: number) => (model.shape(n) * w) / best.weight }
      return table.flat().reduce((sum, { workers, seconds }) => {
        const alone = table.find((points) => points.some((point) => point.seconds === seconds))![0]!.seconds
        return workers === 1 ? sum : sum + (seconds - alone / workers - best.weight * one.shape(workers)) ** 2
      }, 0)
    }
    expect(squares(best.weight)).toBeCloseTo(best.residual ** 2 * 11, 3)
    for (const factor of [0.99, 1.01]) expect(squares(factor * best.weight)).toBeGreaterThan(squares(best.weight))
  }
})

test('the printed speed-ups under churn are all against 411.57 s, and none against the printed 441.57', () => {
  for (const { seconds, factor } of published.CHURN) {
    expect(Math.abs(published.WITHOUT_CHURN / seconds - factor)).toBeLessThan(0.005)
    expect(Math.abs(published.WITHOUT_CHURN_AS_PRINTED / seconds - factor)).toBeGreaterThan(0.05)
  }
})

test('the published design takes the time of the busiest worker, and messages', () => {
  const seconds = Array.from({ length: 300 }, (_, i) => designTrial(20, 1000, 4000, seededRandom(i)))
  const busy = (4000 / 20) * busiest(20, 50)
  expect(mean(seconds) - busy).toBeGreaterThan(-4 * standardError(seconds)!)
  expect(mean(seconds) - busy).toBeLessThan(4 * standardError(seconds)! + 2)
  expect(designTrial(1, 1000, 4000, seededRandom(1))).toBe(4000)
})

test('a message reaches every worker over fingers within log2 of them, and over successors one by one', () => {
  const ids = Float64Array.from([0.1, 0.2, 0.35, 0.5, 0.7, 0.71, 0.9, 0.95])
  const next = Array.from(ids, (_, i) => [(i + 1) % ids.length])
  const fingers = Array.from(ids, (id, i) => [
    ...next[i]!,
    ...[0.5, 0.25, 0.125].map((far) => ownerOf(ids, (id + far) % 1)),
  ])
  for (let from = 0; from < ids.length; from++) {
    for (let to = 0; to < ids.length; to++) {
      expect(hops(ids, next, from, to)).toBe((to - from + ids.length) % ids.length)
      expect(hops(ids, fingers, from, to)).toBeLessThanOrEqual(3)
    }
  }
})

const WORK = { workers: 8, tasks: 64, seconds: 32, seed: 1 }

test('ours is nearly as fast as its workers are many, counts every task once, and is the same again', async () => {
  const run = await speedUp(WORK)
  expect(run).toMatchObject({ missing: 0, doubled: 0, died: 0 })
  expect(run.seconds).toBeGreaterThanOrEqual(4)
  expect(run.seconds).toBeLessThan(7)
  expect(await speedUp(WORK)).toEqual(run)
})

test('ours counts every task once although most hosts die', async () => {
  const runs = []
  for (let seed = 1; seed <= 3; seed++) runs.push(await underChurn({ ...WORK, workers: 12, seconds: 120, seed }, 0.05))
  for (const run of runs) expect(run).toMatchObject({ missing: 0, doubled: 0 })
  expect(runs.reduce((sum, { died }) => sum + died, 0)).toBeGreaterThan(10)
  for (const { seconds } of runs) expect(seconds).toBeGreaterThan(10)
})

function reportOf(bend: (seconds: number) => number) {
  const units = study.units({ seeds: [1], quick: true }).filter(({ kind }) => kind === 'design' || kind === 'model')
  const done = units.map((unit: ChordreduceUnit) => {
    return { unit, result: (study.run(unit) as readonly number[]).map(bend) }
  })
  return study.report(done, { seeds: [1], quick: true })
}

const verdictOf = (rows: ReturnType<typeof reportOf>['rows'], name: string) =>
  rows.find((row) => row.name.startsWith(name))?.verdict

test('the report says of each published number what became of it', () => {
  const { rows, tables, figures } = reportOf((seconds) => seconds)
  expect(verdictOf(rows, 'churn 0 %/s, 40 workers, 10^8 samples: seconds, as printed')).toBe('corrected')
  expect(verdictOf(rows, '10^8 samples, 20 workers: seconds')).toBe('reproduced')
  expect(verdictOf(rows, '10^7 samples, 20 workers: seconds')).toBe('differs')
  expect(new Set(rows.map(({ name }) => name)).size).toBe(rows.length)
  for (const { verdict, why } of rows) if (verdict === 'differs' || verdict === 'corrected') expect(why).toBeTruthy()
  for (const { columns, rows: lines } of tables) for (const line of lines) expect(line).toHaveLength(columns.length)
  expect(figures).toHaveLength(2)
})

test('a design that took five minutes more would not be reproduced', () => {
  const { rows } = reportOf((seconds) => seconds + 300)
  expect(verdictOf(rows, '10^8 samples, 20 workers: seconds')).toBe('differs')
  expect(verdictOf(rows, 'churn 0.8 %/s, 40 workers, 10^8 samples: seconds, later model')).toBe('differs')
})
