/** What is bid for a job: pure decisions on its price, its time and how it is checked. */
import { ChoraleError } from '../../core/errors.ts'
import type { Key } from '../../core/ids.ts'
import { MAX_OFFER_LIFE_MS, MAX_PRICE, MAX_TASK_WORK_MI, TASK_MEMORY_BYTES } from '../../core/limits.ts'
import { formatCredits } from '../ledger/credits.ts'
import { type Amount, MAX_AMOUNT } from '../ledger/state/amount.ts'
import { FEE_PPM } from '../ledger/state/book/book.ts'
import { type Buy, type Level, MIN_SERVICE_MS } from '../offers/offer.ts'
import { SLOT_MS, slotAt, slotName, slotOfDay, slotStartMs } from '../offers/price-slot.ts'
import { CORE_HOUR_MI, withoutFee } from '../offers/work.ts'
import { sampleRate } from '../verification/auto.ts'
import type { VerifyPolicy } from '../verification/policy.ts'
import type { When } from './market.ts'
import { SLOTS_AHEAD } from './outlook.ts'

/** Results are waited for this long after a job may begin, unless its user says otherwise. */
const PATIENCE_MS = 3_600_000
/** A deadline that was two minutes off when it was asked for will do, after the quote and the submission. */
const ASKED_MS = 45_000
/** A host that is a little slower than this one can keep the time of a task all the same: a quarter more. */
const SLOWER_PERCENT = 125
/** Of the likely price, in percent (`autoPrice`: 80). */
const BID_PERCENT = 120n
/** Wage and fee of each allocation are rounded up to a whole millicredit. */
const ROUNDED = 2n
/** Suppliers of one job, at most, and what they are expected to do together where there are none yet. */
export const MOST_HOSTS = 32
const EXPECTED_MIPS = 4000
/** Milliseconds of a second, and a tenth more: tasks are whole, and a remainder would be a contract of its own. */
const ROUGHLY = 1100
const PPM = 1_000_000n

/** In MI, of a task that took so long here. Throws `limit` on one that is too long for any offer. */
export function taskWorkMi(tookMs: number, mips: number): number {
  const work = Math.max(1, Math.ceil((tookMs * mips * SLOWER_PERCENT) / 100_000))
  if (work <= MAX_TASK_WORK_MI) return work
  throw new ChoraleError('limit', `a task of ${Math.round(tookMs / 1000)} s is too long to be sold: make smaller tasks`)
}

interface Size {
  readonly tasks: number
  readonly replicas: number
  readonly taskWorkMi: number
}

function rounding({ tasks, replicas }: Size): bigint {
  return ROUNDED * BigInt(Math.min(tasks * replicas, MOST_HOSTS))
}

/**
 * The most that suppliers are paid for a core-hour, fee included, so that all copies cost no more than the cap; 0: too little.
 * `fresh`: copies for which the fee was not paid before.
 */
export function maxPriceFor(maxCost: bigint, size: Size, fresh = size.tasks * size.replicas): Amount {
  const fees = BigInt(fresh) * BigInt(FEE_PPM)
  const weighed = (BigInt(size.tasks) * BigInt(size.replicas) * PPM + fees) * BigInt(size.taskWorkMi)
  const usable = maxCost - rounding(size)
  if (usable <= 0n) return 0n as Amount
  const wage = (usable * BigInt(CORE_HOUR_MI) * PPM) / weighed
  const price = (wage * (PPM + BigInt(FEE_PPM)) + PPM - 1n) / PPM
  return (wage < 1n ? 0n : price > BigInt(MAX_PRICE) ? BigInt(MAX_PRICE) : price) as Amount
}

/**
 * What is bid, fee included: more than what is likely by as much as hosts ask for less, so that one buyer and one seller meet at
 * the likely price; what the hosts ask for that are needed (`asks`), as far as the cap pays them; and no more than the cap pays
 * (`most`). The whole cap would be too much: with one seller the price is in the middle between both.
 */
export function bidFor(likely: bigint, asks: readonly bigint[], most: Amount): Amount {
  const bid = (likely * BID_PERCENT) / 100n
  const limit = withoutFee(most, FEE_PPM)
  const wage = asks.reduce((high, ask) => (ask > high && ask <= limit ? ask : high), bid)
  const price = (wage * (PPM + BigInt(FEE_PPM)) + PPM - 1n) / PPM
  return (price < most ? price : most) as Amount
}

/** What to cap a job with, so that suppliers can be paid what it is likely to cost: with what `maxPriceFor` keeps back. */
export function capFor(cost: bigint, size: Size): Amount {
  const cap = cost + 1n + rounding(size)
  return (cap > MAX_AMOUNT ? MAX_AMOUNT : cap) as Amount
}

export function replicasOf(verify: VerifyPolicy): number {
  return verify.kind === 'replicate' ? verify.replicas : 1
}

