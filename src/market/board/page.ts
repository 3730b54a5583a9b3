/**
 * A page of the bulletin board (DESIGN 10): the offers under one of its keys, a mergeable register. Whoever keeps a page
 * checks that each offer on it is one, but for what only the ledger knows, and that it belongs there.
 *
 * A page is a set with a cap, so what goes when it is full must not depend on the order in which copies meet. The offers of an
 * account stand in line, newest first; of those with the same place in their lines the account decides, in another order on
 * every page; the lowest ranks stay. So an account with many offers loses them before others lose their first, and what is
 * dropped from a part of a page would be dropped from all of it: merges commute and associate. (To drop among them what
 * expires last would break that, since a newer offer moves the others of its account back.)
 *
 * Merges know no clock. A page says as of when it is, and has dropped what was over by then; the latest such time wins.
 */
import { type Static, Type } from 'typebox'
import { checker } from '../../core/codec.ts'
import { hashKey, type Key } from '../../core/ids.ts'
import {
  MAX_BOARD_SHARDS,
  MAX_KNOWN_OFFERS,
  MAX_OFFER_LIFE_MS,
  MAX_PAGE_OFFER_BYTES,
  MAX_PAGE_OFFERS,
  MAX_PAGE_OFFERS_PER_ACCOUNT,
} from '../../core/limits.ts'
import type { RegisterKind } from '../../dht/registers.ts'
import { CappedMap } from '../../net/capped-map.ts'
import { BytesSchema, record } from '../../net/message.ts'
import type { PublicKey, Verify } from '../ledger/keys.ts'
import { decodeOffer, MIN_SERVICE_MS, type Offer, offerId, signedOfferBytes } from '../offers/offer.ts'
import { boardKey, SLOT_MS, shardOf, slotAt, slotStartMs } from '../offers/price-slot.ts'

/** Offers are posted for slots that begin within this. */
export const AHEAD_MS = 2 * 24 * 3_600_000
/** Clocks of honest hosts differ by less. */
const CLOCK_SKEW_MS = 60_000

const PageSchema = record({
  slot: Type.Integer({ minimum: 0, maximum: Math.floor(Number.MAX_SAFE_INTEGER / SLOT_MS) - 1 }),
  shard: Type.Integer({ minimum: 0, maximum: MAX_BOARD_SHARDS - 1 }),
  /** What was over by then is not on it. */
  asOfMs: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
  /** By rank. */
  offers: Type.Array(BytesSchema(MAX_PAGE_OFFER_BYTES), { maxItems: MAX_PAGE_OFFERS }),
})
export type Page = Static<typeof PageSchema>
export const pages = checker(PageSchema)

/** An offer on a page. */
export interface Posted {
  readonly bytes: Uint8Array
  /** Of the bytes. */
  readonly digest: Key
  readonly id: Key
  readonly offer: Offer
  /** From then on it is none: it has expired, or too little is left of its window. */
  readonly endsMs: number
}

export interface PageRules {
  readonly network: Key
  readonly shards: number
  readonly verify: Verify
  now(): number
}

export class Pages {
  readonly kind: RegisterKind<Page>
  readonly #rules: PageRules
  /** Of offers that were found good, by digest. */
  readonly #known = new CappedMap<Key, Posted>(MAX_KNOWN_OFFERS)

  constructor(rules: PageRules) {
    this.#rules = rules
    this.kind = {
      name: 'board',
      schema: PageSchema,
      merge: (a, b) => this.#merge(a, b),
      expiresAfterMs: AHEAD_MS + SLOT_MS + CLOCK_SKEW_MS,
      expiresAtMs: ({ slot }) => slotStartMs(slot + 1) + CLOCK_SKEW_MS,
      admit: (key, page) => this.#admits(key, page),
    }
  }

