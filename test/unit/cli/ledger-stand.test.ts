/** `chorale ledger stand` and `step-down`. */
import { expect, test } from 'vitest'
import { keysOf } from '../../fakes/host-ledger.ts'
import { bench } from './fake-host.ts'

const options = { signal: new AbortController().signal }

/** A host without a seat, whose account is not open yet; the other one, of the genesis, is the only banker. */
async function newcomer() {
  const b = await bench()
  const { books } = b.host
  books.wallet = books.walletOf(keysOf(3), keysOf(4))
  const json = async (...args: string[]) => JSON.parse((await b.chorale('ledger', ...args, '--json')).out)
  return { b, ledger: books.ledger, wallet: books.wallet, json }
}

test('a node stands for the committee with a bond, and steps down again', async () => {
  const { b, ledger, wallet, json } = await newcomer()
  await using _ = b
  await wallet.settleIn(options)
  expect(await b.chorale('ledger', 'step-down')).toMatchObject({
    code: 2,
    err: expect.stringMatching(/the host has no bond/),
  })
  expect(await b.chorale('ledger', 'stand')).toMatchObject({ code: 0, out: 'this node stands for the committee\n' })
  const again = await b.chorale('ledger', 'stand')
  expect(again).toMatchObject({ code: 0, out: 'this node stands for the committee already\n' })
  const banker = async () => (await json('status')).banker
  expect(await banker()).toMatchObject({ stands: true, bond: '10000', leaving: '0' })
  expect((await b.chorale('ledger', 'status')).out).toMatch(/your bond {2}10 credits, stands for the committee\n/)

  ledger.nowMs += 1 // a date that is told to the second is not too early
  const down = await b.chorale('ledger', 'step-down')
  expect(down).toMatchObject({ code: 0, out: 'notice was given: 10 credits can be had back\n' })
  expect(down.err).toMatch(/^after 2026-01-03 03:04:06 UTC, when the node has no seat, by chorale ledger step-down\n$/)
  expect(await banker()).toMatchObject({ stands: false, bond: '0', leaving: '10000' })
  ledger.nowMs += 24 * 3_600_000 - 1
  const early = await b.chorale('ledger', 'step-down')
  expect(early).toEqual({
    code: 2,
    out: '',
    err:
      'chorale: nothing was done yet: 10 credits can be had back after 2026-01-03 03:04:06 UTC, and the ' +
      "ledger's time, which is that of its last block, is 2026-01-03 03:04:05 UTC: try again a little later\n",
  })
  ledger.nowMs += 1
  expect(await json('step-down')).toMatchObject({ type: 'outcome', result: 'applied', did: 'returned', banker: null })
  expect(await banker()).toBeNull()
  expect(ledger.state.accounts.get(wallet.account)).toMatchObject({ granted: 50_000n })
})

test('a program hears what was done, and until when; who has a seat hears that', async () => {
  await using b = await bench()
  const { ledger } = b.host.books
  const down = JSON.parse((await b.chorale('ledger', 'step-down', '--json')).out)
  const { unbondingMs } = ledger.genesis.settings
  const leavingAtMs = ledger.nowMs + unbondingMs
  expect(down).toMatchObject({ did: 'notice', seat: 0, blockTimeMs: ledger.nowMs })
  expect(down.banker).toEqual({ stands: false, bond: '0', leaving: '10000', leavingAtMs })
  ledger.nowMs += unbondingMs
  expect(await b.chorale('ledger', 'step-down')).toEqual({
    code: 2,
    out: '',
    err: 'chorale: nothing was done yet: the node has a seat until the epoch ends; then 10 credits can be had back\n',
  })
})

test('who stands right after the start is not refused, but waits until the host is linked', async () => {
  const { b, ledger, wallet } = await newcomer()
  await using _ = b
  expect(await b.chorale('ledger', 'stand', '--timeout', '20ms')).toMatchObject({
    code: 8,
    err: expect.stringMatching(
      /this host is not linked to its account yet: the same command again goes on from there\n$/,
    ),
  })
  expect(ledger.state.height).toBe(0)
  const looked = Promise.withResolvers<void>()
  const { accountOf } = ledger
  ledger.accountOf = (host) => {
    looked.resolve()
    return accountOf.call(ledger, host)
  }
  const standing = b.chorale('ledger', 'stand')
  await looked.promise
  await wallet.settleIn(options)
  expect(await standing).toMatchObject({ code: 0, out: 'this node stands for the committee\n' })
})
