/**
 * What the ledger says, as JSON: amounts are millicredits as decimal strings (DESIGN 1), accounts addresses with their
 * checksum, hosts their public keys. An action is as it was signed, where accounts are public keys, too; beside each stands
 * its address, which is what people and commands take.
 */
import { addressOf } from '../market/ledger/address.ts'
import type { AccountView, HistoryEntry, Ledger, LedgerStatus, Outcome, Place } from '../market/ledger/ledger.ts'
import { sentenceOf } from '../market/ledger/state/refusal.ts'
import type { Payment } from '../market/payments.ts'
import type { AboutBody } from './history-views.ts'

type PublicKey = AccountView['hosts'][number]
type Locked = ReturnType<Ledger['locked']>
type Action = HistoryEntry['operation']['action']

export interface LedgerBody extends Omit<LedgerStatus, 'minted' | 'burnt' | 'seat' | 'halted'> {
  readonly network: string
  readonly seat: number | null
  readonly halted: string | null
  readonly minted: string
  readonly burnt: string
  readonly supply: string
  /** What this host has at stake; null: nothing. */
  readonly banker: {
    /** For the committee. */
    readonly stands: boolean
    readonly bond: string
    /** Given notice, to be had back from `leavingAtMs` on. */
    readonly leaving: string
    readonly leavingAtMs: number
  } | null
}

export interface AccountBody {
  readonly account: string
  readonly address: string
  /** False: nobody has opened it, and the rest is empty. */
  readonly opened: boolean
  readonly free: string
  readonly granted: string
  /** Earned, and not used yet to free what was granted. */
  readonly earned: string
  /** Beside the balance, by this host's copy of the ledger: in bonds, contracts and escrows. */
  readonly locked: LockedBody
  /** Number of its next operation. */
  readonly nonce: number
  readonly hosts: readonly string[]
  /** Of the block that this is the state after; null if it is not opened. */
  readonly height: number | null
}

type LockedPartBody = { readonly amount: string; readonly count: number }
export interface LockedBody extends Readonly<Record<Exclude<keyof Locked, 'total'>, LockedPartBody>> {
  readonly total: string
}

/** As it was signed, with `toAddress`, `arbiterAddress` and `payeeAddresses` beside the accounts that it names. */
export interface ActionBody {
  readonly kind: string
  readonly [field: string]: unknown
}

export interface EntryBody extends Place {
  readonly timeMs: number
  /** Who asked for it. */
  readonly by: string
  readonly action: ActionBody
  readonly result: string
  /** What the account has more, or less. */
  readonly free: string
  readonly granted: string
  /** What an operation of the market meant for the account; absent: nothing, or that is not known here any more. */
  readonly about?: AboutBody
}

export interface PaymentBody {
  /** An address. */
  readonly to: string
  /** Millicredits. */
  readonly amount: string
}

export interface OutcomeBody {
  /** `applied`, or why not. */
  readonly result: string
  /** The same for people. */
  readonly message: string
  /** Where it is in the ledger; null: it is in no block. */
  readonly place: Place | null
}

export interface SteppedBody extends OutcomeBody {
  /**
   * Of what was applied. `notice`: the bond can be had back later; `returned`: it is back; `dropped`: the host stands no longer,
   * and had no bond. Null: nothing was applied.
   */
  readonly did: 'notice' | 'returned' | 'dropped' | null
  /** After it. */
  readonly banker: LedgerBody['banker']
  readonly seat: number | null
  /** Of the last block: notice is over when that of a later one is `leavingAtMs` or more. */
  readonly blockTimeMs: number
}

/** What was paid for a job, or is to be. */
export interface JobPaymentBody {
  readonly job: string
  readonly state: 'owed' | 'paid' | 'unpaid'
  /** Why not; null unless it is `unpaid`. */
  readonly reason: string | null
  /** For a task. */
  readonly price: string
  readonly total: string
  readonly wages: ReadonlyArray<{ readonly to: string; readonly tasks: number; readonly amount: string }>
}

