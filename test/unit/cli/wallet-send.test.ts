/** A payment that is not final: may it still come in, or was it never sent? */
import { expect, test } from 'vitest'
import { inTime } from '../../../src/api/ledger-time.ts'
import { ChoraleError, errorCode } from '../../../src/core/errors.ts'
import { addressOf } from '../../../src/market/ledger/address.ts'
import { InDoubt } from '../../../src/market/ledger/ledger.ts'
import type { Amount } from '../../../src/market/ledger/state/amount.ts'
import { FakeBooks, keysOf } from '../../fakes/host-ledger.ts'
import { ended } from '../../fakes/ledger.ts'
import { VirtualTime } from '../mapreduce/virtual-time.ts'
import { bench, runCli } from './fake-host.ts'

const HALTED = 'no answer as of now: 4 of 7 bankers answer; 5 are needed'
const receiver = addressOf(keysOf(9).publicKey)
const send = ['wallet', 'send', receiver, '1', '--timeout', '20ms']

test('one that waits for the number of its account is not sent, and the line says so', async () => {
  await using b = await bench()
  const { ledger } = b.host.books
  Object.assign(ledger, { halted: HALTED, stalls: true })
  expect(await b.chorale(...send)).toEqual({
    code: 3,
    out: '',
    err: `chorale: not sent, and it will not be: ${HALTED}\n`,
  })
  const json = await b.chorale(...send, '--json')
  expect(JSON.parse(json.out)).toMatchObject({ type: 'error', code: 'timeout' })
  Object.assign(ledger, { halted: undefined, stalls: false })
  expect((await b.chorale('wallet', 'history')).out).toBe('')
})

test.each([
  [new ChoraleError('unreachable', 'no banker can be reached'), 3, /^chorale: not sent, and it will not be: no banker/],
  [new ChoraleError('busy', 'the queues are full'), 3, /^chorale: not sent, and it will not be: the queues are full/],
  [new InDoubt(), 8, /may still come in: look at chorale wallet history before you send again\n$/],
  [new ChoraleError('no-node', 'the node is leaving'), 8, /it may have been sent: look at chorale wallet history/],
])('%s', async (error, code, line) => {
  await using b = await bench()
  b.host.books.ledger.trouble.push({ error, after: false })
  expect(await b.chorale(...send)).toMatchObject({ code, out: '', err: expect.stringMatching(line) })
})

test('Ctrl-C hides no payment', async () => {
  await using b = await bench()
  const stop = new AbortController()
  b.host.books.ledger.before.push(async ({ signal }) => {
    stop.abort(new ChoraleError('interrupted', 'stopped by SIGINT'))
    await ended(signal)
  })
  const args = ['wallet', 'send', receiver, '1', '--api', b.socketPath]
  const line = 'stopped, but it may have been sent: look at chorale wallet history before you send again'
  expect(await runCli(args, { signal: stop.signal })).toEqual({ code: 130, out: '', err: `chorale: ${line}\n` })
})

test('a node that dies meanwhile leaves it in doubt; none at all does not', async () => {
  const b = await bench()
  b.host.books.ledger.before.push(async () => b[Symbol.asyncDispose]())
  const result = await b.chorale('wallet', 'send', receiver, '1')
  expect(result).toMatchObject({ code: 8, err: expect.stringMatching(/it may have been sent/) })
  expect(await b.chorale('wallet', 'send', receiver, '1')).toMatchObject({
    code: 3,
    err: expect.stringMatching(/no node is running/),
  })
})

test('one whose turn does not come in time is not sent then, nor later', async () => {
  const clock = new VirtualTime()
  const { ledger, wallet } = new FakeBooks()
  const { signal } = new AbortController()
  const pay = (millicredits: bigint) => (options: { readonly signal: AbortSignal }) =>
    wallet.send(keysOf(9).publicKey, millicredits as Amount, options)
  ledger.before.push(() => clock.sleep(30_000))
  const first = inTime(60_000, signal, pay(1n), clock)
  const second = inTime(3_000, signal, pay(2n), clock).catch((error) => ({
    code: errorCode(error),
    isInDoubt: error instanceof InDoubt,
  }))
  expect(await clock.until(second, 5_000)).toEqual({ code: 'timeout', isInDoubt: false })
  await clock.until(first, 60_000)
  await clock.until(wallet.send(keysOf(9).publicKey, 3n as Amount, { signal }), 1_000)
  const history = await ledger.history(wallet.account, { limit: 9 })
  expect(history.map(({ operation: { action } }) => 'amount' in action && action.amount)).toEqual([3n, 1n])
})
