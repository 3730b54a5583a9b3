/**
 * What becomes of the money of an allocation: the one place where it leaves. Pure. Fines are burnt, so that nobody gains by
 * finding somebody guilty.
 */
import type { Key } from '../../../../core/ids.ts'
import type { PublicKey } from '../../keys.ts'
import { earn, giveBack } from '../accounts.ts'
import { type Amount, least, minus, plus } from '../amount.ts'
import { EMPTY_PURSE, type Purse, take, total } from '../purse.ts'
import { NO_RECORD, type State, type SupplierRecord, withAccount, withAllocation, withRecord } from '../state.ts'
import { type Allocation, CLOSED_MS, DESERTION_PARTS, MEDIATOR_FEE, type Outcome, worthOf } from './allocation.ts'
import { released, uncontracted } from './claims.ts'
import { countOf, type Ranges } from './ranges.ts'

/** An allocation and its name. */
export interface Named {
  readonly id: Key
  readonly allocation: Allocation
}

/** The open window is paid. `tests`: of its tasks, that the customer has done again. Closes what is paid to its last task. */
export function payWindow(state: State, named: Named, tasks: Ranges, tests = 0): State {
  const [earned, next] = paidFor(state, named, tasks, tests)
  const { allocation, id } = next
  return allocation.paid === allocation.tasks ? close(earned, next, 'done') : withAllocation(earned, id, allocation)
}

/** The supplier has its wage; the allocation runs on, and is not in the state yet. */
function paidFor(state: State, { id, allocation }: Named, tasks: Ranges, tests: number): [State, Named] {
  const { supplier, paid, tested, untilMs } = allocation
  const done = paid + countOf(tasks)
  const wage = minus(worthOf(allocation, done), worthOf(allocation, paid))
  const parts = take(allocation.escrow, wage)!
  const counted = noted(noted(state, supplier, 'paid', countOf(tasks)), supplier, 'verified', tests)
  const earned = withAccount(counted, supplier, earn(counted.accounts.get(supplier)!, wage))
  const phase = { name: 'running', deadlineMs: untilMs } as const
  return [earned, { id, allocation: { ...allocation, escrow: parts.rest, paid: done, tested: tested + tests, phase } }]
}

/** Both get back what is left of theirs. */
export function close(state: State, { id, allocation }: Named, outcome: Outcome): State {
  const { customer, supplier, escrow, stake } = allocation
  const refunded = returned(returned(state, customer, escrow), supplier, stake)
  const phase = { name: 'closed', deadlineMs: state.timeMs + CLOSED_MS, outcome } as const
  const closed: Allocation = { ...allocation, escrow: EMPTY_PURSE, stake: EMPTY_PURSE, phase }
  return withAllocation(uncontracted(refunded, allocation), id, closed)
}

/** Nothing comes of it, because not both have signed: a part of what the other has at stake is burnt. */
export function unsigned(state: State, { id, allocation }: Named): State {
  const { shownNonce, secretAnchor, bond } = allocation
  if (secretAnchor === null && shownNonce !== null) return desert(state, { id, allocation }, 'unsigned')
  const [left, escrow] = burn(state, allocation.escrow, partOf(bond))
  const fined = { id, allocation: { ...allocation, escrow } }
  return secretAnchor === null ? desert(left, fined, 'unsigned') : close(left, fined, 'unsigned')
}

/** The supplier has not come, or goes: a part of its deposit is burnt. */
export function desert(state: State, { id, allocation }: Named, outcome: Outcome = 'deserted'): State {
  const fined = noted(state, allocation.supplier, 'deserted', 1)
  const [left, stake] = burn(fined, allocation.stake, partOf(allocation.deposit))
  return close(left, { id, allocation: { ...allocation, stake } }, outcome)
}

function partOf(stake: Amount): Amount {
  return (stake / DESERTION_PARTS) as Amount
}

/** The supplier has cheated, or cannot show what it committed to: its deposit is burnt, and the window is not paid. */
export function convictSupplier(state: State, { id, allocation }: Named, tasks: Ranges): State {
  const [left, stake] = burn(noted(state, allocation.supplier, 'failed', 1), allocation.stake)
  return close(released(left, allocation, tasks), { id, allocation: { ...allocation, stake } }, 'cheated')
}

/** The customer has disputed what was right, or withheld its part: the window is paid, and its bond is burnt. */
export function convictCustomer(state: State, { id, allocation }: Named, tasks: Ranges): State {
  const bond = least(allocation.bond, minus(total(allocation.escrow), worthLeft(allocation)))
  const [left, escrow] = burn(state, allocation.escrow, bond)
  return endPaid(left, { id, allocation: { ...allocation, escrow } }, tasks, 'wronged')
}

/** The window is paid, and nothing more is done. */
export function endPaid(state: State, named: Named, tasks: Ranges, outcome: Outcome): State {
  const [paid, next] = paidFor(state, named, tasks, 0)
  return close(paid, next, outcome)
}

/** Nobody knows: the window is not paid, nobody is fined. */
export function endUnpaid(state: State, { id, allocation }: Named, tasks: Ranges): State {
  return close(released(state, allocation, tasks), { id, allocation }, 'undecided')
}

/** The fixed fee to each mediator that has found something, out of the customer's escrow, where the bond is. */
export function withFees(state: State, { id, allocation }: Named, mediators: readonly PublicKey[]): [State, Named] {
  let { escrow } = allocation
  let paid = state
  for (const mediator of mediators) {
    escrow = take(escrow, MEDIATOR_FEE)!.rest
    paid = withAccount(paid, mediator, earn(paid.accounts.get(mediator)!, MEDIATOR_FEE))
  }
  const next = { ...allocation, escrow }
  // In the tree too: what is held is counted by what is there.
  return [withAllocation(paid, id, next), { id, allocation: next }]
}

/** What the tasks that were not paid are worth. */
function worthLeft(allocation: Allocation): Amount {
  return minus(allocation.price, worthOf(allocation, allocation.paid))
}

function returned(state: State, account: PublicKey, purse: Purse): State {
  return withAccount(state, account, giveBack(state.accounts.get(account)!, purse))
}

/** Out of the purse, as far as it goes; all of it by default. */
function burn(state: State, purse: Purse, fine: Amount = total(purse)): [State, Purse] {
  const { rest } = take(purse, fine) ?? { rest: EMPTY_PURSE }
  return [{ ...state, burnt: plus(state.burnt, minus(total(purse), total(rest))) }, rest]
}

function noted(state: State, supplier: PublicKey, what: keyof SupplierRecord, count: number): State {
  const record = state.records.get(supplier) ?? NO_RECORD
  return withRecord(state, supplier, { ...record, [what]: Math.min(record[what] + count, Number.MAX_SAFE_INTEGER) })
}

/** What both sides have agreed to is taken from them. Or which of them has not enough. */
export function putIn(
  allocation: Omit<Allocation, 'escrow' | 'stake'>,
  state: State,
): [State, Allocation] | 'customer' | 'supplier' {
  const { customer, supplier, price, bond, deposit } = allocation
  const payer = state.accounts.get(customer)!
  if (total(payer) < price + bond) return 'customer' // the sum may be more than an amount
  const escrow = take(payer, plus(price, bond))!
  const paid = withAccount(state, customer, { ...payer, ...escrow.rest })
  const worker = paid.accounts.get(supplier)!
  const stake = take(worker, deposit)
  if (!stake) return 'supplier'
  const staked = withAccount(paid, supplier, { ...worker, ...stake.rest })
  return [staked, { ...allocation, escrow: escrow.taken, stake: stake.taken }]
}