export interface ReceiptBody {
  /** The file of a receipt, in base64. */
  readonly receipt: string
}

export function ledgerBody(ledger: Ledger, host: PublicKey): LedgerBody {
  const { network } = ledger
  const { minted, burnt, seat, halted, ...rest } = ledger.status()
  const totals = { minted: `${minted}`, burnt: `${burnt}`, supply: `${minted - burnt}` }
  const banker = bankerBody(ledger, host)
  return { network, ...rest, seat: seat ?? null, halted: halted ?? null, ...totals, banker }
}

function bankerBody(ledger: Ledger, host: PublicKey): LedgerBody['banker'] {
  const known = ledger.banker(host)
  if (!known) return null
  const sum = ({ free, granted }: Pick<AccountView, 'free' | 'granted'>) => `${free + granted}`
  const { candidate: stands, leaving, leavingAtMs } = known
  return { stands, bond: sum(known), leaving: sum(leaving), leavingAtMs }
}

export function steppedBody(outcome: Outcome, ledger: Ledger, host: PublicKey): SteppedBody {
  const { seat = null, blockTimeMs } = ledger.status()
  const banker = bankerBody(ledger, host)
  const done = !banker ? 'returned' : banker.leaving === '0' ? 'dropped' : 'notice'
  const did = outcome.result === 'applied' ? done : null
  return { ...outcomeBody(outcome), did, banker, seat, blockTimeMs }
}

export function accountBody(account: PublicKey, view: AccountView | undefined, locked: Locked): AccountBody {
  const { free = 0n, granted = 0n, earned = 0n, nonce = 0, hosts = [], height = null } = view ?? {}
  const purse = { free: `${free}`, granted: `${granted}`, earned: `${earned}` }
  const whose = { account, address: addressOf(account), opened: view !== undefined }
  return { ...whose, ...purse, locked: lockedBody(locked), nonce, hosts, height }
}

function lockedBody({ bonds, bought, deposits, escrows, total }: Locked): LockedBody {
  const body = ({ amount, count }: Locked['bonds']) => ({ amount: `${amount}`, count })
  const parts = { bonds: body(bonds), bought: body(bought), deposits: body(deposits), escrows: body(escrows) }
  return { ...parts, total: `${total}` }
}

export function entryBody({ height, index, timeMs, operation, result, effect }: HistoryEntry): EntryBody {
  const purse = { free: `${effect.free}`, granted: `${effect.granted}` }
  const by = addressOf(operation.account)
  return { height, index, timeMs, by, action: actionBody(operation.action), result, ...purse }
}

export function actionBody(action: Action): ActionBody {
  return plainly(action) as ActionBody
}

/** Amounts and bytes as text, and an address beside each account. */
function plainly(value: unknown): unknown {
  if (typeof value === 'bigint') return `${value}`
  if (Array.isArray(value)) return value.map(plainly)
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64')
  if (typeof value !== 'object' || value === null) return value
  const { to, arbiter, payees } = value as { to?: PublicKey; arbiter?: PublicKey | null; payees?: PublicKey[] }
  return {
    ...Object.fromEntries(Object.entries(value).map(([name, part]) => [name, plainly(part)])),
    ...(to && { toAddress: addressOf(to) }),
    ...(arbiter && { arbiterAddress: addressOf(arbiter) }),
    ...(payees && { payeeAddresses: payees.map(addressOf) }),
  }
}

export function jobPaymentBody({ job, state, reason, price, wages }: Payment): JobPaymentBody {
  const total = wages.reduce((sum, { amount }) => sum + amount, 0n)
  const paid = wages.map(({ to, tasks, amount }) => ({ to: addressOf(to), tasks, amount: `${amount}` }))
  return { job, state, reason: reason ?? null, price: `${price}`, total: `${total}`, wages: paid }
}

export function outcomeBody({ result, receipt }: Outcome): OutcomeBody {
  const place = receipt ? { height: receipt.header.height, index: receipt.index } : null
  return { result, message: sentenceOf(result), place }
}
