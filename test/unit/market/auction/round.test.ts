import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { hashKey } from '../../../../src/core/ids.ts'
import { MAX_OFFER_LIFE_MS } from '../../../../src/core/limits.ts'
import type { Entries } from '../../../../src/market/auction/entries.ts'
import { type Allocation, type Cleared, clearRound } from '../../../../src/market/auction/round.ts'
import { amount } from '../../../../src/market/ledger/state/amount.ts'
import type { Buy, Sell } from '../../../../src/market/offers/offer.ts'
import { paymentFor, worth } from '../../../../src/market/offers/work.ts'
import { referenceRound } from './reference.ts'
import { buyEntry, HIGHEST_PRICE, rounds, sellEntry, smallBooks, T0 } from './small-books.ts'

const HOUR_MS = 3_600_000
const round = { fromMs: T0, untilMs: T0 + HOUR_MS, feePpm: 0 }
const window = { fromMs: T0, untilMs: T0 + HOUR_MS }
const plainSell: Sell = {
  kind: 'sell',
  host: hashKey('host'),
  coresMilli: 1000,
  speedMips: 1000,
  memoryBytes: 8,
  storeBytes: 0,
  level: 'os',
  ...window,
  minPrice: amount(100n),
}
/** 60 tasks of a minute: an hour of a core. */
const plainBuy: Buy = {
  kind: 'buy',
  job: hashKey('job'),
  tasks: 60,
  taskWorkMi: 60_000,
  memoryBytes: 1,
  replicas: 1,
  maxPrice: amount(200n),
  deadlineMs: T0 + HOUR_MS,
  minServiceMs: 60_000,
  soonMs: MAX_OFFER_LIFE_MS,
  rate: 'auto',
  level: 'process',
  ...window,
}

let sequence = 0
const sell = (terms: Partial<Sell> = {}, owner = `seller ${sequence}`) =>
  sellEntry({ ...plainSell, ...terms }, { account: hashKey(owner), sequence: sequence++ })
const buy = (terms: Partial<Buy> = {}, owner = `buyer ${sequence}`) =>
  buyEntry({ ...plainBuy, ...terms }, { account: hashKey(owner), sequence: sequence++ })
const priced = (millicredits: number) => amount(BigInt(millicredits))

/** As the reference tells it. */
const tradesOf = ({ allocations }: Cleared) =>
  allocations.map((a) => ({ sell: a.sell.id, buy: a.buy.id, taken: a.taken }))

describe('against the reference', () => {
  test('every round of a small book is that of the slow and plain rule', () => {
    let traded = 0
    fc.assert(
      fc.property(smallBooks, rounds, (entries, round) => {
        const ours = clearRound(entries, round)
        const theirs = referenceRound(entries, round, BigInt(HIGHEST_PRICE))
        expect(ours.price).toBe(theirs.price)
        expect(tradesOf(ours)).toEqual(theirs.trades)
        for (const { id, pieces } of ours.rest.sells) expect(theirs.pieces.get(id) ?? pieces).toEqual(pieces)
        traded += ours.allocations.length
      }),
      { numRuns: 400 },
    )
    expect(traded).toBeGreaterThan(400)
  })
})

test('a job is spread over as many hosts as it takes to be done soon, and what is left takes longer', () => {
  const quarter = buy({ soonMs: HOUR_MS / 4 })
  const hosts = Array.from({ length: 5 }, () => sell())
  const tasksOf = (sells: typeof hosts) => {
    const { allocations } = clearRound({ sells, buys: [quarter] }, { ...window, feePpm: 0 })
    return allocations.map(({ sell, taken }) => [sell.id, taken.tasks])
  }
  expect(tasksOf(hosts)).toEqual(hosts.slice(0, 4).map(({ id }) => [id, 15]))
  // Two hosts: a quarter of an hour each, then the rest of the hour of the first.
  const [first, second] = hosts
  expect(tasksOf([first!, second!])).toEqual([
    [first!.id, 15],
    [second!.id, 15],
    [first!.id, 30],
  ])
})

