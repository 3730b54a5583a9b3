/**
 * Formulas of verified work (Eisele et al. 2020-22, with the corrections of PAPERS 9): how many replicas, tests, checks and
 * how large stakes it takes for honest work to pay most. Real numbers, for studies, quotes and tests; what the ledger
 * executes is in whole numbers (`auto.ts`, `settlement.ts`) and is tested against this.
 *
 * Throughout: a window of m tasks is paid A; doing all of them costs the supplier C = e A; it has put up a deposit D; n
 * tasks are tested. g is the chance that a task which was not done *passes* its test: because its output can be guessed, or
 * because the checker is in league (`passing`). A window that fails a test is not paid, and the deposit is gone.
 */
import { ChoraleError } from '../../core/errors.ts'

/** What is a probability or a share. */
function check(holds: boolean, what: string): void {
  if (!holds) throw new ChoraleError('usage', what)
}

const isShare = (value: number) => value >= 0 && value <= 1

// Replicas -----------------------------------------------------------------------------------------------------------

export interface Failures {
  /** Probability that one host fails. */
  readonly failure: number
  /** Share of its failures that hit all hosts at once, as a bad input does (the beta factor). Default 0. */
  readonly common?: number
}

/**
 * Hosts that must do the same for one of them to succeed with probability `success` < 1: ceil(ln(1-P) / ln p) when they fail
 * independently. (Published: (1-P)/p, which falls as p rises.) Undefined: no number is enough, because what hits all at once
 * is too likely, b p >= 1-P.
 */
export function replicasNeeded(success: number, failures: Failures): number | undefined {
  check(isShare(success) && success < 1, 'certainty cannot be had; a probability below 1, please')
  const { failure, common = 0 } = failures
  check(isShare(failure) && isShare(common), 'probabilities, please')
  if (allFail(failures, 1) <= 1 - success) return 1
  const all = failure * common
  if (all >= (1 - success) * (1 - 1e-12) || failure === 1) return undefined
  const alone = (failure - all) / (1 - all)
  const exact = Math.log((1 - success - all) / (1 - all)) / Math.log(alone)
  return Math.ceil(exact * (1 - 1e-12)) // a whole number is one in spite of its last bits
}

/** Probability that all r fail: b p + (1 - b p) q^r, with q so that one alone fails with probability p. */
export function allFail({ failure, common = 0 }: Failures, replicas: number): number {
  const all = failure * common
  return all === 1 ? 1 : all + (1 - all) * ((failure - all) / (1 - all)) ** replicas
}

// Tests --------------------------------------------------------------------------------------------------------------

/** g: a guess is right, or the checker is of the share that says what the supplier likes. */
export function passing(guess: number, colluders: number): number {
  check(isShare(guess) && isShare(colluders), 'probabilities, please')
  return colluders + (1 - colluders) * guess
}

/**
 * Tests that find, with this probability < 1, a supplier that skips this share of its tasks: ln(1-p) / ln(1 - x(1-g)),
 * rounded up. However many tasks there are. Infinite when nothing can be found.
 */
export function testsToDetect(probability: number, share: number, guess = 0): number {
  check(isShare(probability) && probability < 1, 'certainty takes all tasks; a probability below 1, please')
  const seen = share * (1 - guess)
  if (probability === 0) return 0
  if (seen >= 1) return 1
  return Math.ceil((Math.log1p(-probability) / Math.log1p(-seen)) * (1 - 1e-12))
}

/** Probability that n tests see it, each drawn from all tasks: 1 - (1 - x(1-g))^n. */
export function detection(tests: number, share: number, guess = 0): number {
  return 1 - (1 - share * (1 - guess)) ** tests
}

export interface Sampling {
  readonly tasks: number
  /** Of the tasks, tested without putting back. Between two whole numbers: the larger one with the fraction's chance. */
  readonly tests: number
}

