/**
 * The operations of a block with their results, as a Merkle tree (RFC 6962, section 2.1): one hash in the header stands
 * for all, and log2 of their number many hashes show that one is among them.
 *
 *             root = H(count, top)
 *                    top              path of operation 2: [leaf 3, H(leaf 0, leaf 1)],
 *             /             \         from the leaf upwards
 *        0   1               2   3
 */
import { encode } from '../../../core/cbor.ts'
import { hashKey, type Key } from '../../../core/ids.ts'
import type { Result } from '../state/refusal.ts'

export function operationsRoot(operations: readonly Uint8Array[], results: readonly Result[]): Key {
  return rootOf(operations.length, topOf(treeOf(operations, results)))
}

/** What shows that an operation is in a block: the hashes beside its way to the top, lowest first. */
export function operationPath(operations: readonly Uint8Array[], results: readonly Result[], index: number): Key[] {
  return pathOf(treeOf(operations, results), index)
}

export interface Placed {
  readonly operation: Uint8Array
  readonly result: Result
  /** Of the operation in its block of `count`. */
  readonly index: number
  readonly count: number
  readonly path: readonly Key[]
}

/** The root that this path leads to; undefined when it is too long or too short. */
export function rootOfPath({ operation, result, index, count, path }: Placed): Key | undefined {
  if (index >= count) return undefined
  const top = climb(leafOf(operation, result), index, count, path)
  return top && rootOf(count, top)
}

function climb(leaf: Key, index: number, count: number, path: readonly Key[]): Key | undefined {
  if (count === 1) return path.length === 0 ? leaf : undefined
  const beside = path.at(-1)
  if (beside === undefined) return undefined
  const left = leftOf(count)
  const below = path.slice(0, -1)
  if (index < left) {
    const own = climb(leaf, index, left, below)
    return own && nodeOf(own, beside)
  }
  const own = climb(leaf, index - left, count - left, below)
  return own && nodeOf(beside, own)
}

/** Tops of subtrees with so many leaves are kept: whoever asks for many paths of one tree has each hash made once. */
const KEPT_LEAVES = 32

interface Tree {
  readonly results: readonly Result[]
  readonly leaves: readonly Key[]
  /** By the first leaf and the number of leaves. */
  readonly tops: Map<number, Key>
}

/** By list of operations, and whether the results were these: a block's root and its receipts need the same leaves. */
const known = new WeakMap<readonly Uint8Array[], Tree>()

function treeOf(operations: readonly Uint8Array[], results: readonly Result[]): Tree {
  const seen = known.get(operations)
  if (seen?.results === results && seen.leaves.length === operations.length) return seen
  const leaves = operations.map((operation, index) => leafOf(operation, results[index]!))
  const tree = { results, leaves, tops: new Map<number, Key>() }
  known.set(operations, tree)
  return tree
}

/** An array of dag-cbor; a node is a text that begins with 'node'. */
function leafOf(operation: Uint8Array, result: Result): Key {
  return hashKey(encode([operation, result]))
}

function nodeOf(left: Key, right: Key): Key {
  return hashKey(`node${left}${right}`)
}

function rootOf(count: number, top: Key): Key {
  return hashKey(encode(['chorale operations', count, top]))
}

function topOf(tree: Tree, from = 0, count = tree.leaves.length): Key {
  const { leaves, tops } = tree
  if (count === 0) return hashKey('no operations')
  if (count === 1) return leaves[from]!
  const name = from * 2 ** 26 + count
  const made = tops.get(name)
  if (made) return made
  const left = leftOf(count)
  const top = nodeOf(topOf(tree, from, left), topOf(tree, from + left, count - left))
  if (count >= KEPT_LEAVES) tops.set(name, top)
  return top
}

function pathOf(tree: Tree, index: number, from = 0, count = tree.leaves.length): Key[] {
  if (count <= 1) return []
  const left = leftOf(count)
  if (index < from + left) return [...pathOf(tree, index, from, left), topOf(tree, from + left, count - left)]
  return [...pathOf(tree, index, from + left, count - left), topOf(tree, from, left)]
}

/** The largest power of two below count. */
function leftOf(count: number): number {
  return 2 ** (31 - Math.clz32(count - 1))
}
