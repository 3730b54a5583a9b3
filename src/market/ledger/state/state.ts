/**
 * The state of the ledger: who has what, after a block. A value that never changes: an operation makes a new one that shares
 * all but a few branches with the old one, so a proposer may try operations and keep the state that it likes.
 *
 * All credits are in accounts, escrows and bonds. `held` is what these hold together: whoever writes one of
 * them adds the difference, without asking why. What is made and burnt is counted apart. So after every block
 * held = minted - burnt is a check of every operation in it, and costs nothing.
 */
import { encode } from '../../../core/cbor.ts'
import { invariant } from '../../../core/errors.ts'
import { hashKey, type Key } from '../../../core/ids.ts'
import { type Genesis, mintedAtGenesis, networkOf, type Settings } from '../genesis.ts'
import type { PublicKey } from '../keys.ts'
import { type Amount, amount, minus, plus, ZERO } from './amount.ts'
import { type ByAccount, NOTHING_BY_ACCOUNT, withCount, withLink, withoutLink } from './by-account.ts'
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
}

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
  /** Millicredits that all accounts, escrows and bonds hold; in the middle of an operation more or less than exist. */
  readonly held: bigint
  /** The account of each linked host. */
  readonly hosts: Tree<PublicKey>
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
  return { ...state, held, bankers: banker ? state.bankers.set(host, banker) : state.bankers.delete(host) }
}

type Holder = Account | Escrow | Banker

function heldAfter({ held }: State, before: Holder | undefined, after: Holder | undefined): bigint {
  return held - heldBy(before) + heldBy(after)
}

function heldBy(holder: Holder | undefined): Amount {
  if (!holder) return ZERO
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

/** What all accounts, escrows and bonds hold, counted one by one: for `ledger verify` and snapshots. */
export function recount({ accounts, escrows, bankers }: Holdings): bigint {
  let sum = 0n
  for (const tree of [accounts, escrows, bankers] as const) {
    for (const [, holder] of tree.entries()) sum += heldBy(holder)
  }
  return sum
}

/** One hash over all of it. Pays for the branches that were touched since the last one. */
export function stateRoot(state: State): Key {
  const { network, height, timeMs, epoch, epochBeganMs, committee, minted, burnt } = state
  const trees = [state.accounts.root, state.escrows.root, state.bankers.root, state.hosts.root]
  const books = [network, height, timeMs, epoch, epochBeganMs, committee, minted, burnt]
  return hashKey(encode(['chorale state', ...books, ...trees]))
}
