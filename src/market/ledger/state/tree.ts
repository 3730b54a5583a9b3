/**
 * A persistent Merkle tree: a map from 64 hex digits to values whose every version stays as it is and has a root hash.
 * It branches sixteenfold, one digit a level. Below a point with one entry there is only that entry's leaf, so the shape
 * and with it the root are functions of the contents, whatever order they came in:
 *
 *                   root           set and delete copy the branches above one leaf (some 5 for a million entries)
 *              0 /   | 7  \ f      and share all others. Hashes are made when a root is asked for, and kept, so
 *          leaf   branch   leaf    that a block pays for the branches that it has touched.
 *              3 /      \ c
 *            leaf        leaf
 *
 * A hash of a leaf covers key and value as canonical dag-cbor, an array; that of a branch a text that begins with
 * 'branch'. So neither can be taken for the other.
 */
import { encode } from '../../../core/cbor.ts'
import { hashKey, type Key } from '../../../core/ids.ts'

const FAN_OUT = 16
const EMPTY_ROOT = hashKey('empty tree')

class Leaf<V> {
  readonly key: Key
  readonly value: V
  hash: Key | undefined

  constructor(key: Key, value: V) {
    this.key = key
    this.value = value
  }
}

class Branch<V> {
  readonly children: ReadonlyArray<Node<V>>
  hash: Key | undefined

  constructor(children: ReadonlyArray<Node<V>>) {
    this.children = children
  }
}

type Node<V> = Leaf<V> | Branch<V> | undefined

export class Tree<V> {
  readonly size: number
  readonly #top: Node<V>

  private constructor(top: Node<V>, size: number) {
    this.#top = top
    this.size = size
  }

  static empty<V>(): Tree<V> {
    return new Tree<V>(undefined, 0)
  }

  get(key: Key): V | undefined {
    let node = this.#top
    for (let depth = 0; node instanceof Branch; depth++) node = node.children[digitOf(key, depth)]
    return node?.key === key ? node.value : undefined
  }

  set(key: Key, value: V): Tree<V> {
    const grown = this.get(key) === undefined ? 1 : 0
    return new Tree(withLeaf(this.#top, new Leaf(key, value), 0), this.size + grown)
  }

  delete(key: Key): Tree<V> {
    if (this.get(key) === undefined) return this
    return new Tree(without(this.#top, key, 0), this.size - 1)
  }

  /** Keys whose values are not the very same here and there. Pays for the branches that differ. */
  changedSince(before: Tree<V>): Generator<Key> {
    return changedKeys(before.#top, this.#top)
  }

  get root(): Key {
    return this.#top ? hashOf(this.#top) : EMPTY_ROOT
  }

  /** In the order of keys. */
  entries(): Generator<readonly [Key, V]> {
    return entriesOf(this.#top)
  }
}

/** What a leaf's hash covers, and what a snapshot holds. */
export function encodeEntry(key: Key, value: unknown): Uint8Array {
  return encode([key, value])
}

function digitOf(key: Key, depth: number): number {
  const code = key.charCodeAt(depth)
  return code < 58 ? code - 48 : code - 87
}

function withLeaf<V>(node: Node<V>, leaf: Leaf<V>, depth: number): Node<V> {
  if (!node) return leaf
  if (node instanceof Leaf) {
    if (node.key === leaf.key) return leaf
    const alone = new Array<Node<V>>(FAN_OUT).fill(undefined)
    alone[digitOf(node.key, depth)] = node
    return withLeaf(new Branch(alone), leaf, depth)
  }
  const children = node.children.slice()
  const digit = digitOf(leaf.key, depth)
  children[digit] = withLeaf(children[digit], leaf, depth + 1)
  return new Branch(children)
}

/** Of a tree that has the key. */
function without<V>(node: Node<V>, key: Key, depth: number): Node<V> {
  if (!(node instanceof Branch)) return undefined
  const children = node.children.slice()
  const digit = digitOf(key, depth)
  children[digit] = without(children[digit], key, depth + 1)
  const left = children.filter((child) => child !== undefined)
  return left.length === 1 && left[0] instanceof Leaf ? left[0] : new Branch(children)
}

function hashOf<V>(node: Leaf<V> | Branch<V>): Key {
  if (node.hash) return node.hash
  if (node instanceof Leaf) return (node.hash = hashKey(encodeEntry(node.key, node.value)))
  let text = 'branch'
  for (const child of node.children) text += child ? hashOf(child) : '-'
  return (node.hash = hashKey(text))
}

function* changedKeys<V>(before: Node<V>, after: Node<V>): Generator<Key> {
  if (before === after) return
  if (before instanceof Branch && after instanceof Branch) {
    for (const [i, child] of before.children.entries()) yield* changedKeys(child, after.children[i])
    return
  }
  const [old, now] = [new Map(entriesOf(before)), new Map(entriesOf(after))]
  for (const key of new Set([...old.keys(), ...now.keys()])) if (old.get(key) !== now.get(key)) yield key
}

function* entriesOf<V>(node: Node<V>): Generator<readonly [Key, V]> {
  if (node instanceof Leaf) yield [node.key, node.value]
  else for (const child of node?.children ?? []) yield* entriesOf(child)
}
