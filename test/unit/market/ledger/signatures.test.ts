import { expect, test } from 'vitest'
import { fakeKeyPair } from '../../../../sim/fake-keys.ts'
import type { Verify } from '../../../../src/market/ledger/keys.ts'
import { amount } from '../../../../src/market/ledger/state/amount.ts'
import { applyOperation } from '../../../../src/market/ledger/state/apply.ts'
import { signOperation } from '../../../../src/market/ledger/state/operation.ts'
import { Books, idOf } from './books.ts'

test('a signature that is good is looked at once by each who looks, and one that is not each time', () => {
  const { state, verify } = new Books().open('anna', 'ben')
  const unsigned = {
    network: state.network,
    account: idOf('anna'),
    nonce: 1,
    action: { kind: 'transfer' as const, to: idOf('ben'), amount: amount(1n) },
  }
  const sign = (name: string) => signOperation(unsigned, [fakeKeyPair(name)])
  let looks = 0
  const counting: Verify = (...claim) => {
    looks++
    return verify(...claim)
  }
  const [good, bad] = [sign('anna'), sign('ben')]
  for (let i = 0; i < 3; i++) expect(applyOperation(state, good, counting).result).toBe('granted-only')
  expect(looks).toBe(1)
  expect(applyOperation(state, good, () => false).result).toBe('bad-signature')
  for (let i = 0; i < 3; i++) expect(applyOperation(state, bad, counting).result).toBe('bad-signature')
  expect(looks).toBe(4)
})
