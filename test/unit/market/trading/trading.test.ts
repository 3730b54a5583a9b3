import { expect, test } from 'vitest'
import { fakeKeyPair } from '../../../../sim/fake-keys.ts'
import { ChoraleError } from '../../../../src/core/errors.ts'
import { hashKey, type Key } from '../../../../src/core/ids.ts'
import { MAX_OFFERS_PER_ACCOUNT } from '../../../../src/core/limits.ts'
import { LEAST_BOND } from '../../../../src/market/ledger/state/allocations/allocation.ts'
import { amount } from '../../../../src/market/ledger/state/amount.ts'
import { total } from '../../../../src/market/ledger/state/purse.ts'
import { decodeOffer, signOffer } from '../../../../src/market/offers/offer.ts'
import { buyTerms } from '../../../../src/market/trading/buy-terms.ts'
import type { PaidTerms } from '../../../../src/market/trading/market.ts'
import { OfferSigner } from '../../../../src/market/trading/number.ts'
import { sellTerms } from '../../../../src/market/trading/sell-terms.ts'
import { LENT, never, REQUEST, TASKS, World } from './traders.ts'

const TERMS: PaidTerms = { verify: { kind: 'auto' }, when: 'now', maxCost: amount(2000n) }
const HOUR_MS = 3_600_000
const SELL_LIFE_MS = HOUR_MS

test('two nodes come to an allocation, and what it costs stays below the cap', async () => {
  const world = new World()
  const seller = await world.node('seller', { lent: LENT })
  const buyer = await world.node('buyer')
  seller.trading.start()
  buyer.trading.start()
  await world.wait(20_000)
  expect(world.sells).toHaveLength(1)
  const view = await world.run(buyer.trading.submit(REQUEST, TERMS, never))
  expect(buyer.world.remembered).toHaveLength(1)
  await world.wait(30_000)
  expect(world.allocations.map(({ tasks }) => tasks)).toEqual([TASKS])
  const [allocation] = world.allocations
  expect(allocation!.price + allocation!.fee).toBeLessThanOrEqual(TERMS.maxCost)
  expect(buyer.trading.jobOf(allocation!)).toBe(view.id)
  expect(seller.trading.jobOf(allocation!)).toBeUndefined()
  const purchase = buyer.trading.purchase(view.id)!
  expect(purchase).toMatchObject({ state: 'running', reason: '0 of 1 supplier at work', tasks: TASKS })
  expect(purchase.fees).toBe(allocation!.fee)
  expect(seller.trading.sales()).toMatchObject([{ state: 'signing', tasks: TASKS, price: allocation!.price }])
  expect(seller.trading.funnel()).toMatchObject({ seen: 1, fitting: 1, won: 1 })
  await seller.trading.stop()
  await buyer.trading.stop()
})

test('nobody does anything while nothing happens, and an offer is renewed before it runs out', async () => {
  const world = new World()
  const seller = await world.node('seller', { lent: LENT })
  const other = await world.node('other')
  seller.trading.start()
  other.trading.start()
  await world.wait(20_000)
  expect(world.operations).toEqual(['hand-in'])
  await world.wait(SELL_LIFE_MS - 400_000)
  expect(world.operations).toEqual(['hand-in'])
  const [before] = world.sells
  await world.wait(300_000)
  expect(world.operations).toEqual(['hand-in', 'withdraw-offer', 'hand-in'])
  const [now] = world.sells
  expect(now![0]).not.toBe(before![0])
  expect(world.sells).toHaveLength(1)
  await seller.trading.stop()
  await other.trading.stop()
})

test('an offer is taken back when lending ends, and when the host leaves', async () => {
  const world = new World()
  const seller = await world.node('seller', { lent: LENT })
  seller.trading.start()
  await world.wait(20_000)
  seller.world.lent = undefined
  await world.wait(5_000)
  expect(world.sells).toEqual([])
  seller.world.lent = { ...LENT, slots: 2 }
  await world.wait(20_000)
  expect(world.sells.map(([, { pieces }]) => pieces[0]?.coresMilli)).toEqual([2000])
  await world.run(seller.trading.stop())
  expect(world.sells).toEqual([])
})

