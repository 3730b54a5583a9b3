/**
 * What becomes of the money of an allocation: the one place where it leaves. Pure. Fines are burnt, so that nobody gains by
 * finding somebody guilty.
 */
import type { Key } from '../../../../core/ids.ts'
import type { PublicKey } from '../../keys.ts'
import { earn, giveBack } from '../accounts.ts'
import { type Amount, amount, least, minus, plus } from '../amount.ts'
import { withBack } from '../book/bookings.ts'
import { EMPTY_PURSE, type Purse, take, total } from '../purse.ts'
import {
  NO_RECORD,
  type State,
  type WorkRecord,
  withAccount,
  withAllocation,
  withBanker,
  withMediator,
  withRecord,
} from '../state.ts'
import {
  type Allocation,
  CLOSED_MS,
  claimId,
  DESERTION_PARTS,
  MEDIATOR_FEE,
  MEDIATOR_FINE,
  type Outcome,
  worthOf,
} from './allocation.ts'
import { claimableOf, released, uncontracted } from './claims.ts'
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

/**
 * The supplier has its wage; the allocation runs on, and is not in the state yet. Its time did not run since the commit: a customer
 * that keeps silent must not use up the supplier's.
 */
function paidFor(state: State, { id, allocation }: Named, tasks: Ranges, tests: number): [State, Named] {
  const { supplier, paid, tested, phase: open } = allocation
  const untilMs = allocation.untilMs + ('window' in open ? state.timeMs - open.window.committedMs : 0)
  const done = paid + countOf(tasks)
  const wage = minus(worthOf(allocation, done), worthOf(allocation, paid))
  const parts = take(allocation.escrow, wage)!
  const counted = noted(noted(state, supplier, 'paid', countOf(tasks)), supplier, 'verified', tests)
  const earned = withAccount(counted, supplier, earn(counted.accounts.get(supplier)!, wage))
  const phase = { name: 'running', deadlineMs: untilMs } as const
  const counts = { paid: done, tested: tested + tests, untilMs }
  return [earned, { id, allocation: { ...allocation, ...counts, escrow: parts.rest, phase } }]
}

/** Both get back what is left of theirs, and the offer copies of which nothing came. */
export function close(state: State, { id, allocation }: Named, outcome: Outcome): State {
  const { customer, supplier, escrow, stake } = allocation
  const refunded = returned(returned(state, customer, escrow), supplier, stake)
  const phase = { name: 'closed', deadlineMs: state.timeMs + CLOSED_MS, outcome } as const
  const closed: Allocation = { ...allocation, escrow: EMPTY_PURSE, stake: EMPTY_PURSE, phase }
  const offered = isWanted(state, allocation, outcome)
    ? withBack(refunded, allocation, isAtFault(state, allocation, outcome))
    : refunded
  return withAllocation(uncontracted(offered, allocation), id, closed)
}

/**
 * Are the copies of which nothing came for another supplier? Not when the customer needs no more, is not there, or quarrels over
 * what is right: it would lose a part of its bond again and again.
 */
function isWanted({ claims }: State, allocation: Allocation, outcome: Outcome): boolean {
  if (allocation.isEnding || outcome === 'done' || outcome === 'wronged' || outcome === 'unstable') return false
  if (outcome === 'unsigned' && allocation.shownNonce === null) return false
  const { jobTasks, replicas } = allocation
  return countOf(claims.get(claimId(allocation))?.layers[replicas - 1] ?? []) < jobTasks
}

/**
 * Is somebody else to do the rest? Who was only too slow may try again; of whom nothing came at all may not, for its own sake: it
 * would be fined again and again for a job that is nowhere.
 */
function isAtFault({ timeMs }: State, { phase, secretAnchor, windows }: Allocation, outcome: Outcome): boolean {
  if (outcome === 'unsigned') return secretAnchor === null
  return outcome === 'cheated' || (outcome === 'deserted' && (windows === 0 || timeMs <= phase.deadlineMs))
}

/** Nothing comes of it, because not both have signed: a part of what the other has at stake is burnt. */
export function unsigned(state: State, { id, allocation }: Named): State {
  const { shownNonce, secretAnchor, bond } = allocation
  if (secretAnchor === null && shownNonce !== null) return desert(state, { id, allocation }, 'unsigned')
  const [left, escrow] = burn(state, allocation.escrow, partOf(bond))
  const fined = { id, allocation: { ...allocation, escrow } }
  return secretAnchor === null ? desert(left, fined, 'unsigned') : close(left, fined, 'unsigned')
}

/** The supplier goes, or its time is over. It bears that if there was something left for it to do. */
export function stop(state: State, { id, allocation }: Named): State {
  const left = claimableOf(state, allocation, [[0, allocation.jobTasks]])
  const isFree = allocation.isEnding || left.length === 0
  return isFree ? close(state, { id, allocation }, 'ended') : desert(state, { id, allocation })
}

/**
 * A part of the supplier's deposit is burnt, or as large a part of the price if that is less. Nobody can tell whether there was
 * anything to do: a customer that wants to hurt suppliers must lock ten times what they lose, and pay for the match. It is not
 * less because a supplier has given up soon: then it could sell its cores to many, and drop all but the best.
 */
function desert(state: State, { id, allocation }: Named, outcome: Outcome = 'deserted'): State {
  const fined = noted(state, allocation.supplier, 'deserted', 1)
  const [left, stake] = burn(fined, allocation.stake, partOf(least(allocation.deposit, allocation.price)))
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

/**
 * The fixed fee to each of these mediators, from who has lost, whose deposit or bond is enough for all: no mediator must have more
 * of one verdict than of another.
 */
export function withFees(
  state: State,
  { id, allocation }: Named,
  mediators: readonly PublicKey[],
  loser: 'customer' | 'supplier',
): [State, Named] {
  const side = loser === 'supplier' ? 'stake' : 'escrow'
  const fees = amount(MEDIATOR_FEE * BigInt(mediators.length))
  const purse = take(allocation[side], fees)!.rest
  const paid = mediators.reduce(
    (next, mediator) => withAccount(next, mediator, earn(next.accounts.get(mediator)!, MEDIATOR_FEE)),
    state,
  )
  return [paid, { id, allocation: { ...allocation, [side]: purse } }]
}

/** It was outvoted: a part of its bond is burnt. It mediates no more if too little is left of that. */
export function fineMediator(state: State, host: PublicKey): State {
  const banker = state.bankers.get(host)
  if (!banker) return state
  const [left, bond] = burn(noted(state, banker.account, 'outvoted', 1), banker, least(total(banker), MEDIATOR_FINE))
  const fined = withBanker(left, host, { ...banker, ...bond })
  return total(bond) < state.settings.bond ? withMediator(fined, host, undefined) : fined
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

function noted(state: State, account: PublicKey, what: keyof WorkRecord, count: number): State {
  const record = state.records.get(account) ?? NO_RECORD
  return withRecord(state, account, { ...record, [what]: Math.min(record[what] + count, Number.MAX_SAFE_INTEGER) })
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
