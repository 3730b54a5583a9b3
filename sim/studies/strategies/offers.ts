/**
 * Offers between suppliers and customers that cheat with different probabilities (Eisele et al. 2020-22, Figures 5 and 6), each
 * supplier with another customer in each round. The customer tests n of the m tasks itself, and a mediator who is always right
 * settles what is disputed, as in the paper; the payments are those of `src/market/verification/settlement.ts`, or as published.
 *
 * - A supplier cheats by guessing instead of working: in whole offers, or task by task.
 * - A customer cheats by testing nothing. Before it sees the supplier's outputs it must say what it has found, so it makes
 *   something up, and all n differ. As published it says of a task of its choice that it is wrong.
 */

import type { Random } from '../../../src/core/env.ts'
import { seededRandom, shuffled } from '../../../src/core/random.ts'
import { amount } from '../../../src/market/ledger/state/amount.ts'
import { customerBond, depositRatio } from '../../../src/market/verification/formulas.ts'
import { type Check, settle, stakesOf, type Terms } from '../../../src/market/verification/settlement.ts'

export interface Setting {
  /** e: cost over price. */
  readonly costShare: number
  /** g. */
  readonly guess: number
}

export const PEOPLE = 30
export const OFFERS = 100
/** m and n. */
export const TASKS = 100
export const TESTS = 10
/** What a customer has of a window of which all outputs are right, in payments. */
export const VALUE = 1.5
/** pi_cg: of one test to the customer, in prices of a task. */
const TEST_COST = 1
/** Chance that a customer that tests nothing is found out: that a task of an average supplier is right after all. */
const CAUGHT = 0.5
/** Bonds and deposits are above what the formulas say by this. */
const MARGIN = 1.25

/** Millicredits. */
const PRICE = 1_000_000
const PAYMENT = PRICE * TASKS

export type Payments = 'corrected' | 'published'
/** How suppliers cheat: in offers as a whole, or in each task. */
export type Manner = 'offer' | 'task'

export interface Stakes {
  /** D/A of the supplier, and the same of the customer's bond, for all tests together. */
  readonly deposit: number
  readonly bond: number
}

/** As corrected: of nothing done nothing is earned (the formula with e = 1), and to test nothing costs more than it saves. */
export function stakesFor({ guess }: Setting, payments: Payments): Stakes {
  const published = TASKS / TESTS / TASKS // rho pi_s, rho = m/n, over A = m pi_s
  if (payments === 'published') return { deposit: published, bond: published }
  return {
    deposit: MARGIN * depositRatio(1, TESTS, guess),
    bond: (MARGIN * customerBond(TESTS, TEST_COST, CAUGHT)) / TASKS,
  }
}

/** Chance to cheat of the i-th. */
export function cheatingOf(index: number): number {
  return index / (PEOPLE - 1)
}

export interface Utilities {
  /** Mean over the offers, in payments; from who never cheats to who always does. */
  readonly suppliers: readonly number[]
  readonly customers: readonly number[]
}

export function offers(setting: Setting, payments: Payments, manner: Manner, seed: number): Utilities {
  const random = seededRandom(`strategies ${setting.costShare} ${setting.guess} ${payments} ${manner} ${seed}`)
  const { deposit, bond } = stakesFor(setting, payments)
  const terms: Terms = {
    payment: amount(BigInt(PAYMENT)),
    deposit: amount(BigInt(Math.ceil(deposit * PAYMENT))),
    fee: amount(BigInt(PRICE)),
    seats: 1,
    bond: amount(BigInt(Math.ceil((bond * PAYMENT) / TESTS))),
    abandonFine: amount(0n),
  }
  const suppliers = new Array<number>(PEOPLE).fill(0)
  const customers = new Array<number>(PEOPLE).fill(0)
  for (let offer = 0; offer < OFFERS; offer++) {
    const partners = shuffled([...customers.keys()], random)
    for (const [supplier, customer] of partners.entries()) {
      const window = worked(setting, cheatingOf(supplier), manner, random)
      const isCheating = random.next() < cheatingOf(customer)
      const utilities =
        payments === 'corrected'
          ? corrected(terms, window, isCheating, random)
          : asPublished(deposit, window, isCheating, random)
      suppliers[supplier]! += (utilities.supplier - (setting.costShare * window.done) / TASKS) / OFFERS
      customers[customer]! += utilities.customer / OFFERS
    }
  }
  return { suppliers, customers }
}

interface Window {
  /** Tasks that were worked on; the others were guessed. */
  readonly done: number
  /** By task: is the output right? */
  readonly right: readonly boolean[]
}

function worked({ guess }: Setting, cheating: number, manner: Manner, random: Random): Window {
  const skipsAll = manner === 'offer' && random.next() < cheating
  const works = Array.from({ length: TASKS }, () => (manner === 'offer' ? !skipsAll : random.next() >= cheating))
  return { done: works.filter(Boolean).length, right: works.map((works) => works || random.next() < guess) }
}

interface Pair {
  /** In payments, before the supplier's costs. */
  readonly supplier: number
  readonly customer: number
}

/** Positions are drawn at random: without putting back, as the sample of a window is. */
function tested(random: Random): number[] {
  const drawn = new Set<number>()
  while (drawn.size < TESTS) drawn.add(random.int(TASKS))
  return [...drawn]
}

function corrected(terms: Terms, window: Window, isCheating: boolean, random: Random): Pair {
  const checks = checksOf(window, isCheating, random)
  const stakes = stakesOf(terms, TESTS)
  // The customer is its own checker: fees for tests go from one of its pockets to another, and each test has a cost.
  const paid = settle(terms, TESTS, { kind: 'checked', checks })
  const bonds = paid.checkers.reduce((sum: bigint, each) => sum + each, 0n) - BigInt(TESTS) * stakes.checker
  const customer = Number(paid.customer - stakes.customer + bonds) / PAYMENT
  const isPaid = paid.supplier >= stakes.supplier
  return {
    supplier: Number(paid.supplier - stakes.supplier) / PAYMENT,
    customer: customer + worthOf(window, isPaid) - costOfTests(isCheating),
  }
}

/** The mediator does again what is disputed, up to the first wrong one, which settles the window. */
function checksOf({ right }: Window, isCheating: boolean, random: Random): Check[] {
  const checks: Check[] = []
  for (const position of tested(random)) {
    const differs = isCheating || !right[position]
    if (checks.includes('convicted')) checks.push(differs ? 'unheard' : 'agreed')
    else checks.push(!right[position] ? 'convicted' : isCheating ? 'acquitted' : 'agreed')
  }
  return checks
}

/**
 * As published: both have put up rho pi_s, and the payment is no part of what is held. A customer that is found to have
 * accused in vain loses its deposit, and has not paid. The mediator's fee comes out of the fines.
 */
function asPublished(deposit: number, window: Window, isCheating: boolean, random: Random): Pair {
  const position = random.int(TASKS)
  if (isCheating) {
    if (!window.right[position]) return { supplier: -deposit, customer: 0 }
    return { supplier: 0, customer: worthOf(window, true) - deposit }
  }
  const passes = tested(random).every((position) => window.right[position])
  const customer = (passes ? worthOf(window, true) - 1 : 0) - costOfTests(false)
  return { supplier: passes ? 1 : -deposit, customer }
}

/** One wrong output of many spoils the whole, and what was not paid for is not used. */
function worthOf({ right }: Window, isPaid: boolean): number {
  return isPaid && right.every(Boolean) ? VALUE : 0
}

function costOfTests(isCheating: boolean): number {
  return isCheating ? 0 : (TESTS * TEST_COST) / TASKS
}
