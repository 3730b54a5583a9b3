/**
 * What a job would cost, before it is submitted (DESIGN 10): low, likely and high, and why in words.
 *
 *   cost = tasks x work of a task x replicas x attempts x (price of a core-hour + fee)
 *
 * Low is the low end of the forecast with every task done once; likely its middle with as many attempts as are to be expected;
 * high its high end with as many as hardly ever are exceeded. Attempts that are lost count as paid, for a host may be lost after
 * it was. The high figure is what to cap a job with.
 */
import { ChoraleError } from '../../core/errors.ts'
import { formatCredits } from '../ledger/credits.ts'
import { type Amount, MAX_AMOUNT } from '../ledger/state/amount.ts'
import { SLOTS_PER_DAY, slotName, slotOfDay } from '../offers/price-slot.ts'
import { CORE_HOUR_MI, REFERENCE_MIPS, worth } from '../offers/work.ts'
import type { Forecast } from './forecast.ts'

export interface Wish {
  readonly tasks: number
  readonly taskWorkMi: number
  readonly replicas: number
  /** Share of attempts at a task that are lost, 0 to below 1. */
  readonly failure: number
  /** With which probability a task is to be done after the attempts that `attemptsFor` allows. */
  readonly success: number
  /** The allocator's fee, in millionths of the price. */
  readonly feePpm: number
}

export interface Quote {
  readonly slot: number
  readonly low: Amount
  readonly likely: Amount
  readonly high: Amount
  /** For a task, at most. */
  readonly attempts: number
  /** The slot, of those asked about, that is likely to cost least, when that is at least 5 % less. */
  readonly cheaper: { readonly slot: number; readonly likely: Amount } | undefined
  /** Plain sentences without a full stop. */
  readonly reasons: readonly string[]
}

const WORTH_WAITING = 0.05

/**
 * Replicas, or attempts, so that one of them succeeds with this probability: r = ceil(ln(1-P) / ln p) (PAPERS 9; the published
 * (1-P)/p falls as p rises). With a share b of failures that strike all at once, these happen with b p whatever r is, and the others
 * must stay below the rest. Undefined: then nothing helps, b p >= 1-P.
 */
export function attemptsFor(success: number, failure: number, commonShare = 0): number | undefined {
  if (!(success >= 0 && success < 1 && failure >= 0 && failure < 1 && commonShare >= 0 && commonShare <= 1)) {
    throw new ChoraleError('usage', 'probabilities are from 0 to below 1')
  }
  const allowed = 1 - success - commonShare * failure
  const own = (1 - commonShare) * failure
  // Nothing but last bits is nothing.
  if (allowed <= (1 - success) * 1e-9) return undefined
  if (own === 0) return 1
  return Math.max(1, Math.ceil(Math.log(allowed) / Math.log(own) - 1e-9))
}

/** Forecasts of the slot that is wished for, and of others that would do. Throws `usage` on probabilities that are none. */
export function quote(wish: Wish, wished: Forecast, others: readonly Forecast[] = []): Quote {
  const { tasks, taskWorkMi, replicas, failure, success, feePpm } = wish
  const attempts = attemptsFor(success, failure)!
  const copies = tasks * replicas
  const expected = 1 / (1 - failure)
  // The number of attempts at so many copies spreads by sqrt(p n) / (1-p), and of one copy it is bounded.
  const most = Math.max(expected, Math.min(attempts, expected * (1 + 2 * Math.sqrt(failure / copies))))
  const workMi = BigInt(tasks) * BigInt(taskWorkMi) * BigInt(replicas)
  const cost = (price: bigint, times: number) => costOf(price, workMi, times, feePpm)
  const likely = cost(wished.likely, expected)
  const best = others.toSorted((a, b) => Number(a.likely - b.likely) || a.slot - b.slot)[0]
  const isWorth = best && Number(best.likely) <= Number(wished.likely) * (1 - WORTH_WAITING)
  const cheaper = isWorth ? { slot: best.slot, likely: cost(best.likely, expected) } : undefined
  const low = cost(wished.low, 1)
  const high = cost(wished.high, most)
  const reasons = [
    workReason(wish, workMi),
    priceReason(wished, feePpm),
    ...(failure > 0 ? [failureReason(wish, expected, attempts)] : []),
    marketReason(wished),
    ...(cheaper ? [cheaperReason(wished, best!, cheaper.likely)] : []),
  ]
  return { slot: wished.slot, low, likely, high, attempts, cheaper, reasons }
}

