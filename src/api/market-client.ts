/** The market of a running host, from the other end of the control API. */
import type { JobView } from '../mapreduce/types.ts'
import { type CallOptions, caller } from './calls.ts'
import type { DecisionOptions } from './ledger-client.ts'
import type { OutcomeBody } from './ledger-views.ts'
import type { PaidRequest, QuoteRequest } from './market-routes.ts'
import type { BookBody, PricesBody, PurchaseBody, QuoteBody, SaleBody, TradedBody } from './market-views.ts'

export interface RemoteMarket {
  prices(options?: CallOptions): Promise<PricesBody>
  /** The latest slot last. */
  history(options?: CallOptions): Promise<TradedBody[]>
  book(options?: CallOptions): Promise<BookBody>
  /** Takes as long as a task of the job. */
  quote(wanted: QuoteRequest, options?: CallOptions): Promise<QuoteBody>
  submit(wanted: PaidRequest, options?: CallOptions): Promise<JobView>
  /** By a job's id, or the beginning of it. Rejects `not-found`. */
  purchase(job: string, options?: CallOptions): Promise<PurchaseBody>
  sales(options?: CallOptions): Promise<SaleBody[]>
  volunteer(willing: boolean, options?: DecisionOptions): Promise<OutcomeBody>
}

export function remoteMarket(socketPath: string): RemoteMarket {
  const call = caller(socketPath)
  const get = <T>(what: string, options?: CallOptions) => call<T>('GET', `/v1/market/${what}`, undefined, options)
  return {
    prices: (options) => get('prices', options),
    history: (options) => get('history', options),
    book: (options) => get('book', options),
    sales: (options) => get('sales', options),
    purchase: (job, options) => get(`purchases/${encodeURIComponent(job)}`, options),
    quote: (wanted, options) => call('POST', '/v1/market/quote', wanted, options),
    submit: (wanted, options) => call('POST', '/v1/market/jobs', wanted, options),
    volunteer(willing, { signal, timeoutMs } = {}) {
      const query = timeoutMs === undefined ? '' : `?timeoutMs=${Math.ceil(timeoutMs)}`
      return call('POST', `/v1/market/mediate${query}`, { willing }, { signal })
    },
  }
}
