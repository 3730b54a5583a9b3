import { expect, test } from 'vitest'
import { fakeKeyPair } from '../../../../sim/fake-keys.ts'
import { silentLogger } from '../../../../src/core/env.ts'
import { ChoraleError } from '../../../../src/core/errors.ts'
import { systemEnv } from '../../../../src/core/system.ts'
import type { Outcome } from '../../../../src/market/ledger/ledger.ts'
import { MEDIATOR_FINE } from '../../../../src/market/ledger/state/allocations/allocation.ts'
import { fineMediator } from '../../../../src/market/ledger/state/allocations/settle.ts'
import { amount } from '../../../../src/market/ledger/state/amount.ts'
import { total } from '../../../../src/market/ledger/state/purse.ts'
import { supplyOf } from '../../../../src/market/ledger/state/state.ts'
import { Wallet } from '../../../../src/market/ledger/wallet.ts'
import { SoleLedger } from '../../../fakes/ledger.ts'
import { GRANT, genesisWith } from './books.ts'

const options = { signal: new AbortController().signal }

/** Nobody waits: pauses are counted instead. */
function setUp() {
  const pauses: number[] = []
  const warnings: string[] = []
  const real = systemEnv({ ...silentLogger, warn: (message) => warnings.push(message) })
  const sleep = async (ms: number) => {
    pauses.push(ms)
    await new Promise(setImmediate)
  }
  const clock = { ...real.clock, deadline: real.clock.deadline.bind(real.clock), sleep }
  const ledger = new SoleLedger(genesisWith([1]))
  const walletOf = (name: string, host: string) =>
    new Wallet({ env: { ...real, clock }, ledger, keys: fakeKeyPair(name), host: fakeKeyPair(host) })
  const purse = (wallet: Wallet) => {
    const { free, granted } = ledger.state.accounts.get(wallet.account)!
    return [free, granted]
  }
  return { ledger, pauses, warnings, walletOf, purse }
}

/** With credits that may be sent. */
async function rich(wallet: Wallet, ledger: SoleLedger): Promise<void> {
  await wallet.settleIn(options)
  const known = ledger.state.accounts.get(wallet.account)!
  const accounts = ledger.state.accounts.set(wallet.account, { ...known, free: amount(GRANT), granted: amount(0n) })
  ledger.state = { ...ledger.state, accounts }
}

test('settling in opens the account, links the host, and is done once', async () => {
  const { ledger, walletOf, purse } = setUp()
  const anna = walletOf('anna', 'host a')
  await anna.settleIn(options)
  expect(purse(anna)).toEqual([0n, GRANT])
  expect(ledger.accountOf(fakeKeyPair('host a').publicKey)).toBe(anna.account)
  const { height } = ledger.state
  await walletOf('anna', 'host a').settleIn(options)
  expect(ledger.state.height).toBe(height)
  await walletOf('anna', 'host b').settleIn(options)
  expect((await ledger.account(anna.account))?.hosts).toHaveLength(2)
})

test.each([false, true])('settling in goes on after whatever comes between (operation came in: %s)', async (after) => {
  const { ledger, walletOf, pauses } = setUp()
  for (const code of ['timeout', 'busy', 'unreachable', 'timeout'] as const) {
    ledger.trouble.push({ error: new ChoraleError(code, 'planted'), after })
  }
  const anna = walletOf('anna', 'host a')
  await anna.settleIn(options)
  expect((await ledger.account(anna.account))?.hosts).toHaveLength(1)
  expect(ledger.state.minted - 2n * GRANT).toBe(ledger.genesis.settings.bond) // one grant, and the banker's
  expect(pauses.length).toBe(after ? 2 : 4)
})

test('a host that belongs to another account stays there, and the log says so', async () => {
  const { ledger, walletOf, warnings } = setUp()
  const anna = walletOf('anna', 'host a')
  await anna.settleIn(options)
  const ben = walletOf('ben', 'host a')
  await ben.settleIn(options)
  expect(ledger.accountOf(fakeKeyPair('host a').publicKey)).toBe(anna.account)
  expect(warnings).toEqual([expect.stringMatching(/belongs to another account/)])
})

test('settling in ends when its host leaves', async () => {
  const { ledger, walletOf, pauses } = setUp()
  ledger.halted = 'too few bankers'
  const leaving = new AbortController()
  const done = walletOf('anna', 'host a').settleIn({ signal: leaving.signal })
  while (pauses.length < 12) await new Promise(setImmediate)
  leaving.abort()
  await done
  expect(Math.max(...pauses)).toBeLessThanOrEqual(45_000)
  expect(pauses[11]).toBeGreaterThan(10_000)
})

test('what is sent at once goes one after the other, each once', async () => {
  const { ledger, walletOf, purse } = setUp()
  const [anna, ben] = [walletOf('anna', 'host a'), walletOf('ben', 'host b')]
  await rich(anna, ledger)
  await ben.settleIn(options)
  const outcomes = await Promise.all([1n, 2n, 3n].map((sum) => anna.send(ben.account, amount(sum), options)))
  expect(outcomes.map(({ result }) => result)).toEqual(['applied', 'applied', 'applied'])
  expect(purse(ben)).toEqual([6n, GRANT])
})

