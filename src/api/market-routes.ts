/** The routes of the market (routes.ts), at the node's end. */
import { Type } from 'typebox'
import { type Checker, checker } from '../core/codec.ts'
import { ChoraleError } from '../core/errors.ts'
import type { JobRequest } from '../mapreduce/types.ts'
import { parseMillicredits } from '../market/ledger/credits.ts'
import type { PaidTerms, QuoteTerms, When } from '../market/trading/market.ts'
import { parseVerify } from '../market/verification/policy.ts'
import type { Host } from '../node.ts'
import { requestFields, resolveJobId } from './job-routes.ts'
import { asked, type LedgerCall, linked } from './ledger-routes.ts'
import { outcomeBody } from './ledger-views.ts'
import { bookBody, pricesBody, purchaseBody, quoteBody, saleBody, tradedBody } from './market-views.ts'
import { parse } from './parse.ts'
import { readJson, sendJson } from './streams.ts'

/** What a job is asked a price for. */
export interface QuoteRequest {
  readonly request: JobRequest
  /** As `--verify` takes it; default `auto`. */
  readonly verify?: string | undefined
  /** Default `now`. */
  readonly when?: When | undefined
}

export interface PaidRequest extends QuoteRequest {
  /** Millicredits. */
  readonly maxCost: string
  readonly deadlineMs?: number | undefined
}

const strict = { additionalProperties: false }
const WHEN: readonly When[] = ['now', 'cheapest', '00-06', '06-12', '12-18', '18-24']
const quoted = {
  request: Type.Object(requestFields, strict),
  verify: Type.Optional(Type.String({ minLength: 1, maxLength: 64 })),
  when: Type.Optional(Type.Union(WHEN.map((when) => Type.Literal(when)))),
}
const paid = {
  ...quoted,
  maxCost: Type.String({ minLength: 1, maxLength: 64 }),
  deadlineMs: Type.Optional(Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER })),
}
const quoteRequest: Checker<QuoteRequest> = checker(Type.Unsafe<QuoteRequest>(Type.Object(quoted, strict)))
const paidRequest: Checker<PaidRequest> = checker(Type.Unsafe<PaidRequest>(Type.Object(paid, strict)))
const mediateBody = checker(Type.Object({ willing: Type.Boolean() }, strict))

/** False: there is no such route. */
export async function answerMarket(host: Pick<Host, 'market' | 'books' | 'jobs'>, call: LedgerCall): Promise<boolean> {
  const { request, response, method, segments, signal } = call
  const [noun, what = '', id = ''] = segments
  if (noun !== 'market') return false
  const { market, books } = host
  if (!market) throw new ChoraleError('unsupported', 'this node takes no part in the market')
  const answer = (value: unknown) => {
    sendJson(response, 200, value)
    return true
  }
  switch (`${method} ${what}/${segments.length}`) {
    case 'GET prices/2':
      return answer(pricesBody(market.prices()))
    case 'GET history/2':
      return answer(market.history().map(tradedBody))
    case 'GET book/2':
      return answer(bookBody(market.book()))
    case 'GET sales/2':
      return answer(market.sales().map(saleBody))
    case 'POST quote/2': {
      const body = parse(quoteRequest, await readJson(request))
      return answer(quoteBody(await market.quote(body.request, termsIn(body), { signal })))
    }
    case 'POST jobs/2': {
      const body = parse(paidRequest, await readJson(request))
      return answer(await market.submit(body.request, paidTermsIn(body), { signal }))
    }
    case 'GET purchases/3': {
      const purchase = market.purchase(await resolveJobId(host.jobs, id))
      if (purchase) return answer(purchaseBody(purchase))
      throw new ChoraleError('not-found', `this node has not bought a job ${id}`)
    }
    case 'POST mediate/2': {
      const { willing } = parse(mediateBody, await readJson(request))
      const volunteer = async (options: { readonly signal: AbortSignal }) => {
        await linked(books, options.signal)
        return market.volunteer(willing, options)
      }
      return answer(outcomeBody(await asked(call, volunteer)))
    }
    default:
      return false
  }
}

function termsIn({ verify = 'auto', when = 'now' }: QuoteRequest): QuoteTerms {
  return { verify: parseVerify(verify), when }
}

function paidTermsIn(body: PaidRequest): PaidTerms {
  const { maxCost, deadlineMs } = body
  return { ...termsIn(body), maxCost: parseMillicredits(maxCost), ...(deadlineMs !== undefined && { deadlineMs }) }
}
