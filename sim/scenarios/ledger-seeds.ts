/** Scenario `ledger` for many seeds, on all cores. */
import { runUnits } from '../studies/runner/pool.ts'
import type { LedgerOptions, LedgerResult } from './ledger.ts'

export interface LedgerSeedsResult
  extends Pick<
    LedgerResult,
    'ops' | 'finalized' | 'doubleSpends' | 'supplyConserved' | 'membersEqual' | 'receiptsValid' | 'views' | 'crashes'
  > {
  seeds: number
  /** Of the slowest seed. */
  viewsToResume: number
  failed: { seed: number; violations: readonly string[] }[]
}

export async function runLedgerSeeds(
  options: Omit<LedgerOptions, 'seed'>,
  seeds: readonly number[],
  onProgress?: (line: string) => void,
): Promise<LedgerSeedsResult> {
  const total: LedgerSeedsResult = {
    seeds: 0,
    ops: 0,
    finalized: 0,
    doubleSpends: 0,
    supplyConserved: true,
    membersEqual: true,
    receiptsValid: true,
    views: 0,
    crashes: 0,
    viewsToResume: 0,
    failed: [],
  }
  const works = seeds.map((seed) => ({ study: 'ledger', unit: { ...options, seed } }))
  const registry = new URL('../ledger/units.ts', import.meta.url).href
  await runUnits(works, { registry, signal: new AbortController().signal }, (index, done) => {
    const result = done as LedgerResult
    total.seeds++
    for (const name of ['ops', 'finalized', 'doubleSpends', 'views', 'crashes'] as const) total[name] += result[name]
    for (const name of ['supplyConserved', 'membersEqual', 'receiptsValid'] as const) total[name] &&= result[name]
    total.viewsToResume = Math.max(total.viewsToResume, result.viewsToResume)
    const { violations } = result
    if (violations.length > 0) total.failed.push({ seed: seeds[index]!, violations })
    if (total.seeds % 20 === 0) onProgress?.(`${total.seeds} of ${seeds.length} seeds, ${total.failed.length} failed`)
  })
  total.failed.sort((a, b) => a.seed - b.seed)
  return total
}
