import { expect, test } from 'vitest'
import type { PublicKey } from '../../../../src/market/ledger/keys.ts'
import type { HistoryEntry, Place } from '../../../../src/market/ledger/ledger.ts'
import { amount } from '../../../../src/market/ledger/state/amount.ts'
import type { Action } from '../../../../src/market/ledger/state/operation.ts'
import { earningsOf } from '../../../../src/market/lending/earnings.ts'
import { keysOf } from '../../../fakes/host-ledger.ts'

const [me, payer, other] = [keysOf(1).publicKey, keysOf(2).publicKey, keysOf(3).publicKey]

/** Newest first, one to a block; as a ledger whose copy begins after `base`. */
function ledgerOf(history: ReadonlyArray<{ action: object; result?: string }>, base = 0) {
  const entries = history.map(({ action, result = 'applied' }, i) => ({
    ...{ height: history.length - i, index: 0, timeMs: 0, result },
    operation: { account: payer, nonce: 0, action: action as Action },
    effect: { free: 0n, granted: 0n },
  })) as unknown as HistoryEntry[]
  return {
    asked: 0,
    async history(_: unknown, { limit, before }: { limit: number; before?: Place }) {
      this.asked++
      return entries.filter(({ height }) => !before || height < before.height).slice(0, limit)
    },
    status: () => ({ base }) as never,
  }
}

const release = (to: PublicKey, millicredits: bigint) => ({
  action: { kind: 'release', to, amount: amount(millicredits) },
})

test('what came out of escrows of others, and nothing else', async () => {
  const shares = [
    { to: me, amount: amount(5n) },
    { to: other, amount: amount(9n) },
  ]
  const ledger = ledgerOf([
    release(me, 1500n),
    release(other, 700n),
    { action: { kind: 'transfer', to: me, amount: amount(10_000n) } },
    { action: { kind: 'split', shares } },
    { ...release(me, 99n), result: 'wrong-step' },
    { action: { kind: 'open' } },
    release(me, 2n),
  ])
  expect(await earningsOf(ledger, me)).toEqual({ amount: 1507n, payments: 3, isAll: true })
  expect(await earningsOf(ledgerOf([]), me)).toEqual({ amount: 0n, payments: 0, isAll: true })
  expect(await earningsOf(ledgerOf([release(me, 1n)], 40), me)).toMatchObject({ payments: 1, isAll: false })
})

test('of a long history all pages are read, up to a bound', async () => {
  const paid = (count: number) => ledgerOf(Array.from({ length: count }, () => release(me, 1n)))
  expect(await earningsOf(paid(2_500), me)).toEqual({ amount: 2_500n, payments: 2_500, isAll: true })
  expect(await earningsOf(paid(3_000), me)).toEqual({ amount: 3_000n, payments: 3_000, isAll: true })
  const long = paid(25_000)
  expect(await earningsOf(long, me)).toEqual({ amount: 20_000n, payments: 20_000, isAll: false })
  expect(long.asked).toBe(20)
})
