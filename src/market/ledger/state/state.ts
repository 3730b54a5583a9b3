/**
 * The state of the ledger: who has what, after a block. A value that never changes: an operation makes a new one that shares
 * all but a few branches with the old one, so a proposer may try operations and keep the state that it likes.
 *
 * All credits are in accounts, escrows, bonds and allocations. `held` is what these hold together: whoever writes one of
 * them adds the difference, without asking why. What is made and burnt is counted apart. So after every block
 * held = minted - burnt is a check of every operation in it, and costs nothing.
 */
import { encode } from '../../../core/cbor.ts'
import { invariant } from '../../../core/errors.ts'
import { hashKey, type Key } from '../../../core/ids.ts'
import { MAX_TRADE_SLOTS } from '../../../core/limits.ts'
import type { Piece } from '../../auction/fit.ts'
import { type Genesis, mintedAtGenesis, networkOf, type Settings } from '../genesis.ts'
import type { PublicKey } from '../keys.ts'
import type { Allocation } from './allocations/allocation.ts'
import type { Claims } from './allocations/claims.ts'
import { type Amount, amount, minus, plus, ZERO } from './amount.ts'
import { accountOf, type ByAccount, NOTHING_BY_ACCOUNT, withCount, withLink, withoutLink } from './by-account.ts'
import type { ActionOf, Kind, Unsigned } from './operation.ts'
import { EMPTY_PURSE, type Purse, total } from './purse.ts'
import type { Refusal } from './refusal.ts'
import { Tree } from './tree.ts'

export interface Account extends Purse {
  /** Of its next operation. */
  readonly nonce: number
  /** Earned, and not used yet to free a granted credit. */
  readonly earned: Amount
}

export interface Escrow extends Purse {
  readonly payer: PublicKey
  readonly payees: readonly PublicKey[]
  readonly arbiter: PublicKey | null
  /** What it may come to hold, and what was put in so far. */
  readonly amount: Amount
  readonly funded: Amount
  /** Number of the next release. */
  readonly step: number
  readonly deadlineMs: number
}

/** A host with a bond: the purse is the bond. */
export interface Banker extends Purse {
  readonly account: PublicKey
  /** Given notice; may be withdrawn at `leavingAtMs`. */
  readonly leaving: Purse
  readonly leavingAtMs: number
  /** Stands for the committee. */
  readonly candidate: boolean
  /** The earliest epoch whose sign of life is still to come. */
  readonly nextBeat: number
  /** The first epoch for which the bond answers. */
  readonly since: number
}

export interface Holdings {
  readonly accounts: Tree<Account>
  readonly escrows: Tree<Escrow>
  readonly bankers: Tree<Banker>
  readonly allocations: Tree<Allocation>
}

/** What became of an account's work so far. */
export interface WorkRecord {
  /** Tasks. */
  readonly paid: number
  /** Of these, tasks that customers did again and approved. */
  readonly verified: number
  /** Allocations in which it was found guilty, or could not show its work. */
  readonly failed: number
  /** Allocations that it did not take up, gave up, or did not bring to their end in time. */
  readonly deserted: number
  /** As a mediator: disputes in which it found something else than most. */
  readonly outvoted: number
}

/** An offer in the book. */
export interface Booked {
  /** As it was signed. */
  readonly bytes: Uint8Array
  /** Who handed it in. */
  readonly allocator: PublicKey
  /** Whoever came first has the lower one. */
  readonly sequence: number
  /** Of a buyer: the most it pays, as it was signed or raised since. Of a seller 0. */
  readonly maxPrice: Amount
  /** Of a buyer: copies of tasks that are not placed, and such for which no fee was paid so far. */
  readonly left: number
  readonly fresh: number
  /** How many copies accounts have, if each task is done more than once; or that they get no more of them. */
  readonly placed: readonly (readonly [account: PublicKey, copies: number])[]
  /** Of a seller: what is not sold yet. */
  readonly pieces: readonly Piece[]
}

/** What was traded in a price slot so far. */
export interface Trade {
  readonly slot: number
  /** When its last round was. */
  readonly atMs: number
  /** Millions of instructions, and millicredits for them, at most what an amount can be. */
  readonly workMi: Amount
  readonly wages: Amount
  /** Of its last round in which anything was traded, for a core-hour of reference speed; 0: there was none. */
  readonly price: Amount
}

export const NO_RECORD: WorkRecord = Object.freeze({ paid: 0, verified: 0, failed: 0, deserted: 0, outvoted: 0 })

