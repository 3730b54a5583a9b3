/** What is bid for a job, and to what that is raised, by the book as it is now. Pure. */
import type { PublicKey } from '../ledger/keys.ts'
import type { Amount } from '../ledger/state/amount.ts'
import { offerIn } from '../ledger/state/book/offers.ts'
import type { Booked, State } from '../ledger/state/state.ts'
import type { Buy } from '../offers/offer.ts'
import { slotAt } from '../offers/price-slot.ts'
import { type Bought, sumsOf } from './bought.ts'
import { bidFor, maxPriceFor, soonMsFor } from './buy-terms.ts'
import { asksFor, speedsFor } from './in-book.ts'
import { outlookOf } from './outlook.ts'

interface Buyer {
  readonly account: PublicKey
  readonly nowMs: number
}

/** `most`: at the highest price that its cap allows. `hosts`: with so many it can have contracts. */
export function bidOf(state: State, most: Buy, { account, nowMs, hosts }: Buyer & { readonly hosts: number }): Buy {
  const asks = asksFor(state, account, most, nowMs)
  const bid = { ...most, maxPrice: priceFor(state, most, asks, nowMs) }
  const speeds = speedsFor(state, account, bid, nowMs)
  return { ...bid, soonMs: soonMsFor(bid, speeds.slice(0, hosts)) }
}

function priceFor(state: State, most: Buy, asks: readonly Amount[], nowMs: number): Amount {
  const { likely } = outlookOf(state, nowMs, most.level, Math.max(slotAt(nowMs), slotAt(most.fromMs)))
  return bidFor(likely, asks, most.maxPrice)
}

/** The most that the cap still pays for what is not placed, beside what is contracted. */
export function affordablePrice(
  bought: Pick<Bought, 'maxCost' | 'offer' | 'parts'>,
  { left, fresh }: Pick<Booked, 'left' | 'fresh'>,
): Amount {
  const { taskWorkMi } = offerIn(bought.offer)!.terms as Buy
  const size = { tasks: Math.max(1, left), replicas: 1, taskWorkMi }
  return maxPriceFor(bought.maxCost - sumsOf(bought).exposed, size, Math.min(left, fresh))
}

/** The higher price at which hosts would do what is not placed for what is bid; undefined: there is none, or the cap is too low. */
export function raisedPrice(
  state: State,
  bought: Pick<Bought, 'maxCost' | 'offer' | 'parts'>,
  booked: Booked,
  { account, nowMs }: Buyer,
): Amount | undefined {
  const terms = offerIn(booked.bytes)!.terms as Buy
  const most = { ...terms, maxPrice: affordablePrice(bought, booked) }
  if (booked.left === 0 || most.maxPrice <= booked.maxPrice) return undefined
  const asks = asksFor(state, account, terms, nowMs, booked)
  // Only for hosts that the bid does not reach: what is likely may have risen meanwhile, and is no reason.
  const needed = bidFor(0n, asks, most.maxPrice)
  return needed > booked.maxPrice ? priceFor(state, most, asks, nowMs) : undefined
}