describe('what holds of every round', () => {
  const each = (check: (entries: Entries, cleared: Cleared, round: { fromMs: number; untilMs: number; feePpm: number }) => void) =>
    fc.assert(fc.property(smallBooks, rounds, (entries, round) => check(entries, clearRound(entries, round), round)), { numRuns: 200 }) // biome-ignore format: one thought

  test('the order in which offers are listed makes no difference, their sequence does', () => {
    each((entries, cleared, round) => {
      const turned = { sells: entries.sells.toReversed(), buys: entries.buys.toReversed() }
      const again = clearRound(turned, round)
      expect(again.price).toBe(cleared.price)
      expect(tradesOf(again)).toEqual(tradesOf(cleared))
    })
  })

  test('one price, within the limits of all who trade at it, and buyers pay what sellers and the allocator get', () => {
    each((_, { allocations, price }, { feePpm }) => {
      let paid = 0n
      let got = 0n
      for (const { sell, buy, taken, workMi, price: each } of allocations) {
        expect(each).toBe(price)
        expect(workMi).toBe(BigInt(taken.tasks * buy.terms.taskWorkMi))
        const { cost, wage, fee } = paymentFor(each, workMi, feePpm)
        expect(wage).toBeGreaterThanOrEqual(worth(sell.terms.minPrice, workMi)!)
        expect(cost).toBeLessThanOrEqual(worth(buy.terms.maxPrice, workMi)!)
        expect(fee).toBeGreaterThanOrEqual(0n)
        paid += cost
        got += wage + fee
      }
      expect(paid).toBe(got)
    })
  })

  test('nobody sells more than it has, at any time', () => {
    each(({ sells }, { allocations }) => {
      for (const { id, terms } of sells) {
        const own = allocations.filter(({ sell }) => sell.id === id).map(({ taken }) => taken)
        for (const { fromMs: atMs } of own) {
          const running = own.filter(({ fromMs, untilMs }) => fromMs <= atMs && atMs < untilMs)
          expect(sum(running, ({ coresMilli }) => coresMilli)).toBeLessThanOrEqual(terms.coresMilli)
          expect(sum(running, ({ memoryBytes }) => memoryBytes)).toBeLessThanOrEqual(terms.memoryBytes)
        }
      }
    })
  })

  test('every allocation is feasible: windows, the least service, memory, level, and the tasks fit in it', () => {
    each((_, { allocations }, round) => {
      for (const { sell, buy, taken } of allocations) {
        for (const { fromMs, untilMs } of [sell.terms, buy.terms, round]) {
          expect(taken.fromMs).toBeGreaterThanOrEqual(fromMs)
          expect(taken.untilMs).toBeLessThanOrEqual(untilMs)
        }
        const lengthMs = taken.untilMs - taken.fromMs
        expect(lengthMs).toBeGreaterThanOrEqual(buy.terms.minServiceMs)
        const lanes = Math.max(1, taken.coresMilli / 1000)
        expect(taken.memoryBytes).toBe(lanes * buy.terms.memoryBytes)
        if (buy.terms.level === 'os') expect(sell.terms.level).toBe('os')
        const instructionsPerMs = (sell.terms.speedMips * Math.min(1000, taken.coresMilli)) / 1e6
        const perLane = Math.floor((lengthMs * instructionsPerMs) / buy.terms.taskWorkMi + 1e-9)
        expect(taken.tasks).toBeLessThanOrEqual(lanes * perLane)
        expect(taken.tasks).toBeGreaterThan(0)
      }
    })
  })

  test('a job gets no more copies than it wants, an account no more than there are tasks, and nobody trades with itself', () => {
    each(({ buys }, { allocations, rest }) => {
      for (const { id, account, terms, left } of buys) {
        const own = allocations.filter(({ buy }) => buy.id === id)
        const remaining = rest.buys.find((entry) => entry.id === id)?.left ?? 0
        expect(sum(own, ({ taken }) => taken.tasks) + remaining).toBe(left)
        expect(own.every(({ sell }) => sell.account !== account)).toBe(true)
        const byAccount = Map.groupBy(own, ({ sell }) => sell.account)
        if (terms.replicas === 1) continue
        for (const part of byAccount.values()) expect(copies(part)).toBeLessThanOrEqual(terms.tasks)
      }
    })
  })

  test('rounds over what is left end, and never give an account a second copy of a task', () => {
    fc.assert(
      fc.property(smallBooks, rounds, (entries, round) => {
        const all: Allocation[] = []
        let rest = entries
        for (let i = 0; i < 40; i++) {
          const cleared = clearRound(rest, round)
          if (cleared.price === undefined) break
          all.push(...cleared.allocations)
          rest = cleared.rest
        }
        expect(clearRound(rest, round).price).toBeUndefined()
        for (const [, own] of Map.groupBy(all, ({ buy }) => buy.id)) {
          const { tasks, replicas } = own[0]!.buy.terms
          expect(copies(own)).toBeLessThanOrEqual(tasks * replicas)
          if (replicas === 1) continue
          for (const part of Map.groupBy(own, ({ sell }) => sell.account).values()) {
            expect(copies(part)).toBeLessThanOrEqual(tasks)
          }
        }
      }),
      { numRuns: 100 },
    )
  })

  const copies = (allocations: readonly Allocation[]) => sum(allocations, ({ taken }) => taken.tasks)
  const sum = <T>(items: readonly T[], of: (item: T) => number) => items.reduce((total, item) => total + of(item), 0)
})

