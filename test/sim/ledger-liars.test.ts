/** The real ledger with liars in its committee (`sim/scenarios/ledger.ts`); for longer at night. */
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { LEDGER_DEFAULTS, runLedger } from '../../sim/scenarios/ledger.ts'
import { seeds } from '../nightly.ts'

const OPS = 300

test.each(seeds(2))('two liars of seven bend nothing, and all goes on when faults end: seed %i', async (seed) => {
  const result = await runLedger({ ...LEDGER_DEFAULTS, seed, ops: OPS })
  expect(result).toMatchObject({ ops: OPS, doubleSpends: 0, violations: [] })
  expect(result).toMatchObject({ supplyConserved: true, membersEqual: true, receiptsValid: true })
  expect(result.finalized).toBeGreaterThan(0.8 * OPS)
})

test('the same seed makes the same run', async () => {
  const [one, other] = [
    await runLedger({ ...LEDGER_DEFAULTS, ops: 100 }),
    await runLedger({ ...LEDGER_DEFAULTS, ops: 100 }),
  ]
  expect(one).toEqual(other)
})

test('a quorum of 2n/3 is caught', () => {
  const main = fileURLToPath(new URL('../../sim/main.ts', import.meta.url))
  const args = [main, 'ledger', '--ops', String(OPS), '--seeds', '9..16', '--fault', 'quorum', '--json', '--quiet']
  const result = JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' }))
  expect(result.failed.length).toBeGreaterThan(0)
})