function costOf(price: bigint, workMi: bigint, times: number, feePpm: number): Amount {
  const millionths = BigInt(Math.ceil(times * 1e6))
  const work = (workMi * millionths * BigInt(1_000_000 + feePpm)) / 1_000_000_000_000n
  return worth(price, work > 0n ? work : 1n) ?? MAX_AMOUNT
}

function workReason({ tasks, taskWorkMi, replicas }: Wish, workMi: bigint): string {
  const seconds = short(taskWorkMi / REFERENCE_MIPS)
  const hours = short(Number(workMi) / CORE_HOUR_MI)
  const each = replicas > 1 ? `, each on ${replicas} hosts` : ''
  return `${plural(tasks, 'task')} of ${seconds} s on a core of ${REFERENCE_MIPS} MIPS${each}: ${plural(hours, 'core-hour')}`
}

function priceReason({ slot, low, likely, high, slots, errors }: Forecast, feePpm: number): string {
  const fee = feePpm > 0 ? `, and a fee of ${short(feePpm / 10_000)} %` : ''
  const spread = errors > 0 ? 'in 8 of 10 cases' : 'a guess'
  const basis = slots > 0 ? `by ${plural(slots, 'slot')} of trades` : 'by what hosts ask for: nothing was traded yet'
  const prices = `${formatCredits(likely)} credits for a core-hour (${formatCredits(low)} to ${formatCredits(high)}, ${spread})`
  return `${prices} from ${timeOf(slot)}, ${basis}${fee}`
}

function failureReason({ failure, success }: Wish, expected: number, attempts: number): string {
  const lost = `${short(failure * 100)} % of attempts are lost`
  const most = `at most ${attempts} for a task to be done with ${short(success * 100)} %`
  return `${lost}: ${short(expected)} attempts on average, ${most}`
}

function marketReason({ supplyMi, demandMi }: Forecast): string {
  if (demandMi === 0 && supplyMi === 0) return 'nothing is offered or wanted yet'
  const scarce = demandMi > supplyMi ? 'more is wanted than offered, so it may wait' : 'more is offered than wanted'
  return `${scarce} (${hoursOf(demandMi)} core-hours wanted, ${hoursOf(supplyMi)} offered)`
}

function cheaperReason(wished: Forecast, best: Forecast, likely: Amount): string {
  const share = short((1 - Number(best.likely) / Number(wished.likely)) * 100)
  const days = Math.floor(best.slot / SLOTS_PER_DAY) - Math.floor(wished.slot / SLOTS_PER_DAY)
  const when =
    days === 0 ? 'the same day' : days > 0 ? `${plural(days, 'day')} later` : `${plural(-days, 'day')} earlier`
  return `from ${timeOf(best.slot)} ${when} it would likely cost ${formatCredits(likely)} credits, ${share} % less`
}

function timeOf(slot: number): string {
  return `${slotName(slotOfDay(slot))} UTC`
}

function hoursOf(workMi: number): string {
  return short(workMi / CORE_HOUR_MI)
}

/** Three digits, or all of a whole number. */
function short(value: number): string {
  return String(value >= 100 ? Math.round(value) : Number(value.toPrecision(3)))
}

function plural(count: number | string, noun: string): string {
  return `${count} ${noun}${String(count) === '1' ? '' : 's'}`
}
