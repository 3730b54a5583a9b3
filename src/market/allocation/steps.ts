/**
 * What each side of an allocation does next: pure decisions over the ledger's state and what the side knows of the work. Nothing
 * is remembered between two of them, so a node that was down goes on where the ledger says it is.
 *
 * `undefined` is: wait, for the other side or for more to be known.
 */
import type { Key } from '../../core/ids.ts'
import type { KeyPair, PublicKey } from '../ledger/keys.ts'
import { ALLOCATION_WINDOWS, type Allocation, type Finding, sealOf } from '../ledger/state/allocations/allocation.ts'
import { countOf, type Range, type Ranges, tasksIn } from '../ledger/state/allocations/ranges.ts'
import type { Action } from '../ledger/state/operation.ts'
import { commitTo } from '../verification/commitment.ts'
import { Draws, drawPositions, drawTests } from '../verification/draws.ts'
import { anchorOf, nonceOf, sampleSeed, type WindowName } from '../verification/nonces.ts'
import { secretOf } from './secrets.ts'

export { claimableOf } from '../ledger/state/allocations/claims.ts'

/** Links of a customer's chain: one for each window, and one for a draw. */
const LINKS = ALLOCATION_WINDOWS + 1
/** The last window is committed to so long before it is too late, in ms. */
const MARGIN_MS = 30_000
/** A window that is not full waits so long for more work, in ms. */
const WINDOW_MS = 60_000
/** Of a supplier, ahead of what is paid: one that is being settled, and one that is being filled. */
const WINDOWS_AHEAD = 2
/** The supplier says that a deadline is over, the customer so much later, and then others: one of them is enough. In ms. */
const GRACE_MS = { customer: 8000, others: 30_000 }

interface Situation {
  readonly id: Key
  readonly allocation: Allocation
  readonly keys: KeyPair
  /**
   * Of the next block, as far as this host knows: the last one's, or its own clock when that is later. A ledger on which nobody
   * does anything makes no blocks, and in its last one no deadline is ever over.
   */
  readonly blockTimeMs: number
}

/** What a supplier knows of its work. */
export interface Work {
  /** Digest of the result of a task that this host has done; undefined: it has not, or has forgotten. */
  digest(task: number): Key | undefined
  /** Of the tasks that it has done those that it may still commit to (`claimableOf`), in ascending order. */
  readonly unclaimed: Ranges
  /** How long the oldest of them has waited, in ms. */
  readonly waitedMs: number
  /** No more will come. */
  readonly isOver: boolean
  /** This host does nothing for others now: it may be a pause. */
  readonly isAway?: boolean
}

export function windowName(id: Key, { supplier, windows }: Allocation): WindowName {
  return { contract: id, supplier, window: windows - 1 }
}

/**
 * How many tasks of an allocation a supplier should do at most before more of them are paid: of what was not committed to when its
 * time is over nothing is paid, and a customer that is silent takes long for each window.
 */
export function workableTasks({ paid, windowTasks, tasks }: Allocation): number {
  return Math.min(tasks, paid + WINDOWS_AHEAD * windowTasks)
}

export function supplierStep({ id, allocation, keys, blockTimeMs }: Situation, work: Work): Action | undefined {
  const { phase } = allocation
  if (phase.name === 'closed') return undefined
  if (blockTimeMs > phase.deadlineMs) return { kind: 'expire', allocation: id }
  switch (phase.name) {
    case 'signing':
      // Who signs and does nothing keeps the tasks from others for as long as all of them would take.
      if (allocation.secretAnchor !== null || work.isAway) return undefined
      return { kind: 'sign', allocation: id, anchor: anchorOf(secretOf(keys, id, 'draw'), 1) }
    case 'running':
      return nextWindow({ id, allocation, keys, blockTimeMs }, work) ?? lastStep({ id, allocation }, work)
    case 'challenged': {
      const digests = digestsOf(phase.window.tasks, work)
      if (!digests) return undefined // it cannot show what it has forgotten
      const { digest, salt, path } = commitTo(windowName(id, allocation), digests, secretOf(keys, id, 'salts')).open(
        phase.position,
      )
      return { kind: 'show', allocation: id, digest, salt, path: [...path] }
    }
    case 'drawing':
      if (phase.ofSupplier !== undefined) return undefined
      return { kind: 'draw', allocation: id, secret: secretOf(keys, id, 'draw') }
    default:
      return undefined
  }
}

function nextWindow({ id, allocation, keys, blockTimeMs }: Situation, work: Work): Action | undefined {
  const { windows, windowTasks, tasks, paid, untilMs } = allocation
  const most = Math.min(windowTasks, tasks - paid)
  const taken = first(work.unclaimed, most)
  const count = countOf(taken)
  const isFull = count === most || taken.length === MAX_PIECES
  const isLate = blockTimeMs > untilMs - MARGIN_MS
  const isDue = isFull || work.isOver || work.waitedMs >= WINDOW_MS || isLate
  if (count === 0 || !isDue || windows >= ALLOCATION_WINDOWS) return undefined
  const digests = digestsOf(taken, work)
  if (!digests) return undefined
  const name = { ...windowName(id, allocation), window: windows }
  const { root } = commitTo(name, digests, secretOf(keys, id, 'salts'))
  return { kind: 'commit', allocation: id, window: windows, tasks: taken.map(([from, to]) => [from, to]), root }
}

