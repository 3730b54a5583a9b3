/**
 * The book of offers, and what becomes of them (DESIGN 10). Anybody hands in signed offers, from the bulletin board or its own,
 * and earns the allocator's fee when one of them is matched. A match is an operation too: it clears one price slot by the double
 * auction (auction/round.ts) over what the book has, so nobody can leave out another's offer or bend the result. Each pair that
 * comes out of it is an allocation (`allocations/`), for which both sides pay in at once.
 */
import { hashKey, type Key } from '../../../../core/ids.ts'
import {
  MAX_BOOK_OFFERS,
  MAX_CLOSED_ALLOCATIONS,
  MAX_OFFERS_PER_ACCOUNT,
  MAX_ROUND_OFFERS,
} from '../../../../core/limits.ts'
import { type BuyEntry, type Entries, isSell, type SellEntry } from '../../../auction/entries.ts'
import { type Cleared, clearRound, type Allocation as Matched } from '../../../auction/round.ts'
import { offerId, priceFault, type Sell, timeFault } from '../../../offers/offer.ts'
import { SLOT_MS, slotStartMs } from '../../../offers/price-slot.ts'
import { paymentFor } from '../../../offers/work.ts'
import { depositFor, trustRate } from '../../../verification/auto.ts'
import type { PublicKey } from '../../keys.ts'
import { earn } from '../accounts.ts'
import { allocationId, LEAST_BOND, PATIENCE } from '../allocations/allocation.ts'
import { allocate } from '../allocations/work.ts'
import { type Amount, least, MAX_AMOUNT, minus, plus, ZERO } from '../amount.ts'
import { take } from '../purse.ts'
import {
  NO_RECORD,
  type Rule,
  type State,
  type Trade,
  withAccount,
  withAllocation,
  withOffer,
  withTrade,
} from '../state.ts'
import { isSpent, withBooked, withoutBooked, withPlaced, withSpent, withUncovered } from './bookings.ts'
import { entryIn, offerIn } from './offers.ts'

/** The allocators', of the price, in millionths. */
export const FEE_PPM = 10_000
/** In so many windows the work of an allocation is committed to, so that less is at stake at once. */
export const WINDOWS = 8
/**
 * From one round of a slot to the next, in block time, and how far ahead a slot may begin: what rounds cost is bounded, also
 * that of rounds of which nothing comes.
 */
export const ROUND_MS = 2000
const AHEAD_MS = 2 * 24 * 3_600_000
/** Millicredits of one window: deposits are up to some hundred times as much, and must be amounts. */
const MAX_STAKE = 2n ** 50n
/** How often a round begins anew without the offers that turned out not to be covered. */
const ATTEMPTS = 4

/**
 * By anybody, who becomes the allocator of what is new and good among these. Signatures have been checked with the operation's
 * own. Refused is what brings nothing.
 */
export const handIn: Rule<'hand-in'> = (state, { account, action }) => {
  const next = action.offers.reduce((before, bytes) => booked(before, bytes, account), state)
  return next === state ? 'no-offer' : next
}

function booked(state: State, bytes: Uint8Array, allocator: PublicKey): State {
  const offer = offerIn(bytes)
  if (!offer || offer.network !== state.network || timeFault(offer, state.timeMs) !== undefined) return state
  const { account, terms } = offer
  const id = offerId(offer)
  const isNew = state.accounts.get(account) !== undefined && state.book.get(id) === undefined && !isSpent(state, offer)
  const isOwn = terms.kind === 'buy' || state.hosts.get(terms.host) === account
  const hasRoom = state.book.size < MAX_BOOK_OFFERS && (state.offersOf.get(account) ?? 0) < MAX_OFFERS_PER_ACCOUNT
  if (!(isNew && isOwn && hasRoom)) return state
  const left = terms.kind === 'buy' ? terms.tasks * terms.replicas : 0
  const pieces = terms.kind === 'sell' ? [piecesOf(terms)] : []
  const { sequence } = state
  const maxPrice = terms.kind === 'buy' ? terms.maxPrice : ZERO
  const rest = { maxPrice, left, fresh: left, placed: [], pieces }
  return withBooked({ ...state, sequence: sequence + 1 }, id, { bytes, allocator, sequence, ...rest })
}

function piecesOf({ fromMs, untilMs, coresMilli, memoryBytes }: Sell): SellEntry['pieces'][number] {
  return { fromMs, untilMs, coresMilli, memoryBytes }
}

/** By the account of an offer: what is not matched of it is not wanted any more. */
export const withdrawOffer: Rule<'withdraw-offer'> = (state, { account, action: { offer: id } }) => {
  const known = state.book.get(id)
  if (!known) return 'no-offer'
  if (offerIn(known.bytes)!.account !== account) return 'not-allowed'
  return withSpent(state, id)
}

