import { expect, test } from 'vitest'
import { fakeKeyPair, fakeVerify } from '../../../../sim/fake-keys.ts'
import type { Key } from '../../../../src/core/ids.ts'
import { ed25519KeyPair, verifyEd25519 } from '../../../../src/market/ledger/ed25519.ts'
import { rememberingVerify, type Verify } from '../../../../src/market/ledger/keys.ts'
import { Books } from './books.ts'

const bytes = (hex: string) => new Uint8Array(Buffer.from(hex, 'hex'))

// RFC 8032, section 7.1, tests 1 and 2.
test.each([
  [
    '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
    'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
    '',
    'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
  ],
  [
    '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb',
    '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
    '72',
    '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
  ],
])('Ed25519 is that of RFC 8032', (seed, publicKey, message, signature) => {
  const pair = ed25519KeyPair(bytes(seed))
  expect(pair.publicKey).toBe(publicKey)
  expect(Buffer.from(pair.sign(bytes(message))).toString('hex')).toBe(signature)
  expect(verifyEd25519(pair.publicKey, bytes(message), bytes(signature))).toBe(true)
  expect(verifyEd25519(pair.publicKey, bytes(`${message}00`), bytes(signature))).toBe(false)
})

const real = ed25519KeyPair(new Uint8Array(32).fill(7))
test.each([
  ['Ed25519', real, ed25519KeyPair(new Uint8Array(32).fill(8)).publicKey, verifyEd25519],
  ['simulated keys', fakeKeyPair('a'), fakeKeyPair('b').publicKey, fakeVerify],
] as const)('%s: a signature is of one key over one message, and nothing throws', (_, pair, other, verify) => {
  const message = bytes('0102')
  const signature = pair.sign(message)
  expect(signature).toHaveLength(64)
  expect(verify(pair.publicKey, message, signature)).toBe(true)
  expect(verify(other, message, signature)).toBe(false)
  expect(verify(pair.publicKey, message, signature.toReversed())).toBe(false)
  expect(verify(pair.publicKey, message, signature.subarray(1))).toBe(false)
  expect(verify(pair.publicKey, message, new Uint8Array())).toBe(false)
  expect(verify('ff'.repeat(32) as Key, message, signature)).toBe(false)
  expect(verify('no key' as Key, message, signature)).toBe(false)
})

test('what was found good is checked once, and what was found bad every time', () => {
  let checks = 0
  const counting: Verify = (...args) => {
    checks++
    return fakeVerify(...args)
  }
  const verify = rememberingVerify(counting, 100)
  const pair = fakeKeyPair('a')
  const message = bytes('01')
  const signature = pair.sign(message)
  expect([1, 2, 3].map(() => verify(pair.publicKey, message, signature))).toEqual([true, true, true])
  expect(checks).toBe(1)
  const bad = signature.toReversed()
  expect([1, 2].map(() => verify(pair.publicKey, message, bad))).toEqual([false, false])
  expect(verify(fakeKeyPair('b').publicKey, message, signature)).toBe(false)
  expect(checks).toBe(4)
  const shifted = Uint8Array.of(...signature.subarray(63), ...message) // the same bytes in a row, cut elsewhere
  expect(verify(pair.publicKey, shifted, signature.subarray(0, 63))).toBe(false)
})

test('a ledger runs on Ed25519', () => {
  const keyOf = (name: string) =>
    ed25519KeyPair(new Uint8Array(32).fill([...name].reduce((a, c) => a + c.charCodeAt(0), 0)))
  const books = new Books(undefined, verifyEd25519, keyOf)
  books.open('anna').must('anna', { kind: 'link', host: books.id('host') })
  const forged = books.operation('anna', { kind: 'end-epoch' })
  forged[forged.length - 1]! ^= 1
  books.state = { ...books.state, epochBeganMs: 0 }
  const result = books.block([forged]).applied.results[0]!
  expect(result).toBe('bad-signature')
  books.must('anna', { kind: 'end-epoch' })
})
