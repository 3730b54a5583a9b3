/** What several hosts say about one task, by digest; and which hosts are asked. */
import { ChoraleError } from '../../core/errors.ts'
import type { Key } from '../../core/ids.ts'
import type { PublicKey } from '../ledger/keys.ts'
import { type Candidate, Draws, drawHosts, type HostDraw, type Pool } from './draws.ts'

/** The hosts that do the same work: of different owners, in different blocks of addresses. Throws `not-placed`. */
export function chooseReplicas(seed: Key, pool: Pool, draw: HostDraw): readonly Candidate[] {
  const chosen = drawHosts(new Draws(seed), pool, draw)
  if (chosen.length === draw.count) return chosen
  const what = `${draw.count} hosts of different owners and addresses are needed, and there are ${chosen.length}`
  throw new ChoraleError('not-placed', what)
}

export interface Answer {
  readonly host: PublicKey
  readonly digest: Key
}

export type Agreement =
  /** `against`: hosts that said something else. */
  | { readonly kind: 'agreed'; readonly digest: Key; readonly against: readonly PublicKey[] }
  /** Some may still answer, and it depends on them. */
  | { readonly kind: 'open' }
  /** No digest can have more than half any more. */
  | { readonly kind: 'disputed' }

/**
 * What more than half of all `replicas` say, silent ones included: so no few that answer early decide, and one of two is
 * no majority. Of a host only its first answer counts.
 */
export function majorityOf(answers: readonly Answer[], replicas: number): Agreement {
  const said = new Map<PublicKey, Key>()
  for (const { host, digest } of answers) if (!said.has(host)) said.set(host, digest)
  const counts = new Map<Key, number>()
  for (const digest of said.values()) counts.set(digest, (counts.get(digest) ?? 0) + 1)
  const needed = Math.floor(replicas / 2) + 1
  let most = 0
  for (const [digest, count] of counts) {
    most = Math.max(most, count)
    if (count < needed) continue
    const against = [...said].filter(([, other]) => other !== digest).map(([host]) => host)
    return { kind: 'agreed', digest, against }
  }
  return most + Math.max(0, replicas - said.size) >= needed ? { kind: 'open' } : { kind: 'disputed' }
}
