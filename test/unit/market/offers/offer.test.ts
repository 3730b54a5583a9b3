import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { fakeKeyPair, fakeVerify } from '../../../../sim/fake-keys.ts'
import { decode, encode } from '../../../../src/core/cbor.ts'
import { hashKey } from '../../../../src/core/ids.ts'
import { MAX_OFFER_BYTES, MAX_OFFER_LIFE_MS, MAX_PRICE } from '../../../../src/core/limits.ts'
import { verifyEd25519 } from '../../../../src/market/ledger/ed25519.ts'
import { amount } from '../../../../src/market/ledger/state/amount.ts'
import {
  type Buy,
  decodeOffer,
  OFFER_FAULTS,
  type OfferFault,
  offerFault,
  offerId,
  type Sell,
  signOffer,
  type UnsignedOffer,
} from '../../../../src/market/offers/offer.ts'

const NOW = 1_790_000_000_000
const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const anna = fakeKeyPair('anna')
const network = hashKey('network')
const context = { network, nowMs: NOW, verify: fakeVerify }

const sell: Sell = {
  kind: 'sell',
  host: hashKey('host'),
  coresMilli: 4000,
  speedMips: 3000,
  memoryBytes: 2 ** 33,
  storeBytes: 0,
  level: 'os',
  fromMs: NOW + HOUR_MS,
  untilMs: NOW + 9 * HOUR_MS,
  minPrice: amount(1200n),
}
const buy: Buy = {
  kind: 'buy',
  job: hashKey('job'),
  tasks: 1000,
  taskWorkMi: 60_000,
  memoryBytes: 2 ** 28,
  replicas: 2,
  maxPrice: amount(1500n),
  deadlineMs: NOW + DAY_MS,
  minServiceMs: 600_000,
  soonMs: MAX_OFFER_LIFE_MS,
  rate: 'auto',
  level: 'process',
  fromMs: NOW,
  untilMs: NOW + 6 * HOUR_MS,
}
const unsigned: UnsignedOffer = { network, account: anna.publicKey, number: 7, expiresMs: NOW + DAY_MS, terms: sell }
const signed = (terms: object = sell, envelope: object = {}) =>
  signOffer({ ...unsigned, ...envelope, terms } as UnsignedOffer, anna)
const selling = (change: object) => signed({ ...sell, ...change })
const buying = (change: object) => signed({ ...buy, ...change })

const seen = new Set<OfferFault>()
function read(bytes: Uint8Array, over: object = {}) {
  const offer = decodeOffer(bytes)
  const outcome = typeof offer === 'string' ? offer : (offerFault(offer, { ...context, ...over }) ?? offer)
  if (typeof outcome === 'string') seen.add(outcome)
  return outcome
}

test.each([sell, buy])('what was signed is read again: $kind', (terms) => {
  const bytes = signed(terms)
  expect(bytes.length).toBeLessThan(MAX_OFFER_BYTES)
  expect(read(bytes)).toMatchObject({ ...unsigned, terms })
})

test('the largest of all fits', () => {
  const most = 2 ** 42
  const large = {
    ...buy,
    tasks: 2 ** 22,
    taskWorkMi: 3_600_000_000,
    memoryBytes: most,
    replicas: 16,
    maxPrice: amount(1n),
  }
  const bytes = signed({ ...large, level: 'process' }, { number: Number.MAX_SAFE_INTEGER })
  expect(bytes.length).toBeLessThan(600)
  expect(typeof read(bytes)).toBe('object')
})