describe('the price', () => {
  const priceOf = (sells: readonly number[], buys: readonly number[], feePpm = 0) =>
    clearRound(
      {
        sells: sells.map((price) => sell({ minPrice: priced(price) })),
        buys: buys.map((price) => buy({ maxPrice: priced(price) })),
      },
      { ...round, feePpm },
    )

  test.each([
    ['nobody', [], [], undefined, 0],
    ['no buyer', [100], [], undefined, 0],
    ['too dear', [100], [99], undefined, 0],
    ['equal', [100], [100], 100n, 1],
    ['in the middle of one pair', [100], [201], 150n, 1],
    [
      'in the middle of the dearest seller and the cheapest buyer who trade',
      [10, 50, 70, 300],
      [400, 120, 90, 60],
      80n,
      3,
    ],
    ['a second seller would do it cheaper than the middle', [10, 30], [101], 20n, 1],
    ['a second buyer would pay more than the middle', [10], [101, 81], 91n, 1],
    ['the second seller is too dear for the second buyer', [10, 80], [100, 40], 60n, 1],
  ] as const)('%s', (_, sells, buys, price, trades) => {
    const cleared = priceOf(sells, buys)
    expect(cleared.price).toBe(price)
    expect(cleared.allocations.length).toBe(trades)
  })

  test('ranges that are worth the same and touch are one', () => {
    const sells = [sell({ minPrice: priced(10), level: 'process' }), sell({ minPrice: priced(21) })]
    const buys = [buy({ maxPrice: priced(20) }), buy({ maxPrice: priced(31), level: 'os' })]
    const { price, allocations } = clearRound({ sells, buys }, round)
    expect([price, allocations.length]).toEqual([20n, 1])
  })

  test('the fee comes out of the buyer, and one who could not pay it does not trade', () => {
    expect(priceOf([100], [110], 100_000).price).toBe(100n)
    expect(priceOf([100], [109], 100_000).price).toBeUndefined()
  })
})

describe('ties and parts', () => {
  const buyersOf = (cleared: Cleared) => cleared.allocations.map(({ buy }) => buy.id)

  test('of equal buyers the earlier one is served, whatever else is in its offer', () => {
    const [early, late] = [buy({}, 'b'), buy({ taskWorkMi: 30_000 }, 'a')]
    const hosts = [sell()]
    expect(buyersOf(clearRound({ sells: hosts, buys: [late, early] }, round))).toEqual([early.id])
    const swapped = [{ ...early, sequence: late.sequence }, { ...late, sequence: early.sequence }] // biome-ignore format: short
    expect(buyersOf(clearRound({ sells: hosts, buys: swapped }, round))[0]).toBe(late.id)
  })

  test('of equal sellers the earlier one is asked; a cheaper one before both', () => {
    const hosts = [sell(), sell(), sell({ minPrice: priced(99) })]
    const cleared = clearRound({ sells: hosts, buys: [buy({ tasks: 61 })] }, round)
    expect(cleared.allocations.map(({ sell }) => sell.id)).toEqual([hosts[2]!.id, hosts[0]!.id])
  })

  test('a long need is cut to several hosts, and a host to several needs', () => {
    const hosts = [sell({ coresMilli: 2000 }), sell()]
    const jobs = [buy({ tasks: 100, maxPrice: priced(300) }), buy({ tasks: 100 })]
    const { allocations, rest } = clearRound({ sells: hosts, buys: jobs }, round)
    expect(allocations.map(({ taken }) => taken.tasks)).toEqual([100, 20, 60])
    expect(rest.sells).toEqual([])
    expect(rest.buys).toEqual([{ ...jobs[1]!, left: 20 }])
  })

  test('replicas go to different accounts, and what nobody else can take is left', () => {
    const hosts = [sell({ coresMilli: 8000 }, 'one'), sell({ coresMilli: 8000 }, 'one')]
    const job = buy({ replicas: 2 })
    const { allocations, rest } = clearRound({ sells: hosts, buys: [job] }, round)
    expect(allocations.map(({ taken }) => taken.tasks)).toEqual([60])
    expect(rest.buys[0]).toMatchObject({ left: 60, placed: [[hashKey('one'), 60]] })
    const again = clearRound({ sells: [...rest.sells, sell({}, 'two')], buys: rest.buys }, round)
    expect(again.allocations.map(({ sell }) => sell.account)).toEqual([hashKey('two')])
  })

  test('needs go first to hosts that have the memory for all of their cores', () => {
    const small = sell({ coresMilli: 4000, memoryBytes: 4, minPrice: priced(50) })
    const large = sell({ coresMilli: 4000, memoryBytes: 16 })
    const { allocations } = clearRound({ sells: [small, large], buys: [buy({ memoryBytes: 4 })] }, round)
    expect(allocations[0]?.sell.id).toBe(large.id)
  })
})
