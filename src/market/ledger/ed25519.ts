/**
 * Ed25519 (RFC 8032) by OpenSSL. All members check with the same code: implementations disagree on a few odd keys and
 * signatures, and a member that disagreed would leave the ledger.
 */
import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto'
import { ChoraleError } from '../../core/errors.ts'
import { keyFromBytes } from '../../core/ids.ts'
import { CappedMap } from '../../net/capped-map.ts'
import type { KeyPair, PublicKey, Verify } from './keys.ts'

export const SEED_BYTES = 32

/** What comes before the 32 bytes of a private key in PKCS #8 (RFC 8410). */
const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex')

/** The pair of a secret seed of 32 random bytes. Throws `usage` on another length. */
export function ed25519KeyPair(seed: Uint8Array): KeyPair {
  if (seed.length !== SEED_BYTES) throw new ChoraleError('usage', `a key's seed has ${SEED_BYTES} bytes`)
  const privateKey = createPrivateKey({ key: Buffer.concat([PKCS8, seed]), format: 'der', type: 'pkcs8' })
  const { x } = createPublicKey(privateKey).export({ format: 'jwk' })
  return {
    publicKey: keyFromBytes(Buffer.from(x!, 'base64url')),
    sign: (bytes) => new Uint8Array(sign(null, bytes, privateKey)),
  }
}

/** Keys seen lately. A function of its argument, so sharing it is safe. */
const keys = new CappedMap<PublicKey, KeyObject>(4096)

export const verifyEd25519: Verify = (key, bytes, signature) => {
  try {
    return verify(null, bytes, keyObject(key), signature)
  } catch {
    return false
  }
}

function keyObject(key: PublicKey): KeyObject {
  const known = keys.get(key)
  if (known) return known
  const x = Buffer.from(key, 'hex').toString('base64url')
  const made = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' })
  keys.set(key, made)
  return made
}
