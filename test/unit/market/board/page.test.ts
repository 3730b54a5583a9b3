/** What a page of the board keeps, whatever comes in whatever order. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { fakeKeyPair, fakeVerify } from '../../../../sim/fake-keys.ts'
import { encode } from '../../../../src/core/cbor.ts'
import { hashKey, type Key } from '../../../../src/core/ids.ts'
import {
  MAX_OFFER_LIFE_MS,
  MAX_PAGE_OFFER_BYTES,
  MAX_PAGE_OFFERS,
  MAX_PAGE_OFFERS_PER_ACCOUNT,
  MAX_PRICE,
  MAX_REGISTER_BYTES,
} from '../../../../src/core/limits.ts'
import { AHEAD_MS, type Page, Pages } from '../../../../src/market/board/page.ts'
import { amount } from '../../../../src/market/ledger/state/amount.ts'
import { type Buy, offerId, signOffer } from '../../../../src/market/offers/offer.ts'
import { boardKey, SLOT_MS, shardOf } from '../../../../src/market/offers/price-slot.ts'
import { type Given, HOUR_MS, network, selling } from './offers.ts'

const NOW = HOUR_MS

function pagesAt(nowMs = NOW, shards = 1): Pages {
  return new Pages({ network, shards, verify: fakeVerify, now: () => nowMs })
}

const { kind } = pagesAt()

function page(offers: readonly Uint8Array[], given: Partial<Page> = {}): Page {
  return { slot: 0, shard: 0, asOfMs: 0, offers: [...offers], ...given }
}

/** Of offers in any order. */
function normal(offers: readonly Uint8Array[], given: Partial<Page> = {}): Page {
  return kind.merge(page(offers), page([], given))
}

function accountsOn({ offers }: Page): Map<Key, number> {
  const pages = pagesAt()
  const counts = new Map<Key, number>()
  for (const bytes of offers) {
    const { account } = pages.posted(bytes)!.offer
    counts.set(account, (counts.get(account) ?? 0) + 1)
  }
  return counts
}

