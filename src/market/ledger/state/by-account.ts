/**
 * What the trees of a state say of one account, kept beside them so that nobody walks them all for it. It follows from the
 * trees: no state root covers it, no snapshot holds it, and a state that is restored has it counted anew.
 */
import type { Key } from '../../../core/ids.ts'
import type { PublicKey } from '../keys.ts'
import { offerIn } from './book/offers.ts'
import { Tree } from './tree.ts'

export interface ByAccount {
  /** Hosts of each account that has any. */
  readonly linked: Tree<Tree<true>>
  /** How many escrows each account that has any has open, as their payer. */
  readonly openEscrows: Tree<number>
  /** How many offers each account that has any has in the book. */
  readonly offersOf: Tree<number>
}

export const NOTHING_BY_ACCOUNT: ByAccount = Object.freeze({
  linked: Tree.empty<Tree<true>>(),
  openEscrows: Tree.empty<number>(),
  offersOf: Tree.empty<number>(),
})

interface Sources {
  readonly hosts: Tree<PublicKey>
  readonly escrows: Tree<{ readonly payer: PublicKey }>
  readonly book: Tree<{ readonly bytes: Uint8Array }>
}

export function byAccountOf({ hosts, escrows, book }: Sources): ByAccount {
  let { linked, openEscrows, offersOf } = NOTHING_BY_ACCOUNT
  for (const [host, account] of hosts.entries()) linked = withLink(linked, account, host)
  for (const [, { payer }] of escrows.entries()) openEscrows = withCount(openEscrows, payer, 1)
  for (const [, { bytes }] of book.entries()) offersOf = withCount(offersOf, accountOf(bytes), 1)
  return { linked, openEscrows, offersOf }
}

/** Of an offer that is in the book. */
export function accountOf(offer: Uint8Array): PublicKey {
  return offerIn(offer)!.account
}

export function withLink(linked: Tree<Tree<true>>, account: PublicKey, host: PublicKey): Tree<Tree<true>> {
  return linked.set(account, (linked.get(account) ?? Tree.empty<true>()).set(host, true))
}

export function withoutLink(linked: Tree<Tree<true>>, account: PublicKey, host: PublicKey): Tree<Tree<true>> {
  const left = linked.get(account)!.delete(host)
  return left.size === 0 ? linked.delete(account) : linked.set(account, left)
}

export function withCount(counts: Tree<number>, key: Key, change: number): Tree<number> {
  const count = (counts.get(key) ?? 0) + change
  return count === 0 ? counts.delete(key) : counts.set(key, count)
}
