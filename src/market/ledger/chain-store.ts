/**
 * Where the finalized chain is kept: runs of blocks by height, an index of what moved each account, the last header of each
 * epoch, and a snapshot of the state. The port; `chain-db.ts` is it on disk.
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

export interface ChainStore {
  /** Of the last block that is stored; 0: none. */
  readonly height: number
  /** Continues the chain. `epochHeader`: `EpochHeader` of the run's epoch, if that ends with it. */
  append(run: StoredRun, postings: readonly Posting[], epochHeader: Uint8Array | undefined): void
  /** Forgets all above this height, which is the end of a run. */
  cut(height: number): void
  /** Whole runs from the one with this height on, oldest first: as many as `maxBytes` holds, but one if there is any. */
  runs(height: number, limit: { readonly maxRuns: number; readonly maxBytes: number }): StoredRun[]
  /** Newest first. */
  postings(account: PublicKey, limit: { readonly limit: number; readonly before?: Place | undefined }): Posting[]
  /** Operations that an account asked for with this number, newest first; signs of life have numbers of their own. */
  askedWith(account: PublicKey, nonce: number): Place[]
  /** Of epochs 0 to `until` - 1. */
  epochHeaders(until: number): Uint8Array[]
  /** Replaces the one before when it is whole. */
  keepSnapshot(height: number, chunks: Iterable<Uint8Array>): Promise<void>
  /** The latest that is whole and not above the chain. */
  snapshot(): { readonly height: number; readonly chunks: Iterable<Uint8Array> } | undefined
  /** Of a banker that has lied. The first of each host in an epoch. */
  keepEvidence(epoch: number, host: PublicKey, evidence: Evidence): void
  evidence(): KeptEvidence[]
  /** False: another process reads the chain just now, so what came last may still be lost. Try again later. */
  sync(): boolean
  close(): void
}