test('an offer of this host from before its last start is taken back', async () => {
  const world = new World()
  const seller = await world.node('seller')
  const nowMs = world.time.now()
  const sell = sellTerms(
    { ...LENT, mips: 1000 },
    { cores: 4, untilMs: nowMs + HOUR_MS },
    {
      ...{ host: seller.wallet.host, nowMs, minPrice: amount(1n), storeBytes: 0 },
    },
  )
  const { bytes } = new OfferSigner(seller.ports).sign(sell!, nowMs + HOUR_MS)
  await world.run(seller.wallet.act({ kind: 'hand-in', offers: [bytes] }, never))
  expect(world.sells).toHaveLength(1)
  seller.trading.start()
  await world.wait(5_000)
  expect(world.sells).toEqual([])
  await seller.trading.stop()
})

test('where nothing is traded, what is over does not fill up the place of an account in the book', async () => {
  const world = new World()
  const seller = await world.node('seller', { lent: LENT })
  const nowMs = world.time.now()
  const situation = { host: seller.wallet.host, nowMs, minPrice: amount(1n), storeBytes: 0 }
  const sell = sellTerms({ ...LENT, mips: 1000 }, { cores: 4, untilMs: nowMs + HOUR_MS }, situation)!
  const signer = new OfferSigner(seller.ports)
  for (let i = 0; i < MAX_OFFERS_PER_ACCOUNT; i++) {
    const { bytes } = signer.sign(sell, nowMs + 60_000)
    await world.run(seller.wallet.act({ kind: 'hand-in', offers: [bytes] }, never))
  }
  await world.wait(61_000)
  seller.trading.start()
  await world.wait(60_000)
  expect(world.sells).toHaveLength(1)
  expect(world.ledger.state.offersOf.get(seller.wallet.account)).toBe(1)
  await seller.trading.stop()
})

test('what is sold is not offered again', async () => {
  const world = new World()
  const seller = await world.node('seller', { lent: LENT })
  const buyer = await world.node('buyer')
  for (const { trading } of [seller, buyer]) trading.start()
  await world.run(buyer.trading.submit(REQUEST, TERMS, never))
  await world.wait(30_000)
  expect(world.allocations).toHaveLength(1)
  await world.wait(25_000)
  const nowMs = world.time.now()
  // 16 tasks of 10 s in at least a minute take three of the four cores.
  const offered = world.sells.flatMap(([, { pieces }]) => pieces).filter((piece) => piece.fromMs <= nowMs)
  expect(offered.map(({ coresMilli }) => coresMilli)).toEqual([1000])
  for (const { trading } of [seller, buyer]) await trading.stop()
})

/** An offer of this account, with a higher number than any before, comes into the book and is taken back. */
async function another(world: World, { ports, wallet }: Awaited<ReturnType<World['node']>>): Promise<void> {
  const nowMs = world.time.now()
  const situation = { host: wallet.host, nowMs, minPrice: amount(1n), storeBytes: 0 }
  const sell = sellTerms({ ...LENT, mips: 1000 }, { cores: 4, untilMs: nowMs + HOUR_MS }, situation)!
  const { id, bytes } = new OfferSigner(ports).sign(sell, nowMs + HOUR_MS)
  await world.run(wallet.act({ kind: 'hand-in', offers: [bytes] }, never))
  await world.run(wallet.act({ kind: 'withdraw-offer', offer: id }, never))
}

test('an offer that comes after a later one of its account has gone is made anew, to sell and to buy', async () => {
  const world = new World()
  const [seller, buyer] = [await world.node('seller', { lent: LENT }), await world.node('buyer')]
  const trouble = () => world.ledger.trouble.push({ error: new ChoraleError('unreachable', 'no banker'), after: false })
  trouble()
  seller.trading.start()
  await world.wait(2_500)
  expect(seller.trading.book().sells).toEqual([])
  await another(world, seller)
  await world.wait(45_000)
  expect(world.sells).toHaveLength(1)
  buyer.trading.start()
  trouble()
  await world.run(buyer.trading.submit(REQUEST, TERMS, never))
  await world.wait(500)
  await another(world, buyer)
  await world.wait(30_000)
  expect(world.buys).toHaveLength(1)
  expect(world.allocations.map(({ tasks }) => tasks)).toEqual([TASKS])
  for (const { trading } of [seller, buyer]) await trading.stop()
})

