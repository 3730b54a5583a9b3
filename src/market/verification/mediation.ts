/**
 * Mediation (Eisele et al. 2020-22, corrected in PAPERS 9): when a checker's digest is not the supplier's, hosts that were
 * drawn by both parties' nonces do the task again. A mediator is paid the same whatever it says, and fines are burnt: who
 * lives on fines finds many guilty. A mediator does the task twice, and says `unstable` when its own two digests
 * differ: then it is the customer's job that is at fault.
 */
import type { Key } from '../../core/ids.ts'
import type { PublicKey } from '../ledger/keys.ts'
import { type Candidate, Draws, drawHosts, type HostDraw, type Pool } from './draws.ts'

/**
 * Mediators of one dispute. With 30 % of all hosts in league 6 of 11 are with 7.8 % (`committeeCaptured`), with 20 % 1.2 %, with
 * 10 % 0.03 %. Disputes are rare, because they do not pay, and so is what they cost.
 */
export const PANEL_SEATS = 11

/** Votes of so many in a hundred seats decide; with fewer another panel is drawn. */
const QUORUM_PERCENT = 67

/** Fewer when there are not as many, but an odd number: two halves would settle nothing. None: there is nobody to ask. */
export function drawPanel(seed: Key, pool: Pool, draw: Omit<HostDraw, 'count'>): readonly Candidate[] {
  const drawn = drawHosts(new Draws(seed), pool, { ...draw, count: PANEL_SEATS })
  return drawn.slice(0, drawn.length - (drawn.length % 2 === 0 ? 1 : 0))
}

/** What a mediator found: the digest, or that there is none. */
export type Vote = Key | 'unstable'

export type Verdict =
  /** The supplier's digest is right. */
  | 'acquitted'
  /** Another is. */
  | 'convicted'
  /** There is no right one, and the customer pays: its job depends on more than its inputs. */
  | 'not-deterministic'
  /** Too few have voted. */
  | 'undecided'

/**
 * Of the votes on one position, by seat, what more than half found holds. When no half agrees, on a task that each found to
 * be stable, there is no right digest either. Only seats are counted, each once.
 */
export function verdictOf(seats: readonly PublicKey[], votes: ReadonlyMap<PublicKey, Vote>, claimed: Key): Verdict {
  const cast = seats.map((seat) => votes.get(seat)).filter((vote) => vote !== undefined)
  if (cast.length === 0 || cast.length * 100 < seats.length * QUORUM_PERCENT) return 'undecided'
  const found = holds(cast)
  if (found === undefined || found === 'unstable') return 'not-deterministic'
  return found === claimed ? 'acquitted' : 'convicted'
}

/** Whose digest was not the one that held; their fee is theirs, but it stands in their records. */
export function outvoted(seats: readonly PublicKey[], votes: ReadonlyMap<PublicKey, Vote>): readonly PublicKey[] {
  const found = holds(seats.map((seat) => votes.get(seat)).filter((vote) => vote !== undefined))
  if (found === undefined || found === 'unstable') return []
  return seats.filter((seat) => votes.has(seat) && votes.get(seat) !== found)
}

function holds(votes: readonly Vote[]): Vote | undefined {
  const counts = new Map<Vote, number>()
  for (const vote of votes) counts.set(vote, (counts.get(vote) ?? 0) + 1)
  return [...counts].find(([, count]) => 2 * count > votes.length)?.[0]
}
