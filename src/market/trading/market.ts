/**
 * The market as a node's user has it (DESIGN 10): prices, the book, a quote for a job, jobs that are paid for, and what was
 * charged for them. The command line and the HTTP API talk to this.
 */
import type { Key } from '../../core/ids.ts'
import type { JobRequest, JobView } from '../../mapreduce/types.ts'
import type { PublicKey } from '../ledger/keys.ts'
import type { Outcome } from '../ledger/ledger.ts'
import type { Allocation } from '../ledger/state/allocations/allocation.ts'
import type { Amount } from '../ledger/state/amount.ts'
import type { Buy, Level, Sell } from '../offers/offer.ts'
import type { Forecast } from '../prices/forecast.ts'
import type { SlotRecord } from '../prices/history.ts'
import type { Quote } from '../prices/quote.ts'
import type { VerifyPolicy } from '../verification/policy.ts'

export interface Market {
  /** For this slot and the next seven. */
  prices(): PriceView
  /** What was traded in each slot, the latest last, as the ledger has kept it. */
  history(): readonly SlotRecord[]
  /** What is offered and wanted now. */
  book(): BookView
  /**
   * What a job would cost. One of its tasks is done here, to see how long it takes. Rejects with `usage`, `user-code` and
   * `not-found` as `Jobs.submit` does.
   */
  quote(request: JobRequest, terms: QuoteTerms, options: { readonly signal: AbortSignal }): Promise<JobQuote>
  /**
   * Submits the job and bids for it, never more than `maxCost` in all. Rejects as `quote` does, and with `credits` when the cap
   * is below the low end of the quote, or above what the account has.
   */
  submit(request: JobRequest, terms: PaidTerms, options: { readonly signal: AbortSignal }): Promise<JobView>
  /** Of a job that was submitted and is paid for here; undefined: it is none, or that was long ago. */
  purchase(job: string): Purchase | undefined
  /** The id of the job that an allocation is of, if this host knows it: it has bought it, or done some of it. */
  jobOf(allocation: Pick<Allocation, 'customer' | 'job'>): string | undefined
  /** What this host does for others for money, and has done since it started. */
  sales(): readonly Sale[]
  /**
   * This host does tasks again when others quarrel, or does no more; what it lacks of the network's bond is put up first. Resolves
   * with the last outcome (`nothing-new`: it was so already), and rejects as `Wallet.act` does.
   */
  volunteer(willing: boolean, options: { readonly signal: AbortSignal }): Promise<Outcome>
}

/** When: as soon as somebody does it, in the cheapest of the next slots, or in the next slot with this name (`06-12`, UTC). */
export type When = 'now' | 'cheapest' | '00-06' | '06-12' | '12-18' | '18-24'

export interface QuoteTerms {
  readonly verify: VerifyPolicy
  readonly when: When
}

export interface PaidTerms extends QuoteTerms {
  /** Millicredits, fees included; what mediators get when this customer loses a dispute comes out of its bond. */
  readonly maxCost: Amount
  /** When results are worth nothing any more; undefined: an hour after it may begin. */
  readonly deadlineMs?: number
}

export interface PriceView {
  readonly atMs: number
  readonly slots: ReadonlyArray<{
    readonly slot: number
    readonly fromMs: number
    readonly untilMs: number
    /** Undefined: nothing was traded so far. */
    readonly forecast: Readonly<Record<Level, Forecast | undefined>>
  }>
  /** Of the last round in which anything was traded. */
  readonly last: { readonly slot: number; readonly atMs: number; readonly price: Amount } | undefined
}

export interface BookView {
  readonly sells: ReadonlyArray<OfferView<Sell>>
  readonly buys: ReadonlyArray<OfferView<Buy>>
}

export interface OfferView<T> {
  readonly id: Key
  readonly account: PublicKey
  readonly isOwn: boolean
  readonly expiresMs: number
  readonly terms: T
  /** In the ledger's book; else it is on the bulletin board only. */
  readonly isBooked: boolean
  /** Of a buyer: copies of tasks that nobody has taken. */
  readonly left?: number
}

export interface JobQuote extends Quote {
  readonly tasks: number
  /** Of one task, as it was measured here, with what is added so that a host that is a little slower can keep to its time. */
  readonly taskWorkMi: number
  /** No price is known yet: it is what suppliers ask for who let the market decide. */
  readonly isGuess: boolean
}

export type PurchaseState =
  /** Nobody has been found for all of its tasks. */
  | 'bidding'
  /** All tasks are with suppliers. */
  | 'running'
  /** The job has a result, or is over, and what was done of it, or is done of it by others, is still checked or paid. */
  | 'settling'
  /** Nothing is open any more. */
  | 'settled'

/** A job that was bought. */
export interface Purchase {
  readonly job: string
  /** As the ledger names it, in offers and contracts. */
  readonly key: Key
  readonly state: PurchaseState
  /** What is being waited for, or what came of it, in one line. */
  readonly reason: string
  /**
   * Why the market has given the job up, and cancelled it: suppliers for all tasks were not found by the deadline, or the account
   * has not enough. Undefined: it has not.
   */
  readonly failure?: 'not-placed' | 'credits' | undefined
  readonly maxCost: Amount
  /** So far. */
  readonly paid: Amount
  readonly fees: Amount
  /** Locked in allocations now; what is not earned of it comes back. */
  readonly locked: Amount
  readonly tasks: number
  readonly suppliers: readonly PurchasedPart[]
}

/** An allocation of a job, now or in the past. */
export interface PurchasedPart {
  readonly allocation: Key
  readonly account: PublicKey
  readonly host: PublicKey
  /** As in `Phase`, or how it ended. */
  readonly state: string
  readonly tasks: number
  readonly paidTasks: number
  readonly paid: Amount
  /** Tasks that were done again here. */
  readonly tested: number
  /** It was found to have cheated: what it brought is not to be trusted. */
  readonly isConvicted: boolean
}

/** An allocation of this host's, for somebody's job. */
export interface Sale {
  readonly allocation: Key
  readonly customer: PublicKey
  readonly job: Key
  /** The job's own id; undefined: this host does not know it. */
  readonly jobId?: string | undefined
  readonly state: string
  readonly tasks: number
  readonly doneTasks: number
  readonly paidTasks: number
  readonly price: Amount
  readonly earned: Amount
  readonly deposit: Amount
  readonly deadlineMs: number
  /** A host that goes has to be back by then, or loses of its deposit: it owes a step, or its customer may ask for one. */
  readonly backByMs: number
}