describe('a full page', () => {
  /** Of 24 accounts, 1 to 24 offers each: far more than fit. */
  const pool = Array.from({ length: 24 }, (_, who) =>
    Array.from({ length: who + 1 }, (_, i) => selling(`account ${who}`, i)),
  ).flat()
  const some = fc.subarray(pool, { minLength: 40 })

  test('merges commute, associate and are idempotent', () => {
    fc.assert(
      fc.property(some, some, some, (x, y, z) => {
        const [a, b, c] = [normal(x), normal(y), normal(z)]
        const ab = kind.merge(a, b)
        expect(kind.merge(b, a)).toEqual(ab)
        expect(kind.merge(kind.merge(c, b), a)).toEqual(kind.merge(c, ab))
        expect(kind.merge(ab, b)).toEqual(ab)
        expect(kind.merge(ab, ab)).toEqual(ab)
        expect(ab).toEqual(normal([...x, ...y]))
      }),
      { numRuns: 30 },
    )
  })

  test('those who have the most lose first, the oldest of theirs', () => {
    fc.assert(
      fc.property(some, (offers) => {
        const all = [...accountsOn(page(offers)).values()].map((count) => Math.min(count, MAX_PAGE_OFFERS_PER_ACCOUNT))
        while (all.reduce((sum, count) => sum + count, 0) > MAX_PAGE_OFFERS) all[all.indexOf(Math.max(...all))]!--
        const full = normal(offers)
        expect([...accountsOn(full).values()].sort()).toEqual(all.sort())
        const kept = new Set(full.offers)
        const lost = offers.filter((offer) => !kept.has(offer)).map((bytes) => pagesAt().posted(bytes)!.offer)
        for (const { account, number } of full.offers.map((bytes) => pagesAt().posted(bytes)!.offer)) {
          for (const other of lost) if (other.account === account) expect(other.number).toBeLessThan(number)
        }
      }),
      { numRuns: 30 },
    )
  })

  test('100,000 offers of one account leave room for others, whoever came first', () => {
    const pages = pagesAt(NOW, 8)
    const flood: Uint8Array[] = []
    const key = fakeKeyPair('flood')
    for (let i = 0; i < 100_000; i++) {
      const offer = selling('flood', i, { key })
      if (shardOf(offerId({ network, account: key.publicKey, number: i }), 8) === 3) flood.push(offer)
    }
    expect(flood.length).toBeGreaterThan(12_000)
    let held = page([], { shard: 3 })
    const others: Uint8Array[] = []
    for (let i = 0; others.length < MAX_PAGE_OFFERS - MAX_PAGE_OFFERS_PER_ACCOUNT; i++) {
      const offer = selling(`honest ${i}`, 1)
      if (pages.shardOf(pages.posted(offer)!) === 3) others.push(offer)
    }
    for (let i = 0; i * MAX_PAGE_OFFERS < flood.length; i++) {
      const more = flood.slice(i * MAX_PAGE_OFFERS, (i + 1) * MAX_PAGE_OFFERS)
      held = pages.kind.merge(held, page(more, { shard: 3 }))
      const other = others[i]
      if (other) held = pages.kind.merge(held, page([other], { shard: 3 }))
      expect(held.offers.length).toBeLessThanOrEqual(MAX_PAGE_OFFERS)
    }
    const digests = new Set(held.offers.map((bytes) => hashKey(bytes)))
    for (const other of others) expect(digests.has(hashKey(other))).toBe(true)
    expect(held.offers.length).toBe(MAX_PAGE_OFFERS)
    expect(pages.kind.admit!(boardKey(0, 3), held)).toBe(true)
  })

  test('is a register, with the longest offers that there are', () => {
    const N = Number.MAX_SAFE_INTEGER
    const key = fakeKeyPair('x')
    const terms: Buy = {
      kind: 'buy',
      job: hashKey('job'),
      ...{
        tasks: N,
        taskWorkMi: N,
        memoryBytes: N,
        replicas: N,
        deadlineMs: N,
        minServiceMs: N,
        soonMs: N,
        fromMs: N,
        untilMs: N,
      },
      ...{ rate: 1_000_000 },
      maxPrice: amount(BigInt(MAX_PRICE)),
      level: 'process',
    }
    const longest = signOffer({ network, account: key.publicKey, number: N, expiresMs: N, terms }, key).length
    expect(longest).toBeLessThanOrEqual(MAX_PAGE_OFFER_BYTES)
    const bytes = new Uint8Array(MAX_PAGE_OFFER_BYTES)
    const full = page(
      Array.from({ length: MAX_PAGE_OFFERS }, () => bytes),
      { slot: N, asOfMs: N, shard: 1023 },
    )
    expect(encode(full).length).toBeLessThanOrEqual(MAX_REGISTER_BYTES)
  })
})

test('two offers with one number are one, the same everywhere', () => {
  const [a, b] = [selling('anna', 1), selling('anna', 1, { untilMs: HOUR_MS })]
  const merged = kind.merge(page([a]), page([b]))
  expect(merged.offers).toHaveLength(1)
  expect(kind.merge(page([b]), page([a]))).toEqual(merged)
})

test('what is over makes room when somebody posts who knows', () => {
  const [short, long] = [selling('anna', 1, { expiresMs: 2 * HOUR_MS }), selling('bert', 1)]
  const both = normal([short, long])
  expect(both.offers).toHaveLength(2)
  const later = pagesAt(2 * HOUR_MS + 120_000)
  const fresh = later.pageOf(later.posted(selling('cleo', 1))!, 0)
  expect(fresh.asOfMs).toBeGreaterThanOrEqual(2 * HOUR_MS)
  const merged = kind.merge(both, fresh)
  expect(merged.offers.map((bytes) => hashKey(bytes)).sort()).toEqual([hashKey(long), hashKey(fresh.offers[0]!)].sort())
  // A copy that does not know it yet does not bring it back.
  expect(kind.merge(both, merged)).toEqual(merged)
  // Readers go by their own clock.
  expect(later.onPage(boardKey(0, 0), both).map(({ digest }) => digest)).toEqual([hashKey(long)])
})

