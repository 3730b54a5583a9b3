/** What trading needs of the rest of a host. */
import type { Env } from '../../core/env.ts'
import type { Key } from '../../core/ids.ts'
import type { Redo } from '../../mapreduce/ports.ts'
import type { JobSpec } from '../../mapreduce/spec.ts'
import type { JobRequest, Jobs } from '../../mapreduce/types.ts'
import type { KeyPair, Verify } from '../ledger/keys.ts'
import type { Ledger } from '../ledger/ledger.ts'
import type { Allocation } from '../ledger/state/allocations/allocation.ts'
import type { Wallet } from '../ledger/wallet.ts'
import type { Lent } from '../lending/lender.ts'
import type { Speed } from '../lending/speed.ts'
import type { Level } from '../offers/offer.ts'
import type { VerifyPolicy } from '../verification/policy.ts'
import type { Bought } from './bought.ts'

interface Call {
  readonly signal: AbortSignal
}

/** The bulletin board. What it gives is by anybody. */
export interface OfferBoard {
  /** Rejects when nobody takes it. */
  post(offer: Uint8Array, options: Call): Promise<unknown>
  read(slot: number, options: Call): Promise<readonly Uint8Array[]>
  /** It is over: it is not put back any more. */
  forget(offer: Key): void
}

/** What drives the allocations of this account (DESIGN 10). */
export interface Contracts {
  /** In which this account has a part, closed ones included. */
  all(): Iterable<readonly [Key, Allocation]>
  /** Of the job that an allocation is of, if this host knows it. */
  specHere(allocation: Pick<Allocation, 'customer' | 'job'>): JobSpec | undefined
  /** Before a job is offered: it checks what its suppliers bring. */
  remember(spec: JobSpec, policy: VerifyPolicy): void
  /** The job is over, or not wanted any more: its running allocations are ended. */
  release(job: Key): void
}

/** This host's lending. */
export interface Lending {
  /** What is lent now. Undefined: nothing that could be sold. */
  lent(): Promise<Lent | undefined>
  /** Takes some seconds. Rejects with `config` where foreign code cannot be run. */
  measure(options: Call): Promise<Speed>
}

export interface TradingPorts {
  readonly env: Env
  readonly ledger: Ledger
  readonly wallet: Pick<Wallet, 'account' | 'host' | 'act' | 'volunteer'>
  /** Of the account: signs its offers. */
  readonly keys: KeyPair
  readonly verify: Verify
  readonly board: OfferBoard
  readonly lending: Lending
  readonly contracts: Contracts
  readonly jobs: Pick<Jobs, 'submit' | 'watch' | 'cancel' | 'spec'>
  /** The spec of a job that is only tried. Rejects as `Jobs.submit` does. */
  plan(request: JobRequest, options: Call): Promise<JobSpec>
  readonly redo: Redo
  /** Isolation that a job of this host asks for. */
  levelOf(spec: JobSpec): Level
  readonly journal: { readonly kept: readonly Bought[]; keep(bought: readonly Bought[]): void }
}