/** The same when j of m tasks are skipped and none is tested twice: hypergeometric, and a little more than `detection`. */
export function detectionOf({ tasks, tests }: Sampling, skipped: number, guess = 0): number {
  check(Number.isInteger(skipped) && skipped >= 0 && skipped <= tasks, 'skips whole tasks of those it has')
  check(tests >= 0 && tests <= tasks, 'tests some of the tasks')
  const whole = Math.floor(tests)
  const part = tests - whole
  const unseen = passesAll(tasks, skipped, whole, guess)
  return 1 - (part === 0 ? unseen : unseen * (1 - part) + part * passesAll(tasks, skipped, whole + 1, guess))
}

/** Sum over h of C(j, h) C(m-j, n-h) / C(m, n) g^h, all terms positive. By symmetry over the fewer of skipped and tested. */
function passesAll(tasks: number, skipped: number, tests: number, guess: number): number {
  const [drawn, marked] = skipped < tests ? [skipped, tests] : [tests, skipped]
  let chance = new Float64Array([1])
  for (let i = 0; i < drawn; i++) {
    const next = new Float64Array(i + 2)
    for (let hit = 0; hit <= i; hit++) {
      const up = Math.max(0, marked - hit) / (tasks - i)
      next[hit + 1]! += chance[hit]! * up
      next[hit]! += chance[hit]! * (1 - up)
    }
    chance = next
  }
  return chance.reduce((sum, p, hits) => sum + p * (hits === 0 ? 1 : guess ** hits), 0)
}

// Stakes -------------------------------------------------------------------------------------------------------------

export interface Stakes {
  /** A: for all tasks of a window. */
  readonly payment: number
  /** D. */
  readonly deposit: number
  /** C: of doing all of them. */
  readonly cost: number
  /** What it costs in any case. Default 0. */
  readonly fees?: number
}

/**
 * U(P) = (P + (1-P)g)^n (A + D) - D - C P - fees: what a supplier makes that does each task with probability P. It is convex
 * in P, so that all or nothing is best, and only these two need be compared.
 */
export function supplierUtility(processed: number, tests: number, stakes: Stakes, guess = 0): number {
  const { payment, deposit, cost, fees = 0 } = stakes
  return (processed + (1 - processed) * guess) ** tests * (payment + deposit) - deposit - cost * processed - fees
}

/**
 * The least D/A at which all is at least as good as nothing, U(1) >= U(0): e / (1 - g^n) - 1, and never below 0. At g = 0
 * that is A + D >= C. (Published: rho = m/n, which is neither necessary nor enough.) Infinite when every guess passes.
 */
export function depositRatio(costShare: number, tests: number, guess = 0): number {
  return Math.max(0, costShare / (1 - guess ** tests) - 1)
}

/**
 * The least share of windows that is checked, with one test each, for which skipping does not pay: e / ((1-g)(1+delta)),
 * delta the deposit over the payment at stake: 5 % at 19, 1 % at 99. Above 1: no rate is enough.
 */
export function deterrentRate(costShare: number, depositRatio: number, guess = 0): number {
  return costShare / ((1 - guess) * (1 + depositRatio))
}

/**
 * What a customer's bond must exceed so that it does not save the n tests at this cost each: n pi_cg / Pr(caught).
 * (Published: a deposit of rho pi_s, with which it gains by not paying.)
 */
export function customerBond(tests: number, costPerTest: number, caught: number): number {
  check(caught > 0 && caught <= 1, 'who is never caught cannot be held by a bond')
  return (tests * costPerTest) / caught
}

/**
 * What the bond of one who accuses must exceed so that a false accusation does not pay: it wins A with the probability w
 * that the mediators are misled, else loses the bond: A w / (1-w).
 */
export function accuserBond(payment: number, misled: number): number {
  check(misled >= 0 && misled < 1, 'mediators that are always misled settle nothing')
  return (payment * misled) / (1 - misled)
}
