/**
 * Who gets what when a window is over. Whole millicredits; what was put up is what is paid out and burnt, to the last one.
 *
 * | the window                       | supplier                 | customer       | accusing checker       | burnt         |
 * |----------------------------------|--------------------------|----------------|------------------------|---------------|
 * | passed, or was not to be checked | payment, deposit         | -              | -                      | -             |
 * | stayed unseen: nonce kept back   | payment, deposit         | pays all fees  | -                      | these fees    |
 * | did not come                     | deposit less a fine      | payment        | -                      | the fine      |
 * | came, but was not opened         | nothing                  | payment        | its fee                | the deposit   |
 * | failed (gave in, or was found)   | nothing, pays the panel  | payment        | its fee                | the deposit   |
 * | was accused in vain              | payment, deposit         | -              | pays the panel, no fee | its bond      |
 * | has no right digest              | payment, deposit         | pays the panel | its fee                | -             |
 *
 * A customer that keeps its nonce back saves nothing by it: if it did, few would check, and none would be afraid of checks.
 * A window that came and is not opened is as bad as one that failed, or whoever fears a test would be silent. All fines are
 * burnt: nobody gains by another's guilt but the customer, who has its payment back.
 */
import { invariant } from '../../core/errors.ts'
import { type Amount, amount, minus, plus, ZERO } from '../ledger/state/amount.ts'
import { PANEL_MISLED, type WorkRecord } from './auto.ts'
import { PPM } from './draws.ts'

/** Of the payment, when a window does not come: hosts crash, and who crashes has not cheated. */
const ABANDON_FINE = 50_000

/** Above the bond at which a false accusation is worth nothing. */
const BOND_MARGIN = 1_250_000

export interface Terms {
  /** For all tasks of the window. */
  readonly payment: Amount
  /** Of the supplier, at stake in this window. */
  readonly deposit: Amount
  /** To the checker of one task, and to each mediator for one position: what a task is paid. */
  readonly fee: Amount
  /** Mediators of a dispute. */
  readonly seats: number
  /** Of each checker. */
  readonly bond: Amount
  /** Of a supplier of whom nothing came. */
  readonly abandonFine: Amount
}

/** Sizes of fees, bond and fine. `tasks`: of the window. */
export function termsOf(payment: Amount, tasks: number, deposit: Amount, seats: number): Terms {
  const fee = shareOf(payment, PPM, tasks * PPM)
  const prize = payment + fee * BigInt(seats) // at most: all seats may be friends of the accuser, too
  const odds = BigInt(PANEL_MISLED) * BigInt(BOND_MARGIN)
  const bond = amount(ceilDiv(prize * odds, BigInt(PPM - PANEL_MISLED) * BigInt(PPM)))
  const fine = shareOf(payment, ABANDON_FINE, PPM)
  return { payment, deposit, fee, seats, bond, abandonFine: fine < deposit ? fine : deposit }
}

function shareOf(whole: Amount, part: number, of: number): Amount {
  return amount(ceilDiv(whole * BigInt(part), BigInt(of)))
}

function ceilDiv(a: bigint, b: bigint): bigint {
  return (a + b - 1n) / b
}

/** What became of one test. */
export type Check =
  /** Both digests are the same. */
  | 'agreed'
  /** The checker said nothing in time, or opened nothing. */
  | 'silent'
  /** Digests differ, and the supplier gave in: it kept its nonce for the panel back. */
  | 'conceded'
  /** Digests differ, and the checker gave in. */
  | 'withdrawn'
  /** The panel has spoken; at most one of the last two, and then no further position is judged. */
  | 'acquitted'
  | 'convicted'
  | 'not-deterministic'
  /** Digests differ, but an earlier position has settled the window. */
  | 'unheard'

export type Outcome =
  /** The policy asks for no checks, or none was drawn. */
  | { readonly kind: 'unchecked' }
  /** The customer kept its nonce back. */
  | { readonly kind: 'withheld' }
  /** No root by the deadline. */
  | { readonly kind: 'abandoned' }
  /** A root, but a tested position was not opened. `answered`: of each checker, has it committed to a digest? */
  | { readonly kind: 'unopened'; readonly answered: readonly boolean[] }
  /** In the order of the positions. */
  | { readonly kind: 'checked'; readonly checks: readonly Check[] }

export interface Payouts {
  readonly supplier: Amount
  readonly customer: Amount
  /** In the order of the positions. */
  readonly checkers: readonly Amount[]
  /** To each seat of the panel. */
  readonly mediator: Amount
  readonly burnt: Amount
}

