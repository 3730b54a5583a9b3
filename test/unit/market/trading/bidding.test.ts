/** What is bid for a job follows what hosts ask for, within its cap. */
import { expect, test } from 'vitest'
import { hashKey, type Key } from '../../../../src/core/ids.ts'
import { type Allocation, PATIENCE } from '../../../../src/market/ledger/state/allocations/allocation.ts'
import { type Amount, amount } from '../../../../src/market/ledger/state/amount.ts'
import type { Booked } from '../../../../src/market/ledger/state/state.ts'
import { worth } from '../../../../src/market/offers/work.ts'
import { affordablePrice } from '../../../../src/market/trading/bidding.ts'
import { overspent, type Part } from '../../../../src/market/trading/bought.ts'
import { buyTerms } from '../../../../src/market/trading/buy-terms.ts'
import type { PaidTerms } from '../../../../src/market/trading/market.ts'
import { OfferSigner } from '../../../../src/market/trading/number.ts'
import { LENT, never, REQUEST, TASKS, World } from './traders.ts'

const TERMS: PaidTerms = { verify: { kind: 'auto' }, when: 'now', maxCost: amount(2000n) }
/** Of a seller that asks for so much. */
const asking = (minPrice: bigint) => ({ lent: { ...LENT, minPrice: amount(minPrice) } })
type Node = Awaited<ReturnType<World['node']>>

test('a high cap is no high price, and what is bid is raised up to the cap when hosts ask for more', async () => {
  const world = new World()
  const seller = await world.node('seller', { lent: LENT })
  const buyer = await world.node('buyer')
  for (const { trading } of [seller, buyer]) trading.start()
  await world.wait(20_000)
  const terms = { ...TERMS, maxCost: amount(20_000n) }
  await world.run(buyer.trading.submit(REQUEST, terms, never))
  await world.wait(30_000)
  const perHour = (price: bigint) => (price * 3_600_000n) / BigInt(TASKS * 10_000)
  expect(perHour(world.allocations[0]!.price)).toBeLessThanOrEqual(12_100n)
  await world.run(seller.trading.stop())

  const dear = await world.node('dear', { lent: { ...LENT, minPrice: amount(100_000n) } })
  const view = await world.run(buyer.trading.submit({ ...REQUEST, seed: 2 }, terms, never))
  await world.wait(20_000)
  expect(buyer.trading.purchase(view.id)!.reason).toBe('no host offers anything now')
  dear.trading.start()
  await world.wait(60_000)
  expect(world.allocations.map(({ price }) => perHour(price)).toSorted((a, b) => Number(a - b))[1]).toBe(100_012n)
  expect(buyer.trading.purchase(view.id)!.state).toBe('running')
  await dear.trading.stop()
  await buyer.trading.stop()
})

/** The only supplier has all tasks at 10 credits, and does not sign: it gets none of them any more. */
async function left(world: World, maxCost: bigint) {
  const cheap = await world.node('cheap', asking(10_000n))
  const buyer = await world.node('buyer')
  for (const { trading } of [cheap, buyer]) trading.start()
  await world.wait(20_000)
  const view = await world.run(buyer.trading.submit(REQUEST, { ...TERMS, maxCost: amount(maxCost) }, never))
  await world.wait(30_000)
  const [[id, allocation]] = [...world.ledger.state.allocations.entries()] as [[Key, Allocation]]
  expect(allocation.tasks).toBe(TASKS)
  await world.run(buyer.wallet.act({ kind: 'sign', allocation: id, anchor: hashKey('anchor') }, never))
  await world.wait(PATIENCE.sign)
  await world.run(buyer.wallet.act({ kind: 'expire', allocation: id }, never))
  await world.wait(5_000)
  expect(world.buys.map(([, { left }]) => left)).toEqual([TASKS])
  return { cheap, buyer, id: view.id, fee: allocation.fee }
}

async function stop(...nodes: Node[]) {
  for (const { trading } of nodes) await trading.stop()
}

