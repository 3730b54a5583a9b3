/**
 * What the market says, as JSON: amounts are millicredits as decimal strings (DESIGN 1), work in MI is a string where it is a
 * sum, and beside each account stands its address. Slots have their names: `06-12`, hours in UTC.
 */
import { addressOf } from '../market/ledger/address.ts'
import { slotName, slotOfDay, slotStartMs } from '../market/offers/price-slot.ts'
import type { BookView, JobQuote, Market, OfferView, PriceView, Purchase, Sale } from '../market/trading/market.ts'

/** The same with amounts as strings. */
export type Plain<T> = T extends bigint
  ? string
  : T extends string | number | boolean | null | undefined
    ? T
    : T extends ReadonlyArray<infer Item>
      ? ReadonlyArray<Plain<Item>>
      : { readonly [Name in keyof T]: Plain<T[Name]> }

interface SlotBody {
  readonly slot: number
  /** `06-12` */
  readonly name: string
  readonly fromMs: number
}

type Slots = PriceView['slots'][number]
export interface PricesBody {
  readonly atMs: number
  readonly slots: ReadonlyArray<Plain<Slots> & SlotBody>
  /** Null: nothing was traded yet. */
  readonly last: (Plain<NonNullable<PriceView['last']>> & SlotBody) | null
}

type Traded = ReturnType<Market['history']>[number]
export interface TradedBody extends Omit<Plain<Traded>, 'slot'>, SlotBody {
  /** Mean, for a core-hour of reference speed; null: nothing was traded. */
  readonly price: string | null
}

type OfferBody<T> = Plain<OfferView<T>> & { readonly address: string }
export interface BookBody {
  readonly sells: ReadonlyArray<OfferBody<BookView['sells'][number]['terms']>>
  readonly buys: ReadonlyArray<OfferBody<BookView['buys'][number]['terms']>>
}

export interface QuoteBody extends Plain<Omit<JobQuote, 'cheaper'>>, SlotBody {
  readonly cheaper: (Plain<NonNullable<JobQuote['cheaper']>> & SlotBody) | null
}

export interface PurchaseBody extends Omit<Plain<Purchase>, 'suppliers'> {
  readonly suppliers: ReadonlyArray<Plain<Purchase['suppliers'][number]> & { readonly address: string }>
}

export interface SaleBody extends Plain<Sale> {
  readonly customerAddress: string
}

export function pricesBody({ atMs, slots, last }: PriceView): PricesBody {
  return {
    atMs,
    slots: slots.map((each) => ({ ...plain(each), ...slotBody(each.slot) })),
    last: last ? { ...plain(last), ...slotBody(last.slot) } : null,
  }
}

export function tradedBody(record: Traded): TradedBody {
  const { slot, workMi, value } = record
  return { ...plain(record), ...slotBody(slot), price: workMi > 0n ? `${value / workMi}` : null }
}

export function bookBody({ sells, buys }: BookView): BookBody {
  return { sells: sells.map(offerBody), buys: buys.map(offerBody) }
}

function offerBody<T>(offer: OfferView<T>): OfferBody<T> {
  return { ...plain(offer), address: addressOf(offer.account) }
}

export function quoteBody({ cheaper, ...quote }: JobQuote): QuoteBody {
  return {
    ...plain(quote),
    ...slotBody(quote.slot),
    cheaper: cheaper ? { ...plain(cheaper), ...slotBody(cheaper.slot) } : null,
  }
}

export function purchaseBody({ suppliers, ...purchase }: Purchase): PurchaseBody {
  return {
    ...plain(purchase),
    suppliers: suppliers.map((part) => ({ ...plain(part), address: addressOf(part.account) })),
  }
}

export function saleBody(sale: Sale): SaleBody {
  return { ...plain(sale), customerAddress: addressOf(sale.customer) }
}

function slotBody(slot: number): SlotBody {
  return { slot, name: slotName(slotOfDay(slot)), fromMs: slotStartMs(slot) }
}

function plain<T>(value: T): Plain<T> {
  return plainly(value) as Plain<T>
}

function plainly(value: unknown): unknown {
  if (typeof value === 'bigint') return `${value}`
  if (Array.isArray(value)) return value.map(plainly)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, plainly(part)]))
}
