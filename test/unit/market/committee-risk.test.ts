import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { committeeRisk } from '../../../src/market/sybil.ts'

const SHARES = [0.05, 0.1, 0.2, 0.3]
const SEATS = [1, 4, 7, 10, 13, 16, 19, 22, 25, 28, 31]

/** `12 %`, `0.034 %`, `6e-8 %`. */
function percent(probability: number): string {
  const value = 100 * probability
  return `${value >= 0.001 ? Number(value.toPrecision(2)) : value.toExponential(0)} %`
}

function table(of: 'broken' | 'owned'): string {
  const head = `| seats | liars tolerated | ${SHARES.map((share) => `${100 * share} % liars`).join(' | ')} |`
  const rule = `|${'---|'.repeat(2 + SHARES.length)}`
  const rows = SEATS.map((seats) => {
    const risks = SHARES.map((share) => committeeRisk(share, seats))
    return `| ${seats} | ${risks[0]!.tolerated} | ${risks.map((risk) => percent(risk[of])).join(' | ')} |`
  })
  return [head, rule, ...rows].join('\n')
}

test.each(['broken', 'owned'] as const)('the page on the ledger shows the probabilities that follow (%s)', (of) => {
  const page = readFileSync(new URL('../../../docs/ledger.md', import.meta.url), 'utf8')
  if (!page.includes(table(of))) expect(page).toBe(table(of)) // shows what the table should be
})

test('the formula: small cases by hand', () => {
  expect(committeeRisk(0.1, 1)).toEqual({ seats: 1, tolerated: 0, quorum: 1, broken: 0.1, owned: 0.1 })
  const four = committeeRisk(0.5, 4)
  expect([four.tolerated, four.quorum]).toEqual([1, 3])
  expect([four.broken, four.owned]).toEqual([11 / 16, 5 / 16])
  for (const share of SHARES) {
    const owned = SEATS.map((seats) => committeeRisk(share, seats).owned)
    expect(owned).toEqual(owned.toSorted((a, b) => b - a)) // a larger committee is harder to own
  }
})
