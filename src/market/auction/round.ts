/**
 * One round of the double auction: offers in, one price for all and allocations out (DESIGN 10, PAPERS 9). A pure function in
 * whole numbers; the same offers give the same round on every host.
 *
 * The rule, which everybody may check:
 *
 * 1. *Order.* Buyers are served by price, the highest first; sellers are asked by price, the lowest first. Of equal prices the
 *    one that came into the book earlier is first. Nothing else decides: no hash of an offer and no order within a message, which
 *    could be tried out until they suit.
 * 2. *Matching.* A buyer takes what it needs from the sellers in turn, first from those that have its memory for every core, so
 *    that no cores lie idle for want of memory; then from the others. First each is asked for what it can do within the time that
 *    the buyer names (`soonMs`), so that a job is spread over as many hosts as it takes to be done so soon; what is left then
 *    may take all of the window. How much of a host it takes, and what is left of
 *    it, is told in `fit.ts`. So a long need is cut into sub-offers to several hosts, and a host is cut into sub-offers to
 *    several buyers; partial fills are what is left over. A host of the buyer's own account is passed over, and with replicas an
 *    account gets no more copies than there are tasks, so that none need do a task twice.
 * 3. *Price.* All are matched first wherever the seller's minimum is not above the buyer's maximum without the fee. Such a match
 *    agrees with the prices from that minimum to that maximum. Of all prices, those count at which the matches that agree are
 *    worth most, work times (maximum - minimum + 1): the lowest unbroken range of them. It is narrowed from above down to the
 *    lowest price at which a host that has something left could do it for a buyer who was matched, and from below up to the
 *    highest limit of a buyer with something left that some host could do: who is left out would not agree with the
 *    price. Neither leaves the range. The price of the round is in the middle, rounded down.
 * 4. *Trade.* Then all is matched again, as in 2, among those that agree with the price; that is what counts. Each
 *    allocation is paid at the one price (`work.ts`): buyers pay exactly what sellers and the allocator get.
 *
 * With equal hosts this is the k-double auction with k = 1/2 (Rustichini, Satterthwaite and Williams 1994): near the middle
 * an offer can move the price a little in its own favour, and the less the more offers there are. `npm run study -- market`
 * prints by how much, and how much of the best possible welfare is reached. No auction of this kind is truthful, efficient
 * and balanced at once (Myerson and Satterthwaite 1983).
 */
import type { Key } from '../../core/ids.ts'
import { type Amount, amount } from '../ledger/state/amount.ts'
import { withoutFee } from '../offers/work.ts'
import type { BuyEntry, Entries, SellEntry } from './entries.ts'
import { floorDiv, type Piece, type Taken } from './fit.ts'
import { type Buyer, place, wantedBy } from './place.ts'
import { type Seller, Supply } from './supply.ts'

export interface Round {
  /** The trading time: nothing outside of it is allocated. A price slot, or what is left of one. */
  readonly fromMs: number
  readonly untilMs: number
  /** The allocator's, of the price, in millionths. */
  readonly feePpm: number
}

/** Of a host, to a job. */
export interface Allocation {
  readonly sell: SellEntry
  readonly buy: BuyEntry
  /** The window, the cores and the memory, and how many copies of tasks they are for. */
  readonly taken: Taken
  readonly workMi: bigint
  /** Millicredits for a core-hour of reference speed, without the fee. */
  readonly price: Amount
}

export interface Cleared {
  /** Undefined: nothing was traded. */
  readonly price: Amount | undefined
  readonly allocations: readonly Allocation[]
  /** The offers again, with what is left of them; those with nothing left are gone. */
  readonly rest: Entries
}

