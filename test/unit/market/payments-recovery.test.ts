/** Payments after crashes, long absences and with too few credits: no credits stay locked, and what is owed is paid. */
import { expect, test } from 'vitest'
import { ChoraleError } from '../../../src/core/errors.ts'
import { decodeOperation, escrowId, type Operation } from '../../../src/market/ledger/state/operation.ts'
import { GRANT } from './ledger/books.ts'
import { byTwo, mark, PRICE, setUp, until } from './paying.ts'

const HOUR_MS = 3_600_000
const options = { signal: new AbortController().signal }
type Setting = Awaited<ReturnType<typeof setUp>>

/** A job of 100 tasks, paid until its payment dies at this call of `submit`, and a payer that comes back later. */
async function diesAndComesBack(setting: Setting, call: number, afterMs: number) {
  const { env, open, ended, kept, walletOf, cutAt } = setting
  ended('job', byTwo(60, 40))
  const line = cutAt(call)
  open().owe('job')
  await until(line.isDead)
  line.repair()
  await env.clock.sleep(afterMs)
  return async () => {
    const payments = open(walletOf('payer', 'host 0'))
    payments.start()
    await until(() => kept.owed.length === 0)
    return payments.of('job')
  }
}

function expectPaid({ total, accounts, payer, ledger }: Setting): void {
  expect(accounts.map(total)).toEqual([GRANT + 600n, GRANT + 400n])
  expect(total(payer.account)).toBe(GRANT - 1000n)
  expect(ledger.state.escrows.size).toBe(0)
}

// Calls: open, fund, release, release, time-out.
test.each([1, 2, 3, 4])(
  'a node that dies before step %i and is back after the deadline has its credits back, and pays what is left',
  async (call) => {
    const setting = await setUp(2)
    const comesBack = await diesAndComesBack(setting, call, 2 * HOUR_MS)
    expect(await comesBack()).toMatchObject({ state: 'paid', wages: [{ tasks: 60 }, { tasks: 40 }] })
    expectPaid(setting)
  },
)

test('so does one that dies again while it takes its credits back', async () => {
  for (const call of [0, 1, 2, 3, 4]) {
    for (const after of [false, true]) {
      const setting = await setUp(2)
      const comesBack = await diesAndComesBack(setting, 3, 2 * HOUR_MS)
      const line = setting.cutAt(call, after)
      void comesBack()
      await until(line.isDead)
      line.repair()
      await setting.env.clock.sleep(2 * HOUR_MS)
      expect(await comesBack()).toMatchObject({ state: 'paid' })
      expectPaid(setting)
    }
  }
})

test('an escrow that a stranger has closed after its deadline is counted from the books, and the rest is paid', async () => {
  for (const call of [1, 2, 3]) {
    const setting = await setUp(2)
    const comesBack = await diesAndComesBack(setting, call, 2 * HOUR_MS)
    const [id] = [...setting.ledger.state.escrows.entries()][0]!
    await setting.walletOf('worker 1', 'host 1').act({ kind: 'time-out', escrow: id }, options)
    expect(await comesBack()).toMatchObject({ state: 'paid' })
    expectPaid(setting)
  }
})

test('a lone worker that gives its wage back is not paid again', async () => {
  const { ledger, open, ended, total, accounts, walletOf, env, kept } = await setUp(1)
  ended('job', [[mark('host 1'), 60]])
  ledger.before.push(
    async () => {},
    async () => {},
    async () => {
      const [id] = [...ledger.state.escrows.entries()][0]!
      await walletOf('worker 1', 'host 1').act({ kind: 'refund', escrow: id }, options)
    },
  )
  const payments = open()
  payments.owe('job')
  await until(() => kept.owed.length === 0)
  expect(payments.of('job')).toMatchObject({ state: 'unpaid', reason: 'its escrow is closed' })
  expect(total(accounts[0]!)).toBe(GRANT)
  expect(env.clock.now()).toBeLessThan(ledger.genesis.createdAtMs + HOUR_MS)
})

test('a job that took longer than a day is paid though the first attempt fails', async () => {
  const { ledger, env, open, ended, total, accounts, kept } = await setUp(1)
  ended('job', [[mark('host 1'), 60]])
  kept.owed = [{ job: 'job', price: PRICE, sinceMs: env.clock.now() }]
  await env.clock.sleep(25 * HOUR_MS)
  ledger.trouble.push({ error: new ChoraleError('timeout', 'planted'), after: false })
  const payments = open()
  payments.start()
  await until(() => payments.of('job')?.state !== 'owed')
  expect(payments.of('job')).toMatchObject({ state: 'paid' })
  expect(total(accounts[0]!)).toBe(GRANT + 600n)
})

test.each(['paid', 'counted'] as const)(
  'after a day of absence a job that was %s is not given up because the ledger does not answer at once',
  async (how) => {
    const setting = await setUp(2)
    const comesBack = await diesAndComesBack(setting, how === 'paid' ? 4 : 0, 25 * HOUR_MS)
    const { ledger, env, kept } = setting
    expect(kept.owed[0]?.paid).toBe(how === 'paid' ? true : undefined)
    ledger.halted = 'too few bankers'
    const started = env.clock.now()
    const back = comesBack()
    await until(() => env.clock.now() > started + 60_000)
    ledger.halted = undefined
    expect(await back).toMatchObject({ state: 'paid' })
    expectPaid(setting)
  },
)

