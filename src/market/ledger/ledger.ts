/**
 * The ledger as a node has it (DESIGN 9): what commands, the HTTP API and the market use, whether the node has a seat in the
 * committee or only follows. The driver implements it; tests have a ledger of one that decides at once.
 */
import { ChoraleError } from '../../core/errors.ts'
import type { Key } from '../../core/ids.ts'
import type { Genesis } from './genesis.ts'
import type { PublicKey } from './keys.ts'
import type { Locked } from './locked.ts'
import type { Receipt, ReceiptFile } from './receipt/receipt.ts'
import type { Amount } from './state/amount.ts'
import type { Operation } from './state/operation.ts'
import type { Result } from './state/refusal.ts'
import type { Account, Banker, Escrow, State } from './state/state.ts'

export interface Ledger {
  readonly genesis: Genesis
  /** The network's id: the hash of the genesis. */
  readonly network: Key

  /** After the last block of this node's own copy, which may lag. A value: it never changes, the next block makes another. */
  readonly state: State

  /** Calls after every block of this node's own copy, until what it gives is called. */
  onBlock(listener: () => void): () => void

  /** As this node knows it: one without a seat hears late that nothing is decided, unless it looks. */
  status(): LedgerStatus

  /** Asks the bankers whether they are there, for `status`; who has a seat does so anyway. Some seconds at most. Never rejects. */
  look(): Promise<void>

  /**
   * As of now (linearizable): it shows every operation that was final when the call was made. Undefined: the account has not
   * been opened. Rejects `timeout` when too few bankers answer by the signal's end. This node's own copy is as new then.
   */
  account(account: PublicKey, options: { readonly signal: AbortSignal }): Promise<AccountView | undefined>

  /** The same in this node's own copy, which may lag. */
  accountHere(account: PublicKey): AccountView | undefined

  /** What of an account's credits is locked, in this node's own copy. */
  locked(account: PublicKey): Locked

  /** The account that a host is linked to, in this node's own copy, which may lag. */
  accountOf(host: PublicKey): PublicKey | undefined

  /** Every linked host with its account, in this node's own copy. */
  hosts(): Iterable<readonly [host: PublicKey, account: PublicKey]>

  /** The bond of a host, in this node's own copy; undefined: it has none. */
  banker(host: PublicKey): Banker | undefined

  /** In this node's own copy. Undefined: it was never opened, or it is closed. */
  escrow(id: Key): Escrow | undefined

  /**
   * Brings an operation in, and resolves when it is final and this node's own copy has its block. Bytes that are in the
   * ledger already give the receipt that they have, if this node still keeps it: to submit the same bytes again is harmless.
   * Rejects `InDoubt` (the operation may still come in: only the same bytes are safe to submit again), `timeout` (no answer
   * as of now: it was not sent), `busy` (the queue of operations is full) and `unreachable` (no banker can be reached: it was
   * not sent).
   */
  submit(operation: Uint8Array, options: { readonly signal: AbortSignal }): Promise<Outcome>

  /** What moved this account or was asked by it, newest first, in this node's own copy. `before`: older than this place. */
  history(account: PublicKey, options: { readonly limit: number; readonly before?: Place }): Promise<HistoryEntry[]>

  /** Undefined: there is no such operation. Rejects `not-found` when it is older than what this node's copy begins with. */
  receipt(place: Place): Promise<ReceiptFile | undefined>
}

/** Some banker may have the operation: it may still come in, or it never does. Code `timeout`. */
export class InDoubt extends ChoraleError {
  constructor() {
    super('timeout', 'it is not final yet: it may still come in, so only the same bytes are safe to submit again')
    this.name = 'InDoubt'
  }
}

/** Where an operation is in the ledger: `index` counts the operations of a block from 0. */
export interface Place {
  readonly height: number
  readonly index: number
}

/** Without a receipt it is in no block and never was: the ledger is as it was before, and says why. */
export type Outcome =
  | { readonly result: Result; readonly receipt: Receipt }
  | { readonly result: Exclude<Result, 'applied'>; readonly receipt: undefined }

export interface LedgerStatus {
  /** This node's copy begins above this height, with a snapshot; 0: with the genesis. */
  readonly base: number
  /** Of the last block in this node's copy; 0 before the first. */
  readonly height: number
  /** Of the consensus, in this epoch. */
  readonly view: number
  readonly epoch: number
  readonly blockTimeMs: number
  /** Hosts that decide now, in the order of their keys. */
  readonly committee: readonly PublicKey[]
  /** The index of this host in it; undefined: it has no seat. */
  readonly seat: number | undefined
  readonly minted: Amount
  readonly burnt: Amount
  readonly accounts: number
  /** Operations that wait here to be decided on. */
  readonly pending: number
  /** Blocks that this copy is behind the highest that it has heard of. */
  readonly lag: number
  /** Why nothing is decided, in one line; undefined when all is well. */
  readonly halted: string | undefined
}

export interface AccountView extends Account {
  /** Linked to it, in the order of their keys. */
  readonly hosts: readonly PublicKey[]
  /** Of the block that this is the state after. */
  readonly height: number
}

export interface HistoryEntry extends Place {
  /** Of the block, milliseconds since the epoch. */
  readonly timeMs: number
  readonly operation: Operation
  readonly result: Result
  /** What it added to the account's free and granted credits; negative where it took. */
  readonly effect: { readonly free: bigint; readonly granted: bigint }
}

/**
 * Asks members of the overlay, one after the other, for the genesis of their ledger. Resolves with the first that fits; with one
 * that does not, if every member has told one and none fits. Rejects `unreachable` when a member that was silent may have one.
 * What it is worth is for the asker to judge.
 */
export type FetchGenesis = (options: {
  readonly signal: AbortSignal
  fits(genesis: Genesis): boolean
}) => Promise<Genesis>
