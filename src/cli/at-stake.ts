/** What a node that leaves or pauses has at stake: its open contracts as a supplier. */
import type { RemoteHost } from '../api/client.ts'
import type { SaleBody } from '../api/market-views.ts'
import type { Cli } from './cli.ts'
import * as format from './format.ts'
import { credits } from './ledger-text.ts'
import { isOpenSale } from './market-text.ts'

/** A node that does not answer is to be stopped all the same. */
const PATIENCE_MS = 2_000

/** One line on stderr, if there is something. `must`: what is to be done in time. Never rejects. */
export async function sayAtStake(cli: Cli, { market }: Pick<RemoteHost, 'market'>, must: string): Promise<void> {
  const signal = AbortSignal.any([cli.signal, AbortSignal.timeout(PATIENCE_MS)])
  // Without a market, and without a node, nothing is at stake.
  const sales = await market.sales({ signal }).catch(() => [])
  const line = atStake(sales, must)
  if (line !== undefined) cli.note(line)
}

export function atStake(sales: readonly SaleBody[], must: string): string | undefined {
  const open = sales.filter(isOpenSale)
  if (open.length === 0) return undefined
  const deposits = open.reduce((sum, { deposit }) => sum + BigInt(deposit), 0n)
  const byMs = Math.min(...open.map(({ backByMs }) => backByMs))
  const what = `${format.some(open.length, 'open contract')}, with ${credits(deposits)} of deposit at stake`
  return `${what}: ${must} by ${format.instant(byMs)}`
}
