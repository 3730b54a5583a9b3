/** The ledger of a running host, from the other end of the control API. */
import type { Place } from '../market/ledger/ledger.ts'
import { type CallOptions, caller } from './calls.ts'
import type {
  AccountBody,
  EntryBody,
  JobPaymentBody,
  LedgerBody,
  OutcomeBody,
  PaymentBody,
  ReceiptBody,
  SteppedBody,
} from './ledger-views.ts'

export interface HereOptions extends CallOptions {
  /** What this host's copy has, at once: no banker is asked. */
  here?: boolean | undefined
}

export interface DecisionOptions extends CallOptions {
  /** The node then answers what became of it. Default: as long as the signal lets it. */
  timeoutMs?: number | undefined
}

export interface RemoteLedger {
  status(options?: HereOptions): Promise<LedgerBody>
  /** `mine`: that of the host's wallet. As of now, or that of the host's copy. Rejects `timeout`. */
  account(address: string | 'mine', options?: HereOptions & DecisionOptions): Promise<AccountBody>
  /** Newest first. */
  history(
    address: string | 'mine',
    query: { readonly limit: number; readonly before?: Place | undefined },
    options?: CallOptions,
  ): Promise<EntryBody[]>
  /** From the host's wallet. Rejects `wait-timeout`: it may still come in; `timeout`, `busy`, `unreachable`: it was not sent. */
  send(payment: PaymentBody, options?: DecisionOptions): Promise<OutcomeBody>
  /** The host stands for the committee, with a bond. */
  stand(options?: DecisionOptions): Promise<OutcomeBody>
  /** It does not, and gives notice of its bond; or takes it back, when that is over. */
  stepDown(options?: DecisionOptions): Promise<SteppedBody>
  /** For a job that was submitted through this host, by its full id. */
  payment(job: string, options?: CallOptions): Promise<JobPaymentBody>
  /** The file of a receipt. */
  receipt(place: Place, options?: CallOptions): Promise<Uint8Array>
}

export function remoteLedger(socketPath: string): RemoteLedger {
  const call = caller(socketPath)
  const of = (address: string) => `/v1/accounts/${encodeURIComponent(address)}`
  return {
    status: (options) => call('GET', `/v1/ledger${asked(options)}`, undefined, options),
    account: (address, options) => call('GET', `${of(address)}${asked(options)}`, undefined, options),
    history(address, { limit, before }, options) {
      const query = new URLSearchParams({
        limit: `${limit}`,
        ...(before && { before: `${before.height}/${before.index}` }),
      })
      return call('GET', `${of(address)}/history?${query}`, undefined, options)
    },
    send: (payment, options) => call('POST', `/v1/payments${asked(options)}`, payment, options),
    stand: (options) => call('POST', `/v1/ledger/stand${asked(options)}`, {}, options),
    stepDown: (options) => call('POST', `/v1/ledger/step-down${asked(options)}`, {}, options),
    payment: (job, options) => call('GET', `/v1/payments/${encodeURIComponent(job)}`, undefined, options),
    async receipt({ height, index }, options) {
      const path = `/v1/receipts/${height}/${index}`
      const { receipt } = await call<ReceiptBody>('GET', path, undefined, options)
      return Buffer.from(receipt, 'base64')
    },
  }
}

function asked({ here, timeoutMs }: HereOptions & DecisionOptions = {}): string {
  const query = new URLSearchParams({
    ...(here && { here: '1' }),
    ...(timeoutMs !== undefined && { timeoutMs: `${Math.ceil(timeoutMs)}` }),
  })
  return query.size > 0 ? `?${query}` : ''
}
