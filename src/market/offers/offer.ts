/**
 * Offers (DESIGN 10): what an account would sell or buy, as canonical dag-cbor, signed by the account. What is signed names the
 * network, the account and the offer's number, so that an offer counts once, in one network, until it expires.
 *
 * Prices are whole millicredits for a core-hour of reference speed, 3.6 x 10^12 instructions (`work.ts`). What the book
 * checks of hosts, of jobs and of credits is not looked at here: an offer is judged by its own bytes and the time.
 *
 * Reading is total: any bytes are an offer or have a reason why they are none.
 */
import { type Static, Type } from 'typebox'
import { encode } from '../../core/cbor.ts'
import { checker } from '../../core/codec.ts'
import { hashKey, type Key } from '../../core/ids.ts'
import {
  MAX_JOB_TASKS,
  MAX_OFFER_BYTES,
  MAX_OFFER_CORES_MILLI,
  MAX_OFFER_LIFE_MS,
  MAX_OFFER_MEMORY_BYTES,
  MAX_OFFER_REPLICAS,
  MAX_OFFER_SPEED_MIPS,
  MAX_OFFER_STORE_BYTES,
  MAX_PRICE,
  MAX_TASK_WORK_MI,
} from '../../core/limits.ts'
import { BytesSchema, KeySchema, record } from '../../net/message.ts'
import { decodeCanonical } from '../ledger/canonical.ts'
import { TimeSchema } from '../ledger/genesis.ts'
import { type KeyPair, type PublicKey, SIGNATURE_BYTES, type Verify } from '../ledger/keys.ts'
import { type Amount, AmountSchema, amountFromWire } from '../ledger/state/amount.ts'
import { PPM } from '../verification/draws.ts'
import { worth } from './work.ts'

/** Nothing shorter is sold or asked for: a contract costs more than a minute of a core. */
export const MIN_SERVICE_MS = 60_000

const Whole = Type.Integer({ minimum: Number.MIN_SAFE_INTEGER, maximum: Number.MAX_SAFE_INTEGER })
/** Isolation of foreign code (SANDBOX): `os` has all that `process` has. */
const LevelSchema = Type.Union([Type.Literal('process'), Type.Literal('os')])
export type Level = Static<typeof LevelSchema>

const SellSchema = record({
  kind: Type.Literal('sell'),
  /** Linked to the account; the book checks that. */
  host: KeySchema,
  /** Thousandths of a core. */
  coresMilli: Whole,
  /** Of one core, as measured, in millions of instructions a second. */
  speedMips: Whole,
  memoryBytes: Whole,
  storeBytes: Whole,
  level: LevelSchema,
  /** The window: from, and until before. */
  fromMs: TimeSchema,
  untilMs: TimeSchema,
  /** The least that the seller takes; without fees. */
  minPrice: AmountSchema,
})

const BuySchema = record({
  kind: Type.Literal('buy'),
  job: KeySchema,
  tasks: Whole,
  /** Instructions of one task, in millions. */
  taskWorkMi: Whole,
  /** Of one task while it runs. */
  memoryBytes: Whole,
  /** How often each task is done, by hosts of different accounts. */
  replicas: Whole,
  /** The most that the buyer pays, fees included. */
  maxPrice: AmountSchema,
  /** When results are worth nothing any more. Not before the window ends. */
  deadlineMs: TimeSchema,
  /** A host that cannot give as long is not worth a contract. */
  minServiceMs: Whole,
  /** It would best be done within so long, by as many hosts as that takes; not below the least service. */
  soonMs: Whole,
  level: LevelSchema,
  /** Share of each supplier's tasks that the buyer does again, ppm; or as much as the supplier's record asks for. */
  rate: Type.Union([Type.Literal('auto'), Whole]),
  /** The window in which tasks may run: from, and until before. */
  fromMs: TimeSchema,
  untilMs: TimeSchema,
})

export type Sell = Static<typeof SellSchema>
export type Buy = Static<typeof BuySchema>
export type Terms = Sell | Buy

const EnvelopeSchema = record({
  network: KeySchema,
  account: KeySchema,
  /** Of the account's offers: two with one number are one offer, and the first in the book counts. */
  number: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
  expiresMs: TimeSchema,
  terms: Type.Unknown(),
  signature: BytesSchema(SIGNATURE_BYTES),
})