/** By the account of a buyer's offer: it pays up to so much from now on, for what is not placed. A price never goes down. */
export const raiseOffer: Rule<'raise-offer'> = (state, { account, action: { offer: id, maxPrice } }) => {
  const known = state.book.get(id)
  if (!known) return 'no-offer'
  const { account: owner, terms } = offerIn(known.bytes)!
  if (owner !== account || terms.kind !== 'buy') return 'not-allowed'
  if (maxPrice <= known.maxPrice || priceFault({ ...terms, maxPrice })) return 'bad-price'
  return withOffer(state, id, { ...known, maxPrice })
}

/**
 * By anybody: clears what trades in this price slot, if its last round was some time ago. It applies also when nothing comes of
 * it, so that the next one has to wait, and sweeps the book.
 */
export const match: Rule<'match'> = (state, { action: { slot } }) => {
  const window = { fromMs: Math.max(slotStartMs(slot), state.timeMs), untilMs: slotStartMs(slot) + SLOT_MS }
  if (window.untilMs <= state.timeMs || window.fromMs > state.timeMs + AHEAD_MS) return 'bad-deadline'
  if (state.book.size === 0) return 'nothing-to-match'
  const last = state.trades.get(tradeKey(slot))
  if (last && state.timeMs < last.atMs + ROUND_MS) return 'round-not-over'
  let book = withoutDead(withoutClosed(state))
  for (let attempt = 1; ; attempt++) {
    const entries = entriesIn(book, window)
    const cleared = clearRound(entries, { ...window, feePpm: FEE_PPM })
    const { next, traded, uncovered } = settledRound(book, entries, cleared)
    if (uncovered.size === 0 || attempt === ATTEMPTS) {
      const left = [...uncovered].reduce(withUncovered, traded.length > 0 ? next : book)
      return withTrade(left, tradeKey(slot), tradeOf(slot, state.timeMs, last, cleared.price, traded))
    }
    book = [...uncovered].reduce(withUncovered, book)
  }
}

/** All of it, but for pairs of which one side cannot pay or stake what it must: its offer is named. */
function settledRound(book: State, entries: Entries, { allocations, rest }: Cleared) {
  const uncovered = new Set<Key>()
  const traded: Matched[] = []
  let next = withRest(book, entries, rest)
  for (const matched of allocations) {
    const { buy, sell } = matched
    if (uncovered.has(buy.id) || uncovered.has(sell.id)) continue
    const made = placed(next, matched)
    if (typeof made === 'object') {
      next = made
      traded.push(matched)
    } else uncovered.add(made === 'customer' ? buy.id : sell.id)
  }
  return { next: withoutSoldOut(next, entries), traded, uncovered }
}

/** With one more allocation; or which side is not good for it. */
function placed(state: State, matched: Matched): State | 'customer' | 'supplier' {
  const charged = withFee(state, matched)
  if (!charged) return 'customer'
  const [paid, fee] = charged
  const { sell, buy, taken, price, workMi } = matched
  const { tasks, fromMs, untilMs } = taken
  const { wage } = paymentFor(price, workMi, FEE_PPM)
  const windowTasks = Math.ceil(tasks / WINDOWS)
  const trust = rateOf(paid, sell.account)
  const atStake = ((wage * BigInt(windowTasks)) / BigInt(tasks)) as Amount
  if (atStake > MAX_STAKE) return 'supplier'
  // Whatever the buyer wants to be tested: who tests little wants to find cheaters, not to deter them by what they put up.
  const needed = depositFor(trust, { tasks: windowTasks, payment: atStake })
  if (needed === undefined) return 'supplier'
  // A host may be slower than it was when it was measured: half as long again is no fault, where the buyer has the time.
  const late = Math.floor((untilMs - fromMs) / 2)
  const { sequence } = paid
  const taking = withPlaced({ ...paid, sequence: sequence + 1 }, buy.id, sell.account, tasks)
  return allocate(taking, allocationId(paid.network, sequence), {
    customer: buy.account,
    supplier: sell.account,
    host: sell.terms.host,
    offer: buy.id,
    job: buy.terms.job,
    jobTasks: buy.terms.tasks,
    replicas: buy.terms.replicas,
    tasks,
    price: wage,
    fee,
    windowTasks,
    taskWorkMi: buy.terms.taskWorkMi,
    rate: buy.terms.rate === 'auto' ? trust : buy.terms.rate,
    // Who cheats pays those who find it out, however little it was paid for.
    deposit: needed < LEAST_BOND ? LEAST_BOND : needed,
    bond: LEAST_BOND,
    untilMs: Math.max(untilMs, Math.min(untilMs + late, buy.terms.untilMs)) + PATIENCE.lastWindow,
  })
}

/** Least share of its tasks that must be tested, ppm. */
function rateOf({ records }: State, supplier: PublicKey): number {
  const { verified, failed, deserted } = records.get(supplier) ?? NO_RECORD
  return trustRate({ verified, failed, timedOut: deserted })
}

