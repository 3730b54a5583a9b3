/**
 * A year of price slots with supply and demand that come and go: by the slot of the day, at weekends, and by a demand that
 * wanders. The same offers are traded by the auction, at random prices as in DeepMarket (2019), and at one price that never
 * changes; what a slot leaves goes on to the next one where its window does.
 */
import type { Random } from '../../../src/core/env.ts'
import { seededRandom } from '../../../src/core/random.ts'
import type { Entries } from '../../../src/market/auction/entries.ts'
import { type Cleared, clearRound } from '../../../src/market/auction/round.ts'
import { SLOTS_PER_DAY, slotAt, slotOfDay, slotStartMs } from '../../../src/market/offers/price-slot.ts'
import { paymentFor, worth } from '../../../src/market/offers/work.ts'
import { forecast } from '../../../src/market/prices/forecast.ts'
import { type History, withRound } from '../../../src/market/prices/history.ts'
import { mostWelfare } from '../../market/optimum.ts'
import { MEDIAN_COST, MEDIAN_VALUE, normal, offersOf } from '../../market/traders.ts'
import { priceFrom, roundOf, tradeAt, welfareOf, withOffers, workIn } from './trade.ts'

export const MARKETS = ['auction', 'random prices', 'one price'] as const
export type Market = (typeof MARKETS)[number]

export interface YearOptions {
  readonly seed: number
  readonly days: number
  /** Sellers, and buyers, that come in an average slot. */
  readonly traders: number
  /** Of so many slots one is held against the bound, which takes far longer than the auction. */
  readonly boundEvery: number
}

export interface SlotPrices {
  readonly slot: number
  readonly prices: Readonly<Record<Market, number | null>>
  /** What was forecast for the auction a day ahead. */
  readonly forecast: readonly [low: number, likely: number, high: number] | null
}

export interface YearResult {
  readonly markets: Readonly<Record<Market, { readonly welfare: number; readonly work: number }>>
  /** Of all that was wanted, in MI. */
  readonly wanted: number
  /** Slots that were held against the bound: the sums of what the auction reached, and of the bounds. */
  readonly reached: number
  readonly bound: number
  readonly offers: number
  readonly allocations: number
  /** Millicredits that the auction's buyers paid, and that sellers and allocator got. */
  readonly paid: string
  readonly got: string
  /** Allocations below a seller's price or above a buyer's. */
  readonly wronged: number
  readonly slots: readonly SlotPrices[]
}

/** Of 00-06, ... UTC: hosts lend at night, people want results by day. */
const SUPPLY = [1.3, 0.9, 0.8, 1]
const DEMAND = [0.5, 1, 1.4, 1.1]
const WEEKEND = { supply: 1.2, demand: 0.6 }
const WANDERING = { keeps: 0.95, step: 0.12 }
const FEE_PPM = 10_000
/** Rounds of a slot, one after the other: the second trades what the first one's price left. */
const ROUNDS = 2
/** Random prices are uniform from a half to twice the middle between costs and values. */
const MIDDLE = (MEDIAN_COST + MEDIAN_VALUE) / 2
const FIRST_SLOT = slotAt(Date.UTC(2026, 0, 5))

export function year(options: YearOptions): YearResult {
  const { seed, days, boundEvery } = options
  const random = seededRandom(`market ${seed}`)
  const nothing: Entries = { sells: [], buys: [] }
  const left: Record<Market, Entries> = { auction: nothing, 'random prices': nothing, 'one price': nothing }
  const sums = Object.fromEntries(MARKETS.map((market) => [market, { welfare: 0, work: 0 }])) as {
    [M in Market]: { welfare: number; work: number }
  }
  const totals = { wanted: 0, reached: 0, bound: 0, offers: 0, allocations: 0, wronged: 0 }
  let paid = 0n
  let got = 0n
  let history: History = []
  let wandering = 0
  const slots: SlotPrices[] = []
  for (let slot = FIRST_SLOT; slot < FIRST_SLOT + days * SLOTS_PER_DAY; slot++) {
    wandering = WANDERING.keeps * wandering + WANDERING.step * normal(random)
    const offers = offersOf(crowdIn(slot, options.traders, Math.exp(wandering)), random, `${slot}`)
    const told = forecast(historyBefore(history, slot - SLOTS_PER_DAY), 'process', slot)
    const posted = { 'random prices': randomPrice(random), 'one price': priceFrom(MIDDLE) }
    const prices: Record<Market, number | null> = { auction: null, 'random prices': null, 'one price': null }
    for (const market of MARKETS) {
      let entries = withOffers(left[market], offers, slotStartMs(slot), totals.offers)
      const isHeld = market === 'auction' && (slot - FIRST_SLOT) % boundEvery === 0
      if (isHeld) totals.bound += mostWelfare(entries, roundOf(slot))
      const before = { ...sums[market] }
      for (let round = 0; round < ROUNDS; round++) {
        const cleared =
          market === 'auction'
            ? clearRound(entries, roundOf(slot, FEE_PPM))
            : tradeAt(posted[market], entries, roundOf(slot))
        entries = cleared.rest
        sums[market].welfare += welfareOf(cleared.allocations)
        sums[market].work += workIn(cleared.allocations)
        if (round === 0) prices[market] = cleared.price === undefined ? null : Number(cleared.price)
        if (market !== 'auction') continue
        const payments = paymentsIn(cleared)
        paid += payments.paid
        got += payments.got
        totals.wronged += payments.wronged
        totals.allocations += cleared.allocations.length
        history = withRound(history, slot, cleared)
      }
      if (isHeld) totals.reached += sums[market].welfare - before.welfare
      left[market] = entries
    }
    totals.offers += offers.length
    for (const { terms } of offers) {
      if (terms.kind === 'buy') totals.wanted += terms.tasks * terms.replicas * terms.taskWorkMi
    }
    slots.push({ slot, prices, forecast: told ? [Number(told.low), Number(told.likely), Number(told.high)] : null })
  }
  return { markets: sums, ...totals, paid: `${paid}`, got: `${got}`, slots }
}

/** What was known when a slot was over. */
function historyBefore(history: History, last: number): History {
  return history.filter(({ slot }) => slot <= last)
}

function crowdIn(slot: number, traders: number, wandering: number) {
  const isWeekend = Math.floor((slot - FIRST_SLOT) / SLOTS_PER_DAY) % 7 >= 5
  const supply = SUPPLY[slotOfDay(slot)]! * (isWeekend ? WEEKEND.supply : 1)
  const demand = DEMAND[slotOfDay(slot)]! * (isWeekend ? WEEKEND.demand : 1) * wandering
  const sellers = Math.max(1, Math.round(traders * supply))
  const buyers = Math.max(1, Math.round(traders * demand))
  return { slot, sellers, buyers, demand: demand / supply, longestSlots: 2 }
}

function randomPrice(random: Random) {
  return priceFrom(MIDDLE * (0.5 + 1.5 * random.next()))
}

/** To the millicredit. */
function paymentsIn({ allocations }: Cleared): { paid: bigint; got: bigint; wronged: number } {
  let paid = 0n
  let got = 0n
  let wronged = 0
  for (const { workMi, price, sell, buy } of allocations) {
    const { cost, wage, fee } = paymentFor(price, workMi, FEE_PPM)
    paid += cost
    got += wage + fee
    if (wage < worth(sell.terms.minPrice, workMi)! || cost > worth(buy.terms.maxPrice, workMi)!) wronged++
  }
  return { paid, got, wronged }
}
