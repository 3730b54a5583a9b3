/** The market as text for people: prices, offers, quotes, and what was bought and sold. */
import type { BookBody, PricesBody, PurchaseBody, QuoteBody, SaleBody, TradedBody } from '../api/market-views.ts'
import { formatCredits } from '../market/ledger/credits.ts'
import type { Cli } from './cli.ts'
import * as format from './format.ts'
import { credits, short } from './ledger-text.ts'

/** 3.6 x 10^12 instructions, in millions. */
const CORE_HOUR_MI = 3_600_000
const LEVELS = ['process', 'os'] as const

/** `2026-01-31 06-12` */
function slotOf({ fromMs, name }: { readonly fromMs: number; readonly name: string }): string {
  return `${format.instant(fromMs).slice(0, 10)} ${name}`
}

/** `0.42`: credits without their name, for a table. */
function figure(millicredits: string): string {
  return formatCredits(BigInt(millicredits))
}

/** In core-hours of reference speed, three digits. */
function hours(workMi: string | number): string {
  const value = Number(workMi) / CORE_HOUR_MI
  return value >= 100 ? format.count(Math.round(value)) : `${Number(value.toPrecision(3))}`
}

export function describePrices({ slots, last }: PricesBody): string | undefined {
  const rows = slots.flatMap((slot) =>
    LEVELS.flatMap((level) => {
      const known = slot.forecast[level]
      if (!known) return []
      const { low, likely, high, slots: rests, errors } = known
      const basis = `${format.some(rests, 'slot')}${errors === 0 ? ', a guess' : ''}`
      return [[slotOf(slot), level, figure(low), figure(likely), figure(high), basis]]
    }),
  )
  if (rows.length === 0) return undefined
  const lastly = last && `last price ${credits(last.price)}, ${format.instant(last.atMs)}, for ${slotOf(last)}`
  return [
    'credits for a core-hour of reference speed; 8 of 10 prices are from low to high',
    '',
    format.columns([['SLOT (UTC)', 'LEVEL', 'LOW', 'LIKELY', 'HIGH', 'RESTS ON'], ...rows]),
    ...(lastly ? ['', lastly] : []),
  ].join('\n')
}

/** Of a market in which nothing was traded. */
export function describeAsked({ sells, buys }: BookBody): string {
  const least = sells.map(({ terms }) => BigInt(terms.minPrice)).sort((a, b) => (a < b ? -1 : a > b ? 1 : 0))[0]
  const asked =
    least === undefined
      ? 'nobody offers work: chorale lend set --cpu 2 does'
      : `${format.some(sells.length, 'offer')} to sell, from ${credits(least)} for a core-hour`
  return `nothing was traded yet; ${asked}; ${format.some(buys.length, 'offer')} to buy`
}

export function describeHistory(traded: readonly TradedBody[]): string {
  const rows = traded.map((each) => {
    const { resource, workMi, price, unsoldMi, unservedMi } = each
    return [
      slotOf(each),
      resource,
      hours(workMi),
      price === null ? '' : figure(price),
      hours(unsoldMi),
      hours(unservedMi),
    ]
  })
  return format.columns([['SLOT (UTC)', 'LEVEL', 'CORE-HOURS', 'PRICE', 'UNSOLD', 'UNSERVED'], ...rows])
}

export function describeBook(book: BookBody): string {
  const place = ({ isBooked, isOwn, address }: { isBooked: boolean; isOwn: boolean; address: string }) => [
    isBooked ? 'book' : 'board only',
    isOwn ? 'yours' : short(address),
  ]
  const window = ({ fromMs, untilMs }: { readonly fromMs: number; readonly untilMs: number }) =>
    `${format.instant(fromMs).slice(0, 16)} to ${format.instant(untilMs).slice(11, 16)}`
  const sells = book.sells.map((offer) => {
    const { minPrice, coresMilli, speedMips, memoryBytes, level } = offer.terms
    const host = [`${coresMilli / 1000}`, `${format.count(speedMips)} MIPS`, format.bytes(memoryBytes), level]
    return [figure(minPrice), ...host, window(offer.terms), ...place(offer)]
  })
  const buys = book.buys.map((offer) => {
    const { maxPrice, tasks, replicas, taskWorkMi, level } = offer.terms
    const copies = tasks * replicas
    const left = offer.left === undefined ? '' : `${format.count(offer.left)} of ${format.count(copies)}`
    const wanted = [format.count(copies), hours(copies * taskWorkMi), left, level]
    return [figure(maxPrice), ...wanted, window(offer.terms), ...place(offer)]
  })
  const tables = [
    ['SELL FROM', 'CORES', 'SPEED', 'MEMORY', 'LEVEL', 'WINDOW (UTC)', 'WHERE', 'WHOSE'],
    ['BUY UP TO', 'TASKS', 'CORE-HOURS', 'LEFT', 'LEVEL', 'WINDOW (UTC)', 'WHERE', 'WHOSE'],
  ]
  return [sells, buys]
    .flatMap((rows, i) => (rows.length === 0 ? [] : [format.columns([tables[i]!, ...rows])]))
    .join('\n\n')
}

