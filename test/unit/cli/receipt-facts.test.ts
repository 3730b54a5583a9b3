/** What a receipt says: whether it is of a refusal, and of whom, so that it can be used as it is. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { addressOf } from '../../../src/market/ledger/address.ts'
import { amount } from '../../../src/market/ledger/state/amount.ts'
import { type Action, decodeOperation, escrowId } from '../../../src/market/ledger/state/operation.ts'
import { keysOf } from '../../fakes/host-ledger.ts'
import { bench } from './fake-host.ts'

const root = mkdtempSync(join(tmpdir(), 'chorale-test-'))
afterAll(() => rmSync(root, { recursive: true }))
const options = { signal: new AbortController().signal }
const [anna, ben, cleo] = [keysOf(2), keysOf(3), keysOf(5)]
const [to, toAddress] = [ben.publicKey, addressOf(ben.publicKey)]

/** Anna is the banker, with enough to spend; the accounts of Ben and Cleo are open. */
async function setUp() {
  const b = await bench()
  const { books } = b.host
  const { ledger, wallet } = books
  const arbiter = books.walletOf(cleo, keysOf(6))
  for (const other of [books.walletOf(ben, keysOf(4)), arbiter]) await other.settleIn(options)
  const account = ledger.state.accounts.get(wallet.account)!
  const rich = ledger.state.accounts.set(wallet.account, { ...account, free: amount(9000n), granted: amount(0n) })
  ledger.state = { ...ledger.state, accounts: rich }
  const file = join(root, 'payment.receipt')
  /** Of the last block. */
  const receipt = async (...verb: string[]) => {
    const place = `${ledger.state.height}/0`
    rmSync(file, { force: true })
    await b.chorale('receipt', 'show', place, '-o', file)
    return b.chorale('receipt', ...verb, file, ...(verb[0] === 'verify' ? ['--ledger', ledger.network] : []))
  }
  return { b, wallet, arbiter, receipt }
}

test('one of a refusal says so in its first line, with an exit code of its own', async () => {
  const { b, receipt } = await setUp()
  await using _ = b
  expect(await b.chorale('wallet', 'send', toAddress, '51')).toMatchObject({ code: 7 })
  const refused = await receipt('verify')
  expect(refused.out.split('\n')[0]).toBe('good: a receipt that it was refused (insufficient)')
  expect(refused).toMatchObject({ code: 10, err: '' })
  const json = await receipt('verify', '--json')
  expect([json.code, JSON.parse(json.out)]).toMatchObject([10, { good: true, result: 'insufficient' }])
  expect(await b.chorale('wallet', 'send', toAddress, '1.5')).toMatchObject({ code: 0 })
  const applied = await receipt('verify')
  expect(applied).toMatchObject({ code: 0, out: expect.stringMatching(/^good: a receipt that it was applied\nwhat /) })
})

test('it names in full who was paid, from what and by whose word', async () => {
  const { b, wallet, arbiter, receipt } = await setUp()
  await using _ = b
  const shown = async () => (await receipt('show')).out
  expect(await b.chorale('wallet', 'send', toAddress, '1.5')).toMatchObject({ code: 0 })
  expect(await shown()).toMatch(
    new RegExp(`^what {7}1\\.5 credits to .*\naccount {4}${addressOf(anna.publicKey)}\nto {9}${toAddress}\nplace `),
  )
  const act = async (action: Action, by = wallet) => {
    const outcome = await by.act(action, options)
    expect(outcome.result).toBe('applied')
    return outcome.receipt!
  }
  const sum = { amount: amount(5000n) }
  const terms = { payees: [to], arbiter: cleo.publicKey, ...sum, deadlineMs: Date.UTC(2026, 0, 2, 4) }
  const opened = decodeOperation((await act({ kind: 'open-escrow', ...terms })).operation)
  expect(await shown()).toMatch(new RegExp(`\npayee {6}${toAddress}\narbiter {4}${addressOf(cleo.publicKey)}\nplace `))
  const escrow = escrowId(opened as Exclude<typeof opened, string>)
  await act({ kind: 'fund', escrow, ...sum })
  await act({ kind: 'release', escrow, step: 0, to, amount: amount(1000n) })
  expect(await shown()).toMatch(new RegExp(`\nto {9}${toAddress}\nescrow {5}${escrow}\nplace `))
  await act({ kind: 'split', escrow, shares: [{ to, amount: amount(2500n) }] }, arbiter)
  expect(await shown()).toMatch(new RegExp(`\nto {9}${toAddress}, 2\\.5 credits\nescrow `))
})

test('what JSON names can be paid as it is: addresses stand beside accounts', async () => {
  const { b, wallet, receipt } = await setUp()
  await using _ = b
  await b.chorale('wallet', 'send', toAddress, '1.5')
  const terms = { payees: [to], arbiter: cleo.publicKey, amount: amount(5000n), deadlineMs: Date.UTC(2026, 0, 2, 4) }
  expect(await wallet.act({ kind: 'open-escrow', ...terms }, options)).toMatchObject({ result: 'applied' })
  const lines = (await b.chorale('wallet', 'history', '--json')).out.trim().split('\n')
  const [opened, paid] = lines.map((line) => JSON.parse(line).action)
  expect(paid).toEqual({ kind: 'transfer', amount: '1500', to, toAddress })
  expect(opened).toMatchObject({
    payees: [to],
    payeeAddresses: [toAddress],
    arbiterAddress: addressOf(cleo.publicKey),
  })
  expect(await b.chorale('wallet', 'balance', paid.toAddress)).toMatchObject({ code: 0 })
  expect(JSON.parse((await receipt('show', '--json')).out).action).toEqual(opened)
})
