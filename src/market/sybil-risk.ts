/** What an attacker of some size would have of a key's group, by placement: the formulas of `sybil.ts`, put together. */
import { type Placement, PREFIX_SLOTS } from '../net/placement.ts'
import { groupCaptured, groupCapturedByParties, IDS_PER_ADDRESS, majority } from './sybil.ts'

export interface GroupRisk {
  /** Addresses of the attacker, each in a block of its own. */
  readonly addresses: number
  /** Probability that it can own a given key. */
  readonly owned: number
  /** That it can have the majority of the key's group, by the number of copies. */
  readonly captured: ReadonlyArray<{ readonly copies: number; readonly chance: number }>
}

/** By the formulas, if all members that there are now are honest. */
export function groupRisk(
  placement: Placement,
  members: number,
  addresses: number,
  sizes: readonly number[],
): GroupRisk {
  const captured = (size: number, needed: number) =>
    placement === 'ip-prefix'
      ? groupCapturedByParties(members, { parties: addresses, idsEach: PREFIX_SLOTS }, size, needed)
      : groupCaptured(members, addresses * IDS_PER_ADDRESS, size, needed)
  const chanceOf = (copies: number) => {
    const size = Math.min(copies, members)
    return { copies, chance: captured(size, majority(size)) }
  }
  return { addresses, owned: captured(1, 1), captured: [...new Set(sizes)].map(chanceOf) }
}
