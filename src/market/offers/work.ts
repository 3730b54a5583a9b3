/**
 * Work and its price. Work is counted in MI, millions of instructions. A price is in whole millicredits for a *core-hour of
 * reference speed*: what a core of 1,000 MIPS does in an hour, 3.6 x 10^12 instructions or 3,600,000 MI, on whatever core
 * it is done. So a core that is twice as fast earns twice as much in an hour, and a job costs the same on both.
 *
 * Payment, for work w at the seller's price p with a fee of f ppm:
 *
 *   wage = ceil(p w / 3,600,000)      cost = ceil(p (1 + f) w / 3,600,000)      fee = cost - wage
 *
 * The buyer pays the cost, the seller gets the wage, the allocator the fee: nothing is left over, nothing is missing. The seller
 * never gets less than its minimum price, and the buyer never pays more than its maximum price, rounded up to a millicredit.
 * Integers throughout, as the ledger needs them.
 */
import { invariant } from '../../core/errors.ts'
import { type Amount, amount } from '../ledger/state/amount.ts'

export const REFERENCE_MIPS = 1000
/** Of a core-hour of reference speed. */
export const CORE_HOUR_MI = 3600 * REFERENCE_MIPS

const PPM = 1_000_000n

/** What the work is worth at a price, rounded up to a whole millicredit. Undefined: more than an amount can be. */
export function worth(priceMillicredits: bigint, workMi: bigint): Amount | undefined {
  const sum = ceilDiv(priceMillicredits * workMi, BigInt(CORE_HOUR_MI))
  return sum < 2n ** 63n ? amount(sum) : undefined
}

export interface Payment {
  /** Of the buyer: wage and fee. */
  readonly cost: Amount
  readonly wage: Amount
  readonly fee: Amount
}

/** Throws `usage` where the cost is no amount, which no offer that was let in can cause. */
export function paymentFor(priceMillicredits: bigint, workMi: bigint, feePpm: number): Payment {
  const wage = amount(ceilDiv(priceMillicredits * workMi, BigInt(CORE_HOUR_MI)))
  const withFee = priceMillicredits * workMi * (PPM + BigInt(feePpm))
  const cost = amount(ceilDiv(withFee, BigInt(CORE_HOUR_MI) * PPM))
  return { cost, wage, fee: amount(cost - wage) }
}

/** The highest seller's price at which a buyer with this maximum still pays no more than it, fee included. */
export function withoutFee(maxPrice: bigint, feePpm: number): bigint {
  return (maxPrice * PPM) / (PPM + BigInt(feePpm))
}

function ceilDiv(a: bigint, b: bigint): bigint {
  invariant(a >= 0n, 'prices and work are not negative')
  return (a + b - 1n) / b
}
