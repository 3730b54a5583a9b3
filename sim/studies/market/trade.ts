/** Trading in a price slot: by the auction, or at a price that somebody has set, as markets without an auction do. */
import {
  type BuyEntry,
  type Entries,
  entryOf,
  isBuy,
  isSell,
  type SellEntry,
} from '../../../src/market/auction/entries.ts'
import { type Allocation, type Cleared, clearRound, type Round } from '../../../src/market/auction/round.ts'
import { type Amount, amount } from '../../../src/market/ledger/state/amount.ts'
import { MIN_SERVICE_MS, timeFault, type UnsignedOffer } from '../../../src/market/offers/offer.ts'
import { slotStartMs } from '../../../src/market/offers/price-slot.ts'

export function roundOf(slot: number, feePpm = 0): Round {
  return { fromMs: slotStartMs(slot), untilMs: slotStartMs(slot + 1), feePpm }
}

/** What is left of earlier slots, and these. `before`: how many offers have come so far. */
export function withOffers(left: Entries, offers: readonly UnsignedOffer[], nowMs: number, before: number): Entries {
  const fresh = offers.map((offer, i) => entryOf(offer, before + i)).filter((entry) => !timeFault(entry, nowMs))
  const open = ({ terms }: SellEntry | BuyEntry) =>
    terms.untilMs - nowMs >= (terms.kind === 'buy' ? terms.minServiceMs : MIN_SERVICE_MS)
  return {
    sells: [...left.sells.filter(open), ...fresh.filter(isSell)],
    buys: [...left.buys.filter(open), ...fresh.filter(isBuy)],
  }
}

/** Who agrees with the price trades at it, whoever came first: a round in which all ask and bid just that. */
export function tradeAt(price: Amount, entries: Entries, round: Round): Cleared {
  const sells = entries.sells.filter(({ terms }) => terms.minPrice <= price)
  const buys = entries.buys.filter(({ terms }) => terms.maxPrice >= price)
  const told = {
    sells: sells.map((entry) => ({ ...entry, terms: { ...entry.terms, minPrice: price } })),
    buys: buys.map((entry) => ({ ...entry, terms: { ...entry.terms, maxPrice: price } })),
  }
  const cleared = clearRound(told, round)
  const trueSells = new Map(sells.map((entry) => [entry.id, entry]))
  const trueBuys = new Map(buys.map((entry) => [entry.id, entry]))
  const restSells = new Map(cleared.rest.sells.map((entry) => [entry.id, entry.pieces]))
  const restBuys = new Map(cleared.rest.buys.map((entry) => [entry.id, entry]))
  return {
    price: cleared.price,
    allocations: cleared.allocations.map((one): Allocation => {
      return { ...one, sell: trueSells.get(one.sell.id)!, buy: trueBuys.get(one.buy.id)! }
    }),
    rest: {
      sells: entries.sells.flatMap((entry) => {
        if (!trueSells.has(entry.id)) return entry
        const pieces = restSells.get(entry.id)
        return pieces ? { ...entry, pieces } : []
      }),
      buys: entries.buys.flatMap((entry) => {
        if (!trueBuys.has(entry.id)) return entry
        const rest = restBuys.get(entry.id)
        return rest ? { ...entry, left: rest.left, placed: rest.placed } : []
      }),
    },
  }
}

/** Work times what it is worth less what it costs, in MI x millicredits: the sum of what all who trade gain. */
export function welfareOf(allocations: readonly Allocation[]): number {
  return allocations.reduce((sum, { workMi, sell, buy }) => {
    return sum + Number(workMi) * Number(buy.terms.maxPrice - sell.terms.minPrice)
  }, 0)
}

export function workIn(allocations: readonly Allocation[]): number {
  return allocations.reduce((sum, { workMi }) => sum + Number(workMi), 0)
}

export function priceFrom(millicredits: number): Amount {
  return amount(BigInt(Math.max(1, Math.round(millicredits))))
}