const envelopeChecker = checker(EnvelopeSchema)
const sellChecker = checker(SellSchema)
const buyChecker = checker(BuySchema)

export interface UnsignedOffer<T extends Terms = Terms> {
  readonly network: Key
  readonly account: PublicKey
  readonly number: number
  readonly expiresMs: number
  readonly terms: T
}

export interface Offer<T extends Terms = Terms> extends UnsignedOffer<T> {
  readonly signature: Uint8Array
}

/** Why bytes are no offer, or no offer any more. A closed list. */
export const OFFER_FAULTS = {
  malformed: 'these bytes are no offer',
  'bad-price': `a price is not a whole number of millicredits from 1 to ${MAX_PRICE}, or all of it costs more than there can be`,
  'bad-cores': 'it offers no cores, or more or faster ones than a host has',
  'bad-memory': 'the memory or the store is none, or more than a host has',
  'bad-work': 'it has no tasks, too many, or tasks that are too long',
  'bad-replicas': `replicas are 1 to ${MAX_OFFER_REPLICAS}`,
  'bad-rate': `the share of tasks to be tested is "auto" or a whole number from 0 to ${PPM} of a million`,
  'bad-window': 'the window ends before it begins, or is shorter than the least service, which is a minute or more',
  'bad-deadline': 'the deadline is before the end of the window, or too far ahead',
  'wrong-network': 'it was signed for another network',
  expired: 'it has expired',
  'past-window': 'too little is left of its window',
  'too-far-ahead': 'it expires, or its window ends, too far ahead',
  'bad-signature': 'the signature is not that of its account',
} as const

export type OfferFault = keyof typeof OFFER_FAULTS

/** What the account signs. */
export function signedOfferBytes({ network, account, number, expiresMs, terms }: UnsignedOffer): Uint8Array {
  return encode(['chorale offer', network, account, number, expiresMs, terms])
}

/** The bytes of an offer as it is posted and handed in. */
export function signOffer(unsigned: UnsignedOffer, key: KeyPair): Uint8Array {
  const { network, account, number, expiresMs, terms } = unsigned
  return encode({ network, account, number, expiresMs, terms, signature: key.sign(signedOfferBytes(unsigned)) })
}

/** Its contents are no part of it: whoever signs two with one number has made one offer, and cannot fill the book with it. */
export function offerId({ network, account, number }: Pick<UnsignedOffer, 'network' | 'account' | 'number'>): Key {
  return hashKey(encode(['chorale offer', network, account, number]))
}

/** What does not depend on the time: form, amounts, sizes and windows. Never throws. */
export function decodeOffer(bytes: Uint8Array): Offer | OfferFault {
  if (bytes.length > MAX_OFFER_BYTES) return 'malformed'
  const value = decodeCanonical(bytes)
  if (!envelopeChecker.check(value)) return 'malformed'
  const { network, account, number, expiresMs, terms: raw, signature } = value
  const terms = sellChecker.check(raw) ? readSell(raw) : buyChecker.check(raw) ? readBuy(raw) : 'malformed'
  return typeof terms === 'string' ? terms : { network, account, number, expiresMs, terms, signature }
}

// Field by field: objects that a decoder has built take more memory, and a book holds many.

function readSell(raw: Sell): Sell | OfferFault {
  const minPrice = priceFromWire(raw.minPrice)
  if (minPrice === undefined) return 'bad-price'
  const terms: Sell = {
    kind: 'sell',
    host: raw.host,
    coresMilli: raw.coresMilli,
    speedMips: raw.speedMips,
    memoryBytes: raw.memoryBytes,
    storeBytes: raw.storeBytes,
    level: raw.level === 'os' ? 'os' : 'process',
    fromMs: raw.fromMs,
    untilMs: raw.untilMs,
    minPrice,
  }
  return sellFault(terms) ?? terms
}

