/**
 * How much is tested, and what must be at stake: policy `auto`. Whole numbers only, because the ledger executes it; shares
 * are in parts per million (ppm), and all rounding is to the safe side. The real formulas are in `formulas.ts`.
 *
 * Two reasons to test, and the larger rate holds:
 * - *Trust*. What a record does not rule out: with v tests passed and none failed, the share of bad tasks is below 3/v with
 *   95 % confidence (Hanley and Lippman-Hand 1983). Newcomers are tested at 9.8 %, who has proven to be right at 0.98 %.
 * - *Deterrence*. No record makes cheating pay: it lowers the rate only against a larger deposit, so it is of no use to
 *   make one up among friends.
 *
 * What a cheater may gain by skipping j of m tasks is linear in j, and the chance that it is caught is concave: so the best
 * is one end or the other, and both must not pay, for a share s of all hosts in league with it:
 *
 *   nothing done:  (1 - u^n)(1 - w) S  >=  A + Q A s + Q A (1-u) k        it may not even earn what its friends are paid
 *   one skipped:       Q (1-u)(1 - w) S  >=  a e (1 + n s) + Q a (1-u) k   it may not earn more than by honest work
 *
 * S = A + D is lost when it is caught; a = A/m; Q the rate, n = Q m; u the chance that a test passes: guessed, or the
 * checker is in league; w that the panel is; k the seats that its friends then have, each paid a by the honest checker. Of
 * n tests n s are done by friends, who need not work. So the deposit is 18.8 (newcomers) and 187 (proven) times the payment
 * for windows of one task, and a small share of it for large ones, in which one bad task of many costs all.
 */
import { ChoraleError, invariant } from '../../core/errors.ts'
import { type Amount, amount } from '../ledger/state/amount.ts'
import { PPM } from './draws.ts'

const ONE = BigInt(PPM)

/** Share of all hosts that may be in league with a supplier. */
export const COLLUDERS = 300_000

/** That more than half of a panel is in league, at that share: `committeeCaptured(0.3, 11, 6)`, rounded up. */
export const PANEL_MISLED = 78_300

/** Seats of friends in such panels, times their chance: the sum of x P(x) over x = 6 .. 11. */
export const CAPTURED_SEATS = 496_000

/** e: what work may cost its supplier, of what it is paid. Who has less than a tenth left may find cheating better. */
export const COST_SHARE = 900_000

/** Above both bounds: cheating is to be worse, not just as good. */
const MARGIN = 1_180_000

export const NEWCOMER_RATE = 98_000
export const PROVEN_RATE = 9_800

/** A share of bad tasks above which nobody is trusted more than a newcomer. */
const DOUBTED_SHARE = 100_000n

/** Tests that a failed window, and one that came too late, take away. */
const FAILED_WEIGHT = 100n
const TIMED_OUT_WEIGHT = 5n

/** What the ledger knows of an account's work. */
export interface WorkRecord {
  /** Tests passed, of its own windows. */
  readonly verified: number
  /** Windows in which it was found wrong, and disputes in which it was outvoted. */
  readonly failed: number
  /** Windows of which nothing came. */
  readonly timedOut: number
}

export const NEW_RECORD: WorkRecord = Object.freeze({ verified: 0, failed: 0, timedOut: 0 })

/** Least rate (ppm), by record alone: never 0, never above a newcomer's. */
export function trustRate({ verified, failed, timedOut }: WorkRecord): number {
  for (const count of [verified, failed, timedOut]) {
    invariant(Number.isSafeInteger(count) && count >= 0, 'a record counts')
  }
  const doubts = 3n + FAILED_WEIGHT * BigInt(failed) + TIMED_OUT_WEIGHT * BigInt(timedOut)
  const tests = BigInt(verified) + doubts // so that the share is below 1
  const share = (doubts * BigInt(PPM)) / tests
  const rate = Number((BigInt(NEWCOMER_RATE) * share) / DOUBTED_SHARE)
  return Math.min(NEWCOMER_RATE, Math.max(PROVEN_RATE, rate))
}

export interface WindowTerms {
  readonly tasks: number
  /** A, for all of them. */
  readonly payment: Amount
  /** Chance (ppm) to guess the output of a task, as the customer declares it. Default 0. */
  readonly guess?: number
}

