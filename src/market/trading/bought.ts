/**
 * A job that was bought here, as the journal keeps it, and what it has cost: the sums over its allocations. Pure. The ledger
 * forgets what is closed after a day, so what came of each is kept here.
 */
import type { Key } from '../../core/ids.ts'
import { formatCredits } from '../ledger/credits.ts'
import { type Allocation, worthOf } from '../ledger/state/allocations/allocation.ts'
import { type Amount, minus, plus, ZERO } from '../ledger/state/amount.ts'
import { FEE_PPM } from '../ledger/state/book/book.ts'
import { offerIn } from '../ledger/state/book/offers.ts'
import { total } from '../ledger/state/purse.ts'
import type { Booked } from '../ledger/state/state.ts'
import type { Buy } from '../offers/offer.ts'
import { withoutFee, worth } from '../offers/work.ts'
import type { PurchasedPart } from './market.ts'

/** Parts of one purchase that are kept. */
const MAX_PARTS = 256

/** An allocation of a purchase, as it was last seen. */
export interface Part extends PurchasedPart {
  /** What it costs at most. */
  readonly price: Amount
  readonly fee: Amount
  /** In its escrow. */
  readonly locked: Amount
  readonly isOpen: boolean
}

export type Failure = 'not-placed' | 'credits'

export interface Bought {
  readonly job: string
  /** `jobKeyOf` its spec. */
  readonly key: Key
  /** The offer, as it was signed, and its id. */
  readonly offer: Uint8Array
  readonly id: Key
  readonly maxCost: Amount
  /** As `formatVerify` writes it. */
  readonly verify: string
  readonly tasks: number
  readonly fromMs: number
  readonly deadlineMs: number
  /** The job has a result, and its tasks are still done a further time by others. */
  readonly succeeded?: true
  /** Absent: it goes on. `why`: no more copies of its tasks are made, though some are lacking. */
  readonly over?: { readonly reason: string; readonly failure?: Failure; readonly why?: string }
  /** Nothing is open any more. */
  readonly settled?: true
  /** At most `MAX_PARTS`. */
  readonly parts: readonly Part[]
}

export function isOver({ phase }: Pick<Allocation, 'phase'>): boolean {
  return phase.name === 'closed'
}

export function partOf(id: Key, allocation: Allocation): Part {
  const { supplier, host, phase, tasks, paid, tested, price, fee, escrow } = allocation
  const outcome = phase.name === 'closed' ? phase.outcome : undefined
  return {
    allocation: id,
    account: supplier,
    host,
    state: outcome ?? phase.name,
    tasks,
    paidTasks: paid,
    paid: worthOf(allocation, paid),
    tested,
    isConvicted: outcome === 'cheated',
    price,
    fee,
    locked: total(escrow),
    isOpen: outcome === undefined,
  }
}

/**
 * The purchase with its allocations as they are now. What the ledger has forgotten stays as it was, but is over. The same
 * object when nothing has changed.
 */
export function withParts(bought: Bought, all: Iterable<readonly [Key, Allocation]>): Bought {
  const now = new Map<Key, Part>()
  const { account } = offerIn(bought.offer)!
  for (const [id, allocation] of all) {
    if (allocation.customer === account && allocation.job === bought.key) now.set(id, partOf(id, allocation))
  }
  const known = new Set(bought.parts.map(({ allocation }) => allocation))
  const kept = bought.parts.map((part) => {
    const found = now.get(part.allocation)
    if (found) return isSame(found, part) ? part : found
    return part.isOpen ? { ...part, isOpen: false, locked: ZERO, state: 'ended' } : part
  })
  const fresh = [...now.values()].filter(({ allocation }) => !known.has(allocation))
  if (fresh.length === 0 && kept.every((part, i) => part === bought.parts[i])) return bought
  return { ...bought, parts: [...kept, ...fresh].slice(-MAX_PARTS) }
}

/** Its journal is not written for every step of a contract. */
export function isWorthWriting(before: Bought, now: Bought): boolean {
  const closed = ({ parts }: Bought) => parts.filter(({ isOpen }) => !isOpen).length
  return closed(now) !== closed(before)
}

