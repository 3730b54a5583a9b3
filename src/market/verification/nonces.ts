/**
 * Where seeds come from: numbers that were fixed before anybody could know what they would decide, and are shown after
 * (commit and reveal). One commitment at signing serves a whole contract, because it is the end of a chain of hashes
 * (Lamport 1981), of which each window shows one more link:
 *
 *     secret -> ... -> nonce of window 1 -> nonce of window 0 -> anchor, in the contract
 *
 * A nonce that was shown says nothing of the next one. If one number served all windows, a supplier could try roots for the
 * second window until the sample misses what it has skipped.
 *
 * A customer knows the sample as soon as it knows the root, and may keep its nonce back: then it pays unseen, and for all checks. Of two who
 * both reveal, the second knows the result first and may keep silent: then it loses the dispute. Neither gains what
 * it could not have had by giving in.
 */
import { encode } from '../../core/cbor.ts'
import { ChoraleError } from '../../core/errors.ts'
import { hashKey, type Key } from '../../core/ids.ts'
import type { PublicKey } from '../ledger/keys.ts'

/** Links of one chain at most: whoever checks the last after all others were kept back makes so many hashes. */
export const MAX_WINDOWS = 65_536

function linkAfter(nonce: Key): Key {
  return hashKey(`chorale nonce ${nonce}`)
}

function linksAfter(nonce: Key, links: number): Key {
  let link = nonce
  for (let i = 0; i < links; i++) link = linkAfter(link)
  return link
}

/** What the contract holds. The secret is 256 random bits, of one chain only. */
export function anchorOf(secret: Key, windows: number): Key {
  checkWindows(windows)
  return linksAfter(secret, windows)
}

/** What is revealed for window 0 .. windows-1. */
export function nonceOf(secret: Key, windows: number, window: number): Key {
  checkWindows(windows)
  if (!(Number.isInteger(window) && window >= 0 && window < windows)) {
    throw new ChoraleError('usage', `a chain of ${windows} windows has no nonce for window ${window}`)
  }
  return linksAfter(secret, windows - 1 - window)
}

function checkWindows(windows: number): void {
  if (Number.isInteger(windows) && windows >= 1 && windows <= MAX_WINDOWS) return
  throw new ChoraleError('usage', `a contract has 1 to ${MAX_WINDOWS} windows, not ${windows}`)
}

export interface Shown {
  /** The last nonce that was shown, or the anchor. */
  readonly nonce: Key
  /** Its window; -1 of the anchor. */
  readonly window: number
}

/** Is it the nonce of this window, which comes after what was shown? Nonces in between may have been kept back. */
export function isNonceOf(nonce: Key, window: number, shown: Shown): boolean {
  const links = window - shown.window
  return Number.isInteger(links) && links >= 1 && links <= MAX_WINDOWS && linksAfter(nonce, links) === shown.nonce
}

export interface WindowName {
  /** Of the allocation: one supplier, one customer. */
  readonly contract: Key
  readonly supplier: PublicKey
  /** From 0. */
  readonly window: number
}

/** Decides what is tested, and by whom. The root was committed before the nonce was shown. */
export function sampleSeed({ contract, supplier, window }: WindowName, root: Key, nonce: Key): Key {
  return hashKey(encode(['chorale sample', contract, supplier, window, root, nonce]))
}

export interface Reveals {
  readonly customer: Key
  readonly supplier: Key
}

/** Decides who mediates. Each has a chain for this alone. `round`: 0, and one more each time too few mediators answered. */
export function panelSeed(name: WindowName, root: Key, { customer, supplier }: Reveals, round: number): Key {
  return hashKey(encode(['chorale panel', name.contract, name.supplier, name.window, root, customer, supplier, round]))
}