  /** Undefined: no offer may be on a page that does not begin thus. */
  posted(bytes: Uint8Array): Posted | undefined {
    const digest = hashKey(bytes)
    const known = this.#known.get(digest)
    if (known) return known
    const read = readPosted(bytes, digest)
    if (!read || read.offer.network !== this.#rules.network) return undefined
    const { account, signature } = read.offer
    if (!this.#rules.verify(account, signedOfferBytes(read.offer), signature)) return undefined
    this.#known.set(digest, read)
    return read
  }

  shardOf({ id }: Posted): number {
    return shardOf(id, this.#rules.shards)
  }

  /** A page with one offer. */
  pageOf(posted: Posted, slot: number): Page {
    // Whole minutes, and one of them late: others' clocks may be behind.
    const asOfMs = Math.max(0, this.#rules.now() - CLOCK_SKEW_MS)
    return { slot, shard: this.shardOf(posted), asOfMs: asOfMs - (asOfMs % CLOCK_SKEW_MS), offers: [posted.bytes] }
  }

  /** What counts of a page that anybody may have sent. */
  onPage(key: Key, value: unknown): Posted[] {
    if (!pages.check(value) || boardKey(value.slot, value.shard) !== key) return []
    return value.offers.flatMap((bytes) => {
      const posted = this.posted(bytes)
      return posted && this.#isOn(value, posted) && posted.endsMs > this.#rules.now() ? [posted] : []
    })
  }

  #isOn({ slot, shard }: Page, posted: Posted): boolean {
    const { fromMs, untilMs } = posted.offer.terms
    if (slotAt(fromMs) > slot || slotAt(untilMs - 1) < slot || this.shardOf(posted) !== shard) return false
    return Math.max(posted.offer.expiresMs, untilMs) <= this.#rules.now() + MAX_OFFER_LIFE_MS + CLOCK_SKEW_MS
  }

  #admits(key: Key, page: Page): boolean {
    const { slot, shard, asOfMs, offers } = page
    const now = this.#rules.now()
    if (shard >= this.#rules.shards || boardKey(slot, shard) !== key) return false
    if (slotStartMs(slot) > now + AHEAD_MS + CLOCK_SKEW_MS || this.kind.expiresAtMs!(page) <= now) return false
    if (asOfMs > now + CLOCK_SKEW_MS) return false
    const isOn = (bytes: Uint8Array) => {
      const posted = this.posted(bytes)
      return posted !== undefined && this.#isOn(page, posted)
    }
    if (!offers.every(isOn)) return false
    const merged = this.#merge(page, page).offers
    return merged.length === offers.length && merged.every((bytes, i) => Buffer.compare(bytes, offers[i]!) === 0)
  }

  /** Of pages under one key, all of whose offers are good. */
  #merge(a: Page, b: Page): Page {
    const { slot, shard } = a
    const asOfMs = Math.max(a.asOfMs, b.asOfMs)
    const all = [...a.offers, ...b.offers].flatMap((bytes) => {
      const digest = hashKey(bytes)
      return this.#known.get(digest) ?? readPosted(bytes, digest) ?? []
    })
    const live = all.filter(({ endsMs }) => endsMs > asOfMs)
    return { slot, shard, asOfMs, offers: ranked(live, boardKey(slot, shard)).map(({ bytes }) => bytes) }
  }
}

/** Form only. */
function readPosted(bytes: Uint8Array, digest: Key): Posted | undefined {
  const offer = bytes.length > MAX_PAGE_OFFER_BYTES ? 'malformed' : decodeOffer(bytes)
  if (typeof offer === 'string') return undefined
  const { expiresMs, terms } = offer
  const least = terms.kind === 'buy' ? terms.minServiceMs : MIN_SERVICE_MS
  return { bytes, digest, id: offerId(offer), offer, endsMs: Math.min(expiresMs, terms.untilMs - least + 1) }
}

/** Those that stay. `page`: its key. */
function ranked(all: readonly Posted[], page: Key): Posted[] {
  // Of two with one number, which only their own account makes, the same one everywhere.
  const byId = new Map<Key, Posted>()
  for (const posted of all) {
    const other = byId.get(posted.id)
    if (!other || posted.digest < other.digest) byId.set(posted.id, posted)
  }
  const lines = new Map<PublicKey, Posted[]>()
  for (const posted of byId.values()) {
    const line = lines.get(posted.offer.account)
    if (line) line.push(posted)
    else lines.set(posted.offer.account, [posted])
  }
  const order = [...lines.keys()].map((account) => ({ account, rank: hashKey(page + account) }))
  order.sort((a, b) => (a.rank < b.rank ? -1 : 1))
  for (const line of lines.values()) line.sort((a, b) => b.offer.number - a.offer.number)
  const kept: Posted[] = []
  for (let place = 0; place < MAX_PAGE_OFFERS_PER_ACCOUNT; place++) {
    for (const { account } of order) {
      const posted = lines.get(account)![place]
      if (posted && kept.length < MAX_PAGE_OFFERS) kept.push(posted)
    }
  }
  return kept
}