/**
 * Half to the allocator of each offer; who handed in its own pays itself nothing. Copies that come back from a supplier of whom
 * nothing came are free the next time. With what the buyer has paid; undefined: it has not as much.
 */
function withFee(state: State, { buy, sell, price, taken }: Matched): [State, Amount] | undefined {
  const fresh = Math.min(taken.tasks, state.book.get(buy.id)!.fresh)
  const { fee } = paymentFor(price, BigInt(fresh) * BigInt(buy.terms.taskWorkMi), FEE_PPM)
  const half = (fee / 2n) as Amount
  const parts: readonly (readonly [Key, Amount])[] = [
    [sell.id, half],
    [buy.id, minus(fee, half)],
  ]
  let paid = state
  let charged = ZERO
  for (const [id, part] of parts) {
    const { allocator } = state.book.get(id)!
    if (allocator === buy.account || part === ZERO) continue
    const payer = paid.accounts.get(buy.account)!
    const taken = take(payer, part)
    if (!taken) return undefined
    paid = withAccount(paid, buy.account, { ...payer, ...taken.rest })
    paid = withAccount(paid, allocator, earn(paid.accounts.get(allocator)!, part))
    charged = plus(charged, part)
  }
  return [paid, charged]
}

// What the book has -------------------------------------------------------------------------------------------------

/** Without offers that cannot be matched any more. */
function withoutDead(state: State): State {
  let next = state
  for (const [id, { bytes }] of state.book.entries()) {
    if (timeFault(offerIn(bytes)!, state.timeMs) !== undefined) next = withoutBooked(next, id)
  }
  return next
}

/** Without allocations that were closed long ago, or a little earlier when there are very many. */
function withoutClosed(state: State): State {
  const closed: { readonly id: Key; readonly deadlineMs: number }[] = []
  for (const [id, { phase }] of state.allocations.entries()) {
    if (phase.name === 'closed') closed.push({ id, deadlineMs: phase.deadlineMs })
  }
  closed.sort((a, b) => b.deadlineMs - a.deadlineMs)
  return closed.reduce((next, { id, deadlineMs }, at) => {
    const isKept = deadlineMs >= state.timeMs && at < MAX_CLOSED_ALLOCATIONS
    return isKept ? next : withAllocation(next, id, undefined)
  }, state)
}

/** Offers for this time, the best-priced of each side as far as a round can look at them. */
function entriesIn({ book }: State, window: { readonly fromMs: number; readonly untilMs: number }): Entries {
  const sells: SellEntry[] = []
  const buys: BuyEntry[] = []
  for (const [id, booked] of book.entries()) {
    const entry = entryIn(id, booked)
    const { fromMs, untilMs } = entry.terms
    if (fromMs >= window.untilMs || untilMs <= window.fromMs) continue
    if (isSell(entry)) sells.push(entry)
    else if (entry.left > 0) buys.push(entry)
  }
  const byPrice = (a: bigint, b: bigint) => (a < b ? -1 : a > b ? 1 : 0)
  sells.sort((a, b) => byPrice(a.terms.minPrice, b.terms.minPrice) || a.sequence - b.sequence)
  buys.sort((a, b) => byPrice(b.terms.maxPrice, a.terms.maxPrice) || a.sequence - b.sequence)
  return { sells: sells.slice(0, MAX_ROUND_OFFERS), buys: buys.slice(0, MAX_ROUND_OFFERS) }
}

/** With what a round has left of the sellers that it has looked at. */
function withRest(state: State, looked: Entries, { sells }: Entries): State {
  const left = new Map(sells.map(({ id, pieces }) => [id, pieces]))
  return looked.sells.reduce((next, { id, pieces }) => {
    const rest = left.get(id) ?? []
    return rest === pieces ? next : withOffer(next, id, { ...next.book.get(id)!, pieces: rest })
  }, state)
}

function withoutSoldOut(state: State, { sells }: Entries): State {
  const isSoldOut = ({ id }: SellEntry) => state.book.get(id)!.pieces.length === 0
  return sells.filter(isSoldOut).reduce((next, { id }) => withSpent(next, id), state)
}

// What was traded ---------------------------------------------------------------------------------------------------

export function tradeKey(slot: number): Key {
  return hashKey(`chorale trades ${slot}`)
}

function tradeOf(
  slot: number,
  atMs: number,
  last: Trade | undefined,
  price: Amount | undefined,
  traded: readonly Matched[],
): Trade {
  let { workMi, wages } = last ?? { workMi: ZERO, wages: ZERO }
  for (const { workMi: work, price } of traded) {
    workMi = least((workMi + work) as Amount, MAX_AMOUNT)
    wages = least((wages + paymentFor(price, work, FEE_PPM).wage) as Amount, MAX_AMOUNT)
  }
  return { slot, atMs, workMi, wages, price: price ?? last?.price ?? ZERO }
}
