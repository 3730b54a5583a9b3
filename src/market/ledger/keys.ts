/**
 * Signatures as a port: Ed25519 on a machine (`ed25519.ts`), something cheap in the simulator (`sim/fake-keys.ts`).
 * Accounts, hosts and bankers are all named by their public keys.
 */
import { hash } from 'node:crypto'
import type { Key } from '../../core/ids.ts'
import { CappedMap } from '../../net/capped-map.ts'

/** 32 bytes of an Ed25519 public key as 64 hex digits. */
export type PublicKey = Key

export const SIGNATURE_BYTES = 64

/** Has the holder of this key signed these bytes? Never throws. Must answer the same on every host. */
export type Verify = (key: PublicKey, bytes: Uint8Array, signature: Uint8Array) => boolean

export interface KeyPair {
  readonly publicKey: PublicKey
  sign(bytes: Uint8Array): Uint8Array
}

/**
 * The same answers, and good signatures are checked once: whoever checks operations as they come in, or many at a time,
 * has it done when a block is tried, voted on and applied. Remembers between `cap / 2` and `cap` of them.
 */
export function rememberingVerify(verify: Verify, cap: number): Verify {
  const good = new CappedMap<string, true>(cap)
  return (key, bytes, signature) => {
    if (signature.length !== SIGNATURE_BYTES) return verify(key, bytes, signature)
    const name = hash('sha256', Buffer.concat([Buffer.from(key), signature, bytes]), 'base64')
    if (good.get(name)) return true
    const answer = verify(key, bytes, signature)
    if (answer) good.set(name, true)
    return answer
  }
}
