/**
 * Made-up traders: hosts that would sell and jobs that would buy, as offers of a price slot, with what a core-hour really costs the
 * one and is worth to the other as their prices. Sizes and prices are log-normal, windows begin and end at quarters of an
 * hour. Nobody knows the distributions of a market that is not there yet: these are wide enough for memory, levels,
 * windows and replicas to matter.
 */

import type { Random } from '../../src/core/env.ts'
import { hashKey } from '../../src/core/ids.ts'
import { MAX_OFFER_LIFE_MS } from '../../src/core/limits.ts'
import { amount } from '../../src/market/ledger/state/amount.ts'
import type { Buy, Sell, UnsignedOffer } from '../../src/market/offers/offer.ts'
import { SLOT_MS, slotStartMs } from '../../src/market/offers/price-slot.ts'

/** Medians, in millicredits for a core-hour of reference speed. */
export const MEDIAN_COST = 1000
export const MEDIAN_VALUE = 1500
/** Of the logarithms of costs and values. */
const PRICE_SPREAD = 0.5

const GIB = 2 ** 30
const QUARTER_MS = SLOT_MS / 24
const NETWORK = hashKey('made-up market')

export interface Crowd {
  readonly slot: number
  readonly sellers: number
  readonly buyers: number
  /** Work wanted, over what these hosts can do in the slot. */
  readonly demand: number
  /** The longest window, in slots: what is left after one is traded in the next. */
  readonly longestSlots: number
  /** All hosts alike, all day, with one task a job that any of them can do: only prices differ. */
  readonly alike?: boolean
}

/** Each of an account of its own, under `label`. Sellers and buyers in turn, so that neither side comes first. */
export function offersOf(crowd: Crowd, random: Random, label: string): UnsignedOffer[] {
  const sells = Array.from({ length: crowd.sellers }, (_, i) => offer(`${label} seller ${i}`, sell(crowd, random)))
  const room = sells.reduce((sum, { terms }) => sum + capacityIn(terms, crowd.slot), 0)
  const meanWork = (room * crowd.demand) / crowd.buyers
  const buys = Array.from({ length: crowd.buyers }, (_, i) =>
    offer(`${label} buyer ${i}`, buy(crowd, random, meanWork)),
  )
  const rank = (i: number, count: number) => (i + 0.5) / count
  const ranked = [
    ...sells.map((one, i) => [rank(i, sells.length), one] as const),
    ...buys.map((one, i) => [rank(i, buys.length), one] as const),
  ]
  return ranked.sort(([a], [b]) => a - b).map(([, one]) => one)
}

function offer<T extends Sell | Buy>(owner: string, terms: T): UnsignedOffer<T> {
  return { network: NETWORK, account: hashKey(owner), number: 0, expiresMs: terms.untilMs, terms }
}

function sell(crowd: Crowd, random: Random): Sell {
  const { alike = false } = crowd
  const cores = alike ? 4 : pick(random, [1, 2, 2, 4, 4, 4, 8, 8, 16])
  return {
    kind: 'sell',
    host: hashKey(random.bytes(32)),
    coresMilli: cores * 1000,
    speedMips: alike ? 2000 : 1000 + random.int(5000),
    memoryBytes: cores * (alike ? 8 : pick(random, [1, 2, 2, 4, 8])) * GIB,
    storeBytes: 0,
    level: alike || random.next() < 0.6 ? 'os' : 'process',
    ...windowOf(crowd, random),
    minPrice: amount(BigInt(logNormal(random, MEDIAN_COST, PRICE_SPREAD))),
  }
}

function buy(crowd: Crowd, random: Random, meanWork: number): Buy {
  const { alike = false } = crowd
  const taskWorkMi = alike ? 120_000 : logNormal(random, 120_000, 0.7)
  const replicas = alike ? 1 : pick(random, [1, 1, 1, 2, 3])
  const work = alike ? meanWork : meanWork * Math.exp(0.8 * normal(random) - 0.32)
  const window = windowOf(crowd, random)
  return {
    kind: 'buy',
    job: hashKey(random.bytes(32)),
    tasks: Math.max(1, Math.round(work / taskWorkMi / replicas)),
    taskWorkMi,
    memoryBytes: alike ? GIB : pick(random, [0.25, 0.5, 1, 1, 2, 4]) * GIB,
    replicas,
    maxPrice: amount(BigInt(logNormal(random, MEDIAN_VALUE, PRICE_SPREAD))),
    deadlineMs: window.untilMs,
    minServiceMs: 60_000 * (alike ? 1 : pick(random, [1, 5, 10, 30])),
    soonMs: MAX_OFFER_LIFE_MS,
    rate: 'auto',
    level: alike || random.next() < 0.7 ? 'process' : 'os',
    ...window,
  }
}

/** At least an hour, and at least half an hour of it in the slot. */
function windowOf({ slot, longestSlots, alike = false }: Crowd, random: Random): { fromMs: number; untilMs: number } {
  const startMs = slotStartMs(slot)
  if (alike) return { fromMs: startMs, untilMs: startMs + SLOT_MS }
  const quarters = 4 + random.int(24 * longestSlots - 3)
  const latest = Math.min(22, Math.max(0, 24 * longestSlots - quarters))
  const from = Math.min(latest, Math.max(0, random.int(32) - 8))
  return { fromMs: startMs + from * QUARTER_MS, untilMs: startMs + (from + quarters) * QUARTER_MS }
}

/** In MI. */
function capacityIn({ coresMilli, speedMips, fromMs, untilMs }: Sell, slot: number): number {
  const ms = Math.min(untilMs, slotStartMs(slot + 1)) - Math.max(fromMs, slotStartMs(slot))
  return (coresMilli * speedMips * ms) / 1e6
}

export function normal(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next())
}

function logNormal(random: Random, median: number, spread: number): number {
  return Math.max(1, Math.round(median * Math.exp(spread * normal(random))))
}

function pick<T>(random: Random, values: readonly T[]): T {
  return values[random.int(values.length)]!
}
