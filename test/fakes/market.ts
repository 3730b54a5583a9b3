/** A market in which what the test says is so. */
import type { Key } from '../../src/core/ids.ts'
import type { JobRequest, JobView } from '../../src/mapreduce/types.ts'
import type { Outcome } from '../../src/market/ledger/ledger.ts'
import { amount } from '../../src/market/ledger/state/amount.ts'
import type {
  BookView,
  JobQuote,
  Market,
  PaidTerms,
  PriceView,
  Purchase,
  PurchasedPart,
  QuoteTerms,
  Sale,
} from '../../src/market/trading/market.ts'
import { keysOf } from './host-ledger.ts'

/** 06-12 UTC on 2 January 2026. */
export const SLOT = Date.UTC(2026, 0, 2, 6) / (6 * 3_600_000)
export const fromMs = Date.UTC(2026, 0, 2, 6)
export const idOf = (digit: string) => digit.repeat(64) as Key

export const QUOTE: JobQuote = {
  ...{ slot: SLOT, low: amount(200n), likely: amount(420n), high: amount(1500n), attempts: 2 },
  cheaper: { slot: SLOT + 2, likely: amount(300n) },
  reasons: ['100 tasks of 2.5 s on a core of 1000 MIPS: 0.0694 core-hours', 'more is offered than wanted'],
  ...{ tasks: 100, taskWorkMi: 2500, isGuess: false },
}

export function part(change: Partial<PurchasedPart> = {}): PurchasedPart {
  return {
    ...{ allocation: idOf('a'), account: keysOf(7).publicKey, host: keysOf(8).publicKey, state: 'running' },
    ...{ tasks: 100, paidTasks: 40, paid: amount(160n), tested: 4, isConvicted: false },
    ...change,
  }
}

export function purchase(change: Partial<Purchase> = {}): Purchase {
  return {
    ...{
      job: 'bafy',
      key: idOf('1'),
      state: 'settled',
      reason: 'all is paid',
      maxCost: amount(2000n),
      paid: amount(416n),
    },
    ...{ fees: amount(4n), locked: amount(0n), tasks: 100, suppliers: [part({ paidTasks: 100, tested: 10 })] },
    ...change,
  }
}

export class FakeMarket implements Market {
  readonly asked: unknown[] = []
  priceView: PriceView = { atMs: fromMs, slots: [], last: undefined }
  records: ReturnType<Market['history']> = []
  bookView: BookView = { sells: [], buys: [] }
  quoted: JobQuote = QUOTE
  readonly sold: Sale[] = []
  /** Told one after the other; the last one stays. */
  readonly purchases: Purchase[] = []
  readonly #jobs: { submit(request: JobRequest): Promise<JobView> }
  readonly #volunteer: Market['volunteer']

  constructor(jobs: { submit(request: JobRequest): Promise<JobView> }, volunteer: Market['volunteer']) {
    this.#jobs = jobs
    this.#volunteer = volunteer
  }

  prices() {
    return this.priceView
  }

  history() {
    return this.records
  }

  book() {
    return this.bookView
  }

  async quote(request: JobRequest, terms: QuoteTerms): Promise<JobQuote> {
    this.asked.push({ quote: request, ...terms })
    return this.quoted
  }

  async submit(request: JobRequest, terms: PaidTerms): Promise<JobView> {
    this.asked.push({ submit: request, ...terms })
    return this.#jobs.submit(request)
  }

  purchase(): Purchase | undefined {
    return this.purchases.length > 1 ? this.purchases.shift() : this.purchases[0]
  }

  /** Of every allocation. */
  jobId: string | undefined

  jobOf() {
    return this.jobId
  }

  sales() {
    return this.sold
  }

  volunteer(willing: boolean, options: { readonly signal: AbortSignal }): Promise<Outcome> {
    return this.#volunteer(willing, options)
  }
}