/**
 * The least deposit with which a supplier that is tested at this rate (ppm) has nothing from cheating. Undefined: none is
 * enough, because every guess passes, or nothing is tested.
 */
export function depositFor(rate: number, terms: WindowTerms): Amount | undefined {
  const { tasks, payment, guess = 0 } = terms
  const blind = passing(guess)
  const whole = caughtAll(rate, tasks, blind)
  const single = BigInt(rate) * (ONE - blind) * (ONE - BigInt(PANEL_MISLED)) // in ppm^3
  if (whole <= 0n || single === 0n) return undefined
  const [q, s, e] = [BigInt(rate), BigInt(COLLUDERS), BigInt(COST_SHARE)]
  const seats = (ONE - blind) * BigInt(CAPTURED_SEATS) // in ppm^2
  const gainOfAll = ONE ** 3n + q * s * ONE + q * seats // A, in ppm^3
  const gainOfOne = e * (ONE ** 2n + q * BigInt(tasks) * s) + q * seats // A / m, in ppm^3
  const forAll = ceilDiv(payment * gainOfAll * BigInt(MARGIN), whole * ONE ** 3n)
  const forOne = ceilDiv(payment * gainOfOne * BigInt(MARGIN), single * BigInt(tasks) * ONE)
  const stake = forAll > forOne ? forAll : forOne
  return amount(stake > payment ? stake - payment : 0n)
}

/**
 * The rate (ppm) of policy `auto`: what the record asks for, or as much more as makes the deposit enough, in steps of 2 %.
 * Undefined: at no rate it is; this supplier must put up more, or the job cannot be checked by samples.
 */
export function autoRate(record: WorkRecord, deposit: Amount, terms: WindowTerms): number | undefined {
  for (let rate = trustRate(record); ; rate = Math.min(PPM, Math.ceil((rate * 51) / 50))) {
    const needed = depositFor(rate, terms)
    if (needed !== undefined && needed <= deposit) return rate
    if (rate === PPM) return undefined
  }
}

/** That a window of which nothing was done is caught, ppm, rounded down: (1 - E[u^n])(1 - w). */
function caughtAll(rate: number, tasks: number, blind: bigint): bigint {
  const exact = rate * tasks
  invariant(Number.isSafeInteger(exact) && rate >= 0 && rate <= PPM && tasks >= 1, 'a rate is 0 to 1,000,000 ppm')
  const unseen = power(blind, Math.floor(exact / PPM))
  const part = BigInt(exact % PPM)
  const passes = ceilDiv(unseen * (ONE * ONE - part * (ONE - blind)), ONE * ONE)
  return ((ONE - passes) * (ONE - BigInt(PANEL_MISLED))) / ONE
}

/** Chance (ppm) that a task that was not done passes a test. */
function passing(guess: number): bigint {
  invariant(Number.isInteger(guess) && guess >= 0 && guess <= PPM, 'a chance is 0 to 1,000,000 ppm')
  return BigInt(COLLUDERS) + ceilDiv(BigInt(PPM - COLLUDERS) * BigInt(guess), ONE)
}

/** Rounded up at every step. */
function power(base: bigint, exponent: number): bigint {
  let result = ONE
  for (let i = 0; i < exponent && result > 1n; i++) {
    const next = ceilDiv(result * base, ONE)
    if (next === result) break
    result = next
  }
  return result
}

function ceilDiv(a: bigint, b: bigint): bigint {
  return (a + b - 1n) / b
}

/**
 * Rate (ppm) with which a supplier of so many tasks in all is found with this probability (ppm), if it skips this share
 * (ppm) of them: policy `sample`. `testsToDetect` of formulas.ts in whole numbers, over the tasks.
 */
export function sampleRate(share: number, probability: number, tasks: number, guess = 0): number {
  if (!(probability >= 0 && probability < PPM)) throw new ChoraleError('usage', 'certainty takes all tasks')
  invariant(Number.isInteger(tasks) && tasks >= 1, 'a supplier has at least one task')
  const fine = 10n ** 12n
  const unseen = fine - (fine / BigInt(PPM) / BigInt(PPM)) * BigInt(share) * BigInt(PPM - guess)
  let left = fine
  let tests = 0
  while (left * BigInt(PPM) > fine * BigInt(PPM - probability) && tests < tasks) {
    left = ceilDiv(left * unseen, fine)
    tests++
  }
  return Math.ceil((tests * PPM) / tasks)
}
