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

/** Two sellers at 10 and at 20 credits, and a job each task of which is for two accounts. */
async function replicated(sellers: readonly bigint[]) {
  const world = new World()
  const nodes: Node[] = []
  for (const price of sellers) nodes.push(await world.node(`seller at ${price}`, asking(price)))
  const buyer = await world.node('buyer')
  for (const { trading } of [...nodes, buyer]) trading.start()
  await world.wait(20_000)
  const verify = { kind: 'replicate', replicas: 2 } as const
  const terms = { ...TERMS, verify, maxCost: amount(5000n), deadlineMs: world.time.now() + 30 * 60_000 }
  const view = await world.run(buyer.trading.submit(REQUEST, terms, never))
  await world.wait(40_000)
  /** As if the suppliers had done all, and had been paid. */
  const paid = new Set<string>()
  const { contracts } = buyer.ports
  const all = contracts.all
  contracts.all = () =>
    [...all()].map(([id, one]): [Key, Allocation] => {
      if (!paid.has(one.supplier)) return [id, one]
      return [id, { ...one, paid: one.tasks, phase: { name: 'closed', outcome: 'done', deadlineMs: 1e13 } }]
    })
  return { world, nodes, buyer, id: view.id, paid, stop: () => stop(...nodes, buyer) }
}

test('of a job that two accounts are to do, the bid reaches the dearer one, and it is settled when both are paid', async () => {
  const { world, nodes, buyer, id, paid, stop } = await replicated([10_000n, 20_000n])
  const accounts = nodes.map(({ wallet }) => wallet.account)
  expect(new Set(world.allocations.map(({ supplier }) => supplier))).toEqual(new Set(accounts))
  expect(world.allocations.map(({ tasks }) => tasks)).toEqual([TASKS, TASKS])
  const cost = world.allocations.reduce((sum, { price, fee }) => sum + price + fee, 0n)
  expect(cost).toBeLessThanOrEqual(5000n)
  paid.add(accounts[0]!)
  world.end(id, 'succeeded')
  await world.wait(60_000)
  expect(buyer.trading.purchase(id)).toMatchObject({
    state: 'settling',
    reason: expect.stringMatching(/^the job has succeeded, 1 of 2 copies of each task are checked: /),
  })
  expect(buyer.world.released, 'the other contract goes on').toEqual([])
  expect(world.buys, 'what comes back could be placed again').toHaveLength(1)
  paid.add(accounts[1]!)
  await world.wait(20_000)
  const done = buyer.trading.purchase(id)!
  expect(done).toMatchObject({ state: 'settled', reason: 'the job has succeeded' })
  expect(done.paid + done.fees).toBe(cost)
  expect(buyer.world.released).toHaveLength(1)
  expect(world.buys).toEqual([])
  await stop()
})

test('a second account is bid up to when it comes, and one that never comes leaves the result as it is', async () => {
  const { world, nodes, buyer, id, paid, stop } = await replicated([10_000n])
  expect(world.allocations).toHaveLength(1)
  expect(buyer.trading.purchase(id)!.reason).toContain('each task is for 2 hosts of different accounts')
  paid.add(nodes[0]!.wallet.account)
  world.end(id, 'succeeded')
  await world.wait(60_000)
  expect(buyer.trading.purchase(id)!.state).toBe('settling')
  const again = buyer.open()
  await world.run(buyer.trading.stop())
  again.start()
  await world.wait(20_000)
  expect(again.purchase(id)!.state, 'after a restart').toBe('settling')
  const dear = await world.node('dear', asking(40_000n))
  dear.trading.start()
  await world.wait(40_000)
  expect(world.operations).toContain('raise-offer')
  expect(world.allocations.map(({ tasks }) => tasks)).toEqual([TASKS, TASKS])
  await world.wait(40 * 60_000)
  const [open] = [...world.ledger.state.allocations.entries()].find(([, one]) => one.supplier === dear.wallet.account)!
  await world.run(dear.wallet.act({ kind: 'expire', allocation: open }, never))
  await world.wait(20_000)
  const end = again.purchase(id)!
  expect(end.state).toBe('settled')
  expect(end.failure).toBeUndefined()
  expect(end.reason).toMatch(/^the job has succeeded, but only 1 of 2 copies of each task were compared: not done by/)
  expect(buyer.world.released).toHaveLength(1)
  expect(buyer.world.cancelled).toEqual([])
  expect(world.buys).toEqual([])
  await world.run(again.stop())
  await stop()
  await world.run(dear.trading.stop())
})
