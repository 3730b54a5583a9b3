/** Which hosts do which part of which job, buyer after buyer: steps 2 and 4 of a round (`round.ts`). Prices are not made here. */
import type { PublicKey } from '../ledger/keys.ts'
import type { BuyEntry } from './entries.ts'
import type { Taken } from './fit.ts'
import { type Seller, Supply, type Wanted } from './supply.ts'

export interface Buyer {
  readonly entry: BuyEntry
  /** The highest seller's price that it agrees with. */
  readonly limit: number
}

export interface Window {
  readonly fromMs: number
  readonly untilMs: number
}

/** Hears of each part of a host that a job is given, and how many copies of tasks it is for. */
export type Given = (seller: Seller, buyer: Buyer, taken: Taken) => void

export interface Placed {
  /** With what is left of the sellers. */
  readonly supply: Supply
  /** Copies of tasks that are left of each buyer. */
  readonly left: readonly number[]
}

/** Sellers and buyers in the order in which they are asked and served. */
export function place(sellers: readonly Seller[], buyers: readonly Buyer[], window: Window, given: Given): Placed {
  const supply = new Supply(sellers)
  const left = buyers.map((buyer) => {
    const { terms, account, placed } = buyer.entry
    const copies = new Map<PublicKey, number>(placed)
    let { left } = buyer.entry
    for (const wanted of needsOf(buyer, window)) {
      for (let at = supply.next(wanted, 0); at >= 0 && left > 0; at = supply.next(wanted, at + 1)) {
        const seller = sellers[at]!
        const { account: owner } = seller.entry
        while (owner !== account) {
          const has = copies.get(owner) ?? 0
          const most = Math.min(left, terms.tasks - has)
          const taken = most > 0 ? supply.take(at, wanted, most) : undefined
          if (!taken) break
          left -= taken.tasks
          if (terms.replicas > 1) copies.set(owner, has + taken.tasks)
          given(seller, buyer, taken)
        }
      }
    }
    return left
  })
  return { supply, left }
}

/** In the order in which they are tried: in the time that it would best take, then in all of it. */
function needsOf(buyer: Buyer, window: Window): Wanted[] {
  const all = wantedBy(buyer, window)
  const { soonMs } = buyer.entry.terms
  const soon = { ...all, untilMs: all.fromMs + soonMs }
  const needs = soon.untilMs < all.untilMs ? [soon, all] : [all]
  return needs.flatMap((need) => [
    { ...need, forEveryCore: true },
    { ...need, forEveryCore: false },
  ])
}

export function wantedBy({ entry: { terms }, limit }: Buyer, window: Window): Wanted {
  const fromMs = Math.max(terms.fromMs, window.fromMs)
  const untilMs = Math.min(terms.untilMs, window.untilMs)
  return { ...terms, fromMs, untilMs, limit, forEveryCore: false }
}
