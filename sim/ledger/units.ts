/** What worker threads (`sim/studies/runner/pool.ts`) do for the scenario `ledger`: one seed each. */
import { type LedgerOptions, runLedger } from '../scenarios/ledger.ts'

export const STUDIES = {
  ledger: async () => ({ study: { run: (unit: LedgerOptions) => runLedger(unit) } }),
}
