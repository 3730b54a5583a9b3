/**
 * A purse: credits in one place, and how many of them came by a grant and are not yet matched by earnings. Granted
 * credits are always spent first, so that what is left over is what its owner may do most with.
 */
import { type Amount, least, minus, plus, ZERO } from './amount.ts'

export interface Purse {
  /** May go anywhere. */
  readonly free: Amount
  /** May be bonded and put into escrows, not transferred. */
  readonly granted: Amount
}

export const EMPTY_PURSE: Purse = Object.freeze({ free: ZERO, granted: ZERO })

export function freely(free: Amount): Purse {
  return { free, granted: ZERO }
}

export function total({ free, granted }: Purse): Amount {
  return plus(free, granted)
}

export function join(a: Purse, b: Purse): Purse {
  return { free: plus(a.free, b.free), granted: plus(a.granted, b.granted) }
}

/** Granted credits first. Undefined when there is not enough. */
export function take(purse: Purse, amount: Amount): { readonly taken: Purse; readonly rest: Purse } | undefined {
  if (total(purse) < amount) return undefined
  const granted = least(purse.granted, amount)
  const free = minus(amount, granted)
  return {
    taken: { free, granted },
    rest: { free: minus(purse.free, free), granted: minus(purse.granted, granted) },
  }
}
