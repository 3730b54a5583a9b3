/**
 * Amounts as text: credits with up to three decimals for people, whole millicredits in JSON. Exact, without floating point.
 */
import { ChoraleError } from '../../core/errors.ts'
import { type Amount, MAX_AMOUNT } from './state/amount.ts'

/** `1.5` is 1500 millicredits; 0 too is an amount, for settings. Throws `usage`. */
export function parseCredits(text: string): Amount {
  const match = /^(\d{1,100})(?:\.(\d{1,3}))?$/.exec(text)
  if (!match)
    throw new ChoraleError('usage', `'${text}' is no amount: write credits, with at most three decimals, as 1.5`)
  const millicredits = BigInt(match[1]!) * 1000n + BigInt((match[2] ?? '').padEnd(3, '0'))
  if (millicredits <= MAX_AMOUNT) return millicredits as Amount
  throw new ChoraleError('usage', `${text} credits are more than there can be, which is ${formatCredits(MAX_AMOUNT)}`)
}

/** What somebody sends or asks for: above zero. Throws `usage`. */
export function parsePayment(text: string): Amount {
  const amount = parseCredits(text)
  if (amount > 0n) return amount
  throw new ChoraleError('usage', `${text} credits are nothing: give an amount of at least 0.001`)
}

/** What a program sends: `1500`. Throws `usage` unless it is an amount above zero. */
export function parseMillicredits(text: string): Amount {
  const amount = /^\d{1,19}$/.test(text) ? BigInt(text) : 0n
  if (amount > 0n && amount <= MAX_AMOUNT) return amount as Amount
  throw new ChoraleError(
    'usage',
    `'${text.slice(0, 80)}' is no amount: millicredits from 1 to ${MAX_AMOUNT}, as '1500'`,
  )
}

/** `1.5`, `-0.001`, `50`. */
export function formatCredits(millicredits: bigint): string {
  const size = millicredits < 0n ? -millicredits : millicredits
  const decimals = `${size % 1000n}`.padStart(3, '0').replace(/0+$/, '')
  return `${millicredits < 0n ? '-' : ''}${size / 1000n}${decimals && `.${decimals}`}`
}
