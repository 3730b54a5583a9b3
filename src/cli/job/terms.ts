/** `--max-cost`, `--verify`, `--slot` and `--deadline`: what a job may cost, and how its work is checked. */
import { type Command, Option } from 'commander'
import type { PaidRequest, QuoteRequest } from '../../api/market-routes.ts'
import type { QuoteBody } from '../../api/market-views.ts'
import { ChoraleError } from '../../core/errors.ts'
import { parsePayment } from '../../market/ledger/credits.ts'
import type { When } from '../../market/trading/market.ts'
import { duration } from '../values.ts'

export interface QuoteOptions {
  readonly verify?: string
  readonly slot?: When
}

export interface TermsOptions extends QuoteOptions {
  /** Millicredits. */
  readonly maxCost?: bigint
  /** Milliseconds after it may begin. */
  readonly deadline?: number
}

const SLOTS: readonly string[] = ['now', 'cheapest', '00-06', '06-12', '12-18', '18-24']

export function quoteOptions(command: Command): Command {
  return command
    .addOption(
      new Option(
        '--verify <how>',
        'none; sample or sample=5%: tests find who skips that share; replicate=N: on N hosts; auto: as records ask (default)',
      ),
    )
    .addOption(
      new Option(
        '--slot <slot>',
        'now (default), cheapest of the next eight, or the next 00-06, 06-12, ... UTC',
      ).argParser(slot),
    )
}

/** For what submits a job, or says what that would do. */
export function termsOptions(command: Command): Command {
  const paid = command.addOption(
    new Option('--max-cost <credits>', 'buy it from the market, for so much at most, fees included').argParser(maxCost),
  )
  return quoteOptions(paid).option(
    '--deadline <time>',
    'with --max-cost: worth nothing so long after it may begin (default: 1h)',
    // The node wants 2 minutes, and the quote comes first.
    duration('--deadline', { minMs: 150_000, example: '2h' }),
  )
}

/** Undefined: it is not to be bought. Throws `usage`. */
export async function paidTerms(options: TermsOptions): Promise<Omit<PaidRequest, 'request'> | undefined> {
  const { maxCost: most } = options
  if (most !== undefined) return { ...(await quoteTerms(options)), maxCost: `${most}` }
  for (const name of ['verify', 'slot', 'deadline'] as const) {
    if (options[name] === undefined) continue
    throw new ChoraleError('usage', `--${name} is for a job that the market does for credits: add --max-cost, as 2`)
  }
  return undefined
}

/** Throws `usage`. */
export async function quoteTerms({
  verify = 'auto',
  slot = 'now',
}: QuoteOptions): Promise<Omit<QuoteRequest, 'request'>> {
  const { parseVerify } = await import('../../market/verification/policy.ts')
  parseVerify(verify)
  return { verify, when: slot }
}

/** The moment that `--deadline` means. */
export function deadlineOf({ deadline }: TermsOptions, { fromMs }: Pick<QuoteBody, 'fromMs'>): number | undefined {
  return deadline === undefined ? undefined : Math.max(Date.now(), fromMs) + Math.round(deadline)
}

function maxCost(text: string): bigint {
  try {
    return parsePayment(text)
  } catch {
    throw new ChoraleError(
      'usage',
      `--max-cost must be credits above zero, with at most 3 decimals, not '${text}': try --max-cost 2`,
    )
  }
}

function slot(text: string): string {
  if (SLOTS.includes(text)) return text
  throw new ChoraleError('usage', `--slot must be ${SLOTS.join(', ')} (UTC), not '${text}': try --slot cheapest`)
}