/** What each puts up before the window is worked on: its own part and, in case it loses a dispute, the panel's fees. */
export function stakesOf(terms: Terms, tests: number): WindowStakes {
  const panel = panelFees(terms)
  return {
    customer: plus(plus(terms.payment, times(terms.fee, tests)), panel),
    supplier: plus(terms.deposit, panel),
    checker: plus(terms.bond, panel),
  }
}

interface WindowStakes {
  readonly customer: Amount
  readonly supplier: Amount
  /** Of each. */
  readonly checker: Amount
}

/** `tests`: as many as `stakesOf` was asked for; those that were not drawn are paid back. */
export function settle(terms: Terms, tests: number, outcome: Outcome): Payouts {
  const stakes = stakesOf(terms, tests)
  const checks = checksOf(outcome)
  invariant(checks.length <= tests, 'more checks than were paid for')
  invariant(checks.filter(isLast).length <= 1, 'a panel goes on after it has settled the window')
  const panel = panelFees(terms)
  const judged = checks.filter((check) => isLast(check) || check === 'acquitted').length
  const lost = hasFailed(outcome)
  const fine = outcome.kind === 'abandoned' ? terms.abandonFine : lost ? terms.deposit : ZERO
  const isPaid = !lost && outcome.kind !== 'abandoned'

  const panelOfSupplier = checks.includes('convicted') ? panel : ZERO
  const supplier = minus(minus(stakes.supplier, fine), panelOfSupplier)
  const panelOfCustomer = checks.includes('not-deterministic') ? panel : ZERO
  const forfeit = outcome.kind === 'withheld' ? times(terms.fee, tests) : ZERO
  const fees = plus(times(terms.fee, checks.filter(isPaidFor).length), forfeit)
  const left = minus(minus(stakes.customer, fees), panelOfCustomer)
  const checkers = Array.from({ length: tests }, (_, i) => {
    const check = checks[i]
    if (check === undefined || check === 'silent') return stakes.checker
    if (check === 'withdrawn') return panel
    return check === 'acquitted' ? ZERO : plus(stakes.checker, terms.fee)
  })
  const accusedInVain = checks.filter((check) => check === 'acquitted' || check === 'withdrawn').length
  return {
    supplier: isPaid ? plus(supplier, terms.payment) : supplier,
    customer: isPaid ? minus(left, terms.payment) : left,
    checkers,
    mediator: times(terms.fee, judged),
    burnt: plus(plus(fine, forfeit), times(terms.bond, accusedInVain)),
  }
}

/** The checker has done its work, and was not found wrong. */
function isPaidFor(check: Check): boolean {
  return check !== 'silent' && check !== 'withdrawn' && check !== 'acquitted'
}

function isLast(check: Check): boolean {
  return check === 'convicted' || check === 'not-deterministic'
}

/** Has the supplier lost payment and deposit? */
function hasFailed(outcome: Outcome): boolean {
  if (outcome.kind === 'checked') return outcome.checks.some((check) => check === 'conceded' || check === 'convicted')
  return outcome.kind === 'unopened'
}

/** Of a window that was not opened the checkers have nothing to compare, but are paid for what they did. */
function checksOf(outcome: Outcome): readonly Check[] {
  if (outcome.kind === 'checked') return outcome.checks
  return outcome.kind === 'unopened' ? outcome.answered.map((answered) => (answered ? 'agreed' : 'silent')) : []
}

function panelFees({ fee, seats }: Terms): Amount {
  return times(fee, seats)
}

function times(each: Amount, count: number): Amount {
  return amount(each * BigInt(count))
}

// Records ------------------------------------------------------------------------------------------------------------

/** The supplier's record after the window. */
export function recordOfSupplier(record: WorkRecord, outcome: Outcome): WorkRecord {
  if (outcome.kind === 'abandoned') return { ...record, timedOut: record.timedOut + 1 }
  if (hasFailed(outcome)) return { ...record, failed: record.failed + 1 }
  const passed = checksOf(outcome).filter((check) => check === 'agreed' || check === 'acquitted').length
  return { ...record, verified: record.verified + passed }
}

/** A checker's record after its check: no credit for checking, but a mark for being wrong or silent. */
export function recordOfChecker(record: WorkRecord, check: Check): WorkRecord {
  if (check === 'acquitted' || check === 'withdrawn') return { ...record, failed: record.failed + 1 }
  return check === 'silent' ? { ...record, timedOut: record.timedOut + 1 } : record
}