test('what is sold to its last core has left the book, and what is free again is offered at once', async () => {
  const world = new World()
  const seller = await world.node('seller', { lent: { ...LENT, slots: 1, forMs: 400_000 } })
  const buyer = await world.node('buyer')
  seller.trading.start()
  await world.wait(10_000)
  expect(world.sells).toHaveLength(1)
  const nowMs = world.time.now()
  const window = { fromMs: nowMs, untilMs: nowMs + HOUR_MS, soonMs: HOUR_MS, maxPrice: amount(20_000n) }
  const order = { job: hashKey('job'), tasks: 1, replicas: 1, taskWorkMi: 350_000, verify: TERMS.verify, ...window }
  const { bytes } = new OfferSigner(buyer.ports).sign(buyTerms({ ...order, level: 'process' }), nowMs + HOUR_MS)
  await world.run(buyer.wallet.act({ kind: 'hand-in', offers: [bytes] }, never))
  await world.wait(15_000)
  expect(world.allocations).toHaveLength(1)
  expect(world.ledger.state.offersOf.get(seller.wallet.account)).toBeUndefined()
  const [[id]] = [...world.ledger.state.allocations.entries()] as [[Key, unknown]]
  await world.run(buyer.wallet.act({ kind: 'end', allocation: id }, never))
  await world.wait(10_000)
  expect(world.sells.map(([, { pieces }]) => pieces[0]!.coresMilli)).toEqual([1000])
  await seller.trading.stop()
})

test('numbers of offers rise, whatever the clock says', async () => {
  const world = new World()
  const { ports } = await world.node('seller')
  let nowMs = 5_000
  const clock = { ...ports.env.clock, now: () => nowMs }
  const signerOf = () => new OfferSigner({ ...ports, env: { ...ports.env, clock } })
  const terms = sellTerms(
    { ...LENT, mips: 1000 },
    { cores: 4, untilMs: nowMs + HOUR_MS },
    { host: ports.wallet.host, nowMs, minPrice: amount(1n), storeBytes: 0 },
  )!
  const signer = signerOf()
  const numbers = Array.from({ length: 100 }, (_, i) => {
    nowMs = i === 50 ? 1_000 : nowMs
    return signer.sign(terms, nowMs + HOUR_MS).number
  })
  expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b))
  // Another host of the account, whose clock is behind, and what the first has sold.
  const spent = world.ledger.state.spent.set(ports.wallet.account, numbers.at(-1)!)
  world.ledger.state = { ...world.ledger.state, spent }
  expect(signerOf().sign(terms, nowMs + HOUR_MS).number).toBeGreaterThan(numbers.at(-1)!)
  nowMs = Date.UTC(2100, 0)
  expect(Number.isSafeInteger(signerOf().sign(terms, nowMs + HOUR_MS).number)).toBe(true)
})

test('a host offers as many cores as its account could put up deposits for, and none if it could for none', async () => {
  const world = new World()
  const seller = await world.node('seller', { lent: LENT })
  const keep = (left: bigint) => {
    const { accounts } = world.ledger.state
    const account = { ...accounts.get(seller.wallet.account)!, free: amount(left), granted: amount(0n) }
    world.ledger.state = { ...world.ledger.state, accounts: accounts.set(seller.wallet.account, account) }
  }
  const cores = () => world.sells.map(([, { pieces }]) => pieces[0]!.coresMilli)
  keep(LEAST_BOND - 1n)
  seller.trading.start()
  await world.wait(20_000)
  expect(cores()).toEqual([])
  keep(2n * LEAST_BOND)
  await world.wait(20_000)
  expect(cores()).toEqual([2000])
  keep(50n * LEAST_BOND)
  await world.wait(90_000)
  expect(cores()).toEqual([4000])
  await seller.trading.stop()
})

test('a cap below what a job costs, or above what the account has, submits nothing', async () => {
  const world = new World()
  const buyer = await world.node('buyer')
  buyer.trading.start()
  const submit = (maxCost: bigint) =>
    world.run(buyer.trading.submit(REQUEST, { ...TERMS, maxCost: amount(maxCost) }, never))
  await expect(submit(100n)).rejects.toMatchObject({
    code: 'credits',
    message: expect.stringMatching(/too low.*at least/),
  })
  await expect(submit(10n ** 9n)).rejects.toMatchObject({
    code: 'credits',
    message: expect.stringContaining('has 50 credits'),
  })
  // Two jobs are not both promised the same credits.
  await submit(30_000n)
  await expect(submit(30_000n)).rejects.toMatchObject({ code: 'credits' })
  expect(buyer.world.journal).toHaveLength(1)
  await buyer.trading.stop()
})

