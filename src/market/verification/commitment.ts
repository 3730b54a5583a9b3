/**
 * What a supplier commits to before it knows which tasks are tested: one Merkle root over the digests of all tasks of its
 * window, in order. Each leaf has a salt of its own, so that a root tells nothing about outputs of which there are few, an
 * opened leaf nothing about the others, and no replica can copy; and it names contract, supplier, window and position, so
 * that it opens nothing but its own. (Published: a double hash of the set of outputs, which has no order and can be tried
 * out.) The tree is that of the ledger's blocks.
 */
import { createHmac } from 'node:crypto'
import { encode } from '../../core/cbor.ts'
import { ChoraleError } from '../../core/errors.ts'
import type { Key } from '../../core/ids.ts'
import { operationPath, operationsRoot, rootOfPath } from '../ledger/receipt/operations-tree.ts'
import type { Result } from '../ledger/state/refusal.ts'
import type { WindowName } from './nonces.ts'

/** Every leaf of that tree carries the result of an operation; ours say this, and their first words what they are. */
const RESULT: Result = 'applied'

export interface Opening {
  /** In the window, from 0. */
  readonly position: number
  /** Of the task's output. */
  readonly digest: Key
  readonly salt: Key
  readonly path: readonly Key[]
}

/** Kept by the supplier until the window is settled. */
export interface Commitment {
  /** What it sends. */
  readonly root: Key
  readonly count: number
  /** What it sends when this position is tested. Throws `usage` outside of the window. */
  open(position: number): Opening
}

/** `secret`: 256 random bits that nobody else knows. `digests`: of all tasks of the window, at least one. */
export function commitTo(name: WindowName, digests: readonly Key[], secret: Key): Commitment {
  if (digests.length === 0) throw new ChoraleError('usage', 'a window has at least one task')
  const leaves = digests.map((digest, position) => leafOf(name, position, digest, saltOf(secret, name, position)))
  const results = leaves.map(() => RESULT)
  return {
    root: operationsRoot(leaves, results),
    count: leaves.length,
    open(position) {
      const digest = digests[position]
      if (digest === undefined) throw new ChoraleError('usage', `the window has no position ${position}`)
      const salt = saltOf(secret, name, position)
      return { position, digest, salt, path: operationPath(leaves, results, position) }
    },
  }
}

/** Is this what was committed to at its position, by this supplier, for this window of `count` tasks? Never throws. */
export function opens(opening: Opening, name: WindowName, root: Key, count: number): boolean {
  const { position, digest, salt, path } = opening
  if (!(Number.isSafeInteger(position) && position >= 0)) return false
  const operation = leafOf(name, position, digest, salt)
  return rootOfPath({ operation, result: RESULT, index: position, count, path }) === root
}

function leafOf({ contract, supplier, window }: WindowName, position: number, digest: Key, salt: Key): Uint8Array {
  return encode(['chorale task', contract, supplier, window, position, salt, digest])
}

/** HMAC-SHA-256 under the secret: salts are as good as random to whoever does not know it, and nothing need be kept. */
function saltOf(secret: Key, { contract, supplier, window }: WindowName, position: number): Key {
  const mac = createHmac('sha256', Buffer.from(secret, 'hex'))
  return mac.update(encode(['chorale salt', contract, supplier, window, position])).digest('hex') as Key
}
