/**
 * What a side commits to and reveals later, of each allocation: hashes of signatures that nobody else ever sees. Ed25519 signatures
 * are a function of key and message (RFC 8032), so nothing is kept, and a wallet that was restored knows its secrets again.
 */
import { encode } from '../../core/cbor.ts'
import { hashKey, type Key } from '../../core/ids.ts'
import type { KeyPair } from '../ledger/keys.ts'

/**
 * `nonces`: the secret of the customer's chain. `draw`: the supplier's part of a draw. `salts`: of the supplier's commitments.
 * `finding`: the salt of a mediator's finding.
 */
export type Purpose = 'nonces' | 'draw' | 'salts' | 'finding'

export function secretOf(keys: KeyPair, allocation: Key, purpose: Purpose): Key {
  return hashKey(keys.sign(encode(['chorale secret', purpose, allocation])))
}
