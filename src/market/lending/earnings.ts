/** What an account was paid for work, by this host's own copy of the ledger: what came to it out of others' escrows. */
import type { PublicKey } from '../ledger/keys.ts'
import type { HistoryEntry, Ledger, Place } from '../ledger/ledger.ts'
import { type Amount, plus, ZERO } from '../ledger/state/amount.ts'

const PAGE = 1000
/** Entries that are looked at, the newest: reading them is work for the thread that answers the network. */
const MOST_ENTRIES = 20_000

export interface Earnings {
  readonly amount: Amount
  readonly payments: number
  /** False: there is more, in blocks that this host does not keep, or too far back. */
  readonly isAll: boolean
}

export async function earningsOf(ledger: Pick<Ledger, 'history' | 'status'>, account: PublicKey): Promise<Earnings> {
  let earned = ZERO
  let payments = 0
  let before: Place | undefined
  for (let looked = 0; looked < MOST_ENTRIES; looked += PAGE) {
    const entries = await ledger.history(account, { limit: PAGE, ...(before && { before }) })
    for (const entry of entries) {
      const wages = wagesOf(entry, account)
      payments += wages.length
      for (const wage of wages) earned = plus(earned, wage)
    }
    const last = entries.at(-1)
    if (!last || entries.length < PAGE) return { amount: earned, payments, isAll: ledger.status().base === 0 }
    before = { height: last.height, index: last.index }
  }
  return { amount: earned, payments, isAll: false }
}

function wagesOf({ operation: { action }, result }: HistoryEntry, account: PublicKey): Amount[] {
  if (result !== 'applied') return []
  if (action.kind === 'release') return action.to === account ? [action.amount] : []
  if (action.kind === 'split') return action.shares.flatMap(({ to, amount }) => (to === account ? [amount] : []))
  return []
}
