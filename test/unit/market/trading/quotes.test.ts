/** What a job would cost, by trades and by what hosts ask for. */
import { expect, test } from 'vitest'
import { amount } from '../../../../src/market/ledger/state/amount.ts'
import { tradeKey } from '../../../../src/market/ledger/state/book/book.ts'
import { withTrade } from '../../../../src/market/ledger/state/state.ts'
import { slotAt } from '../../../../src/market/offers/price-slot.ts'
import type { PaidTerms } from '../../../../src/market/trading/market.ts'
import { LENT, never, REQUEST, TASKS, World } from './traders.ts'

const TERMS: PaidTerms = { verify: { kind: 'auto' }, when: 'now', maxCost: amount(2000n) }

test('a quote before any trade is a guess, by what hosts ask for, and its high end is a cap that will do', async () => {
  const world = new World()
  const seller = await world.node('seller', { lent: { ...LENT, minPrice: amount(3000n) } })
  const buyer = await world.node('buyer')
  for (const { trading } of [seller, buyer]) trading.start()
  await world.wait(20_000)
  const quote = await world.run(buyer.trading.quote(REQUEST, TERMS, never))
  expect(quote).toMatchObject({ isGuess: true, tasks: TASKS, taskWorkMi: 10_000 })
  expect(quote.reasons.join('; ')).toContain('3 credits for a core-hour')
  const view = await world.run(buyer.trading.submit(REQUEST, { ...TERMS, maxCost: quote.high }, never))
  await world.wait(30_000)
  expect(world.allocations).toHaveLength(1)
  expect(buyer.trading.purchase(view.id)!.state).toBe('running')
  await seller.trading.stop()
  await buyer.trading.stop()
})

test('a quote after cheap trades is no lower than what hosts ask for now', async () => {
  const world = new World()
  const seller = await world.node('seller', { lent: { ...LENT, minPrice: amount(3000n) } })
  const buyer = await world.node('buyer')
  for (const { trading } of [seller, buyer]) trading.start()
  await world.wait(20_000)
  const slot = slotAt(world.time.now())
  const trade = { slot, atMs: world.time.now(), workMi: amount(3_600_000n), wages: amount(10n), price: amount(10n) }
  world.ledger.state = withTrade(world.ledger.state, tradeKey(slot), trade)
  const { likely, high } = await world.run(buyer.trading.quote(REQUEST, TERMS, never))
  const cost = (3000n * BigInt(TASKS) * 10_000n) / 3_600_000n
  expect(likely).toBeGreaterThanOrEqual(cost)
  expect(high).toBeGreaterThanOrEqual(2n * cost)
  for (const { trading } of [seller, buyer]) await trading.stop()
})
