/** How a purchase stands, for its user: one state and one line. Pure. */
import { MAX_OFFERS_PER_ACCOUNT } from '../../core/limits.ts'
import type { JobView } from '../../mapreduce/types.ts'
import { formatCredits } from '../ledger/credits.ts'
import { FEE_PPM } from '../ledger/state/book/book.ts'
import { offerIn } from '../ledger/state/book/offers.ts'
import type { Booked, State } from '../ledger/state/state.ts'
import type { Buy } from '../offers/offer.ts'
import { slotAt, slotName, slotOfDay } from '../offers/price-slot.ts'
import { withoutFee } from '../offers/work.ts'
import { affordablePrice } from './bidding.ts'
import { type Bought, copiesOf, hasAllCopies, isCopied, sumsOf } from './bought.ts'
import { asksFor, liveEntries } from './in-book.ts'
import type { Purchase, PurchaseState } from './market.ts'

/** Why the purchase of a job that went well is over. */
export const SUCCEEDED = 'the job has succeeded'

export function purchaseOf(bought: Bought, state: State, nowMs: number): Purchase {
  const { job, over, maxCost, tasks, parts } = bought
  const { paid, fees, locked } = sumsOf(bought)
  return {
    job,
    key: bought.key,
    ...standingOf(bought, state, nowMs),
    ...(over?.failure && { failure: over.failure }),
    ...{ maxCost, paid, fees, locked, tasks },
    suppliers: parts.map(({ price, fee, locked, isOpen, ...part }) => part),
  }
}

function standingOf(bought: Bought, state: State, nowMs: number): { state: PurchaseState; reason: string } {
  const { over, settled, succeeded, parts } = bought
  const { open } = sumsOf(bought)
  if (settled) return { state: 'settled', reason: `${over?.reason ?? 'it is over'}${lackOf(bought)}` }
  if (over) {
    const left = open > 0 ? `, ${open} of ${plural(parts.length, 'contract')} still open` : ''
    return { state: 'settling', reason: `${over.reason}${left}` }
  }
  const booked = state.book.get(bought.id)
  const isPlaced = booked?.left === 0 && open > 0
  if (succeeded) {
    const waits = isPlaced ? atWork(bought) : whyBidding(bought, booked, state, nowMs)
    return { state: 'settling', reason: `${SUCCEEDED}, ${checkedOf(bought)} are checked: ${waits}` }
  }
  if (isPlaced) return { state: 'running', reason: atWork(bought) }
  return { state: 'bidding', reason: whyBidding(bought, booked, state, nowMs) }
}

/** Of a job that was to be done by several: the result stands, whatever copies are lacking. */
function lackOf(bought: Bought): string {
  const { over } = bought
  if (!isCopied(bought) || over?.reason !== SUCCEEDED || hasAllCopies(bought)) return ''
  return `, but only ${checkedOf(bought)} were compared${over.why === undefined ? '' : `: ${over.why}`}`
}

function checkedOf(bought: Bought): string {
  const { paid, all, tasks, replicas } = copiesOf(bought)
  if (paid % tasks > 0) return `${paid} of ${plural(all, 'copy', 'copies')} of its tasks`
  return `${paid / tasks} of ${plural(replicas, 'copy', 'copies')} of each task`
}

function atWork({ parts }: Bought): string {
  const suppliers = new Set(parts.map(({ host }) => host))
  const busy = new Set(parts.filter(({ isOpen, state }) => isOpen && state !== 'signing').map(({ host }) => host))
  return `${busy.size} of ${plural(suppliers.size, 'supplier')} at work`
}

function whyBidding(bought: Bought, booked: Booked | undefined, state: State, nowMs: number): string {
  const { fromMs, account, terms } = { ...offerIn(bought.offer)!, fromMs: bought.fromMs }
  const buy = terms as Buy
  const placed = sumsOf(bought).open > 0 ? `${atWork(bought)}; ` : ''
  if (!booked) {
    const has = state.offersOf.get(account) ?? 0
    if (has < MAX_OFFERS_PER_ACCOUNT) return `${placed}the offer is on its way into the book`
    return `${placed}${has} offers of this account are in the book: it waits until some are over`
  }
  const { left } = booked
  const some = placed === '' ? '' : `${left} of ${buy.tasks * buy.replicas} tasks are not placed: `
  const say = (why: string) => `${placed}${some}${why}`
  if (fromMs > nowMs) return say(`it waits for the slot ${slotName(slotOfDay(slotAt(fromMs)))} UTC`)
  const { sells } = liveEntries(state, nowMs)
  const others = sells.filter((entry) => entry.account !== account)
  if (others.length === 0) return say('no host offers anything now')
  // At the end of its time it is told what was lacking while there was some.
  const isLate = nowMs >= buy.untilMs - buy.minServiceMs
  const need = isLate ? { ...buy, untilMs: nowMs + buy.untilMs - buy.fromMs } : buy
  const asks = asksFor(state, account, need, nowMs, { ...booked, left: Math.max(1, left) })
  const [lowest] = asks
  const few = `each task is for ${plural(buy.replicas, 'host')} of different accounts, and too few offer it`
  if (lowest === undefined) {
    if (buy.replicas > 1 && asksFor(state, account, need, nowMs).length > 0) return say(few)
    return say(`of ${plural(others.length, 'offer')} none has the time, memory or isolation that the job needs`)
  }
  const limit = withoutFee(affordablePrice(bought, booked), FEE_PPM)
  if (lowest > limit) {
    const paid = `the cap pays ${formatCredits(limit)}`
    return say(
      `no host offers this for your price: the lowest is ${formatCredits(lowest)} credits for a core-hour, ${paid}`,
    )
  }
  const bid = withoutFee(booked.maxPrice, FEE_PPM)
  const dear = asks.find((ask) => ask > bid)
  if (dear !== undefined) {
    const asked = `hosts ask for ${formatCredits(dear)} credits for a core-hour or more`
    return say(
      `${asked}, ${dear > limit ? `the cap pays ${formatCredits(limit)}` : `${formatCredits(bid)} are bid now`}`,
    )
  }
  if (buy.replicas > 1 && asks.length * buy.tasks < left) return say(few)
  return say('it is matched in the next round')
}

export function saidOf({ state, reason }: JobView): string {
  if (state === 'succeeded') return 'succeeded'
  return state === 'cancelled' ? 'been cancelled' : `failed: ${reason}`
}

export function plural(count: number, noun: string, several = `${noun}s`): string {
  return `${count} ${count === 1 ? noun : several}`
}
