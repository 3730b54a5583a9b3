/**
 * Accusations: whoever shows two signed messages of consensus of which a banker may sign one has its bond burnt, all of it, also
 * what was given notice. The messages name the key, so nobody has to know who sat where in which epoch. A bond answers for
 * what its host says from the epoch after it was posted; so one lie costs one bond, however often it is shown.
 *
 * The host keeps its seat until the epoch ends, for a committee changes only then; so it stays known, with nothing.
 */
import { plus } from './amount.ts'
import { bankerOf } from './bankers.ts'
import type { SignedSaying } from './operation.ts'
import { EMPTY_PURSE, total } from './purse.ts'
import { type Rule, withBanker } from './state.ts'

/** That the accused has signed both has been checked with the signatures of the operation. */
export const accuse: Rule<'accuse'> = (state, { account, action: { host, epoch, first, second, by } }) => {
  const accuser = by === undefined ? undefined : bankerOf(state, by, account)
  if (typeof accuser === 'string') return accuser
  const banker = state.bankers.get(host)
  if (!banker) return 'no-banker'
  // What is said of an epoch to come can be shown then.
  if (!contradict(first, second) || epoch < banker.since || epoch > state.epoch) return 'no-proof'
  const burnt = plus(state.burnt, plus(total(banker), total(banker.leaving)))
  const fined = { ...banker, ...EMPTY_PURSE, leaving: EMPTY_PURSE, candidate: false, since: state.epoch + 1 }
  return withBanker({ ...state, burnt }, host, fined)
}

/** May nobody honest say both in one view? Two proposals or votes of a kind for different blocks; to finalize and to nullify. */
export function contradict(
  a: Pick<SignedSaying, 'kind' | 'digest'>,
  b: Pick<SignedSaying, 'kind' | 'digest'>,
): boolean {
  if (a.kind === b.kind) return a.digest !== b.digest
  const kinds = [a.kind, b.kind]
  return kinds.includes('finalize') && kinds.includes('nullify')
}