test('replicas that forgot at different times agree again', () => {
  const pool = Array.from({ length: 200 }, (_, i) =>
    selling(`account ${i % 40}`, i, { expiresMs: 2 * HOUR_MS + i * 60_000 }),
  )
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.subarray(pool), fc.nat(150)), { minLength: 3, maxLength: 3 }), (given) => {
      const copies = given.map(([offers, minutes]) => normal(offers, { asOfMs: 2 * HOUR_MS + minutes * 60_000 }))
      for (let round = 0; round < 2; round++) {
        for (let i = 0; i < 3; i++) {
          const merged = kind.merge(copies[i]!, copies[(i + 1) % 3]!)
          copies[i] = copies[(i + 1) % 3] = merged
        }
      }
      expect(copies[1]).toEqual(copies[0])
      expect(copies[2]).toEqual(copies[0])
    }),
    { numRuns: 30 },
  )
})

describe('what does not belong is refused', () => {
  const admits = (given: Given, change: Partial<Page> = {}, nowMs = NOW) => {
    const pages = pagesAt(nowMs)
    const made = page([selling('anna', 1, given)], change)
    return pages.kind.admit!(boardKey(made.slot, made.shard), made)
  }
  test.each<[string, boolean, Given, Partial<Page>?, number?]>([
    ['an offer for the slot', true, {}],
    ['for the second of its slots', true, {}, { slot: 1 }],
    ['for a slot after its window', false, {}, { slot: 2 }],
    ['for a slot before its window', false, { fromMs: SLOT_MS }, {}],
    ['of another network', false, { network: hashKey('other') }],
    ['of another account', false, { account: hashKey('other') }],
    ['of a window that ends too far ahead', false, { untilMs: 2 * MAX_OFFER_LIFE_MS, expiresMs: 2 * HOUR_MS }],
    ['a page of another shard', false, {}, { shard: 1 }],
    ['a page of a slot that is over', false, { untilMs: 9 * SLOT_MS }, {}, 2 * SLOT_MS],
    ['a page of a slot that is far ahead', false, { untilMs: 40 * SLOT_MS }, { slot: 2 + AHEAD_MS / SLOT_MS }],
    ['a page from the future', false, {}, { asOfMs: NOW + 3 * 60_000 }],
    ['an offer that is over, of a page that is late', true, { expiresMs: NOW - 1 }],
    ['an offer that is over for the page itself', false, { expiresMs: NOW - 1 }, { asOfMs: NOW }],
  ])('%s: %s', (_what, good, given, change, nowMs) => {
    expect(admits(given, change, nowMs)).toBe(good)
  })

  test('another key, bytes that are no offer, a copy of a signature, and another order', () => {
    const good = normal([selling('anna', 1), selling('bert', 1), selling('anna', 2)])
    const pages = pagesAt()
    const admits = (offers: Uint8Array[], key = boardKey(0, 0)) => pages.kind.admit!(key, page(offers))
    expect(admits(good.offers)).toBe(true)
    expect(admits(good.offers, boardKey(1, 0))).toBe(false)
    expect(admits([...good.offers].reverse())).toBe(false)
    expect(admits([...good.offers, good.offers[0]!])).toBe(false)
    expect(admits([encode('nonsense')])).toBe(false)
    const forged = good.offers[0]!.slice()
    forged[forged.length - 20]! ^= 1
    expect(admits([forged])).toBe(false)
  })

  test('of a page from a liar only what is good is read', () => {
    const pages = pagesAt()
    const [good, other] = [selling('anna', 1), selling('bert', 1, { network: hashKey('other') })]
    expect(pages.onPage(boardKey(0, 0), page([other, good])).map(({ bytes }) => bytes)).toEqual([good])
    expect(pages.onPage(boardKey(1, 0), page([good]))).toEqual([])
    expect(pages.onPage(boardKey(0, 0), { offers: [good] })).toEqual([])
  })
})