export function clearRound(entries: Entries, round: Round): Cleared {
  const sellers = entries.sells
    .map((entry): Seller => ({ entry, price: Number(entry.terms.minPrice) }))
    .sort((a, b) => a.price - b.price || a.entry.sequence - b.entry.sequence)
  const buyers = entries.buys
    .map((entry): Buyer => ({ entry, limit: Number(withoutFee(entry.terms.maxPrice, round.feePpm)) }))
    .sort((a, b) => Number(b.entry.terms.maxPrice - a.entry.terms.maxPrice) || a.entry.sequence - b.entry.sequence)
  const agreed = priceOf(sellers, buyers, round)
  if (agreed === undefined) return { price: undefined, allocations: [], rest: entries }
  const price = amount(BigInt(agreed))
  const asked = sellers.filter((seller) => seller.price <= agreed)
  const served = buyers.filter(({ limit }) => limit >= agreed)
  const allocations: Allocation[] = []
  const { supply } = place(asked, served, round, ({ entry: sell }, { entry: buy }, taken) => {
    allocations.push({ sell, buy, taken, workMi: workOf(buy, taken), price })
  })
  const left = new Map(asked.map(({ entry }, i) => [entry.id, supply.pieces(i)]))
  return { price, allocations, rest: { sells: unsold(entries.sells, left), buys: unserved(entries.buys, allocations) } }
}

function workOf({ terms }: BuyEntry, { tasks }: Taken): bigint {
  return BigInt(tasks) * BigInt(terms.taskWorkMi)
}

/** Step 3. Undefined: there are no matches. */
function priceOf(sellers: readonly Seller[], buyers: readonly Buyer[], round: Round): number | undefined {
  // A match begins to agree at its seller's price, and ends above its buyer's.
  const changes = new Map<number, bigint>()
  const change = (price: number, worth: bigint) => changes.set(price, (changes.get(price) ?? 0n) + worth)
  const { supply, left } = place(sellers, buyers, round, (seller, { entry, limit }, taken) => {
    const worth = workOf(entry, taken) * BigInt(limit - seller.price + 1)
    change(seller.price, worth)
    change(limit + 1, -worth)
  })
  const range = mostAgreed(changes)
  if (!range) return undefined
  let { lowest, highest } = range
  const whole = new Supply(sellers)
  for (const [i, buyer] of buyers.entries()) {
    const { entry, limit } = buyer
    const wanted = wantedBy(buyer, round)
    if (left[i]! < entry.left) {
      const spare = supply.firstPrice(wanted, entry.account)
      if (spare !== undefined && spare >= range.lowest) highest = Math.min(highest, spare)
    }
    const isPassedOver = left[i]! > 0 && limit <= range.highest && limit > lowest
    if (isPassedOver && whole.firstPrice(wanted, entry.account) !== undefined) lowest = limit
  }
  return floorDiv(lowest + highest, 2)
}

/** The lowest unbroken range of prices with the highest sum of the changes up to there. */
function mostAgreed(changes: ReadonlyMap<number, bigint>): { lowest: number; highest: number } | undefined {
  const prices = [...changes.keys()].sort((a, b) => a - b)
  let worth = 0n
  let best = { worth: 0n, lowest: 0, highest: -1 }
  for (const [i, lowest] of prices.entries()) {
    worth += changes.get(lowest)!
    const highest = (prices[i + 1] ?? lowest) - 1
    if (worth > best.worth) best = { worth, lowest, highest }
    else if (worth === best.worth && lowest === best.highest + 1) best = { ...best, highest }
  }
  return best.worth === 0n ? undefined : best
}

function unsold(sells: readonly SellEntry[], left: ReadonlyMap<Key, readonly Piece[]>): SellEntry[] {
  return sells.flatMap((entry) => {
    const pieces = left.get(entry.id) ?? entry.pieces
    if (pieces === entry.pieces) return entry
    return pieces.length === 0 ? [] : { ...entry, pieces }
  })
}

function unserved(buys: readonly BuyEntry[], allocations: readonly Allocation[]): BuyEntry[] {
  const served = Map.groupBy(allocations, ({ buy }) => buy.id)
  return buys.flatMap((entry) => {
    const got = served.get(entry.id)
    if (!got) return entry
    const left = got.reduce((sum, { taken }) => sum - taken.tasks, entry.left)
    return left === 0 ? [] : { ...entry, left, placed: placedWith(entry, got) }
  })
}

/** Who has how many copies, in the order in which they got the first one. */
function placedWith({ terms, placed }: BuyEntry, got: readonly Allocation[]): BuyEntry['placed'] {
  if (terms.replicas === 1) return placed
  const copies = new Map(placed)
  for (const { sell, taken } of got) copies.set(sell.account, (copies.get(sell.account) ?? 0) + taken.tasks)
  return [...copies]
}
