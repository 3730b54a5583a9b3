/**
 * What an operation has to do with accounts: the entry that each finds in its history. Pure. A host's own operations (signs of
 * life, ends of epochs) are nobody's history.
 */
import type { Posting } from './chain-store.ts'
import type { PublicKey } from './keys.ts'
import type { Watch } from './state/apply.ts'
import { type Action, ownHostOf } from './state/operation.ts'
import type { State } from './state/state.ts'

/** Collects the postings of a block, while its operations are tried. */
export function postingWatch(height: number, postings: Posting[]): Watch {
  return ({ index, operation, before, after }) => {
    if (operation === undefined || ownHostOf(operation.action) !== undefined) return
    const { account: asker, nonce, action } = operation
    for (const account of new Set([asker, ...othersIn(action, before)])) {
      const { free, granted } = effectOn(account, before, after)
      const asked = account === asker
      if (!asked && free === 0n && granted === 0n) continue
      postings.push({ account, height, index, nonce: asked ? nonce : undefined, free, granted })
    }
  }
}

/** Accounts, besides the one that asks, whose credits may change. */
function othersIn(action: Action, before: State): PublicKey[] {
  switch (action.kind) {
    case 'transfer':
      return [action.to]
    case 'release':
      return [action.to]
    case 'split':
      return [...action.shares.map(({ to }) => to), ...payerOf(action.escrow, before)]
    case 'refund':
    case 'time-out':
      return payerOf(action.escrow, before)
    default:
      return []
  }
}

function payerOf(escrow: PublicKey, before: State): PublicKey[] {
  const known = before.escrows.get(escrow)
  return known ? [known.payer] : []
}

function effectOn(account: PublicKey, before: State, after: State): { free: bigint; granted: bigint } {
  const [was, is] = [before.accounts.get(account), after.accounts.get(account)]
  return { free: (is?.free ?? 0n) - (was?.free ?? 0n), granted: (is?.granted ?? 0n) - (was?.granted ?? 0n) }
}
