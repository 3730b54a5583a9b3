/** When a host measures itself, and what it says of its offer. */
import { expect, test } from 'vitest'
import { amount } from '../../../../src/market/ledger/state/amount.ts'
import type { PaidTerms } from '../../../../src/market/trading/market.ts'
import { LENT, never, REQUEST, World } from './traders.ts'

const TERMS: PaidTerms = { verify: { kind: 'auto' }, when: 'now', maxCost: amount(2000n) }
const HOUR_MS = 3_600_000

test('the speed is measured when somebody wants work that this host could do, not before', async () => {
  const world = new World()
  const lent = { ...LENT, mips: undefined }
  const seller = await world.node('seller', { lent })
  const buyer = await world.node('buyer')
  for (const { trading } of [seller, buyer]) trading.start()
  await world.wait(HOUR_MS)
  expect(seller.world.measured).toBe(0)
  await world.run(buyer.trading.submit(REQUEST, TERMS, never))
  await world.wait(60_000)
  expect(seller.world.measured).toBe(1)
  expect(world.allocations).toHaveLength(1)
  await seller.trading.stop()
  await buyer.trading.stop()
})
