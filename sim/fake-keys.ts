/**
 * Keys of the ledger without mathematics: a signature is a hash of the signer's public name and of what is signed. Enough
 * where liars do not make one for a key that they do not hold, and some fifty times as fast as Ed25519.
 */
import { hash } from 'node:crypto'
import { hashKey } from '../src/core/ids.ts'
import type { KeyPair, PublicKey, Verify } from '../src/market/ledger/keys.ts'

export function fakeKeyPair(name: string): KeyPair {
  const publicKey = hashKey(`public key of ${name}`)
  return { publicKey, sign: (bytes) => new Uint8Array(stamp(publicKey, bytes)) }
}

export const fakeVerify: Verify = (key, bytes, signature) => Buffer.compare(stamp(key, bytes), signature) === 0

function stamp(key: PublicKey, bytes: Uint8Array): Buffer {
  return hash('sha512', Buffer.concat([Buffer.from(key), bytes]), 'buffer')
}