function isSame(a: Part, b: Part): boolean {
  return a.state === b.state && a.paidTasks === b.paidTasks && a.tested === b.tested && a.locked === b.locked
}

/**
 * Why copies of tasks of which nothing came are not in the book again, and no others either, while nothing is open. The ledger
 * gives back none where the customer was not there or lost a quarrel (allocations/settle.ts).
 */
export function whyDropped({ parts }: Pick<Bought, 'parts'>): { readonly failure: Failure; readonly reason: string } {
  const has = (outcome: string) => parts.some(({ state }) => state === outcome)
  if (has('unstable')) {
    return {
      failure: 'not-placed',
      reason: 'a task of the job gives other results each time it is done: nobody can check it',
    }
  }
  if (has('wronged')) {
    return {
      failure: 'not-placed',
      reason: 'a quarrel over a result was lost: this host finds other results than most do',
    }
  }
  if (has('unsigned')) return { failure: 'not-placed', reason: 'a contract was not signed in time' }
  return {
    failure: 'credits',
    reason: 'the account has too few credits for what was offered: the ledger has dropped the offer',
  }
}

/** Copies of its tasks: how many were found good and paid, of how many. */
export function copiesOf({ offer, parts }: Pick<Bought, 'offer' | 'parts'>) {
  const { tasks, replicas } = offerIn(offer)!.terms as Buy
  const paid = parts.reduce((sum, { paidTasks }) => sum + paidTasks, 0)
  return { paid, all: tasks * replicas, tasks, replicas }
}

export function hasAllCopies(bought: Pick<Bought, 'offer' | 'parts'>): boolean {
  const { paid, all } = copiesOf(bought)
  return paid >= all
}

/** Is each task to be done by several? */
export function isCopied(bought: Pick<Bought, 'offer' | 'parts'>): boolean {
  return copiesOf(bought).replicas > 1
}

export interface Sums {
  readonly paid: Amount
  readonly fees: Amount
  readonly locked: Amount
  /** What it may come to cost with what is contracted now. */
  readonly exposed: Amount
  readonly open: number
  readonly convicted: number
}

export function sumsOf({ parts }: Pick<Bought, 'parts'>): Sums {
  let sums: Sums = { paid: ZERO, fees: ZERO, locked: ZERO, exposed: ZERO, open: 0, convicted: 0 }
  for (const { paid, fee, locked, price, isOpen, isConvicted } of parts) {
    const more = isOpen ? minus(price, paid) : ZERO
    sums = {
      paid: plus(sums.paid, paid),
      fees: plus(sums.fees, fee),
      locked: plus(sums.locked, locked),
      exposed: plus(plus(plus(sums.exposed, paid), fee), more),
      open: sums.open + (isOpen ? 1 : 0),
      convicted: sums.convicted + (isConvicted ? 1 : 0),
    }
  }
  return sums
}

/** Why what is left to place can no longer be paid for within the cap, in words; undefined: it can. */
export function overspent(
  bought: Bought,
  { left, fresh, maxPrice }: Pick<Booked, 'left' | 'fresh' | 'maxPrice'>,
): string | undefined {
  const { taskWorkMi } = offerIn(bought.offer)!.terms as Buy
  const { exposed } = sumsOf(bought)
  // No fee is paid twice for a copy.
  const paidFor = left - Math.min(left, fresh)
  const wages = worth(withoutFee(maxPrice, FEE_PPM), BigInt(paidFor) * BigInt(taskWorkMi)) ?? bought.maxCost
  const costs = worth(maxPrice, BigInt(left - paidFor) * BigInt(taskWorkMi)) ?? bought.maxCost
  const rest = wages + costs
  if (exposed + rest <= bought.maxCost) return undefined
  const spent = `${formatCredits(exposed)} of ${formatCredits(bought.maxCost)} credits are used up`
  const more = `${left} task${left === 1 ? '' : 's'} left to place might cost ${formatCredits(rest)} more`
  return `the cap is too low for tasks that must be done again: ${spent}, and ${more}`
}
