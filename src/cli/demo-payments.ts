/** What a demo's job came to in credits: the node that submitted it pays, those that did its tasks earn. */

import type { RemoteHost } from '../api/client.ts'
import type { JobPaymentBody } from '../api/ledger-views.ts'
import { systemClock } from '../core/system.ts'
import { formatCredits } from '../market/ledger/credits.ts'
import * as format from './format.ts'
import { credits } from './ledger-text.ts'

/** New accounts, an escrow, and a release for each worker: some operations, one after the other. */
const PATIENCE_MS = 15_000
const POLL_MS = 100

export interface DemoPayment {
  readonly state: JobPaymentBody['state']
  readonly reason: string | null
  /** Millicredits, here and below. */
  readonly price: string
  readonly total: string
  /** Of those nodes that are up. `change`: by this job. */
  readonly balances: ReadonlyArray<{ readonly node: number; readonly balance: string; readonly change: string }>
}

type Numbered = ReadonlyArray<{ readonly index: number; readonly host: RemoteHost }>

/** Waits until the job is paid. Undefined: the node that submitted it is gone, and with it who would pay. */
export async function paymentOf(
  hosts: () => Numbered,
  job: string,
  parent: AbortSignal,
): Promise<DemoPayment | undefined> {
  using deadline = systemClock.deadline(PATIENCE_MS, parent)
  const { signal } = deadline
  let payment: JobPaymentBody | undefined
  do {
    const asked = hosts().map(({ host }) => host.ledger.payment(job, { signal }).catch(() => undefined))
    payment = (await Promise.all(asked)).find((one) => one !== undefined)
    if (payment?.state !== 'owed' || (await standsStill(hosts(), signal))) break
    await systemClock.sleep(POLL_MS, { signal }).catch(() => {})
  } while (!signal.aborted)
  parent.throwIfAborted()
  if (!payment) return undefined
  const { state, reason, price, total, wages } = payment
  const row = async ({ index, host }: Numbered[number]) => {
    const account = await host.ledger.account('mine', { signal })
    const wage = wages.find(({ to }) => to === account.address)?.amount ?? '0'
    const payer = await host.ledger.payment(job, { signal }).catch(() => undefined)
    const change = state === 'paid' ? (payer ? `-${total}` : wage) : '0'
    return { node: index, balance: `${BigInt(account.free) + BigInt(account.granted)}`, change: `${BigInt(change)}` }
  }
  // Who does not answer in time is left out: the ledger may stand still, with too many of its bankers killed.
  const rows = await Promise.all(hosts().map((one) => row(one).catch(() => [])))
  return { state, reason, price, total, balances: rows.flat() }
}

/** Too many of its bankers were killed, as all say who are left. */
async function standsStill(hosts: Numbered, signal: AbortSignal): Promise<boolean> {
  const asked = hosts.map(({ host }) => host.ledger.status({ signal }).catch(() => undefined))
  return (await Promise.all(asked)).every((status) => status !== undefined && status.halted !== null)
}

/** Rows of a report. */
export function paymentRows(payment: DemoPayment | undefined): Array<[string, string]> {
  if (!payment) return [['  paid', 'nothing: the node that submitted the job was killed']]
  const { state, reason, price, total, balances } = payment
  if (state !== 'paid')
    return [
      [
        '  paid',
        state === 'owed' ? 'not yet: the ledger has no quorum, or is busy' : `nothing: ${format.plain(reason ?? '')}`,
      ],
    ]
  const signed = (change: string) =>
    BigInt(change) === 0n ? '' : ` (${BigInt(change) > 0n ? '+' : ''}${formatCredits(BigInt(change))})`
  const moved = balances.map(
    ({ node, balance, change }) => `node ${node} ${formatCredits(BigInt(balance))}${signed(change)}`,
  )
  return [
    ['  paid', `${credits(total)}, ${formatCredits(BigInt(price))} for each task that another node did`],
    ['  balances', moved.join(', ')],
  ]
}
