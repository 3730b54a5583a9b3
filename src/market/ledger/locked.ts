/** What of an account's credits is locked, and by what. Pure; looks at every bond, allocation and escrow of the state. */
import type { PublicKey } from './keys.ts'
import { type Amount, plus, ZERO } from './state/amount.ts'
import { total } from './state/purse.ts'
import type { State } from './state/state.ts'

/** Millicredits, and in how many things they are. */
export interface LockedPart {
  readonly amount: Amount
  readonly count: number
}

export interface Locked {
  /** Of hosts that decide or mediate, what was given notice of included. */
  readonly bonds: LockedPart
  /** As the customer of contracts: what is left of prices and bonds. */
  readonly bought: LockedPart
  /** As the supplier of contracts: deposits. */
  readonly deposits: LockedPart
  /** As the payer of escrows. */
  readonly escrows: LockedPart
  readonly total: Amount
}

const NONE: LockedPart = { amount: ZERO, count: 0 }

/** Contracts that are over hold nothing, and do not count. */
export function lockedOf(state: Pick<State, 'bankers' | 'allocations' | 'escrows'>, account: PublicKey): Locked {
  let [bonds, bought, deposits, escrows] = [NONE, NONE, NONE, NONE]
  for (const [, banker] of state.bankers.entries()) {
    if (banker.account === account) bonds = more(more(bonds, total(banker), 1), total(banker.leaving), 0)
  }
  for (const [, { customer, supplier, escrow, stake, phase }] of state.allocations.entries()) {
    if (phase.name === 'closed') continue
    if (customer === account) bought = more(bought, total(escrow), 1)
    if (supplier === account) deposits = more(deposits, total(stake), 1)
  }
  for (const [, escrow] of state.escrows.entries()) {
    if (escrow.payer === account) escrows = more(escrows, total(escrow), 1)
  }
  const sum = [bonds, bought, deposits, escrows].reduce((all, { amount }) => plus(all, amount), ZERO)
  return { bonds, bought, deposits, escrows, total: sum }
}

function more({ amount, count }: LockedPart, sum: Amount, things: number): LockedPart {
  return { amount: plus(amount, sum), count: count + things }
}
