/** A small market on the real ledger, with cheaters, liars and churn (`sim/scenarios/market.ts`); for longer at night. */
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { MARKET_DEFAULTS, runMarket } from '../../sim/scenarios/market.ts'
import { seeds } from '../nightly.ts'

const SMALL = { ...MARKET_DEFAULTS, nodes: 30, jobs: 12, members: 4, faulty: 1 }

test.each(seeds(2))('every job ends paid or refunded, and honest work is paid: seed %i', async (seed) => {
  const result = await runMarket({ ...SMALL, seed })
  expect(result).toMatchObject({
    jobs: SMALL.jobs,
    stuck: 0,
    supplyConserved: true,
    honestConvicted: 0,
    violations: [],
  })
  expect(result.paid + result.refunded).toBe(SMALL.jobs)
  expect(result.paidShare).toBeGreaterThan(0.3)
  expect(result.honestPaidShare).toBeGreaterThanOrEqual(0.99)
})

test('where nobody cheats and nobody goes all is paid, none of it in vain', async () => {
  const result = await runMarket({ ...SMALL, cheaters: 0, churn: 0, members: 1, faulty: 0 })
  expect(result).toMatchObject({ jobs: SMALL.jobs, paid: SMALL.jobs, paidShare: 1, honestPaidOfWorked: 1 })
  expect(result).toMatchObject({ disputes: 0, expired: {}, refused: {}, violations: [] })
})

test('the same seed makes the same run', async () => {
  const options = { ...SMALL, jobs: 4, members: 1, faulty: 0 }
  expect(await runMarket(options)).toEqual(await runMarket(options))
})

test.each([
  { fault: 'no-expiry', seen: 'have allocations that nobody ends' },
  { fault: 'pays-twice', seen: 'for a window worth' },
])('a market with the fault $fault is caught', ({ fault, seen }) => {
  const main = fileURLToPath(new URL('../../sim/main.ts', import.meta.url))
  const size = ['--nodes', '30', '--jobs', '12', '--members', '1', '--faulty', '0']
  const args = [main, 'market', ...size, '--fault', fault, '--json', '--quiet']
  const result = JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' }))
  expect(result.violations.join()).toContain(seen)
})