function readBuy(raw: Buy): Buy | OfferFault {
  const maxPrice = priceFromWire(raw.maxPrice)
  if (maxPrice === undefined) return 'bad-price'
  const terms: Buy = {
    kind: 'buy',
    job: raw.job,
    tasks: raw.tasks,
    taskWorkMi: raw.taskWorkMi,
    memoryBytes: raw.memoryBytes,
    replicas: raw.replicas,
    maxPrice,
    deadlineMs: raw.deadlineMs,
    minServiceMs: raw.minServiceMs,
    soonMs: raw.soonMs,
    level: raw.level === 'os' ? 'os' : 'process',
    rate: raw.rate,
    fromMs: raw.fromMs,
    untilMs: raw.untilMs,
  }
  return buyFault(terms) ?? terms
}

function priceFromWire(value: unknown): Amount | undefined {
  const price = amountFromWire(value)
  return price !== undefined && price >= 1n && price <= BigInt(MAX_PRICE) ? price : undefined
}

function sellFault({ coresMilli, speedMips, memoryBytes, storeBytes, fromMs, untilMs }: Sell): OfferFault | undefined {
  if (!within(coresMilli, 1, MAX_OFFER_CORES_MILLI) || !within(speedMips, 1, MAX_OFFER_SPEED_MIPS)) return 'bad-cores'
  if (!within(memoryBytes, 1, MAX_OFFER_MEMORY_BYTES) || !within(storeBytes, 0, MAX_OFFER_STORE_BYTES)) {
    return 'bad-memory'
  }
  return untilMs - fromMs < MIN_SERVICE_MS ? 'bad-window' : undefined
}

function buyFault(terms: Buy): OfferFault | undefined {
  const { tasks, taskWorkMi, memoryBytes, replicas, rate } = terms
  const { minServiceMs, soonMs, fromMs, untilMs, deadlineMs } = terms
  if (!within(tasks, 1, MAX_JOB_TASKS) || !within(taskWorkMi, 1, MAX_TASK_WORK_MI)) return 'bad-work'
  if (!within(memoryBytes, 1, MAX_OFFER_MEMORY_BYTES)) return 'bad-memory'
  if (!within(replicas, 1, MAX_OFFER_REPLICAS)) return 'bad-replicas'
  if (rate !== 'auto' && !within(rate, 0, PPM)) return 'bad-rate'
  if (minServiceMs < MIN_SERVICE_MS || untilMs - fromMs < minServiceMs) return 'bad-window'
  if (!within(soonMs, minServiceMs, MAX_OFFER_LIFE_MS)) return 'bad-window'
  if (deadlineMs < untilMs || deadlineMs - untilMs > MAX_OFFER_LIFE_MS) return 'bad-deadline'
  return priceFault(terms)
}

/** Is it a price, and what it comes to an amount? */
export function priceFault(terms: Buy): OfferFault | undefined {
  const { maxPrice } = terms
  const isPrice = maxPrice >= 1n && maxPrice <= BigInt(MAX_PRICE)
  return isPrice && worth(maxPrice, workOf(terms)) !== undefined ? undefined : 'bad-price'
}

function within(value: number, least: number, most: number): boolean {
  return value >= least && value <= most
}

/** All copies of all tasks, in MI. */
export function workOf({ tasks, taskWorkMi, replicas }: Pick<Buy, 'tasks' | 'taskWorkMi' | 'replicas'>): bigint {
  return BigInt(tasks) * BigInt(replicas) * BigInt(taskWorkMi)
}

/** What depends on where and when: the network, the time and the signature, the dearest check last. Never throws. */
export function offerFault(
  offer: Offer,
  { network, nowMs, verify }: { readonly network: Key; readonly nowMs: number; readonly verify: Verify },
): OfferFault | undefined {
  if (offer.network !== network) return 'wrong-network'
  return (
    timeFault(offer, nowMs) ??
    (verify(offer.account, signedOfferBytes(offer), offer.signature) ? undefined : 'bad-signature')
  )
}

/** Of an offer whose signature was found good before: is it still one? */
export function timeFault(
  { expiresMs, terms }: Pick<UnsignedOffer, 'expiresMs' | 'terms'>,
  nowMs: number,
): OfferFault | undefined {
  if (expiresMs <= nowMs) return 'expired'
  const least = terms.kind === 'buy' ? terms.minServiceMs : MIN_SERVICE_MS
  if (terms.untilMs - Math.max(nowMs, terms.fromMs) < least) return 'past-window'
  return Math.max(expiresMs, terms.untilMs) > nowMs + MAX_OFFER_LIFE_MS ? 'too-far-ahead' : undefined
}