export function describeQuote(quote: QuoteBody, maxCost?: string): string {
  const { low, likely, high, isGuess, reasons, cheaper } = quote
  return format.facts([
    ['cost', `${credits(likely)} likely, ${figure(low)} to ${figure(high)}${isGuess ? '; a guess' : ''}`],
    ['slot', `${slotOf(quote)} UTC`],
    ['cap', maxCost === undefined ? undefined : capLine(quote, BigInt(maxCost))],
    ...reasons.map((reason, i): [string, string] => [i === 0 ? 'why' : '', format.plain(reason)]),
    ['guess', isGuess ? 'nothing was traded yet: it rests on what suppliers ask' : undefined],
    ['cheaper', cheaper ? `${slotOf(cheaper)} UTC, ${credits(cheaper.likely)} likely: --slot cheapest` : undefined],
  ])
}

function capLine({ low, likely, high }: QuoteBody, cap: bigint): string {
  const at = credits(cap)
  if (cap < BigInt(low)) return `${at}, below all of that: it is not submitted so`
  if (cap < BigInt(likely)) return `${at}, below what is likely: it may find no supplier`
  return cap < BigInt(high) ? `${at}, which is likely to do` : `${at}, which should do`
}

/** Of a job that was bought, as rows beside what the job itself is. */
export function purchaseFacts(cli: Cli, purchase: PurchaseBody): Array<readonly [string, string | undefined]> {
  const { state, reason, locked, suppliers } = purchase
  return [
    ['in the ledger', purchase.key],
    ['market', `${cli.paint(state === 'settled' ? 'green' : 'yellow', state)}: ${format.plain(reason)}`],
    ['paid', costLine(purchase)],
    [
      'locked',
      BigInt(locked) > 0n
        ? `${credits(locked)} for work that is not paid yet; what is not earned comes back`
        : undefined,
    ],
    ...suppliers.map((part): [string, string] => {
      const { address, state, tasks, paidTasks, paid, tested, isConvicted } = part
      const work = `${format.count(paidTasks)} of ${format.some(tasks, 'task')} paid, ${credits(paid)}, ${tested} tested`
      const cheated = isConvicted ? cli.paint('red', ', convicted of cheating') : ''
      return ['supplier', `${short(address)}  ${format.plain(state)}: ${work}${cheated}`]
    }),
    ['trust', isConvicted(purchase) ? DISTRUST : undefined],
  ]
}

export const DISTRUST =
  'a supplier was convicted of cheating, so the result is not to be trusted: submit the job again, best with --verify replicate=2'

export function isConvicted({ suppliers }: PurchaseBody): boolean {
  return suppliers.some((part) => part.isConvicted)
}

/** `0.42 of at most 2 credits, fees 0.004, 5 tasks tested` */
export function costLine({ paid, maxCost, fees, suppliers }: PurchaseBody): string {
  const tested = suppliers.reduce((sum, part) => sum + part.tested, 0)
  return `${figure(paid)} of at most ${credits(maxCost)}, fees ${figure(fees)}, ${format.some(tested, 'task')} tested`
}

/** For a line of progress. */
export function purchaseProgress({ state, paid, maxCost, suppliers }: PurchaseBody): string {
  return `${state}, ${format.some(suppliers.length, 'supplier')}, paid ${figure(paid)} of ${figure(maxCost)}`
}

/** Why not all of its tasks have a supplier; undefined: they have. */
export function whyBidding({ state, reason }: PurchaseBody): string | undefined {
  return state === 'bidding' ? format.plain(reason) : undefined
}

/** How sales end; nothing is at stake any more. */
const CLOSED: ReadonlySet<string> = new Set([
  'done',
  'ended',
  'unsigned',
  'deserted',
  'cheated',
  'wronged',
  'unstable',
  'undecided',
])

export function isOpenSale({ state }: Pick<SaleBody, 'state'>): boolean {
  return !CLOSED.has(state)
}

export function describeSales(sales: readonly SaleBody[]): string {
  const rows = sales.map(
    ({ allocation, job, jobId, customerAddress, state, tasks, doneTasks, paidTasks, price, earned, deposit }) => [
      short(allocation),
      jobId === undefined ? short(job) : format.shortId(jobId),
      short(customerAddress),
      format.plain(state),
      `${doneTasks} of ${tasks}`,
      `${paidTasks}`,
      `${figure(earned)} of ${figure(price)}`,
      CLOSED.has(state) ? '' : figure(deposit),
    ],
  )
  return format.columns([['ALLOCATION', 'JOB', 'CUSTOMER', 'STATE', 'DONE', 'PAID', 'EARNED', 'DEPOSIT'], ...rows])
}
