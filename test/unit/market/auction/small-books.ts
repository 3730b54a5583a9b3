/** Small random books for properties: few prices, so that there are ties; a few accounts, so that some trade with themselves. */
import fc from 'fast-check'
import { hashKey } from '../../../../src/core/ids.ts'
import type { BuyEntry, Entries, SellEntry } from '../../../../src/market/auction/entries.ts'
import { amount } from '../../../../src/market/ledger/state/amount.ts'
import type { Buy, Sell } from '../../../../src/market/offers/offer.ts'

export const T0 = 1_790_000_000_000
export const HIGHEST_PRICE = 17

const price = fc.integer({ min: 1, max: HIGHEST_PRICE - 3 }).map((value) => amount(BigInt(value)))
const account = fc.integer({ min: 0, max: 5 }).map((number) => hashKey(`account ${number}`))
const level = fc.constantFrom('process', 'process', 'os')
/** Up to 12 minutes, in halves. */
const window = fc
  .tuple(fc.nat(14), fc.integer({ min: 4, max: 24 }))
  .map(([from, length]) => ({ fromMs: T0 + from * 30_000, untilMs: T0 + Math.min(24, from + length) * 30_000 }))
  .map(({ fromMs, untilMs }) => ({ fromMs, untilMs: Math.max(untilMs, fromMs + 60_000) }))

export function sellEntry(terms: Sell, entry: Pick<SellEntry, 'account' | 'sequence'>): SellEntry {
  const { fromMs, untilMs, coresMilli, memoryBytes } = terms
  const pieces = [{ fromMs, untilMs, coresMilli, memoryBytes }]
  return { ...entry, id: hashKey(`sell ${entry.sequence}`), expiresMs: T0 + 86_400_000, terms, pieces }
}

export function buyEntry(terms: Buy, entry: Pick<BuyEntry, 'account' | 'sequence'>): BuyEntry {
  const left = terms.tasks * terms.replicas
  return { ...entry, id: hashKey(`buy ${entry.sequence}`), expiresMs: T0 + 86_400_000, terms, left, placed: [] }
}

const sell = fc
  .record({
    account,
    window,
    level,
    minPrice: price,
    coresMilli: fc.constantFrom(40, 300, 1000, 1000, 1040, 2500, 4000),
    speedMips: fc.constantFrom(333, 1000, 2000),
    memoryBytes: fc.constantFrom(1, 2, 3, 4, 8),
  })
  .map(({ account, window, ...rest }) => {
    const terms: Sell = { kind: 'sell', host: account, storeBytes: 0, ...rest, ...window }
    return { account, terms }
  })

const buy = fc
  .record({
    account,
    window,
    level,
    maxPrice: price.map((each) => amount(each + 3n)),
    tasks: fc.integer({ min: 1, max: 9 }),
    taskWorkMi: fc.constantFrom(7000, 20_000, 30_000, 61_000, 120_001),
    memoryBytes: fc.constantFrom(1, 1, 2, 3),
    replicas: fc.constantFrom(1, 1, 2, 3),
    minServiceMs: fc.constantFrom(60_000, 60_000, 60_000, 90_000, 240_000),
    soonMs: fc.constantFrom(60_000, 120_000, 240_000, 3_600_000_000),
    rate: fc.constant('auto' as const),
  })
  .map(({ account, window, ...rest }) => {
    const terms: Buy = { kind: 'buy', job: account, deadlineMs: window.untilMs, ...rest, ...window }
    return { account, terms }
  })

/** Sequence numbers are those of a shuffled list: neither side comes first. */
export const smallBooks: fc.Arbitrary<Entries> = fc
  .tuple(
    fc.array(sell, { minLength: 1, maxLength: 7 }),
    fc.array(buy, { minLength: 1, maxLength: 7 }),
    fc.array(fc.nat(), { minLength: 14, maxLength: 14 }),
  )
  .map(([sells, buys, ranks]) => {
    const order = ranks.map((rank, i) => [rank, i] as const).sort(([a, i], [b, j]) => a - b || i - j)
    const numbers = new Map(order.map(([, i], sequence) => [i, sequence]))
    return {
      sells: sells.map(({ account, terms }, i) => sellEntry(terms, { account, sequence: numbers.get(i)! })),
      buys: buys.map(({ account, terms }, i) => buyEntry(terms, { account, sequence: numbers.get(7 + i)! })),
    }
  })

export const rounds = fc.record({
  fromMs: fc.constantFrom(T0, T0 + 100_000),
  untilMs: fc.constantFrom(T0 + 720_000, T0 + 500_000),
  feePpm: fc.constantFrom(0, 10_000, 200_000),
})
