/**
 * What a core-hour will probably cost in a price slot, from what it did cost: simple enough to be told in a sentence.
 *
 *   ln(price) = level + season of the slot of the day + error
 *
 * The season of a slot of the day (00-06, ... UTC) is by how much its mean logarithm was above the mean of all in the last
 * four weeks. The level is what is left, smoothed exponentially: each slot moves it by 30 % of the difference. This is
 * classical multiplicative decomposition and simple exponential smoothing (Hyndman and Athanasopoulos, Forecasting: Principles
 * and Practice, 3rd ed., 3.4 and 8.1). The interval comes from the method's own past errors (ibid. 5.5): forecasts
 * as far ahead are made for the last two weeks with what was known then, and of their errors the 10 % and the 90 % points are
 * added. It holds in 8 of 10 cases as long as the market goes on as it did.
 *
 * For people and their caps, never for the ledger: it computes with logarithms.
 */
import { MAX_PRICE } from '../../core/limits.ts'
import type { Level } from '../offers/offer.ts'
import { SLOTS_PER_DAY, slotOfDay } from '../offers/price-slot.ts'
import type { History, SlotRecord } from './history.ts'

const SMOOTHING = 0.3
const ERROR_SLOTS = 14 * SLOTS_PER_DAY
/** With fewer errors nothing is known of the spread; then a half to twice the price. */
const LEAST_ERRORS = 8
const UNKNOWN_SPREAD = Math.LN2

export interface Forecast {
  readonly slot: number
  readonly resource: Level
  /** Millicredits for a core-hour of reference speed. 8 of 10 prices are from `low` to `high`. */
  readonly low: bigint
  readonly likely: bigint
  readonly high: bigint
  /** Slots with trades that it rests on, and errors that the interval does; 0: the interval is a guess. */
  readonly slots: number
  readonly errors: number
  /** In MI: means over the same slot of the day. */
  readonly supplyMi: number
  readonly demandMi: number
}

interface Point {
  readonly slot: number
  readonly logPrice: number
}

/** Undefined: nothing was traded in the last four weeks. A slot in the past is forecast as the next one. */
export function forecast(history: History, resource: Level, slot: number): Forecast | undefined {
  const records = history.filter((record) => record.resource === resource)
  const points = records.filter(({ workMi }) => workMi > 0n).map(pointOf)
  const last = points.at(-1)
  if (!last) return undefined
  const ahead = Math.max(1, slot - last.slot)
  const likely = predicted(points, slot)
  const errors = pastErrors(points, ahead).sort((a, b) => a - b)
  const known = errors.length >= LEAST_ERRORS
  const [below, above] = known ? [quantile(errors, 0.1), quantile(errors, 0.9)] : [-UNKNOWN_SPREAD, UNKNOWN_SPREAD]
  const alike = records.filter((record) => slotOfDay(record.slot) === slotOfDay(slot))
  const flows = alike.length > 0 ? alike : records
  return {
    slot,
    resource,
    low: priceOf(likely + Math.min(0, below)),
    likely: priceOf(likely),
    high: priceOf(likely + Math.max(0, above)),
    slots: points.length,
    errors: known ? errors.length : 0,
    supplyMi: mean(flows.map(({ workMi, unsoldMi }) => Number(workMi + unsoldMi))),
    demandMi: mean(flows.map(({ workMi, unservedMi }) => Number(workMi + unservedMi))),
  }
}

function pointOf({ slot, workMi, value }: SlotRecord): Point {
  return { slot, logPrice: Math.log(Number(value) / Number(workMi)) }
}

/** The logarithm of the price. */
function predicted(points: readonly Point[], slot: number): number {
  const seasons = seasonsOf(points)
  const rest = points.map(({ slot, logPrice }) => logPrice - seasons[slotOfDay(slot)]!)
  const level = rest.slice(1).reduce((level, value) => level + SMOOTHING * (value - level), rest[0]!)
  return level + seasons[slotOfDay(slot)]!
}

/** Of each slot of the day; 0 of one that was not traded in on two days at least. */
function seasonsOf(points: readonly Point[]): number[] {
  const all = mean(points.map(({ logPrice }) => logPrice))
  return Array.from({ length: SLOTS_PER_DAY }, (_, which) => {
    const own = points.filter(({ slot }) => slotOfDay(slot) === which)
    return own.length < 2 ? 0 : mean(own.map(({ logPrice }) => logPrice)) - all
  })
}

/** Of forecasts so many slots ahead, each made with what was known then. */
function pastErrors(points: readonly Point[], ahead: number): number[] {
  return points.slice(-ERROR_SLOTS).flatMap(({ slot, logPrice }) => {
    const known = points.filter((point) => point.slot <= slot - ahead)
    return known.length < SLOTS_PER_DAY ? [] : logPrice - predicted(known, slot)
  })
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

/** Of a sorted list: between the two values beside it, in proportion. */
function quantile(sorted: readonly number[], share: number): number {
  const at = share * (sorted.length - 1)
  const below = sorted[Math.floor(at)]!
  return below + (at - Math.floor(at)) * (sorted[Math.ceil(at)]! - below)
}

function priceOf(logPrice: number): bigint {
  return BigInt(Math.min(MAX_PRICE, Math.max(1, Math.round(Math.exp(logPrice)))))
}
