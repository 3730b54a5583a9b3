/**
 * What a trader gains by asking another price than the true one, while all others tell the truth: for each of some traders the
 * auction is run again with several false prices, and the best of them counts. Its gain is what it gets (or saves) over what the
 * work really costs it (or is worth to it). Only prices are bent, not sizes or windows.
 */

import type { Key } from '../../../src/core/ids.ts'
import { seededRandom } from '../../../src/core/random.ts'
import type { BuyEntry, Entries, SellEntry } from '../../../src/market/auction/entries.ts'
import { type Cleared, clearRound } from '../../../src/market/auction/round.ts'
import type { Amount } from '../../../src/market/ledger/state/amount.ts'
import { slotStartMs } from '../../../src/market/offers/price-slot.ts'
import { mostWelfare } from '../../market/optimum.ts'
import { offersOf } from '../../market/traders.ts'
import { priceFrom, roundOf, welfareOf, withOffers } from './trade.ts'

export interface GainOptions {
  readonly seed: number
  /** Sellers, and as many buyers. */
  readonly traders: number
  /** All hosts alike, see `Crowd`. */
  readonly alike: boolean
  /** Of each side, at most so many are tried. */
  readonly tried: number
  /** Is the bound on welfare computed too? */
  readonly bound: boolean
}

export interface GainResult {
  /** Of the sum of what the traders who were tried gain with the truth: what they gain more, each at its best. */
  readonly meanShare: number
  /** The largest gain, in shares of the welfare of all. */
  readonly largest: number
  readonly welfare: number
  readonly mostWelfare: number | null
}

const FALSE_PRICES = [0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 1.02, 1.05, 1.1, 1.2, 1.5, 2]
const SLOT = 80_000

export function gains({ seed, traders, alike, tried, bound }: GainOptions): GainResult {
  const random = seededRandom(`gains ${seed} ${traders} ${alike}`)
  const crowd = { slot: SLOT, sellers: traders, buyers: traders, demand: 1, longestSlots: 2, alike }
  const entries = withOffers({ sells: [], buys: [] }, offersOf(crowd, random, 'one'), slotStartMs(SLOT), 0)
  const truth = clearRound(entries, roundOf(SLOT))
  const welfare = welfareOf(truth.allocations)
  let honest = 0
  let more = 0
  let largest = 0
  for (const { id, terms } of [...entries.sells.slice(0, tried), ...entries.buys.slice(0, tried)]) {
    const own = terms.kind === 'sell' ? terms.minPrice : terms.maxPrice
    const before = gainOf(truth, id, own)
    const tries = FALSE_PRICES.map((factor) => {
      return gainOf(clearRound(withPrice(entries, id, priceFrom(Number(own) * factor)), roundOf(SLOT)), id, own)
    })
    const gain = Math.max(0, ...tries.map((after) => after - before))
    honest += before
    more += gain
    largest = Math.max(largest, gain)
  }
  return {
    meanShare: honest > 0 ? more / honest : 0,
    largest: welfare > 0 ? largest / welfare : 0,
    welfare,
    mostWelfare: bound ? mostWelfare(entries, roundOf(SLOT)) : null,
  }
}

function withPrice({ sells, buys }: Entries, id: Key, price: Amount): Entries {
  const lied = <E extends SellEntry | BuyEntry>(entry: E, terms: Partial<E['terms']>): E =>
    entry.id === id ? { ...entry, terms: { ...entry.terms, ...terms } } : entry
  return {
    sells: sells.map((entry) => lied(entry, { minPrice: price })),
    buys: buys.map((entry) => lied(entry, { maxPrice: price })),
  }
}

/** Of the one with this offer, in MI x millicredits. */
function gainOf({ allocations }: Cleared, id: Key, own: Amount): number {
  return allocations.reduce((sum, { sell, buy, workMi, price }) => {
    if (sell.id === id) return sum + Number(workMi) * Number(price - own)
    return buy.id === id ? sum + Number(workMi) * Number(own - price) : sum
  }, 0)
}
