import { describe, expect, test } from 'vitest'
import { adaptiveReplication } from '../../../../sim/studies/verification/boinc.ts'
import {
  acceptedShare,
  byShare,
  CELLS,
  gamesOf,
  SHARES,
  strategiesPlayed,
} from '../../../../sim/studies/verification/findings.ts'
import { gameOf, type Played, play } from '../../../../sim/studies/verification/game.ts'
import { career, sampleWindow } from '../../../../sim/studies/verification/sampling.ts'
import { study, type Unit } from '../../../../sim/studies/verification.ts'
import { seededRandom } from '../../../../src/core/random.ts'
import { expectedValue } from '../../../../src/market/verification/cheating.ts'
import { detectionOf } from '../../../../src/market/verification/formulas.ts'

describe('windows that are played', () => {
  test.each([
    ['newcomer', 1, 0],
    ['newcomer', 10, 0],
    ['proven', 100, 900_000],
  ] as const)('%s, %i tasks, guesses %i ppm: earn what is expected', (status, tasks, guess) => {
    const cell = { status, tasks, guess }
    for (const share of [0, 0.3]) {
      const strategies = strategiesPlayed(cell, share)
      const { windows, tallies } = play(cell, share, strategies, 3000, 1)
      for (const [i, { name, sum, squares }] of tallies.entries()) {
        const mean = sum / windows
        const deviation = Math.sqrt(Math.max(0, squares / windows - mean ** 2))
        const exact = expectedValue(gameOf(cell, share), strategies[i]!)
        // Of 300 hosts fewer panels are captured than of endlessly many: 7.4 % instead of 7.8 %.
        const room = share * 0.02 * (1 + gameOf(cell, share).deposit)
        expect(Math.abs(mean - exact), name).toBeLessThan((4.5 * deviation) / Math.sqrt(windows) + room + 1e-9)
      }
    }
  })

  test('the same seed plays the same', () => {
    const cell = CELLS[2]!
    const once = () => play(cell, 0.3, strategiesPlayed(cell, 0.3), 50, 7)
    expect(once()).toEqual(once())
  })
})

test('sampling finds as often as the formula says, with real commitments', () => {
  const { trials, tests, found } = sampleWindow(1000, 0.05, 0.8, 3000, 1)
  const exact = detectionOf({ tasks: 1000, tests: tests / trials }, 50)
  expect(Math.abs(found / trials - exact)).toBeLessThan(4.5 * Math.sqrt((exact * (1 - exact)) / trials))
  expect(sampleWindow(200, 0, 0.8, 100, 1).found).toBe(0)
})

test('what is accepted before a supplier is found', () => {
  const random = seededRandom('accepted')
  let accepted = 0
  const rounds = 20_000
  for (let round = 0; round < rounds; round++) {
    for (let window = 0; window < 12 && random.next() >= 0.2; window++) accepted++
  }
  expect(accepted / rounds / 12).toBeCloseTo(acceptedShare(12, 0.2), 2)
  expect(acceptedShare(1, 0.95)).toBeCloseTo(0.05, 12)
})

test('a supplier is tested less as it proves itself', () => {
  const { byStatus, course } = career(10, 30_000, 10, 1)
  const rate = (status: keyof typeof byStatus) => byStatus[status].tests / byStatus[status].tasks
  expect(byStatus.newcomer.tasks + byStatus.trusted.tasks + byStatus.proven.tasks).toBe(300_000)
  expect(rate('newcomer')).toBeGreaterThan(rate('trusted'))
  expect(rate('trusted')).toBeGreaterThan(rate('proven'))
  expect(Math.abs(rate('proven') - 0.0098)).toBeLessThan(4.5 * Math.sqrt(0.0098 / byStatus.proven.tasks))
  const total = byStatus.newcomer.tests + byStatus.trusted.tests + byStatus.proven.tests
  expect(course.at(-1)!.tests).toBeLessThanOrEqual(total)
  expect(course.every(({ tests }, i) => tests >= (course[i - 1]?.tests ?? 0))).toBe(true)
})

describe('adaptive replication', () => {
  test('checks the first ten, and then one in as many as were right', () => {
    const random = seededRandom('boinc')
    expect(adaptiveReplication(10, 0, 0, random)).toEqual({ replicated: 10, found: 0, accepted: 0 })
    const lives = Array.from({ length: 200 }, () => adaptiveReplication(12_000, 0, 0, random).replicated)
    const mean = lives.reduce((sum, each) => sum + each, 0) / lives.length
    expect(Math.abs(mean - Math.sqrt(2 * 12_000))).toBeLessThan(5)
  })

  test('one wrong result, and it begins anew', () => {
    const all = adaptiveReplication(1000, 1, 0, seededRandom('wrong'))
    expect(all).toEqual({ replicated: 1000, found: 1000, accepted: 0 })
  })
})

describe('the study', () => {
  const options = { seeds: [1], quick: true }
  const units = study.units(options)
  const small = (unit: Unit): Unit => (unit.kind === 'game' ? { ...unit, windows: 40 } : unit)
  const results = units
    .filter((unit) => unit.kind !== 'sample' || unit.probability === 0.95 || unit.probability === 0.5)
    .map((unit) => ({ unit, result: study.run(small(unit)) }))
  const done = results as { unit: Unit; result: Exclude<(typeof results)[number]['result'], Promise<unknown>> }[]
  const whole = [
    ...done,
    ...units
      .filter((unit) => unit.kind === 'sample' && unit.probability !== 0.95 && unit.probability !== 0.5)
      .map((unit) => ({ unit, result: { trials: 500, tests: 500 * 59, found: 475 } })),
  ]

  test('the line of JSON has what is asked for', () => {
    const { summary, rows, tables, figures } = study.report(whole, options)
    expect(summary!.overheadAt95).toBeLessThan(0.005)
    expect(summary!.newcomerOverhead).toBeLessThan(0.12)
    expect(summary!.provenOverhead).toBeLessThan(0.012)
    expect(summary!.worstWindowOverHonest).toBeLessThan(1)
    expect(summary!.allocationsPerShare).toBe(40 * CELLS.length)
    expect(rows.some(({ name }) => name.includes('worst window'))).toBe(true)
    expect(tables.map(({ name }) => name)).toEqual(['detection', 'career', 'strategies', 'participation'])
    expect(figures.map(({ name }) => name)).toEqual(['overhead', 'career', 'cheating', 'deposit'])
  })

  test('a cheat that earns more than honest work is seen', () => {
    const bent = whole.map(({ unit, result }) => {
      if (unit.kind !== 'game') return { unit, result }
      const { windows, tallies } = result as Played
      const raised = tallies.map((each, i) => (i === 1 ? { ...each, sum: each.sum + windows } : each))
      return { unit, result: { windows, tallies: raised } }
    })
    expect(study.report(bent, options).summary!.bestCheatOverHonest).toBeGreaterThan(1)
    const games = gamesOf(bent as never)
    expect(games.length).toBe(SHARES.length * CELLS.length)
    expect(byShare(games).every(({ best, honest }) => best > honest)).toBe(true)
  })
})
