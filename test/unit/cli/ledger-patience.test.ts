/** What the commands of the ledger do while it stands still. */
import { expect, test } from 'vitest'
import type { RemoteLedger } from '../../../src/api/ledger-client.ts'
import { late, patiently } from '../../../src/cli/ledger-patience.ts'
import { ChoraleError, errorCode } from '../../../src/core/errors.ts'
import { addressOf } from '../../../src/market/ledger/address.ts'
import { keysOf } from '../../fakes/host-ledger.ts'
import { VirtualTime } from '../mapreduce/virtual-time.ts'
import { bench } from './fake-host.ts'

const HALTED = '4 of 7 bankers answer; 5 are needed'

/** A host whose account is open and linked, and whose ledger stands still from now on. */
async function stalled() {
  const b = await bench()
  const { books } = b.host
  books.wallet = books.walletOf(keysOf(3), keysOf(4))
  await books.wallet.settleIn({ signal: new AbortController().signal })
  books.ledger.halted = HALTED
  books.ledger.stalls = true
  books.ledger.reads = 0
  return { b, books, address: addressOf(books.wallet.account) }
}

test("history and the list of receipts come from this node's copy, and ask nobody", async () => {
  const { b, books, address } = await stalled()
  await using _ = b
  const history = await b.chorale('wallet', 'history')
  expect(history).toMatchObject({ code: 0, err: '' })
  expect(history.out).toMatch(/ {2}2\/0 {7}link host [0-9a-f]{12}\n.* {2}1\/0 {2}\+50 {2}account opened\n$/)
  expect((await b.chorale('wallet', 'history', address)).out).toBe(history.out)
  expect(await b.chorale('receipt', 'list')).toMatchObject({ code: 0, out: expect.stringMatching(/^2\/0 .*\n1\/0 /) })
  expect(books.ledger).toMatchObject({ reads: 0, looks: 0 })
})

test('a balance as of now ends in time and says why; that of the copy is there at once', async () => {
  const { b, books, address } = await stalled()
  await using _ = b
  const line = `chorale: ${HALTED}: chorale wallet balance --here shows this node's copy\n`
  expect(await b.chorale('wallet', 'balance', '--timeout', '20ms')).toEqual({ code: 8, out: '', err: line })
  const json = await b.chorale('wallet', 'balance', '--timeout', '20ms', '--json')
  expect(JSON.parse(json.out)).toMatchObject({ type: 'error', code: 'wait-timeout' })
  expect(books.ledger.reads).toBe(2)

  const here = await b.chorale('wallet', 'balance', '--here')
  expect(here).toMatchObject({ code: 0, err: '' })
  expect(here.out).toMatch(/^balance {4}50 credits\n[\s\S]*as of {6}block 2 of this node's copy, which may lag\n$/)
  const copy = JSON.parse((await b.chorale('wallet', 'balance', address, '--here', '--json')).out)
  expect(copy).toMatchObject({ type: 'balance', address, granted: '50000', height: 2 })
  const nobody = await b.chorale('wallet', 'balance', addressOf(keysOf(9).publicKey), '--here')
  expect(nobody.err).toBe("in this node's copy the account is not open\n")
  expect(books.ledger).toMatchObject({ reads: 2, looks: 0 })
})

test.each(['stand', 'step-down'])('ledger %s ends in time, and the same again goes on', async (name) => {
  const { b, books } = await stalled()
  await using _ = b
  expect(await b.chorale('ledger', name, '--timeout', '20ms')).toEqual({
    code: 8,
    out: '',
    err: `chorale: ${HALTED}: the same command again goes on from there\n`,
  })
  Object.assign(books.ledger, { stalls: false, halted: undefined })
  expect(await b.chorale('ledger', 'stand')).toMatchObject({ code: 0 })
})

test.each(['0', 'x', '-1'])('a node is not told to wait for %s ms', async (ms) => {
  await using b = await bench()
  const { remoteLedger } = await import('../../../src/api/ledger-client.ts')
  const asked = remoteLedger(b.socketPath).account('mine', { timeoutMs: ms as never })
  await expect(asked).rejects.toMatchObject({ code: 'usage' })
})

/** What is said to somebody who waits for `endsAfterMs`, and how it ends. */
async function waiting(statuses: ReadonlyArray<string | null>, endsAfterMs: number) {
  const clock = new VirtualTime()
  const notes: string[] = []
  let looks = 0
  const status = async () => ({ halted: statuses[Math.min(looks++, statuses.length - 1)] })
  const cli = { note: (text: string) => void notes.push(text), signal: new AbortController().signal }
  const work = async ({ signal }: { signal: AbortSignal }) => {
    await clock.sleep(endsAfterMs, { signal })
    return 'done'
  }
  const ledger = { status } as unknown as RemoteLedger
  const end = patiently(cli, ledger, 20_000, work, clock).catch((error) => errorCode(error))
  return { end: await clock.until(end, 60_000), notes, looks }
}

test('who waits for long hears why, once for each reason', async () => {
  expect(await waiting([HALTED], 2_900)).toEqual({ end: 'done', notes: [], looks: 0 })
  const line = `waiting, for at most 20.0 s: the ledger stands still: ${HALTED}`
  expect(await waiting([HALTED], 10_000)).toEqual({ end: 'done', notes: [line], looks: 3 })
  const unknown = 'waiting, for at most 20.0 s: the bankers have not answered yet'
  expect(await waiting([null, HALTED], 10_000)).toMatchObject({ notes: [unknown, line] })
})

test('a node that does not answer by then is not waited for', async () => {
  expect(await waiting([HALTED], 24_900)).toMatchObject({ end: 'done' })
  expect(await waiting([HALTED], 25_100)).toMatchObject({ end: 'wait-timeout' })
})

test('only a time-out is told as a wait that is over', () => {
  const busy = new ChoraleError('busy', 'full')
  expect(late(busy, 'try again')).toBe(busy)
  expect(late(new ChoraleError('timeout', 'no answer'), 'try again')).toMatchObject({
    code: 'wait-timeout',
    message: 'no answer: try again',
  })
})