test('when a supplier has left, what it did not do is bid up to what others ask for, as far as the cap pays', async () => {
  const world = new World()
  const { cheap, buyer, id, fee } = await left(world, 2000n)
  const [[offer]] = world.buys as [[Key, Booked]]
  // 16 tasks at 40 credits cost 1796 with the fee, which was paid.
  const dear = await world.node('dear', asking(40_000n))
  dear.trading.start()
  await world.wait(30_000)
  const now = world.allocations.find(({ supplier }) => supplier === dear.wallet.account)!
  expect(now).toMatchObject({ tasks: TASKS, offer })
  expect(world.operations.filter((kind) => kind === 'raise-offer')).toHaveLength(1)
  expect(now.price).toBeGreaterThanOrEqual(worth(40_000n, BigInt(TASKS * 10_000))!)
  expect(fee + now.fee + now.price).toBeLessThanOrEqual(2000n)
  expect(buyer.trading.purchase(id)).toMatchObject({ state: 'running' })
  expect(buyer.world.cancelled).toEqual([])
  await stop(cheap, buyer, dear)
})

test('what was paid in fees before counts: no more is bid than the cap has left', async () => {
  const world = new World()
  const { cheap, buyer, id } = await left(world, 2000n)
  // 16 tasks at 45 credits are 2000 millicredits.
  const dear = await world.node('dear', asking(45_000n))
  dear.trading.start()
  await world.wait(30_000)
  expect(world.operations).not.toContain('raise-offer')
  expect(buyer.trading.purchase(id)!.reason).toMatch(/^no host offers this for your price: the lowest is 45 credits/)
  await stop(cheap, buyer, dear)
})

test('of a job of which a part is placed, the rest is bid up', async () => {
  const world = new World()
  const cheap = await world.node('cheap', { lent: { ...LENT, slots: 1, minPrice: amount(10_000n) } })
  const buyer = await world.node('buyer')
  for (const { trading } of [cheap, buyer]) trading.start()
  await world.wait(20_000)
  // On one core a task of ten seconds after the other: not all of them before its time is over.
  const terms = { ...TERMS, deadlineMs: world.time.now() + 140_000 }
  const view = await world.run(buyer.trading.submit(REQUEST, terms, never))
  await world.wait(10_000)
  const [first] = world.allocations
  expect(first!.tasks).toBeLessThan(TASKS)
  const dear = await world.node('dear', asking(30_000n))
  dear.trading.start()
  await world.wait(45_000)
  const second = world.allocations.find(({ supplier }) => supplier === dear.wallet.account)
  expect(first!.tasks + second!.tasks).toBe(TASKS)
  const sum = world.allocations.reduce((all, { price, fee }) => all + price + fee, 0n)
  expect(sum).toBeLessThanOrEqual(TERMS.maxCost)
  expect(buyer.trading.purchase(view.id)!.state).toBe('running')
  await stop(cheap, buyer, dear)
})

test('the price that the cap still pays is not overspent, and a higher one is', async () => {
  const world = new World()
  const buyer = await world.node('buyer')
  const nowMs = world.time.now()
  for (const [tasks, taskWorkMi, left, fresh] of [
    [16, 10_000, 16, 16],
    [16, 10_000, 5, 0],
    [1000, 77_777, 999, 3],
    [40, 3_600_000, 7, 6],
  ] as const) {
    const size = { tasks, replicas: 1, taskWorkMi, verify: TERMS.verify, level: 'process' as const }
    const window = { fromMs: nowMs, untilMs: nowMs + 3_600_000, soonMs: 60_000, maxPrice: amount(1n) }
    const terms = buyTerms({ ...size, ...window, job: hashKey('a job') })
    const { id, bytes } = new OfferSigner(buyer.ports).sign(terms, window.untilMs)
    const part = { paid: 300n, fee: 9n, locked: 500n, price: 700n, isOpen: true } as Part
    const times = { fromMs: nowMs, deadlineMs: window.untilMs }
    const bought = {
      ...{ job: 'job', key: hashKey('key'), offer: bytes, id, maxCost: amount(2_000_000n), verify: 'auto', tasks },
      ...{ ...times, parts: [part] },
    }
    const maxPrice = affordablePrice(bought, { left, fresh })
    expect(overspent(bought, { left, fresh, maxPrice })).toBeUndefined()
    const higher = ((maxPrice * 102n) / 100n) as Amount
    expect(overspent(bought, { left, fresh, maxPrice: higher })).toMatch(/^the cap is too low/)
  }
})