test('a job that nobody takes by its deadline is cancelled, and costs nothing', async () => {
  const world = new World()
  const seller = await world.node('seller', { lent: { ...LENT, minPrice: amount(900_000n) } })
  const buyer = await world.node('buyer')
  for (const { trading } of [seller, buyer]) trading.start()
  const before = total(world.ledger.state.accounts.get(buyer.wallet.account)!)
  const terms = { ...TERMS, deadlineMs: world.time.now() + 10 * 60_000 }
  const view = await world.run(buyer.trading.submit(REQUEST, terms, never))
  await world.wait(60_000)
  const waiting = buyer.trading.purchase(view.id)!
  expect(waiting.state).toBe('bidding')
  expect(waiting.reason).toMatch(/^no host offers this for your price: the lowest is 900 credits/)
  await world.wait(10 * 60_000)
  expect(buyer.world.cancelled).toEqual([view.id])
  expect(buyer.trading.purchase(view.id)).toMatchObject({
    state: 'settled',
    failure: 'not-placed',
    paid: 0n,
    locked: 0n,
  })
  expect(buyer.trading.purchase(view.id)!.reason).toMatch(/^not placed by the deadline: no host offers this/)
  expect(world.buys).toEqual([])
  expect(buyer.world.released).toHaveLength(1)
  expect(total(world.ledger.state.accounts.get(buyer.wallet.account)!)).toBe(before)
  expect(seller.trading.funnel()).toMatchObject({ seen: 1, fitting: 1, pricedOut: 1, won: 0 })
  await seller.trading.stop()
  await buyer.trading.stop()
})

test('an offer that was in the journal goes out after a restart, as it was', async () => {
  const world = new World()
  const seller = await world.node('seller', { lent: LENT })
  const buyer = await world.node('buyer')
  seller.trading.start()
  const post = world.board.post.bind(world.board)
  world.board.post = async () => {}
  const view = await world.run(buyer.trading.submit(REQUEST, TERMS, never))
  await world.run(buyer.trading.stop()) // before it was handed in
  const [bought] = buyer.world.journal
  expect(world.buys).toEqual([])
  world.board.post = post
  const again = buyer.open()
  again.start()
  await world.wait(40_000)
  expect(world.allocations.map(({ offer }) => offer)).toEqual([bought!.id])
  expect(again.purchase(view.id)!.state).toBe('running')
  await seller.trading.stop()
  await again.stop()
})

test('a job that is over has its offer taken back, and its allocations released', async () => {
  const world = new World()
  const buyer = await world.node('buyer')
  buyer.trading.start()
  const view = await world.run(buyer.trading.submit(REQUEST, TERMS, never))
  await world.wait(20_000)
  expect(world.buys).toHaveLength(1)
  world.end(view.id, 'succeeded')
  await world.wait(10_000)
  expect(world.buys).toEqual([])
  expect(buyer.world.released).toHaveLength(1)
  expect(buyer.world.cancelled).toEqual([])
  expect(buyer.trading.purchase(view.id)).toMatchObject({ state: 'settled', reason: 'the job has succeeded' })
  await buyer.trading.stop()
})

test('what is on the board is by anybody: only what the ledger takes is handed in', async () => {
  const world = new World()
  const looker = await world.node('looker')
  const seller = await world.node('seller', { lent: LENT })
  seller.trading.start()
  await world.wait(1_000)
  const [good] = world.board.posted
  const offer = decodeOffer(good!)
  if (typeof offer === 'string') throw new Error(offer)
  const forged = signOffer({ ...offer, number: 7 }, fakeKeyPair('another'))
  const foreign = signOffer({ ...offer, network: fakeKeyPair('x').publicKey, number: 8 }, fakeKeyPair('seller'))
  const notOwnHost = { ...offer.terms, host: fakeKeyPair('host of looker').publicKey }
  const stolen = signOffer({ ...offer, terms: notOwnHost, number: 9 }, fakeKeyPair('seller'))
  world.board.posted.unshift(new Uint8Array(0), new Uint8Array(5000), forged, foreign, stolen)
  await seller.trading.stop()
  world.operations.length = 0
  looker.trading.start()
  await world.wait(120_000)
  expect(world.operations).toEqual(['hand-in'])
  expect(world.sells.map(([, { bytes }]) => bytes)).toEqual([good])
  await looker.trading.stop()
})