test('a job that cannot be paid for a day after its end is given up, unless it has an escrow', async () => {
  const setting = await setUp(2)
  const { ledger, env, open, ended, kept } = setting
  ended('job', byTwo(60, 40))
  const payments = open()
  ledger.halted = 'too few bankers'
  payments.owe('job')
  const started = env.clock.now()
  await until(() => kept.owed.length === 0)
  expect(payments.of('job')).toMatchObject({ state: 'unpaid', reason: 'too few bankers' })
  expect(env.clock.now()).toBeGreaterThan(started + 23 * HOUR_MS)

  const other = await setUp(2)
  const comesBack = await diesAndComesBack(other, 2, 0)
  other.ledger.halted = 'too few bankers'
  const later = other.env.clock.now()
  const back = comesBack()
  await until(() => other.env.clock.now() > later + 26 * HOUR_MS)
  other.ledger.halted = undefined
  expect(await back).toMatchObject({ state: 'paid' })
  expectPaid(other)
})

test('a payer opens no escrow that it cannot fund, and none for credits that another job is about to take', async () => {
  const { ledger, open, ended, kept, payer, accounts, total } = await setUp(1)
  const payments = open()
  const tasks = Number((GRANT * 2n) / 3n / PRICE)
  for (let i = 0; i < 5; i++) {
    ended(`job ${i}`, [[mark('host 1'), tasks]], tasks)
    payments.owe(`job ${i}`)
  }
  let most = 0
  await until(() => {
    most = Math.max(most, ledger.state.openEscrows.get(payer.account) ?? 0)
    return kept.owed.length === 0
  })
  expect(most).toBe(1)
  const states = [0, 1, 2, 3, 4].map((i) => payments.of(`job ${i}`)?.state)
  expect(states.filter((state) => state === 'paid')).toHaveLength(1)
  expect(states.filter((state) => state === 'unpaid')).toHaveLength(4)
  expect(total(accounts[0]!)).toBe(GRANT + PRICE * BigInt(tasks))
})

test('an escrow whose credits were spent elsewhere before it was funded is closed', async () => {
  const { ledger, open, ended, kept, accounts, total, walletOf } = await setUp(1)
  const tasks = Number(GRANT / PRICE)
  ended('job', [[mark('host 1'), tasks]], tasks)
  const elsewhere = walletOf('payer', 'host 7')
  const payees = accounts
  const spend = async () => {
    const deadlineMs = ledger.nowMs + 20 * HOUR_MS
    const { receipt } = await elsewhere.act(
      { kind: 'open-escrow', payees, arbiter: null, amount: PRICE, deadlineMs },
      options,
    )
    const escrow = escrowId(decodeOperation(receipt!.operation) as Operation)
    await elsewhere.act({ kind: 'fund', escrow, amount: PRICE }, options)
  }
  ledger.before.push(async () => {}, spend)
  const payments = open()
  payments.owe('job')
  await until(() => kept.owed.length === 0)
  expect(payments.of('job')).toMatchObject({ state: 'unpaid', reason: 'there are not enough credits' })
  expect([...ledger.state.escrows.entries()].map(([, { amount }]) => amount)).toEqual([PRICE])
  expect(total(accounts[0]!)).toBe(GRANT)
})

test('an escrow that was opened though nobody answered is found again', async () => {
  const setting = await setUp(1)
  const { ledger, open, ended, total, accounts, kept, payer } = setting
  const jobs = ['one', 'two', 'three']
  for (const job of jobs) {
    ended(job, [[mark('host 1'), 60]])
    ledger.trouble.push({ error: new ChoraleError('timeout', 'not final yet'), after: true })
  }
  const payments = open()
  for (const job of jobs) payments.owe(job)
  let most = 0
  await until(() => {
    most = Math.max(most, ledger.state.openEscrows.get(payer.account) ?? 0)
    return kept.owed.length === 0
  })
  expect(jobs.map((job) => payments.of(job)?.state)).toEqual(['paid', 'paid', 'paid'])
  expect([most, ledger.state.escrows.size]).toEqual([3, 0])
  expect(total(accounts[0]!)).toBe(GRANT + 1800n)
})

test('an escrow of another job with the same wages and deadline is not taken for it', async () => {
  const setting = await setUp(2)
  const comesBack = await diesAndComesBack(setting, 1, 0)
  const { kept, total, accounts } = setting
  const { escrow, ...owed } = kept.owed[0]!
  kept.owed = [...kept.owed, { ...owed, job: 'other', openingMs: escrow!.deadlineMs }]
  await comesBack()
  expect(accounts.map(total)).toEqual([GRANT + 1200n, GRANT + 800n])
})

test('a payer whose account is still being opened waits for it', async () => {
  const { env, open, ended, total, accounts, walletOf } = await setUp(1)
  ended('job', [[mark('host 1'), 60]])
  const late = walletOf('late payer', 'host 7')
  const payments = open(late)
  payments.owe('job')
  const started = env.clock.now()
  await until(() => env.clock.now() > started + 60_000)
  expect(payments.of('job')?.state).toBe('owed')
  await late.settleIn(options)
  await until(() => payments.of('job')?.state === 'paid')
  expect(total(accounts[0]!)).toBe(GRANT + 600n)
})
