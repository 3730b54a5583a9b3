import fc from 'fast-check'
import { expect, test } from 'vitest'
import { fakeKeyPair } from '../../../sim/fake-keys.ts'
import { ChoraleError } from '../../../src/core/errors.ts'
import { hashKey } from '../../../src/core/ids.ts'
import { MAX_OPEN_ESCROWS } from '../../../src/core/limits.ts'
import type { JobRequest, Jobs } from '../../../src/mapreduce/types.ts'
import { amount, ZERO } from '../../../src/market/ledger/state/amount.ts'
import { EMPTY_PURSE } from '../../../src/market/ledger/state/purse.ts'
import { withEscrow } from '../../../src/market/ledger/state/state.ts'
import { paidJobs, wagesOf } from '../../../src/market/payments.ts'
import { jobView } from '../cli/fake-host.ts'
import { GRANT } from './ledger/books.ts'
import { byTwo, mark, setUp, until } from './paying.ts'

const options = { signal: new AbortController().signal }

test('what is paid for by contract is not paid for at a flat price too', async () => {
  const owed: string[] = []
  const submit = async ({ paid }: JobRequest) => jobView({ id: paid ? 'by contract' : 'at a flat price' })
  const jobs = paidJobs({ submit } as Jobs, { owe: (job) => owed.push(job) })
  const request = { module: 'builtin:pi', params: {}, seed: 1 }
  await jobs.submit(request)
  await jobs.submit({ ...request, paid: true })
  expect(owed).toEqual(['at a flat price'])
})

test('who did the tasks is paid for them, once, and the payer for its own not at all', async () => {
  const { ledger, payer, accounts, open, ended, kept, total } = await setUp(3)
  const payments = open()
  ended(
    'job',
    [
      [mark('host 0'), 40],
      [mark('host 1'), 35],
      [mark('host 2'), 25],
    ].toSorted((a, b) => a[0]! - b[0]!) as never,
  )
  payments.owe('job')
  payments.owe('job')
  await until(() => payments.of('job')?.state === 'paid')
  expect(accounts.map(total)).toEqual([GRANT + 350n, GRANT + 250n, GRANT])
  expect(total(payer.account)).toBe(GRANT - 600n)
  const worker = ledger.state.accounts.get(accounts[0]!)!
  expect([worker.free, worker.granted]).toEqual([700n, GRANT - 350n]) // earned credits free granted ones
  expect(payments.of('job')).toMatchObject({ price: 10n, wages: [{ tasks: 35, amount: 350n }, { tasks: 25 }] })
  // Its escrow is closed when that is possible, and then nothing is left of it.
  await until(() => ledger.state.escrows.size === 0)
  await until(() => kept.owed.length === 0)
  expect(payments.of('job')?.state).toBe('paid')
  await payments.stop()
})

test('a payment that is broken off anywhere goes on after a start, and nobody is paid twice', async () => {
  for (let cut = 0; cut < 9; cut++) {
    for (const after of [false, true]) {
      const { open, ended, total, accounts, payer, walletOf, cutAt } = await setUp(2)
      ended('job', byTwo(60, 40))
      const first = open()
      const line = cutAt(cut, after)
      first.owe('job')
      await until(() => line.isDead() || first.of('job')?.state === 'paid')
      line.repair()
      const second = open(walletOf('payer', 'host 0'))
      second.start()
      await until(() => second.of('job')?.state === 'paid' || second.of('job') === undefined)
      expect(accounts.map(total)).toEqual([GRANT + 600n, GRANT + 400n])
      expect(total(payer.account)).toBe(GRANT - 1000n)
    }
  }
})

test('an answer that fails to come changes nothing of what is paid', async () => {
  const { ledger, open, ended, total, accounts, payer } = await setUp(2)
  ended('job', byTwo(60, 40))
  for (const after of [false, true, true, false, true]) {
    ledger.trouble.push({ error: new ChoraleError('timeout', 'planted'), after })
  }
  const payments = open()
  payments.owe('job')
  await until(() => payments.of('job')?.state === 'paid')
  expect(accounts.map(total)).toEqual([GRANT + 600n, GRANT + 400n])
  expect(total(payer.account)).toBe(GRANT - 1000n)
})

