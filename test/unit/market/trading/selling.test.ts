/** When a host measures itself, and what it says of its offer. */
import { expect, test } from 'vitest'
import { LEAST_BOND } from '../../../../src/market/ledger/state/allocations/allocation.ts'
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
  expect(await seller.trading.offering()).toMatch(
    /^nothing yet: the speed .* is not measured; it is when somebody wants/,
  )
  await world.run(buyer.trading.submit(REQUEST, TERMS, never))
  await world.wait(60_000)
  expect(seller.world.measured).toBe(1)
  expect(world.allocations).toHaveLength(1)
  await seller.trading.stop()
  await buyer.trading.stop()
})

test('who says what is lent is measured and offers at once, and always says why nothing is offered', async () => {
  const world = new World()
  const seller = await world.node('seller', { lent: { ...LENT, mips: undefined } })
  const { trading, wallet } = seller
  trading.start()
  await world.wait(10_000)
  expect(seller.world.measured).toBe(0)
  trading.lendingSet()
  expect(await trading.offering()).toMatch(/^nothing yet: the speed of this machine is measured in a moment/)
  await world.wait(2_500)
  expect(seller.world.measured).toBe(1)
  await world.wait(5_000)
  expect(await trading.offering()).toMatch(/^4 cores from [\d.]+ credits for a core-hour$/)

  seller.world.lent = undefined
  expect(await trading.offering()).toBe('nothing: this node does not lend now')
  await world.wait(5_000)
  const keep = (free: bigint) => {
    const { state } = world.ledger
    const poor = { ...state.accounts.get(wallet.account)!, free: amount(free), granted: amount(0n) }
    world.ledger.state = { ...state, accounts: state.accounts.set(wallet.account, poor) }
  }
  keep(LEAST_BOND - 1n)
  seller.world.lent = LENT
  await world.wait(5_000)
  expect(await trading.offering()).toMatch(
    /^nothing: the account has too few credits for a deposit, which is [\d.]+ at/,
  )
  keep(10n * LEAST_BOND)
  await world.wait(5_000)
  expect(await trading.offering()).toMatch(/^4 cores/)
  const { state } = world.ledger
  world.ledger.state = { ...state, hosts: state.hosts.delete(wallet.host) }
  expect(await trading.offering()).toBe('nothing yet: this host is not linked to its account')
  world.ledger.state = { ...state, accounts: state.accounts.delete(wallet.account) }
  expect(await trading.offering()).toMatch(/^nothing: the account is not open yet/)
  await trading.stop()
})

test('a machine that cannot be measured says why, and is tried again when its user sets something', async () => {
  const world = new World()
  const seller = await world.node('seller', { lent: { ...LENT, mips: undefined } })
  const { measure } = seller.ports.lending
  let isBroken = true
  Object.assign(seller.ports.lending, {
    measure: (options: never) => (isBroken ? Promise.reject(new Error('no engine')) : measure(options)),
  })
  const { trading } = seller
  trading.start()
  trading.lendingSet()
  await world.wait(5_000)
  expect(await trading.offering()).toBe('nothing yet: the machine could not be measured: no engine; again in 10 min')
  isBroken = false
  trading.lendingSet()
  await world.wait(10_000)
  expect(await trading.offering()).toMatch(/^4 cores/)
  await trading.stop()
})

test('near the end of its hours a host keeps its offer, for a new one would run out as soon', async () => {
  const world = new World()
  const seller = await world.node('seller', { lent: { ...LENT, forMs: 200_000 } })
  seller.trading.start()
  const offers = async () => {
    const history = await world.ledger.history(seller.wallet.account, { limit: 100 })
    return history.filter(({ operation }) => operation.action.kind === 'hand-in').length
  }
  await world.wait(150_000)
  expect(await offers()).toBe(1)
  await world.wait(100_000)
  expect(await offers(), 'it is over, and this host lends on').toBe(2)
  await seller.trading.stop()
})
