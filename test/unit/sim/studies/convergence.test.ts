import { expect, test } from 'vitest'
import { study } from '../../../../sim/studies/convergence.ts'
import { checkReport } from '../../../../sim/studies/runner/rows.ts'

test('a small overlay forms within ten cycles, and faster with fewer bytes than by the published exchange', async () => {
  const options = { seeds: [1], quick: true }
  const units = study.units(options).filter(({ dimensions }) => dimensions === 2)
  const done = []
  for (const unit of units) done.push({ unit, result: await study.run({ ...unit, n: 100 }) })
  for (const { result } of done) {
    expect(result.hitRates).toHaveLength(31)
    expect(result.hitRates[0]).toBeLessThan(0.8)
    expect(result.hitRates[10]).toBeGreaterThan(0.97)
  }
  const report = study.report(done, options)
  expect(() => checkReport('convergence', report)).not.toThrow()
  const [published, ours] = report.rows.filter(({ name }) => name.startsWith('bytes')).map((row) => row.ours)
  expect(ours).toBeLessThan(published! / 2)
  // Of an overlay of this size nothing is published.
  expect(report.rows.every(({ verdict }) => verdict === null)).toBe(true)
  const large = done.map(({ unit, result }) => ({ unit: { ...unit, n: 5000 }, result }))
  const [row] = study.report(large, options).rows
  expect(row).toMatchObject({ published: 0.835, verdict: null, ci95: null }) // one run tells no error
})