test('a payer with as many escrows open as it may have pays when one of them is closed', async () => {
  const { ledger, open, ended, total, accounts, payer } = await setUp(1)
  ended('job', [[mark('host 1'), 10]] as never)
  const terms = { payer: payer.account, payees: accounts, arbiter: null, amount: amount(1n), deadlineMs: 0 }
  for (let i = 0; i < MAX_OPEN_ESCROWS; i++) {
    ledger.state = withEscrow(ledger.state, hashKey(`${i}`), { ...terms, ...EMPTY_PURSE, funded: ZERO, step: 0 })
  }
  const close = async () => {
    ledger.state = withEscrow(ledger.state, hashKey('0'), undefined)
  }
  ledger.before.push(async () => {}, close)
  const payments = open()
  payments.owe('job')
  await until(() => payments.of('job')?.state !== 'owed')
  expect(payments.of('job')?.state).toBe('paid')
  expect(total(accounts[0]!)).toBe(GRANT + 100n)
})

test('a worker who opens its account a little late is paid, and one that never does is not waited for', async () => {
  const { env, open, ended, total, walletOf, accounts } = await setUp(1)
  ended(
    'job',
    [
      [mark('host 1'), 10],
      [mark('host 2'), 20],
      [mark('host 9'), 30],
    ].toSorted((a, b) => a[0]! - b[0]!) as never,
  )
  const started = env.clock.now()
  const payments = open()
  payments.owe('job')
  await until(() => env.clock.now() > started + 3000)
  const late = walletOf('worker 2', 'host 2')
  await late.settleIn(options)
  await until(() => payments.of('job')?.state === 'paid')
  expect([total(accounts[0]!), total(late.account)]).toEqual([GRANT + 100n, GRANT + 200n])
})

test('who cannot pay says so, and a job that nobody knows is not paid for', async () => {
  const { open, ended, kept, payer, ledger } = await setUp(1)
  ended('big', [[mark('host 1'), 1_000_000]], 1_000_000)
  const payments = open()
  payments.owe('big')
  payments.owe('unknown')
  await until(() => kept.owed.length === 0)
  expect(payments.of('big')).toMatchObject({ state: 'unpaid', reason: 'there are not enough credits' })
  expect(payments.of('unknown')).toMatchObject({ state: 'unpaid' })
  expect(ledger.state.accounts.get(payer.account)).toMatchObject({ granted: GRANT })
})

test('a job that others did nothing of costs nothing', async () => {
  const { open, ended, ledger } = await setUp(1)
  ended('own', [[mark('host 0'), 100]])
  ended('nobody', undefined)
  const { height } = ledger.state
  const payments = open()
  payments.owe('own')
  payments.owe('nobody')
  await until(() => payments.of('own')?.state === 'paid' && payments.of('nobody')?.state === 'paid')
  expect(ledger.state.height).toBe(height)
})

test('wages: never more than price times tasks, whatever the record says, and at most 16 of them', () => {
  const account = (number: number) => fakeKeyPair(`account ${number % 25}`).publicKey
  const doneBy = fc.uniqueArray(fc.tuple(fc.nat(60), fc.nat(1000)), { selector: ([host]) => host, maxLength: 64 })
  fc.assert(
    fc.property(doneBy, fc.nat(2000), fc.bigInt({ min: 0n, max: 5n }), (did, total, price) => {
      const accountOf = (mark: number) => (mark % 7 === 0 ? undefined : account(mark))
      const { wages, unknown } = wagesOf({ doneBy: did, tasks: { total } }, amount(price), accountOf, account(1))
      const sum = wages.reduce((all, wage) => all + wage.amount, 0n)
      expect(sum).toBeLessThanOrEqual(price * BigInt(total))
      expect(wages.length).toBeLessThanOrEqual(16)
      expect(new Set(wages.map(({ to }) => to)).size).toBe(wages.length)
      expect(
        wages.every(({ to, tasks, amount }) => to !== account(1) && amount === price * BigInt(tasks) && amount > 0n),
      ).toBe(true)
      expect(unknown).toBeLessThanOrEqual(total)
    }),
  )
})
