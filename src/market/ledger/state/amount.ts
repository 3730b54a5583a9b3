/**
 * Amounts of credits: whole millicredits, never negative, below 2^63. On the wire an amount is a CBOR unsigned integer in
 * its shortest form; decoders give small ones as numbers and large ones as bigints, so `amountFromWire` makes them one.
 */
import { Type } from 'typebox'
import { ChoraleError, invariant } from '../../../core/errors.ts'

declare const amountBrand: unique symbol
/** Millicredits, 0 .. MAX_AMOUNT. */
export type Amount = bigint & { readonly [amountBrand]: true }

/** So that an amount fits a signed 64-bit number everywhere. */
export const MAX_AMOUNT = (2n ** 63n - 1n) as Amount
export const ZERO = 0n as Amount

/** Throws `usage` on what is negative or too much. */
export function amount(millicredits: bigint): Amount {
  if (isAmount(millicredits)) return millicredits
  throw new ChoraleError('usage', `an amount is 0 to ${MAX_AMOUNT} millicredits, not ${millicredits}`)
}

function isAmount(value: bigint): value is Amount {
  return value >= 0n && value <= MAX_AMOUNT
}

/** What decoded bytes hold where an amount belongs; undefined when it is none. */
export function amountFromWire(value: unknown): Amount | undefined {
  const whole = typeof value === 'bigint' ? value : Number.isSafeInteger(value) ? BigInt(value as number) : -1n
  return isAmount(whole) ? whole : undefined
}

/** An integer of any size; whether it is an amount is judged by `amountFromWire`, which must follow. */
export const AmountSchema = Type.Refine(
  Type.Unsafe<Amount>(Type.Unknown()),
  (value) => typeof value === 'bigint' || Number.isSafeInteger(value),
)

export function plus(a: Amount, b: Amount): Amount {
  const sum = a + b
  invariant(isAmount(sum), 'an amount is above its cap')
  return sum
}

export function minus(a: Amount, b: Amount): Amount {
  const difference = a - b
  invariant(isAmount(difference), 'an amount is negative')
  return difference
}

export function least(a: Amount, b: Amount): Amount {
  return a < b ? a : b
}
