/** The ledger's accounts, amounts and operations as text for people. */
import type { EntryBody } from '../api/ledger-views.ts'
import { formatCredits } from '../market/ledger/credits.ts'
import { isResult, sentenceOf } from '../market/ledger/state/refusal.ts'
import * as format from './format.ts'
import { tradeEffect, tradeSentence } from './trade-text.ts'

/** `1.5 credits` */
export function credits(millicredits: bigint | string): string {
  const text = formatCredits(BigInt(millicredits))
  return `${text} credit${text === '1' ? '' : 's'}`
}

/** `+1.5`, `-0.001`; empty for nothing. */
export function change(entry: Pick<EntryBody, 'free' | 'granted'>): string {
  const sum = BigInt(entry.free) + BigInt(entry.granted)
  return sum === 0n ? '' : `${sum > 0n ? '+' : ''}${formatCredits(sum)}`
}

/** What this node cannot tell of, as its copy begins above this height; undefined: it has all. */
export function notKept(base: number): string | undefined {
  return base > 0 ? `what came before block ${base + 1} is not kept here: ask a node that was there` : undefined
}

/** The beginning of an account, address, host or escrow: tells some thousands apart. */
export function short(id: unknown): string {
  return `${id}`.slice(0, 12)
}

export interface Told {
  /** The address of who asked for it. */
  readonly by: string
  readonly action: EntryBody['action']
  readonly result: string
}

/** What an operation was, in a line. `mine`: the address of whose history it is. */
export function told({ by, action, result }: Told, mine?: string): string {
  const what = sentence(by, action, mine)
  return result === 'applied' ? what : `${what}: refused, ${isResult(result) ? sentenceOf(result) : result}`
}

function sentence(by: string, action: Told['action'], mine: string | undefined): string {
  const { kind, host, to, escrow, amount } = action
  const sum = typeof amount === 'string' ? credits(amount) : ''
  const me = mine?.slice(0, 64)
  const who = by === mine ? '' : ` by ${short(by)}`
  switch (kind) {
    case 'open':
      return `account opened${who}`
    case 'transfer':
      return to === me ? `${sum} from ${short(by)}` : `${sum} to ${short(to)}${who}`
    case 'open-escrow':
      return `escrow of at most ${sum} opened${who}`
    case 'fund':
      return `${sum} into escrow ${short(escrow)}${who}`
    case 'release':
      return to === me ? `earned ${sum}, paid by ${short(by)}` : `${sum} paid to ${short(to)} from an escrow${who}`
    case 'time-out':
      return `escrow ${short(escrow)} is over, the rest goes back`
    default: {
      const trade = tradeSentence(action)
      if (trade !== undefined) return `${trade}${who}`
      if (host !== undefined) return `${kind} host ${short(host)}${sum && `, ${sum}`}${who}`
      if (escrow !== undefined) return `${kind} of escrow ${short(escrow)}${sum && `, ${sum}`}${who}`
      return `${kind}${who}`
    }
  }
}

/** Whom and what an operation names, in full, as rows for `format.facts`. */
export function named(action: EntryBody['action']): Array<readonly [string, string]> {
  const { toAddress, payeeAddresses = [], arbiterAddress, shares = [] } = action as Partial<Names>
  const { escrow, allocation, offer, host } = action as Partial<Names>
  const rows: Array<readonly [string, string | undefined]> = [
    ['to', toAddress],
    ...payeeAddresses.map((address) => ['payee', address] as const),
    ...shares.map((share) => ['to', `${share.toAddress}, ${credits(share.amount)}`] as const),
    ['arbiter', arbiterAddress],
    ['escrow', escrow],
    ['allocation', allocation],
    ['offer', offer],
    ['host', host],
  ]
  return rows.filter((row): row is [string, string] => row[1] !== undefined)
}

interface Names {
  readonly toAddress: string
  readonly payeeAddresses: readonly string[]
  readonly arbiterAddress: string
  readonly shares: ReadonlyArray<{ readonly toAddress: string; readonly amount: string }>
  readonly escrow: string
  readonly allocation: string
  readonly offer: string
  readonly host: string
}

/** `2026-01-31 17:05:09 UTC  12/0  +1.5  ...`, a row for `format.columns`. */
export function entryRow(entry: EntryBody, mine: string): readonly string[] {
  const { height, index, timeMs } = entry
  const effect = tradeEffect(entry, mine)
  const what = effect === undefined ? told(entry, mine) : `${effect}: ${told(entry, mine)}`
  return [format.instant(timeMs), `${height}/${index}`, change(entry), what]
}
