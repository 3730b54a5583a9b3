/** `chorale job submit --max-cost`: a job that the market does, from the quote to what it cost. */
import type { RemoteHost } from '../../api/client.ts'
import type { PaidRequest } from '../../api/market-routes.ts'
import type { PurchaseBody } from '../../api/market-views.ts'
import { ChoraleError, errorCode } from '../../core/errors.ts'
import { systemClock } from '../../core/system.ts'
import type { JobView } from '../../mapreduce/types.ts'
import type { Cli } from '../cli.ts'
import { EXIT } from '../exit.ts'
import * as format from '../format.ts'
import { costLine, DISTRUST, describeQuote, isConvicted } from '../market-text.ts'
import { type ProgressView, showProgress } from '../view.ts'
import { follow, printResult } from './job.ts'
import type { Asked } from './request.ts'
import { deadlineOf, type TermsOptions } from './terms.ts'

const POLL_MS = 1000

export interface BuyOptions extends TermsOptions {
  readonly wait?: boolean
  readonly timeout?: number
}

export async function buy(
  cli: Cli,
  { host, run }: Asked & { readonly host: RemoteHost },
  terms: Omit<PaidRequest, 'request'>,
  options: BuyOptions,
): Promise<number> {
  const { verify, when, maxCost } = terms
  const quote = await run((request) => host.market.quote({ request, verify, when }, { signal: cli.signal }))
  cli.note(describeQuote(quote, maxCost))
  const deadlineMs = deadlineOf(options, quote)
  const paid = { ...terms, ...(deadlineMs !== undefined && { deadlineMs }) }
  const job = await run((request) => host.market.submit({ request, ...paid }, { signal: cli.signal }))
  if (!options.wait) {
    cli.print('job', { ...job, quote }, job.id)
    cli.note(`see what it costs with chorale job show ${format.shortId(job.id)}${cli.at}`)
    return EXIT.ok
  }
  if (cli.flags.json) cli.emit('quote', quote)
  cli.note(`job ${job.id}: ${format.jobTitle(job)}`)
  const view = showProgress(cli)
  try {
    const { end, purchase } = await followPurchase(cli, host, job, { view, timeoutMs: options.timeout })
    view.end()
    return printBought(cli, end, purchase)
  } finally {
    view.end()
  }
}

/** To its end, and until nothing of it is checked or paid any more: only then is it known whether somebody has cheated. */
export async function followPurchase(
  cli: Cli,
  host: RemoteHost,
  job: JobView,
  { view, timeoutMs }: { readonly view: ProgressView; readonly timeoutMs: number | undefined },
): Promise<{ end: JobView; purchase: PurchaseBody | undefined }> {
  const untilMs = timeoutMs === undefined ? Number.POSITIVE_INFINITY : Date.now() + timeoutMs
  let latest = job
  let purchase: PurchaseBody | undefined
  const stop = new AbortController()
  const poll = async () => {
    while (!stop.signal.aborted) {
      purchase = await purchaseOf(host, job.id, stop.signal).catch(() => purchase)
      if (!stop.signal.aborted) view.update(latest, undefined, purchase)
      await systemClock.sleep(POLL_MS, stop).catch(() => {})
    }
  }
  const polling = poll()
  const onView = (now: JobView) => {
    latest = now
    view.update(now, undefined, purchase)
  }
  const end = await follow(cli, host, job.id, { timeoutMs, onView }).finally(() => {
    stop.abort()
    return polling
  })
  const later = `chorale job result ${format.shortId(job.id)}${cli.at} has what came of it, chorale job show what it cost`
  for (;;) {
    purchase = await purchaseOf(host, job.id, cli.signal)
    if (purchase === undefined || purchase.state === 'settled') return { end, purchase }
    view.update(end, undefined, purchase)
    if (Date.now() >= untilMs) throw new ChoraleError('wait-timeout', `the job is over, but not settled yet: ${later}`)
    await systemClock.sleep(POLL_MS, cli).catch((cause: unknown) => {
      throw new ChoraleError('interrupted', `stopped before the job was settled: ${later}`, { cause })
    })
  }
}

/** Undefined: it was not bought here, or that is forgotten. */
export async function purchaseOf(
  { market }: Pick<RemoteHost, 'market'>,
  job: string,
  signal: AbortSignal,
): Promise<PurchaseBody | undefined> {
  try {
    return await market.purchase(job, { signal })
  } catch (error) {
    if (['not-found', 'unsupported'].includes(errorCode(error))) return undefined
    throw error
  }
}

/** In the reason of a purchase: copies of tasks are lacking (`standing.ts`). */
const LACKING = /, but only .* were compared/

/** The end of a job that was bought: as of any job, and what it cost. Returns the exit code. */
export function printBought(cli: Cli, end: JobView, purchase: PurchaseBody | undefined): number {
  if (!purchase) return printResult(cli, end)
  const { why, code } = givenUp(cli, purchase) ?? {}
  const usual = printResult(cli, end, { purchase, why })
  cli.note(`  paid ${costLine(purchase)}`)
  if (end.state === 'succeeded' && LACKING.test(purchase.reason)) {
    cli.terminal.err(`${cli.paint('yellow', 'chorale:')} ${format.plain(purchase.reason)}\n`)
  }
  if (!isConvicted(purchase)) return end.state === 'succeeded' ? usual : (code ?? usual)
  cli.terminal.err(`${cli.paint('red', 'chorale:')} ${DISTRUST}\n`)
  return EXIT.mismatch
}

function givenUp(cli: Cli, { failure, reason }: PurchaseBody): { why: string; code: number } | undefined {
  const line = `the job was given up: ${format.plain(reason)}: try`
  switch (failure) {
    case 'not-placed':
      return { why: `${line} a higher --max-cost, another --slot or a later --deadline`, code: EXIT.notPlaced }
    case 'credits':
      return { why: `${line} a higher --max-cost, or see chorale wallet balance${cli.at}`, code: EXIT.credits }
    case undefined:
      return undefined
  }
}
