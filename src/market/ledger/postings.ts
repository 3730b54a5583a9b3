/**
 * What an operation has to do with accounts: the entry that each finds in its history. Pure. A host's own operations (signs of
 * life, ends of epochs) are nobody's history.
 */
import type { Posting } from './chain-store.ts'
import type { PublicKey } from './keys.ts'
import type { Watch } from './state/apply.ts'
import { ownHostOf } from './state/operation.ts'
import type { State } from './state/state.ts'

/** Collects the postings of a block, while its operations are tried. */
export function postingWatch(height: number, postings: Posting[]): Watch {
  return ({ index, operation, before, after }) => {
    if (operation === undefined || ownHostOf(operation.action) !== undefined) return
    const { account: asker, nonce } = operation
    for (const account of new Set([asker, ...after.accounts.changedSince(before.accounts)])) {
      const { free, granted } = effectOn(account, before, after)
      const asked = account === asker
      if (!asked && free === 0n && granted === 0n) continue
      postings.push({ account, height, index, nonce: asked ? nonce : undefined, free, granted })
    }
  }
}

function effectOn(account: PublicKey, before: State, after: State): { free: bigint; granted: bigint } {
  const [was, is] = [before.accounts.get(account), after.accounts.get(account)]
  return { free: (is?.free ?? 0n) - (was?.free ?? 0n), granted: (is?.granted ?? 0n) - (was?.granted ?? 0n) }
}
