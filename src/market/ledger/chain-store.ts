/**
 * Where the finalized chain is kept: runs of blocks by height, an index of what moved each account, the last header of each
 * epoch, and snapshots of the state. The port; `chain-db.ts` is it on disk. A chain may begin at the end of an epoch: then the
 * headers of all epochs till then are there, the snapshot, and no block below.
 *
 * What is appended may be lost at a crash until `sync` has returned true, but only from the end: what is there is a whole chain.
 */
import type { Evidence } from './consensus/messages.ts'
import type { PublicKey } from './keys.ts'
import type { Place } from './ledger.ts'

/** `encodeRun` of blocks that are all of one epoch, of which the last `height`s are applied. */
export interface StoredRun {
  readonly firstHeight: number
  /** Of its last block that was applied: a filler is not. */
  readonly lastHeight: number
  readonly bytes: Uint8Array
}

/** That an operation has to do with an account. */
export interface Posting extends Place {
  readonly account: PublicKey
  /** Of the operation, where the account is the one that asked for it. */
  readonly nonce: number | undefined
  /** Millicredits that it added to the account; negative where it took. */
  readonly free: bigint
  readonly granted: bigint
}

/** Proof against whoever signed both messages, in an epoch. */
export interface KeptEvidence {
  readonly epoch: number
  readonly host: PublicKey
  readonly evidence: Evidence
}

/** Of the state after the block of this height. */
export interface Snapshot {
  readonly height: number
  /** To be read once; they end early when the snapshot is replaced meanwhile. */
  readonly chunks: Iterable<Uint8Array>
}

export interface ChainStore {
  /** Of the last block that is stored, or the base; 0: none. */
  readonly height: number
  /** The chain begins above this height; 0: with the genesis. */
  readonly base: number
  /**
   * Of an empty store: its chain begins at the end of an epoch, whose snapshot has been kept. `epochHeaders`: of that epoch and
   * all before it.
   */
  begin(base: number, epochHeaders: readonly Uint8Array[]): void
  /** Continues the chain. `epochHeader`: `EpochHeader` of the run's epoch, if that ends with it. */
  append(run: StoredRun, postings: readonly Posting[], epochHeader: Uint8Array | undefined): void
  /** Forgets all above this height, which is the end of a run; below the base, everything. */
  cut(height: number): void
  /**
   * Whole runs from the one with this height on, oldest first: as many as `maxBytes` holds, but one if there is any. None where
   * that one is below the base.
   */
  runs(height: number, limit: { readonly maxRuns: number; readonly maxBytes: number }): StoredRun[]
  /** Newest first. */
  postings(account: PublicKey, limit: { readonly limit: number; readonly before?: Place | undefined }): Posting[]
  /** Operations that an account asked for with this number, newest first; signs of life have numbers of their own. */
  askedWith(account: PublicKey, nonce: number): Place[]
  /** Of epochs `from` (default 0) to `until` - 1. */
  epochHeaders(until: number, from?: number): Uint8Array[]
  /** When it is whole it replaces those before, but for that of the base and that of the last epoch's end. */
  keepSnapshot(height: number, chunks: Iterable<Uint8Array>): Promise<void>
  /** The latest that is whole and not above the chain, nor above `until`. */
  snapshot(until?: number): Snapshot | undefined
  /** Of a banker that has lied. The first of each host in an epoch. */
  keepEvidence(epoch: number, host: PublicKey, evidence: Evidence): void
  evidence(): KeptEvidence[]
  /** False: another process reads the chain just now, so what came last may still be lost. Try again later. */
  sync(): boolean
  close(): void
}