export interface State extends Holdings, ByAccount {
  readonly network: Key
  /** Of the genesis, and so part of `network`. */
  readonly settings: Settings
  /** Of the last block; 0 before the first. */
  readonly height: number
  /** Block time of the last block. Never goes back. */
  readonly timeMs: number
  readonly epoch: number
  readonly epochBeganMs: number
  /** Hosts that sign the next block, in the order of their keys. */
  readonly committee: readonly PublicKey[]
  readonly minted: Amount
  readonly burnt: Amount
  /** Millicredits that all accounts, escrows, bonds and allocations hold; in the middle of an operation more or less than exist. */
  readonly held: bigint
  /** The account of each linked host. */
  readonly hosts: Tree<PublicKey>
  /** By `claimId`. */
  readonly claims: Tree<Claims>
  /** Hosts with a bond that do tasks again when others quarrel, and since when. */
  readonly mediators: Tree<number>
  /** Of accounts that have supplied or mediated. */
  readonly records: Tree<WorkRecord>
  /** Offers, by `offerId`. */
  readonly book: Tree<Booked>
  /**
   * By account: the highest number of its offers that have left the book before their time. Who has the bytes of such a one could
   * hand it in again, and it would be matched twice; so new ones must have a higher number. Those in the book stay.
   */
  readonly spent: Tree<number>
  /** Of the next offer or allocation. */
  readonly sequence: number
  /** Of late price slots, by `tradeKey`. */
  readonly trades: Tree<Trade>
}

/** What an operation of this kind makes of the state. Its network, number and signatures are right. Never throws. */
export type Rule<K extends Kind> = (state: State, operation: Unsigned<ActionOf<K>>) => State | Refusal

export const NEW_ACCOUNT: Account = Object.freeze({ ...EMPTY_PURSE, nonce: 0, earned: ZERO })

export function genesisState(genesis: Genesis): State {
  const { settings, bankers, createdAtMs } = genesis
  let state: State = {
    network: networkOf(genesis),
    settings,
    height: 0,
    timeMs: createdAtMs,
    epoch: 0,
    epochBeganMs: createdAtMs,
    committee: bankers.map(({ host }) => host),
    minted: amount(mintedAtGenesis(genesis)),
    burnt: ZERO,
    held: 0n,
    accounts: Tree.empty(),
    escrows: Tree.empty(),
    bankers: Tree.empty(),
    hosts: Tree.empty(),
    allocations: Tree.empty(),
    claims: Tree.empty(),
    mediators: Tree.empty(),
    records: Tree.empty(),
    book: Tree.empty(),
    spent: Tree.empty(),
    sequence: 0,
    trades: Tree.empty(),
    ...NOTHING_BY_ACCOUNT,
  }
  for (const { host, account } of bankers) {
    state = withAccount(state, account, { ...NEW_ACCOUNT, granted: settings.grant, nonce: 1 })
    state = withHost(state, host, account)
    state = withBanker(state, host, { ...newBanker(account, 0), granted: settings.bond, candidate: true, nextBeat: 1 })
  }
  checkSupply(state)
  return state
}

export function newBanker(account: PublicKey, since: number): Banker {
  return { ...EMPTY_PURSE, account, leaving: EMPTY_PURSE, leavingAtMs: 0, candidate: false, nextBeat: 0, since }
}

export function withAccount(state: State, id: PublicKey, account: Account): State {
  const held = heldAfter(state, state.accounts.get(id), account)
  return { ...state, held, accounts: state.accounts.set(id, account) }
}

/** One that belongs to nobody. */
export function withHost(state: State, host: PublicKey, account: PublicKey): State {
  return { ...state, hosts: state.hosts.set(host, account), linked: withLink(state.linked, account, host) }
}

/** One that belongs to an account. */
export function withoutHost(state: State, host: PublicKey): State {
  const linked = withoutLink(state.linked, state.hosts.get(host)!, host)
  return { ...state, hosts: state.hosts.delete(host), linked }
}

/** Undefined: it is closed. Its payer is always the same. */
export function withEscrow(state: State, id: Key, escrow: Escrow | undefined): State {
  const before = state.escrows.get(id)
  const held = heldAfter(state, before, escrow)
  const escrows = escrow ? state.escrows.set(id, escrow) : state.escrows.delete(id)
  const change = escrows.size - state.escrows.size
  const { openEscrows } = state
  if (change === 0) return { ...state, held, escrows }
  return { ...state, held, escrows, openEscrows: withCount(openEscrows, (escrow ?? before)!.payer, change) }
}

