import { expect, test } from 'vitest'
import { amount } from '../../../../src/market/ledger/state/amount.ts'
import { depositFor, NEW_RECORD, NEWCOMER_RATE } from '../../../../src/market/verification/auto.ts'
import { formatVerify, parseVerify, planOf, type VerifyPolicy } from '../../../../src/market/verification/policy.ts'

test.each<[string, VerifyPolicy]>([
  ['none', { kind: 'none' }],
  ['auto', { kind: 'auto' }],
  ['replicate=2', { kind: 'replicate', replicas: 2 }],
  ['replicate=16', { kind: 'replicate', replicas: 16 }],
  ['sample=1%', { kind: 'sample', share: 10_000, probability: 950_000 }],
  ['sample=0.5%', { kind: 'sample', share: 5000, probability: 950_000 }],
])('%s', (text, policy) => {
  expect(parseVerify(text)).toEqual(policy)
  expect(formatVerify(policy)).toBe(text)
})

test('the usual share, and a share without a sign', () => {
  expect(parseVerify('sample')).toEqual(parseVerify('sample=5%'))
  expect(parseVerify('sample=0.05')).toEqual(parseVerify('sample=5%'))
  expect(formatVerify(parseVerify('sample'))).toBe('sample=5%')
})

test.each([
  '',
  'all',
  'auto=1',
  'none=',
  'replicate',
  'replicate=1',
  'replicate=17',
  'replicate=2.5',
  'sample=0',
  'sample=101%',
  'sample=-1',
  'sample=x',
  'replicate=2=3',
])('refuses "%s"', (text) => {
  expect(() => parseVerify(text)).toThrow(expect.objectContaining({ code: 'usage' }))
})

test('what each policy means for a supplier', () => {
  const window = { tasks: 100, payment: amount(1000n) }
  const deposit = depositFor(NEWCOMER_RATE, window)!
  const supplier = { record: NEW_RECORD, deposit, tasks: 12_000 }
  const plan = (text: string) => planOf(parseVerify(text), supplier, window)
  expect(plan('none')).toEqual({ replicas: 1, rate: 0 })
  expect(plan('replicate=3')).toEqual({ replicas: 3, rate: 0 })
  expect(plan('sample')).toEqual({ replicas: 1, rate: 4917 })
  expect(plan('auto')).toEqual({ replicas: 1, rate: NEWCOMER_RATE })
  expect(planOf({ kind: 'auto' }, { ...supplier, deposit: amount(0n) }, window)).toBeUndefined()
  expect(planOf({ kind: 'sample', share: 50_000, probability: 950_000 }, { ...supplier, tasks: 20 }, window)).toEqual({
    replicas: 1,
    rate: 1_000_000, // of so few tasks all
  })
})