/** When there is nothing to commit to: it has done all for a customer that needs no more, which costs nothing. */
function lastStep({ id, allocation }: Pick<Situation, 'id' | 'allocation'>, work: Work): Action | undefined {
  const isDone = allocation.isEnding && work.isOver && work.unclaimed.length === 0
  return isDone ? { kind: 'end', allocation: id } : undefined
}

/** The lowest tasks, so many at most, in as many pieces as one window may have. */
function first(ranges: Ranges, count: number): Ranges {
  const taken: Range[] = []
  let left = count
  for (const [from, to] of ranges) {
    if (left === 0 || taken.length === MAX_PIECES) break
    const end = Math.min(to, from + left)
    taken.push([from, end])
    left -= end - from
  }
  return taken
}
const MAX_PIECES = 200

function digestsOf(tasks: Ranges, work: Work): Key[] | undefined {
  const digests: Key[] = []
  for (const task of tasksIn(tasks)) {
    const digest = work.digest(task)
    if (digest === undefined) return undefined
    digests.push(digest)
  }
  return digests
}

/** What a customer found when it tested the open window. */
export type Examined =
  /** All tests agree with what was committed to. */
  | { readonly kind: 'right'; readonly tests: number }
  /** The supplier did not open this place, or what it opened is not covered by its root, or is another result. */
  | { readonly kind: 'wrong'; readonly position: number }

/** What a customer knows. */
export interface Knowledge {
  /** Undefined: not yet. */
  readonly examined: Examined | undefined
  /** Its own digest of a task that it has done again. */
  digest(task: number): Key | undefined
  /** It pays without looking. */
  readonly isTrusting: boolean
  /** The job is over, or its results are not wanted any more. */
  readonly isOver?: boolean
}

export function customerStep({ id, allocation, keys, blockTimeMs }: Situation, known: Knowledge): Action | undefined {
  const { phase, windows } = allocation
  if (phase.name === 'closed') return undefined
  if (blockTimeMs > phase.deadlineMs) return expireAfter(GRACE_MS.customer, { id, allocation, blockTimeMs })
  const secret = () => secretOf(keys, id, 'nonces')
  switch (phase.name) {
    case 'signing':
      if (known.isOver) return { kind: 'end', allocation: id }
      if (allocation.shownNonce !== null) return undefined
      return { kind: 'sign', allocation: id, anchor: anchorOf(secret(), LINKS) }
    case 'running':
      return known.isOver && !allocation.isEnding ? { kind: 'end', allocation: id } : undefined
    case 'committed':
      if (known.isTrusting) return { kind: 'approve', allocation: id, window: windows - 1, tests: 0 }
      return { kind: 'reveal', allocation: id, nonce: nonceOf(secret(), LINKS, windows - 1) }
    case 'revealed': {
      const { examined } = known
      if (!examined) return undefined
      if (examined.kind === 'right')
        return { kind: 'approve', allocation: id, window: windows - 1, tests: examined.tests }
      return { kind: 'challenge', allocation: id, position: examined.position }
    }
    case 'shown': {
      const own = known.digest([...tasksIn(phase.window.tasks)][phase.position]!)
      if (own === undefined) return undefined
      return own === phase.digest
        ? { kind: 'approve', allocation: id, window: windows - 1, tests: 1 }
        : { kind: 'dispute', allocation: id }
    }
    case 'drawing':
      if (phase.ofCustomer !== undefined) return undefined
      return { kind: 'draw', allocation: id, secret: nonceOf(secret(), LINKS, windows) }
    default:
      return undefined
  }
}

/** Positions of the open window that are tested, once the nonce is revealed: both sides agree on them. */
export function testedPositions(id: Key, allocation: Allocation): readonly number[] {
  const { phase, rate } = allocation
  if (phase.name !== 'revealed') return []
  const { window, nonce } = phase
  const draws = new Draws(sampleSeed(windowName(id, allocation), window.root, nonce))
  const count = countOf(window.tasks)
  return drawPositions(draws, drawTests(draws, rate, count), count)
}

/**
 * `finding`: what this mediator found for the task in question; undefined: not yet. It has a fee to lose, so it says that a
 * deadline is over when neither side does.
 */
export function mediatorStep(
  { id, allocation, keys, blockTimeMs }: Situation,
  host: PublicKey,
  finding: Finding | undefined,
): Action | undefined {
  const { phase } = allocation
  if (phase.name !== 'sealing' && phase.name !== 'unsealing') return undefined
  const seat = (phase.mediators as readonly PublicKey[]).indexOf(host)
  if (seat < 0) return undefined
  if (blockTimeMs > phase.deadlineMs) return lateStep({ id, allocation, blockTimeMs })
  if (finding === undefined) return undefined
  const salt = secretOf(keys, id, 'finding')
  if (phase.name === 'sealing') {
    if (phase.seals[seat] !== null) return undefined
    return { kind: 'seal', allocation: id, host, seal: sealOf(id, host, finding, salt) }
  }
  if (phase.findings[seat] !== null || phase.seals[seat] === null) return undefined
  return { kind: 'verdict', allocation: id, host, finding, salt }
}

/** Of anybody, for an allocation whose sides are both gone. */
export function lateStep(situation: Omit<Situation, 'keys'>): Action | undefined {
  return expireAfter(GRACE_MS.others, situation)
}

function expireAfter(graceMs: number, { id, allocation, blockTimeMs }: Omit<Situation, 'keys'>): Action | undefined {
  return blockTimeMs > allocation.phase.deadlineMs + graceMs ? { kind: 'expire', allocation: id } : undefined
}
