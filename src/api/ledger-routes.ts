/** The routes of the ledger (routes.ts), at the node's end. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Type } from 'typebox'
import { type Checker, checker } from '../core/codec.ts'
import { ChoraleError } from '../core/errors.ts'
import { systemClock } from '../core/system.ts'
import { parseAddress } from '../market/ledger/address.ts'
import { parseMillicredits } from '../market/ledger/credits.ts'
import { InDoubt, type Place } from '../market/ledger/ledger.ts'
import { encodeReceiptFile } from '../market/ledger/receipt/receipt.ts'
import type { HostLedger } from '../node.ts'
import { CONTEXT_ENTRIES, type HistoryOf, historyBody } from './history-views.ts'
import { inTime, timeoutIn } from './ledger-time.ts'
import { accountBody, jobPaymentBody, ledgerBody, outcomeBody, type PaymentBody, steppedBody } from './ledger-views.ts'
import { parse } from './parse.ts'
import { readJson, sendJson } from './streams.ts'

/** Entries of a history in one answer. */
export const MAX_ENTRIES = 1000

const LINK_PATIENCE_MS = 10_000
const LINK_LOOK_MS = 100

const Text = Type.String({ minLength: 1, maxLength: 256 })
const paymentBody: Checker<PaymentBody> = checker(
  Type.Object({ to: Text, amount: Text }, { additionalProperties: false }),
)

export interface LedgerCall {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly method: string
  /** After the version. */
  readonly segments: readonly string[]
  readonly query: URLSearchParams
  readonly signal: AbortSignal
}

/** False: there is no such route. */
export async function answerLedger(
  host: HostLedger,
  call: LedgerCall,
  jobOf: HistoryOf['jobOf'] = () => undefined,
): Promise<boolean> {
  const { request, response, segments, query } = call
  const { ledger, wallet } = host
  const [noun, id = '', verb] = segments
  const answer = (value: unknown) => {
    sendJson(response, 200, value)
    return true
  }
  const account = () => (id === 'mine' ? wallet.account : parseAddress(id))
  const here = query.get('here') === '1'
  const inside = <T>(work: Decision<T>) => asked(call, work)
  switch (`${call.method} ${noun}/${segments.length}`) {
    case 'GET ledger/1':
      if (!here) await ledger.look()
      return answer(ledgerBody(ledger, wallet.host))
    case 'POST ledger/2':
      if (id === 'stand') {
        const stand = async (options: { readonly signal: AbortSignal }) => {
          await linked(host, options.signal)
          return wallet.stand(options)
        }
        return answer(outcomeBody(await inside(stand)))
      }
      if (id !== 'step-down') return false
      return answer(steppedBody(await inside((options) => wallet.stepDown(options)), ledger, wallet.host))
    case 'GET accounts/2': {
      const wanted = account()
      const view = here ? ledger.accountHere(wanted) : await inside((options) => ledger.account(wanted, options))
      return answer(accountBody(wanted, view, ledger.locked(wanted)))
    }
    case 'GET accounts/3': {
      if (verb !== 'history') return false
      const before = query.get('before')
      const wanted = { account: account(), state: ledger.state, limit: limitOf(query.get('limit')), jobOf }
      const options = { limit: wanted.limit + CONTEXT_ENTRIES, ...(before !== null && { before: placeOf(before) }) }
      return answer(historyBody(await ledger.history(wanted.account, options), wanted))
    }
    case 'POST payments/1': {
      const { to, amount } = parse(paymentBody, await readJson(request))
      const [receiver, sum] = [parseAddress(to), parseMillicredits(amount)]
      return answer(outcomeBody(await inside((options) => wallet.send(receiver, sum, options))))
    }
    case 'GET payments/2': {
      const payment = host.payments.of(id)
      if (payment) return answer(jobPaymentBody(payment))
      throw new ChoraleError('not-found', `this node owes nothing for a job ${id}`)
    }
    case 'GET receipts/3': {
      const place = placeOf(`${id}/${verb}`)
      const receipt = await ledger.receipt(place)
      if (receipt) return answer({ receipt: Buffer.from(encodeReceiptFile(receipt)).toString('base64') })
      throw new ChoraleError('not-found', `the ledger of this node has no operation ${id}/${verb}`)
    }
    default:
      return false
  }
}

/**
 * A node links its host by itself, soon after its start; whoever is faster waits for it. Rejects `timeout` at the signal's end;
 * resolves when it takes long all the same, and then the ledger says what is missing.
 */
export async function linked({ ledger, wallet }: HostLedger, signal: AbortSignal): Promise<void> {
  const untilMs = systemClock.now() + LINK_PATIENCE_MS
  while (ledger.accountOf(wallet.host) === undefined && systemClock.now() < untilMs) {
    await systemClock.sleep(LINK_LOOK_MS, { signal }).catch((cause) => {
      throw new ChoraleError('timeout', 'this host is not linked to its account yet', { cause })
    })
  }
}

type Decision<T> = (options: { readonly signal: AbortSignal }) => Promise<T>

/** What needs the committee, in the time that the client gives it. */
export function asked<T>({ query, signal }: Pick<LedgerCall, 'query' | 'signal'>, work: Decision<T>): Promise<T> {
  return inTime(timeoutIn(query), signal, work).catch(told)
}

/** Only the code goes to the client, and it must tell what may still come in from what was never sent. */
function told(error: unknown): never {
  throw error instanceof InDoubt ? new ChoraleError('wait-timeout', error.message, { cause: error }) : error
}

function limitOf(text: string | null): number {
  const limit = text === null ? 20 : /^\d{1,4}$/.test(text) ? Number(text) : 0
  if (limit >= 1 && limit <= MAX_ENTRIES) return limit
  throw new ChoraleError('usage', `a limit is 1 to ${MAX_ENTRIES}, not ${JSON.stringify(text)}`)
}

function placeOf(text: string): Place {
  const match = /^(\d{1,15})\/(\d{1,4})$/.exec(text)
  if (match) return { height: Number(match[1]), index: Number(match[2]) }
  throw new ChoraleError('usage', `not a place in the ledger: ${JSON.stringify(text)}: it is HEIGHT/INDEX, as 12/0`)
}
