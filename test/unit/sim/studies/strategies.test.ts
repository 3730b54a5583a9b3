import { describe, expect, test } from 'vitest'
import { cheatingOf, OFFERS, offers, PEOPLE, stakesFor, TESTS } from '../../../../sim/studies/strategies/offers.ts'
import { study } from '../../../../sim/studies/strategies.ts'
import { supplierUtility } from '../../../../src/market/verification/formulas.ts'

const setting = { costShare: 0.5, guess: 0.9 }
const average = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length

test('suppliers that cheat task by task have what the formula says, and pay the mediator when they are found', () => {
  const runs = Array.from({ length: 10 }, (_, seed) => offers(setting, 'corrected', 'task', seed))
  const { deposit } = stakesFor(setting, 'corrected')
  for (const index of [0, 10, 20, PEOPLE - 1]) {
    const processed = 1 - cheatingOf(index)
    const stakes = { payment: 1, deposit, cost: setting.costShare }
    const passes = (processed + (1 - processed) * setting.guess) ** TESTS
    const exact = supplierUtility(processed, TESTS, stakes, setting.guess) - (1 - passes) * 0.01
    const mean = average(runs.map(({ suppliers }) => suppliers[index]!))
    const deviation = (1 + deposit) * Math.sqrt(passes * (1 - passes))
    // Tests are without putting back, and the formula's are with: a little more is found.
    expect(Math.abs(mean - exact)).toBeLessThan(4.5 * (deviation / Math.sqrt(10 * OFFERS)) + 0.02)
  }
})

describe('the study', () => {
  const options = { seeds: [1, 2, 3, 4], quick: true }
  const done = study.units(options).map((unit) => ({ unit, result: study.run(unit) as ReturnType<typeof offers> }))
  const report = study.report(done, options)

  test('honesty pays most with the corrected payments, and with those that were published it does not for customers', () => {
    const of = (payments: string) => report.rows.filter(({ name }) => name.endsWith(`${payments} payments`))
    expect(of('corrected').length).toBe(18)
    for (const { name, ours } of of('corrected')) expect(ours, name).toBeGreaterThan(0)
    expect(report.summary!.leastLossByCheating).toBe(Math.min(...of('corrected').map(({ ours }) => ours)))
    for (const { name, ours } of of('published').filter(({ name }) => name.includes('customers'))) {
      expect(ours, name).toBeLessThan(0)
    }
  })

  test('a world in which cheats earn more is seen', () => {
    const bent = done.map(({ unit, result }) => ({
      unit,
      result: { ...result, suppliers: result.suppliers.toReversed() },
    }))
    expect(study.report(bent, options).summary!.leastLossByCheating).toBeLessThan(0)
  })

  test('tables and figures are whole', () => {
    const [table] = report.tables
    expect(table!.rows.length).toBe(18 * 2 * PEOPLE)
    expect(report.figures.map(({ name }) => name)).toEqual([
      'suppliers-no-guess',
      'suppliers-guess',
      'customers-no-guess',
      'customers-guess',
    ])
    expect(report.rows.filter(({ verdict }) => verdict === 'corrected').length).toBe(6)
  })
})