test('two hosts of an account take each other the number, and both are served', async () => {
  const { ledger, walletOf, purse } = setUp()
  const [here, there, ben] = [walletOf('anna', 'host a'), walletOf('anna', 'host c'), walletOf('ben', 'host b')]
  await rich(here, ledger)
  await ben.settleIn(options)
  ledger.before.push(() => there.send(ben.account, amount(10n), options))
  const mine = await here.send(ben.account, amount(1n), options)
  expect(mine).toMatchObject({ result: 'applied', receipt: { result: 'applied' } })
  expect(purse(ben)).toEqual([11n, GRANT])
})

test('two hosts of an account that ask for the same at once ask once, and their receipts say so', async () => {
  const { ledger, walletOf, purse } = setUp()
  const [here, there, ben] = [walletOf('anna', 'host a'), walletOf('anna', 'host c'), walletOf('ben', 'host b')]
  await rich(here, ledger)
  await ben.settleIn(options)
  const send = (wallet: Wallet) => wallet.send(ben.account, amount(10n), options)
  const theirs: Outcome[] = []
  ledger.before.push(async () => theirs.push(await send(there)))
  const mine = await send(here)
  expect(mine).toMatchObject({ result: 'applied' })
  expect(theirs).toEqual([mine])
  expect(purse(ben)).toEqual([10n, GRANT])
  // One after the other they are two.
  expect(await send(there)).toMatchObject({ result: 'applied' })
  expect(purse(ben)).toEqual([20n, GRANT])
})

test('what may still come in is not sent again, and does not stop what follows', async () => {
  const { ledger, walletOf, purse } = setUp()
  const [anna, ben] = [walletOf('anna', 'host a'), walletOf('ben', 'host b')]
  await rich(anna, ledger)
  await ben.settleIn(options)
  ledger.trouble.push({ error: new ChoraleError('timeout', 'not final yet'), after: true })
  await expect(anna.send(ben.account, amount(5n), options)).rejects.toThrow('not final yet')
  expect(purse(ben)).toEqual([5n, GRANT])
  expect(await anna.send(ben.account, amount(7n), options)).toMatchObject({ result: 'applied' })
  expect(purse(ben)).toEqual([12n, GRANT])
})

test('what the ledger refuses is an outcome with its receipt, and uses up the number', async () => {
  const { ledger, walletOf } = setUp()
  const anna = walletOf('anna', 'host a')
  await anna.settleIn(options)
  const nobody = fakeKeyPair('nobody').publicKey
  expect(await anna.send(nobody, amount(1n), options)).toMatchObject({ result: 'no-recipient', receipt: {} })
  const owner = ledger.genesis.bankers[0]!.account
  expect(await anna.send(owner, amount(1n), options)).toMatchObject({ result: 'granted-only' })
  expect(await anna.send(owner, amount(GRANT + 1n), options)).toMatchObject({ result: 'insufficient' })
})

test('a mediator puts up ten fines beyond its bond if it has them: it stays one, and a banker, when it was outvoted', async () => {
  const { ledger, walletOf, purse } = setUp()
  const { bond } = ledger.genesis.settings
  const reserve = 10n * MEDIATOR_FINE
  const host = fakeKeyPair('host a').publicKey
  const anna = walletOf('anna', 'host a')
  await rich(anna, ledger)
  expect(await anna.stand(options)).toMatchObject({ result: 'applied' })
  expect(purse(anna), 'who only stands is not fined').toEqual([GRANT - bond, 0n])
  expect(await anna.volunteer(true, options)).toMatchObject({ result: 'applied' })
  expect(purse(anna)).toEqual([GRANT - bond - reserve, 0n])
  for (let i = 0; i < 10; i++) ledger.state = fineMediator(ledger.state, host)
  expect(total(ledger.banker(host)!)).toBe(bond)
  expect(ledger.state.mediators.get(host)).toBeDefined()
  expect(ledger.banker(host)!.candidate).toBe(true)
  ledger.state = fineMediator(ledger.state, host)
  expect(ledger.state.mediators.get(host), 'that was one too many').toBeUndefined()
  expect(await anna.volunteer(true, options)).toMatchObject({ result: 'applied' })
  expect(total(ledger.banker(host)!)).toBe(bond + reserve)
  expect(ledger.state.held).toBe(supplyOf(ledger.state))
})

test.each([
  ['all of the reserve but a millicredit', -1n, 0n],
  ['just the reserve', 0n, 10n * MEDIATOR_FINE],
])('a mediator that has %s beyond its bond', async (_, more, put) => {
  const { ledger, walletOf, purse } = setUp()
  const { bond } = ledger.genesis.settings
  const anna = walletOf('anna', 'host a')
  await anna.settleIn(options)
  const ben = walletOf('ben', 'host b')
  await rich(ben, ledger)
  const spare = GRANT - bond - 10n * MEDIATOR_FINE - more
  await ben.send(anna.account, amount(spare), options)
  expect(await ben.volunteer(true, options)).toMatchObject({ result: 'applied' })
  expect(total(ledger.banker(fakeKeyPair('host b').publicKey)!)).toBe(bond + put)
  expect(purse(ben)[0]).toBe(GRANT - spare - bond - put)
})
