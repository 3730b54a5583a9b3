/**
 * What becomes of an offer while it is in the book. It leaves when it is withdrawn, sold, or not covered, and then all of its account
 * with its number or a lower one that are not in the book are refused: anybody has their bytes. A buyer's of which nothing is
 * left stays until it is withdrawn or too late for it: it holds the claims on its job (`allocations/claims.ts`), so that whoever
 * comes in the place of a supplier is not paid for what was paid before.
 */
import type { Key } from '../../../../core/ids.ts'
import type { Buy, UnsignedOffer } from '../../../offers/offer.ts'
import type { PublicKey } from '../../keys.ts'
import { type Allocation, claimId } from '../allocations/allocation.ts'
import { held, letGo } from '../allocations/claims.ts'
import { type Booked, type State, withOffer } from '../state.ts'
import { offerIn } from './offers.ts'

/** Of an account that gets no more copies of this job: more than any job has. */
const NO_MORE = Number.MAX_SAFE_INTEGER

/** One that is new. */
export function withBooked(state: State, id: Key, booked: Booked): State {
  return claimsOf(booked).reduce(held, withOffer(state, id, booked))
}

/** It is too late for it. It cannot come again. */
export function withoutBooked(state: State, id: Key): State {
  return claimsOf(state.book.get(id)!).reduce(letGo, withOffer(state, id, undefined))
}

/** It was withdrawn or sold out, or is not covered. Allocations that came of it go on. */
export function withSpent(state: State, id: Key): State {
  const { account, number } = offerIn(state.book.get(id)!.bytes)!
  const highest = Math.max(number, state.spent.get(account) ?? 0)
  return withoutBooked({ ...state, spent: state.spent.set(account, highest) }, id)
}

/** Has it left the book before its time, or one of its account that had a higher number? */
export function isSpent({ spent }: Pick<State, 'spent'>, { account, number }: Numbered): boolean {
  const highest = spent.get(account)
  return highest !== undefined && number <= highest
}

type Numbered = Pick<UnsignedOffer, 'account' | 'number'>

/** Its account cannot pay or stake what it offers. A buyer's of which something was placed holds on to its claims. */
export function withUncovered(state: State, id: Key): State {
  const booked = state.book.get(id)
  if (!booked) return state // sold out in the same round
  const { terms } = offerIn(booked.bytes)!
  const isPlaced = terms.kind === 'buy' && booked.fresh < terms.tasks * terms.replicas
  return isPlaced ? withOffer(state, id, { ...booked, left: 0 }) : withSpent(state, id)
}

/** A supplier has got so many copies of the job. */
export function withPlaced(state: State, id: Key, supplier: PublicKey, copies: number): State {
  const booked = state.book.get(id)!
  const { account, terms } = buyIn(booked)
  const rest = { ...booked, left: booked.left - copies, fresh: Math.max(0, booked.fresh - copies) }
  if (terms.replicas === 1) return withOffer(state, id, rest)
  const before = booked.placed.find(([owner]) => owner === supplier)?.[1]
  const placed = withCopies(booked.placed, supplier, (before ?? 0) + copies)
  const next = withOffer(state, id, { ...rest, placed })
  return before === undefined ? held(next, claimId({ customer: account, job: terms.job }, supplier)) : next
}

/**
 * Copies of which nothing came go to another supplier, if the offer is still there. `isShunned`: it is not to be this one, which
 * was at fault.
 */
export function withBack(state: State, allocation: Allocation, isShunned: boolean): State {
  const { offer: id, supplier, tasks, paid, replicas } = allocation
  const booked = state.book.get(id)
  if (!booked) return state
  const copies = tasks - paid
  const back = { ...booked, left: booked.left + copies }
  const has = booked.placed.find(([owner]) => owner === supplier)?.[1]
  if (isShunned || has === NO_MORE) {
    return withOffer(state, id, { ...back, placed: withCopies(booked.placed, supplier, NO_MORE) })
  }
  if (replicas === 1) return withOffer(state, id, back)
  const keeps = has! - copies
  const next = withOffer(state, id, { ...back, placed: withCopies(booked.placed, supplier, keeps) })
  return keeps === 0 ? letGo(next, claimId(allocation, supplier)) : next
}

function withCopies(placed: Booked['placed'], supplier: PublicKey, copies: number): Booked['placed'] {
  const at = placed.findIndex(([owner]) => owner === supplier)
  if (at < 0) return [...placed, [supplier, copies]]
  return copies === 0 ? placed.toSpliced(at, 1) : placed.with(at, [supplier, copies])
}

/** Ids of the claims that an offer holds. */
function claimsOf(booked: Booked): readonly Key[] {
  const { account: customer, terms } = offerIn(booked.bytes)!
  if (terms.kind === 'sell') return []
  const { job, replicas } = terms
  const own = replicas === 1 ? [] : booked.placed
  return [claimId({ customer, job }), ...own.map(([supplier]) => claimId({ customer, job }, supplier))]
}

function buyIn({ bytes }: Booked): { readonly account: PublicKey; readonly terms: Buy } {
  const { account, terms } = offerIn(bytes)!
  return { account, terms: terms as Buy }
}