describe('what is none', () => {
  const good = decode(signed()) as { terms: object }
  const cases: ReadonlyArray<readonly [string, Uint8Array, OfferFault]> = [
    ['nothing', new Uint8Array(), 'malformed'],
    ['half of one', signed().subarray(0, 200), 'malformed'],
    ['one and a byte', Uint8Array.of(...signed(), 0), 'malformed'],
    ['too long', new Uint8Array(MAX_OFFER_BYTES + 1), 'malformed'],
    ['a field too many', encode({ ...good, extra: 1 }), 'malformed'],
    ['a term too many', selling({ extra: 1 }), 'malformed'],
    ['an unknown kind', selling({ kind: 'lend' }), 'malformed'],
    ['no terms', encode({ ...good, terms: null }), 'malformed'],
    ['an unknown level', selling({ level: 'none' }), 'malformed'],
    ['half a core', selling({ coresMilli: 0.5 }), 'malformed'],
    ['half a millicredit', selling({ minPrice: 0.5 }), 'malformed'],
    ['a price in words', buying({ maxPrice: '7' }), 'malformed'],
    ['a price of zero', selling({ minPrice: 0 }), 'bad-price'],
    ['a price below zero', selling({ minPrice: -1 }), 'bad-price'],
    ['a buyer that wants money', buying({ maxPrice: -1n }), 'bad-price'],
    ['a huge price', selling({ minPrice: MAX_PRICE + 1 }), 'bad-price'],
    ['a price of 2^64 - 1', buying({ maxPrice: 2n ** 64n - 1n }), 'bad-price'],
    [
      'more than all the credits there can be',
      buying({ maxPrice: MAX_PRICE, tasks: 2 ** 22, taskWorkMi: 3_600_000_000 }),
      'bad-price',
    ],
    ['no cores', selling({ coresMilli: 0 }), 'bad-cores'],
    ['more cores than there are', selling({ coresMilli: 2_000_000 }), 'bad-cores'],
    ['a core that stands still', selling({ speedMips: 0 }), 'bad-cores'],
    ['a core of another world', selling({ speedMips: 10 ** 9 }), 'bad-cores'],
    ['no memory', selling({ memoryBytes: 0 }), 'bad-memory'],
    ['more memory than plausible', selling({ memoryBytes: 2 ** 43 }), 'bad-memory'],
    ['more memory than plausible for a task', buying({ memoryBytes: 2 ** 43 }), 'bad-memory'],
    ['a store below zero', selling({ storeBytes: -1 }), 'bad-memory'],
    ['no tasks', buying({ tasks: 0 }), 'bad-work'],
    ['tasks without end', buying({ taskWorkMi: 2 ** 40 }), 'bad-work'],
    ['no replicas', buying({ replicas: 0 }), 'bad-replicas'],
    ['too many replicas', buying({ replicas: 17 }), 'bad-replicas'],
    ['a window upside down', selling({ fromMs: NOW + 2 * HOUR_MS, untilMs: NOW + HOUR_MS }), 'bad-window'],
    ['an empty window', selling({ untilMs: sell.fromMs }), 'bad-window'],
    ['a window below the least service', buying({ untilMs: NOW + 599_999 }), 'bad-window'],
    ['a share of less than nothing', buying({ rate: -1 }), 'bad-rate'],
    ['a share above one', buying({ rate: 1_000_001 }), 'bad-rate'],
    ['seconds of service', buying({ minServiceMs: 1000 }), 'bad-window'],
    ['a deadline within the window', buying({ deadlineMs: buy.untilMs - 1 }), 'bad-deadline'],
    ['a deadline in a hundred years', buying({ deadlineMs: NOW + 36_500 * DAY_MS }), 'bad-deadline'],
    ['one of another network', signed(sell, { network: hashKey('other') }), 'wrong-network'],
    ['an expired one', signed(sell, { expiresMs: NOW }), 'expired'],
    ['a window in the past', selling({ fromMs: NOW - 2 * HOUR_MS, untilMs: NOW - HOUR_MS }), 'past-window'],
    ['a window that is nearly over', buying({ fromMs: NOW - HOUR_MS, untilMs: NOW + 599_999 }), 'past-window'],
    ['an offer for ever', signed(sell, { expiresMs: NOW + 365 * DAY_MS }), 'too-far-ahead'],
    ['a window next year', selling({ fromMs: NOW + 365 * DAY_MS, untilMs: NOW + 366 * DAY_MS }), 'too-far-ahead'],
    ['a signature of another', signOffer(unsigned, fakeKeyPair('ben')), 'bad-signature'],
    [
      'a price that was changed on the way',
      encode({ ...good, terms: { ...good.terms, minPrice: 1199 } }),
      'bad-signature',
    ],
  ]
  test.each(cases)('%s', (_, bytes, fault) => {
    expect(read(bytes)).toBe(fault)
  })

  test('every fault there is was met', () => {
    expect([...seen].sort()).toEqual(Object.keys(OFFER_FAULTS).sort())
  })
})

test('any bytes are an offer or have a reason, and one byte changed makes another offer or none', () => {
  const bytes = signed(buy)
  const good = read(bytes)
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (noise) => typeof read(noise) === 'string'))
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
      const changed = bytes.slice()
      changed[at]! ^= change
      const outcome = read(changed)
      expect(typeof outcome).toBe('string')
      expect(outcome).not.toEqual(good)
    }),
  )
})

test('Ed25519 itself refuses an offer that was changed', () => {
  expect(read(signed(), { verify: verifyEd25519 })).toBe('bad-signature')
})

test('an offer is named by its account and number, whatever it says', () => {
  expect(offerId(unsigned)).toBe(offerId({ ...unsigned, terms: buy } as UnsignedOffer))
  const others = [{ number: 8 }, { account: hashKey('ben') }, { network: hashKey('other') }]
  expect(new Set([unsigned, ...others.map((change) => ({ ...unsigned, ...change }))].map(offerId)).size).toBe(4)
})
