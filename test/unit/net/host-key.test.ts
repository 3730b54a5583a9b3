import { expect, test } from 'vitest'
import { decodeHostKey, encodeHostKey, generateHostKey, signerOf, verifySignature } from '../../../src/net/host-key.ts'

test('a signature is good for its bytes and its signer alone, also after a restart', async () => {
  const [one, two] = [await generateHostKey(), await generateHostKey()]
  const bytes = new Uint8Array([1, 2, 3])
  const signature = signerOf(decodeHostKey(encodeHostKey(one)))(bytes)
  expect(verifySignature(one.peer, bytes, signature)).toBe(true)
  expect(verifySignature(two.peer, bytes, signature)).toBe(false)
  expect(verifySignature(one.peer, new Uint8Array([1, 2, 4]), signature)).toBe(false)
  expect(verifySignature('nobody', bytes, signature)).toBe(false)
  expect(verifySignature(one.peer, bytes, new Uint8Array(3))).toBe(false)
})
