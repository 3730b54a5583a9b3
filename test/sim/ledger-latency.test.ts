/** The scenario of the ledger over PlanetLab's distances, small. Its figures for 31 bankers are in bench/README.md. */
import { expect, test } from 'vitest'
import { LEDGER_LATENCY_DEFAULTS, planetlabFile, runLedgerLatency } from '../../sim/scenarios/ledger-latency.ts'

test.skipIf(planetlabFile() === undefined)('seven bankers far apart make operations final within 0.8 s', async () => {
  const options = { ...LEDGER_LATENCY_DEFAULTS, members: 7, others: 3, ops: 40 }
  const result = await runLedgerLatency(options)
  expect(result.finalized).toBe(40)
  expect(result.p50Ms).toBeLessThan(800)
  expect(result.othersP50Ms).toBeLessThan(800)
  // Three delays at least, of which each is that of a fairly slow pair.
  expect(result.p50Ms).toBeGreaterThan(result.medianRttMs)
  expect(result.bytes).toBeGreaterThan(result.messages * 100)
})

test('a committee of a size that there is not is refused', async () => {
  await expect(runLedgerLatency({ ...LEDGER_LATENCY_DEFAULTS, members: 5 })).rejects.toMatchObject({ code: 'usage' })
})
