/**
 * Escrows: credits that are out of their payer's hands and in nobody else's yet.
 *
 * ```
 *   open-escrow -> fund ... -> release 0, release 1, ... -> refund | split      while the deadline is ahead
 *                                                        -> time-out            when it is over
 * ```
 *
 * Until the deadline the payer can only give, not take back; after it nobody can but the payer, by a time-out that anybody
 * may send. That is an operation, and nothing that a block does by itself: a block then costs what its operations cost,
 * however many deadlines it passes, an idle ledger stays idle, and because nothing else is left to do with the
 * escrow, it makes no difference who sends it or when. A closed escrow is forgotten; its operations are in the chain.
 */
import type { Key } from '../../../core/ids.ts'
import { MAX_ESCROW_LIFE_MS, MAX_OPEN_ESCROWS } from '../../../core/limits.ts'
import type { PublicKey } from '../keys.ts'
import { earn, giveBack } from './accounts.ts'
import { type Amount, plus, ZERO } from './amount.ts'
import { escrowId } from './operation.ts'
import { EMPTY_PURSE, join, take, total } from './purse.ts'
import type { Refusal } from './refusal.ts'
import { type Escrow, type Rule, type State, withAccount, withEscrow } from './state.ts'

export const openEscrow: Rule<'open-escrow'> = (state, operation) => {
  const { account: payer, action } = operation
  const { payees, arbiter, amount, deadlineMs } = action
  const others = arbiter === null ? payees : [...payees, arbiter]
  if (new Set([payer, ...others]).size !== others.length + 1) return 'bad-parties'
  if (!others.every((party) => state.accounts.get(party))) return 'no-recipient'
  if (deadlineMs <= state.timeMs || deadlineMs > state.timeMs + MAX_ESCROW_LIFE_MS) return 'bad-deadline'
  if ((state.openEscrows.get(payer) ?? 0) >= MAX_OPEN_ESCROWS) return 'too-many-escrows'
  const terms = { payer, payees, arbiter, amount, deadlineMs }
  return withEscrow(state, escrowId(operation), { ...terms, ...EMPTY_PURSE, funded: ZERO, step: 0 })
}

export const fund: Rule<'fund'> = (state, { account, action }) => {
  const escrow = running(state, action.escrow, (parties) => parties.payer === account)
  if (typeof escrow === 'string') return escrow
  if (escrow.funded + action.amount > escrow.amount) return 'over-funded'
  const payer = state.accounts.get(account)!
  const parts = take(payer, action.amount)
  if (!parts) return 'insufficient'
  const paid = withAccount(state, account, { ...payer, ...parts.rest })
  const funded = plus(escrow.funded, action.amount)
  return withEscrow(paid, action.escrow, { ...escrow, ...join(escrow, parts.taken), funded })
}

export const release: Rule<'release'> = (state, { account, action }) => {
  const mayRelease = ({ payer, arbiter }: Escrow) => account === payer || account === arbiter
  const escrow = running(state, action.escrow, mayRelease)
  if (typeof escrow === 'string') return escrow
  if (!escrow.payees.includes(action.to)) return 'not-payee'
  if (action.step !== escrow.step) return 'wrong-step'
  const parts = take(escrow, action.amount)
  if (!parts) return 'insufficient'
  const left = withEscrow(state, action.escrow, { ...escrow, ...parts.rest, step: escrow.step + 1 })
  return paidOut(left, action.to, action.amount)
}

export const refund: Rule<'refund'> = (state, { account, action }) => {
  const mayRefund = ({ payees, arbiter }: Escrow) =>
    account === arbiter || (payees.length === 1 && payees[0] === account)
  const escrow = running(state, action.escrow, mayRefund)
  return typeof escrow === 'string' ? escrow : closed(state, action.escrow, escrow)
}

export const split: Rule<'split'> = (state, { account, action }) => {
  const escrow = running(state, action.escrow, ({ arbiter }) => arbiter === account)
  if (typeof escrow === 'string') return escrow
  if (!action.shares.every(({ to }) => escrow.payees.includes(to))) return 'not-payee'
  if (action.shares.reduce((sum, { amount }) => sum + amount, 0n) > total(escrow)) return 'insufficient'
  let rest = escrow
  let paid = state
  for (const { to, amount } of action.shares) {
    rest = { ...rest, ...take(rest, amount)!.rest }
    paid = paidOut(paid, to, amount)
  }
  return closed(paid, action.escrow, rest)
}

export const fine: Rule<'fine'> = (state, { account, action }) => {
  const escrow = running(state, action.escrow, ({ arbiter }) => arbiter === account)
  if (typeof escrow === 'string') return escrow
  const parts = take(escrow, action.amount)
  if (!parts) return 'insufficient'
  const burnt = plus(state.burnt, action.amount)
  return withEscrow({ ...state, burnt }, action.escrow, { ...escrow, ...parts.rest })
}

export const timeOut: Rule<'time-out'> = (state, { action }) => {
  const escrow = state.escrows.get(action.escrow)
  if (!escrow) return 'no-escrow'
  return state.timeMs <= escrow.deadlineMs ? 'before-deadline' : closed(state, action.escrow, escrow)
}

/** An escrow whose deadline is ahead, for one who may do that with it. */
function running(state: State, id: Key, may: (escrow: Escrow) => boolean): Escrow | Refusal {
  const escrow = state.escrows.get(id)
  if (!escrow) return 'no-escrow'
  if (!may(escrow)) return 'not-allowed'
  return state.timeMs > escrow.deadlineMs ? 'past-deadline' : escrow
}

function paidOut(state: State, to: PublicKey, wage: Amount): State {
  return withAccount(state, to, earn(state.accounts.get(to)!, wage))
}

/** What `rest` says is left goes back to the payer. */
function closed(state: State, id: Key, rest: Escrow): State {
  const back = giveBack(state.accounts.get(rest.payer)!, { free: rest.free, granted: rest.granted })
  return withEscrow(withAccount(state, rest.payer, back), id, undefined)
}
