/** The way of an allocation on which nobody quarrels: `allocation.ts` has the picture. */
import type { Key } from '../../../../core/ids.ts'
import { PPM } from '../../../verification/draws.ts'
import { isNonceOf } from '../../../verification/nonces.ts'
import type { Refusal } from '../refusal.ts'
import { type Rule, type State, withAllocation } from '../state.ts'
import {
  ALLOCATION_WINDOWS,
  type Allocation,
  PATIENCE,
  type Phase,
  type PhaseNamed,
  redoMs,
  type Terms,
} from './allocation.ts'
import { claimed, contracted } from './claims.ts'
import { areRanges, countOf } from './ranges.ts'
import { close, type Named, payWindow, putIn, stop } from './settle.ts'

/**
 * What a match has brought together: two accounts that are there, and a time that is not over. Or which side cannot pay or stake
 * what was agreed.
 */
export function allocate(state: State, id: Key, terms: Terms): State | 'customer' | 'supplier' {
  const phase = { name: 'signing', deadlineMs: state.timeMs + PATIENCE.sign } as const
  const counts = { windows: 0, paid: 0, tested: 0 }
  const anchors = { secretAnchor: null, shownNonce: null, shownWindow: -1 }
  const made = putIn({ ...terms, ...counts, ...anchors, isEnding: false, phase }, state)
  if (typeof made === 'string') return made
  const [taken, allocation] = made
  return withAllocation(contracted(taken, allocation), id, allocation)
}

/**
 * By each side: it is there. `anchor`: of the customer's chain of nonces; of the supplier's part of a draw, a chain of one
 * (verification/nonces.ts).
 */
export const sign: Rule<'sign'> = (state, { account, action }) => {
  const allocation = state.allocations.get(action.allocation)
  if (!allocation) return 'no-allocation'
  const side = account === allocation.customer ? 'customer' : 'supplier'
  const found = waiting(state, action.allocation, account, side, ['signing'])
  if (typeof found === 'string') return found
  const { id, phase } = found
  if ((side === 'customer' ? allocation.shownNonce : allocation.secretAnchor) !== null) return 'nothing-new'
  const signed = { ...allocation, [side === 'customer' ? 'shownNonce' : 'secretAnchor']: action.anchor }
  const isWhole = signed.shownNonce !== null && signed.secretAnchor !== null
  const next = isWhole ? ({ name: 'running', deadlineMs: allocation.untilMs } as const) : phase
  return withAllocation(state, id, { ...signed, phase: next })
}

/**
 * By the supplier: these tasks are done, and the root covers the digests of their results, in ascending order of the tasks
 * (verification/commitment.ts).
 */
export const commit: Rule<'commit'> = (state, { account, action }) => {
  const found = waiting(state, action.allocation, account, 'supplier', ['running'])
  if (typeof found === 'string') return found
  const { id, allocation } = found
  const { tasks, root, window } = action
  if (window !== allocation.windows || window >= ALLOCATION_WINDOWS) return 'wrong-step'
  const count = countOf(tasks)
  const isFit = areRanges(tasks, allocation.jobTasks) && allocation.paid + count <= allocation.tasks
  if (!isFit || count > allocation.windowTasks) return 'bad-tasks'
  const next = claimed(state, allocation, tasks)
  if (typeof next === 'string') return next
  const open = { tasks, root, committedMs: state.timeMs }
  const phase = { name: 'committed', deadlineMs: state.timeMs + PATIENCE.reveal, window: open } as const
  return withAllocation(next, id, { ...allocation, windows: window + 1, phase })
}

/** By the customer: the nonce that says which tasks are tested. */
export const reveal: Rule<'reveal'> = (state, { account, action: { allocation: name, nonce } }) => {
  const found = waiting(state, name, account, 'customer', ['committed'])
  if (typeof found === 'string') return found
  const { id, allocation, phase } = found
  const ofWindow = allocation.windows - 1
  if (!isNextNonce(allocation, nonce, ofWindow)) return 'no-proof'
  const { window } = phase
  const deadlineMs = state.timeMs + PATIENCE.approve + redoMs(allocation, testsOf(allocation, countOf(window.tasks)))
  return withAllocation(state, id, {
    ...allocation,
    shownNonce: nonce,
    shownWindow: ofWindow,
    phase: { name: 'revealed', deadlineMs, window, nonce },
  })
}

/** How many tasks of a window are done again, about: of a job whose tasks several do, maybe all on which they differ. */
function testsOf({ rate, replicas }: Allocation, count: number): number {
  return replicas > 1 ? count : Math.ceil((rate * count) / PPM) + 1
}

/** By the customer, as soon as it is content. `tests`: how many of the tasks it has done again, or had done. */
export const approve: Rule<'approve'> = (state, { account, action }) => {
  const found = waiting(state, action.allocation, account, 'customer', ['committed', 'revealed', 'challenged', 'shown'])
  if (typeof found === 'string') return found
  if (action.window !== found.allocation.windows - 1) return 'wrong-step'
  const { tasks } = found.phase.window
  return action.tests > countOf(tasks) ? 'bad-tasks' : payWindow(state, found, tasks, action.tests)
}

/**
 * By the supplier: it gives up. By the customer: it needs no more, and what is done by then is still paid, for which the supplier
 * has a little time.
 */
export const end: Rule<'end'> = (state, { account, action }) => {
  const id = action.allocation
  const allocation = state.allocations.get(id)
  if (!allocation) return 'no-allocation'
  const { customer, supplier, phase, untilMs } = allocation
  if (account !== customer && account !== supplier) return 'not-allowed'
  if (phase.name !== 'signing' && phase.name !== 'running') return 'wrong-phase'
  if (account === supplier) return stop(state, { id, allocation })
  const ending = { ...allocation, isEnding: true }
  if (phase.name === 'signing') return close(state, { id, allocation: ending }, 'ended')
  const endMs = Math.min(untilMs, state.timeMs + PATIENCE.lastWindow)
  const running = { name: 'running', deadlineMs: endMs } as const
  return withAllocation(state, id, { ...ending, untilMs: endMs, phase: running })
}

/** Of the customer's chain. */
export function isNextNonce({ shownNonce, shownWindow }: Allocation, nonce: Key, ofWindow: number): boolean {
  return shownNonce !== null && isNonceOf(nonce, ofWindow, { nonce: shownNonce, window: shownWindow })
}

interface Found<N extends Phase['name']> extends Named {
  readonly phase: PhaseNamed<N>
}

/** An allocation that waits, in one of these phases, for this side. */
export function waiting<N extends Phase['name']>(
  state: State,
  id: Key,
  account: string,
  side: 'customer' | 'supplier',
  phases: readonly N[],
): Found<N> | Refusal {
  const allocation = state.allocations.get(id)
  if (!allocation) return 'no-allocation'
  if (allocation[side] !== account) return 'not-allowed'
  return inPhase(state, { id, allocation }, phases)
}

export function inPhase<N extends Phase['name']>(
  state: State,
  { id, allocation }: Named,
  phases: readonly N[],
): Found<N> | Refusal {
  const { phase } = allocation
  if (!(phases as readonly string[]).includes(phase.name)) return 'wrong-phase'
  if (state.timeMs > phase.deadlineMs) return 'past-deadline'
  return { id, allocation, phase: phase as PhaseNamed<N> }
}