export function rateOf(verify: VerifyPolicy, tasks: number): Buy['rate'] {
  if (verify.kind === 'auto') return 'auto'
  return verify.kind === 'sample' ? sampleRate(verify.share, verify.probability, tasks) : 0
}

/** Slots that would do, the earliest first. */
export function slotsFor(when: When, nowMs: number): number[] {
  const present = slotAt(nowMs)
  if (when === 'now') return [present]
  const ahead = Array.from({ length: SLOTS_AHEAD }, (_, i) => present + i)
  // A job has until the end of its slot: of one that is nearly over nothing is left but its price.
  const isNearlyOver = slotStartMs(present + 1) - nowMs < PATIENCE_MS
  if (when === 'cheapest') return isNearlyOver ? ahead.slice(1) : ahead
  return ahead.filter((slot) => slotName(slotOfDay(slot)) === when).slice(0, 1)
}

/** From when on, and until when results are of use. Throws `usage`. */
export function windowFor(
  { when, slot, deadlineMs }: { readonly when: When; readonly slot: number; readonly deadlineMs: number | undefined },
  nowMs: number,
): { readonly fromMs: number; readonly untilMs: number } {
  const startMs = Math.floor(nowMs)
  const fromMs = when === 'now' ? startMs : Math.max(startMs, slotStartMs(slot))
  const endMs = when === 'now' ? Number.POSITIVE_INFINITY : slotStartMs(slot) + SLOT_MS
  const untilMs = Math.floor(deadlineMs ?? Math.max(fromMs + 2 * MIN_SERVICE_MS, Math.min(endMs, fromMs + PATIENCE_MS)))
  if (untilMs < fromMs + 2 * MIN_SERVICE_MS - ASKED_MS) {
    throw new ChoraleError(
      'usage',
      'the deadline must be at least 2 minutes after the job may begin: give it more time',
    )
  }
  if (untilMs > nowMs + MAX_OFFER_LIFE_MS) throw new ChoraleError('usage', 'the deadline is more than 31 days ahead')
  return { fromMs, untilMs }
}

/**
 * In which time a job would best be done: as soon as the hosts that there are can do it together. `mips`: of each, all its cores. Of a
 * market without hosts a few are expected. The least service is bought anyway.
 */
export function soonMsFor(
  buy: Pick<Buy, 'tasks' | 'replicas' | 'taskWorkMi' | 'fromMs' | 'untilMs'>,
  mips: readonly number[],
): number {
  const speed = mips.reduce((sum, one) => sum + one, 0) || EXPECTED_MIPS
  const ms = Math.ceil((buy.tasks * buy.replicas * buy.taskWorkMi * ROUGHLY) / speed)
  return Math.min(Math.max(MIN_SERVICE_MS, ms), buy.untilMs - buy.fromMs)
}

export interface BuyOrder extends Size {
  readonly job: Key
  readonly verify: VerifyPolicy
  readonly level: Level
  readonly maxPrice: Amount
  readonly soonMs: number
  readonly fromMs: number
  readonly untilMs: number
}

export function buyTerms({
  job,
  tasks,
  replicas,
  taskWorkMi,
  verify,
  level,
  maxPrice,
  soonMs,
  fromMs,
  untilMs,
}: BuyOrder): Buy {
  return {
    kind: 'buy',
    job,
    tasks,
    taskWorkMi,
    memoryBytes: TASK_MEMORY_BYTES,
    replicas,
    maxPrice,
    deadlineMs: untilMs,
    minServiceMs: MIN_SERVICE_MS,
    soonMs,
    level,
    rate: rateOf(verify, tasks),
    fromMs,
    untilMs,
  }
}

/** Why a cap is refused; undefined: it will do. `has`: of the account. `bond`: what is locked beside the price. `pays`: a price can be made of it. */
export function capFault(
  maxCost: bigint,
  costs: { readonly low: bigint; readonly likely: bigint; readonly high: bigint },
  { has, bond, pays = true }: { readonly has: bigint; readonly bond: bigint; readonly pays?: boolean },
): string | undefined {
  const { low, likely, high } = costs
  const credits = (amount: bigint) => `${formatCredits(amount)} credits`
  if (maxCost < low) {
    const range = `at least ${formatCredits(low)}, likely ${formatCredits(likely)} and at most ${credits(high)}`
    return `a cap of ${credits(maxCost)} is too low: the job costs ${range}`
  }
  if (!pays) return `a cap of ${credits(maxCost)} pays nothing: the job needs ${credits(high)}`
  if (maxCost + bond <= has) return undefined
  const needed = `${credits(maxCost)} and a bond of ${formatCredits(bond)}`
  return `the account has ${credits(has)}, and the cap needs ${needed}: lower the cap, or earn more first`
}
