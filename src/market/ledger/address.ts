/**
 * Addresses: accounts as people write them. The 64 hex digits of the account's public key, and 8 digits of a checksum, so
 * that a mistyped one is refused: of random typing errors one in 2^32 gets through, and then the account that it names must
 * have been opened, too, before anything can be sent to it.
 */
import { ChoraleError } from '../../core/errors.ts'
import { hashKey } from '../../core/ids.ts'
import type { PublicKey } from './keys.ts'

const CHECKSUM_DIGITS = 8

/** 72 hex digits. */
export function addressOf(account: PublicKey): string {
  return account + checksumOf(account)
}

/** Capitals count as small letters. Throws `usage` with what is wrong with it. */
export function parseAddress(text: string): PublicKey {
  const digits = text.toLowerCase()
  const account = digits.slice(0, 64) as PublicKey
  if (!/^[0-9a-f]*$/.test(digits)) throw bad(text, 'it has other characters than 0-9 and a-f')
  if (digits.length === 64) throw bad(text, 'it has 64 digits, so its checksum of 8 digits is missing')
  if (digits.length !== 64 + CHECKSUM_DIGITS) throw bad(text, `it has ${digits.length} digits, not 72`)
  if (digits.slice(64) !== checksumOf(account)) throw bad(text, 'its checksum does not fit, so a digit is mistyped')
  return account
}

function checksumOf(account: PublicKey): string {
  return hashKey(`chorale account ${account}`).slice(0, CHECKSUM_DIGITS)
}

function bad(text: string, why: string): ChoraleError {
  const shown = text.length > 80 ? `${text.slice(0, 80)}...` : text
  return new ChoraleError('usage', `'${shown}' is no address: ${why}: its owner sees it with chorale wallet address`)
}