/** Undefined: it has no bond any more. */
export function withBanker(state: State, host: PublicKey, banker: Banker | undefined): State {
  const held = heldAfter(state, state.bankers.get(host), banker)
  if (banker) return { ...state, held, bankers: state.bankers.set(host, banker) }
  return { ...state, held, bankers: state.bankers.delete(host), mediators: state.mediators.delete(host) }
}

/** Undefined: it is over. */
export function withAllocation(state: State, id: Key, allocation: Allocation | undefined): State {
  const held = heldAfter(state, state.allocations.get(id), allocation)
  const { allocations } = state
  return { ...state, held, allocations: allocation ? allocations.set(id, allocation) : allocations.delete(id) }
}

/** Undefined: nobody is contracted any more. */
export function withClaims(state: State, id: Key, claims: Claims | undefined): State {
  return { ...state, claims: claims ? state.claims.set(id, claims) : state.claims.delete(id) }
}

/** Undefined: it does so no longer. */
export function withMediator(state: State, host: PublicKey, sinceMs: number | undefined): State {
  const { mediators } = state
  return { ...state, mediators: sinceMs === undefined ? mediators.delete(host) : mediators.set(host, sinceMs) }
}

export function withRecord(state: State, account: PublicKey, record: WorkRecord): State {
  return { ...state, records: state.records.set(account, record) }
}

/** Undefined: it leaves. What holds claims is written by `book/bookings.ts`. */
export function withOffer(state: State, id: Key, offer: Booked | undefined): State {
  const { book, offersOf } = state
  const before = book.get(id)
  if (!before && !offer) return state
  const next = offer ? book.set(id, offer) : book.delete(id)
  const change = next.size - book.size
  if (change === 0) return { ...state, book: next }
  return { ...state, book: next, offersOf: withCount(offersOf, accountOf((offer ?? before)!.bytes), change) }
}

/** The oldest of too many is forgotten. */
export function withTrade(state: State, id: Key, trade: Trade): State {
  const trades = state.trades.set(id, trade)
  if (trades.size <= MAX_TRADE_SLOTS) return { ...state, trades }
  const [oldest] = [...trades.entries()].sort(([, a], [, b]) => a.slot - b.slot)
  return { ...state, trades: trades.delete(oldest![0]) }
}

type Holder = Account | Escrow | Banker | Allocation

function heldAfter({ held }: State, before: Holder | undefined, after: Holder | undefined): bigint {
  return held - heldBy(before) + heldBy(after)
}

function heldBy(holder: Holder | undefined): Amount {
  if (!holder) return ZERO
  if ('stake' in holder) return plus(total(holder.escrow), total(holder.stake))
  return 'leaving' in holder ? plus(total(holder), total(holder.leaving)) : total(holder)
}

/** Credits that exist. */
export function supplyOf({ minted, burnt }: State): Amount {
  return minus(minted, burnt)
}

export function hostsOf({ linked }: State, account: PublicKey): PublicKey[] {
  return [...(linked.get(account)?.entries() ?? [])].map(([host]) => host)
}

/** Asserts the conservation of supply, by the running sum. */
export function checkSupply(state: State): void {
  invariant(state.held === supplyOf(state), `the ledger holds ${state.held} of ${supplyOf(state)} millicredits`)
}

/** What all accounts, escrows, bonds and allocations hold, counted one by one: for `ledger verify` and snapshots. */
export function recount({ accounts, escrows, bankers, allocations }: Holdings): bigint {
  let sum = 0n
  for (const tree of [accounts, escrows, bankers, allocations] as const) {
    for (const [, holder] of tree.entries()) sum += heldBy(holder)
  }
  return sum
}

/** In the order in which they are hashed, and follow each other in snapshots. */
export const TREES = [
  'accounts',
  'escrows',
  'bankers',
  'hosts',
  'allocations',
  'claims',
  'mediators',
  'records',
  'book',
  'spent',
  'trades',
] as const satisfies readonly (keyof State)[]

/** One hash over all of it. Pays for the branches that were touched since the last one. */
export function stateRoot(state: State): Key {
  const { network, height, timeMs, epoch, epochBeganMs, committee, minted, burnt, sequence } = state
  const trees = TREES.map((name) => state[name].root)
  const books = [network, height, timeMs, epoch, epochBeganMs, committee, minted, burnt, sequence]
  return hashKey(encode(['chorale state', ...books, ...trees]))
}
