/** What a host that has bought does after a restart, a full disk, or a network that does not answer. */
import { expect, test } from 'vitest'
import { ChoraleError } from '../../../../src/core/errors.ts'
import { hashKey } from '../../../../src/core/ids.ts'
import { MAX_OFFERS_PER_ACCOUNT } from '../../../../src/core/limits.ts'
import { amount } from '../../../../src/market/ledger/state/amount.ts'
import { type Part, whyDropped } from '../../../../src/market/trading/bought.ts'
import { buyTerms } from '../../../../src/market/trading/buy-terms.ts'
import type { PaidTerms } from '../../../../src/market/trading/market.ts'
import { OfferSigner } from '../../../../src/market/trading/number.ts'
import { never, REQUEST, World } from './traders.ts'

const TERMS: PaidTerms = { verify: { kind: 'auto' }, when: 'now', maxCost: amount(2000n) }
const DEADLINE_MS = 10 * 60_000

/** With a job that is bid for. */
async function bidding() {
  const world = new World()
  const buyer = await world.node('buyer')
  buyer.trading.start()
  const terms = { ...TERMS, deadlineMs: world.time.now() + DEADLINE_MS }
  const view = await world.run(buyer.trading.submit(REQUEST, terms, never))
  await world.wait(20_000)
  return { world, buyer, id: view.id }
}

test('a host that goes down when it has written that a job is given up ends and cancels it after its next start', async () => {
  const { world, buyer, id } = await bidding()
  await world.run(buyer.trading.stop())
  const [bought] = buyer.world.journal
  buyer.world.journal = [{ ...bought!, over: { reason: 'not placed by the deadline', failure: 'not-placed' } }]
  const again = buyer.open()
  again.start()
  await world.wait(20_000)
  expect(buyer.world.released).toHaveLength(1)
  expect(buyer.world.cancelled).toEqual([id])
  expect(world.buys).toEqual([])
  expect(again.purchase(id)!.state).toBe('settled')
  await again.stop()
})

test('a job that cannot be cancelled at once is cancelled later', async () => {
  const { world, buyer, id } = await bidding()
  const { jobs } = buyer.ports
  const cancel = jobs.cancel
  let tries = 0
  jobs.cancel = async (job) => {
    if (++tries < 3) throw new ChoraleError('unreachable', 'nobody answers')
    return cancel(job)
  }
  await world.wait(DEADLINE_MS)
  expect(tries).toBe(3)
  expect(buyer.world.cancelled).toEqual([id])
  expect(buyer.trading.purchase(id)!.state).toBe('settled')
  await buyer.trading.stop()
})

test('a job that is over while the disk is full is ended all the same', async () => {
  const { world, buyer, id } = await bidding()
  const { contracts } = buyer.ports
  const release = contracts.release
  let isFull = true
  contracts.release = (job) => {
    if (isFull) throw new ChoraleError('io', 'no space left')
    release(job)
  }
  world.end(id, 'succeeded')
  await world.wait(20_000)
  isFull = false
  await world.wait(20_000)
  expect(buyer.world.released).toHaveLength(1)
  expect(buyer.trading.purchase(id)!.state).toBe('settled')
  await buyer.trading.stop()
})

test('an offer for which the book has no room is handed in when it has', async () => {
  const world = new World()
  const buyer = await world.node('buyer')
  const nowMs = world.time.now()
  const size = { tasks: 1, replicas: 1, taskWorkMi: 1000, verify: TERMS.verify, level: 'process' as const }
  const window = { fromMs: nowMs, untilMs: nowMs + 3_600_000, soonMs: 60_000, maxPrice: amount(1n) }
  const order = buyTerms({ ...size, ...window, job: hashKey('another job') })
  const signer = new OfferSigner(buyer.ports)
  for (let i = 0; i < MAX_OFFERS_PER_ACCOUNT; i++) {
    const { bytes } = signer.sign(order, nowMs + 60_000)
    await world.run(buyer.wallet.act({ kind: 'hand-in', offers: [bytes] }, never))
  }
  await world.wait(10) // another signer in the same millisecond might come to the same number
  buyer.trading.start()
  const view = await world.run(buyer.trading.submit(REQUEST, TERMS, never))
  await world.wait(30_000)
  expect(world.buys).toHaveLength(MAX_OFFERS_PER_ACCOUNT)
  expect(buyer.trading.purchase(view.id)!.reason).toMatch(/64 offers/)
  await world.wait(120_000)
  expect(world.buys).toHaveLength(1)
  expect(buyer.trading.purchase(view.id)!.reason).toBe('no host offers anything now')
  await buyer.trading.stop()
})

test.each([
  [['done', 'unstable'], 'not-placed', /other results each time/],
  [['deserted', 'wronged'], 'not-placed', /quarrel/],
  [['unsigned'], 'not-placed', /not signed/],
  [['done', 'deserted'], 'credits', /too few credits/],
] as const)('of contracts that ended as %j the user hears what was wrong', (states, failure, reason) => {
  const parts = states.map((state) => ({ state }) as Part)
  expect(whyDropped({ parts })).toEqual({ failure, reason: expect.stringMatching(reason) })
})
