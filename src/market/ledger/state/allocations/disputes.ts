/**
 * Disputes over one task of a window: the supplier shows what it committed to, mediators do the task again. They are drawn by
 * what both sides committed to before they knew of each other, from hosts that had volunteered before the dispute, and seal
 * their findings before any is told, so that none can copy another's. Each gets the same fee whichever side is right; the side
 * that is not pays it. Who found something else than most gets none and is fined: it has not done the work, or lies.
 */
import type { Key } from '../../../../core/ids.ts'
import { opens } from '../../../verification/commitment.ts'
import { type Candidate, poolOf } from '../../../verification/draws.ts'
import { drawPanel, outvoted, type Vote, verdictOf } from '../../../verification/mediation.ts'
import { isNonceOf, panelSeed, type Reveals, type WindowName } from '../../../verification/nonces.ts'
import type { PublicKey } from '../../keys.ts'
import { bankerOf } from '../bankers.ts'
import { total } from '../purse.ts'
import type { Refusal } from '../refusal.ts'
import { type Rule, type State, withAllocation, withMediator } from '../state.ts'
import { type Allocation, PATIENCE, type PhaseNamed, redoMs, sealOf } from './allocation.ts'
import { countOf } from './ranges.ts'
import { convictCustomer, convictSupplier, endPaid, endUnpaid, fineMediator, type Named, withFees } from './settle.ts'
import { inPhase, isNextNonce, waiting } from './work.ts'

/** By the customer: the supplier shall show the task at this place of the window, counted from 0. */
export const challenge: Rule<'challenge'> = (state, { account, action }) => {
  const found = waiting(state, action.allocation, account, 'customer', ['revealed'])
  if (typeof found === 'string') return found
  const { id, allocation, phase } = found
  const { position } = action
  if (position >= countOf(phase.window.tasks)) return 'bad-tasks'
  const deadlineMs = state.timeMs + PATIENCE.show
  return withAllocation(state, id, { ...allocation, phase: { ...phase, name: 'challenged', deadlineMs, position } })
}

/** By the supplier: the digest of the task's result, and what shows that the root covers it. */
export const show: Rule<'show'> = (state, { account, action }) => {
  const found = waiting(state, action.allocation, account, 'supplier', ['challenged'])
  if (typeof found === 'string') return found
  const { id, allocation, phase } = found
  const { position, window } = phase
  const { digest, salt, path } = action
  if (!opens({ position, digest, salt, path }, windowOf(found), window.root, countOf(window.tasks))) return 'no-proof'
  const deadlineMs = state.timeMs + PATIENCE.dispute + redoMs(allocation, 1)
  return withAllocation(state, id, { ...allocation, phase: { ...phase, name: 'shown', deadlineMs, digest } })
}

/** By the customer: the task has another result. */
export const dispute: Rule<'dispute'> = (state, { account, action }) => {
  const found = waiting(state, action.allocation, account, 'customer', ['shown'])
  if (typeof found === 'string') return found
  const { id, allocation, phase } = found
  const deadlineMs = state.timeMs + PATIENCE.draw
  const drawing = { ...phase, name: 'drawing', deadlineMs, sinceMs: state.timeMs } as const
  return withAllocation(state, id, { ...allocation, phase: drawing })
}

/** By each side: what it has committed to, of which mediators are drawn. */
export const draw: Rule<'draw'> = (state, { account, action: { allocation: name, secret } }) => {
  const allocation = state.allocations.get(name)
  if (!allocation) return 'no-allocation'
  const side = account === allocation.customer ? 'customer' : 'supplier'
  const found = waiting(state, name, account, side, ['drawing'])
  if (typeof found === 'string') return found
  const { id, phase } = found
  const isCustomer = side === 'customer'
  if (!isPartOf(allocation, side, secret)) return 'no-proof'
  const drawing = { ...phase, ...(isCustomer ? { ofCustomer: secret } : { ofSupplier: secret }) }
  const { ofCustomer, ofSupplier, sinceMs, ...shown } = drawing
  if (ofCustomer === undefined || ofSupplier === undefined) {
    return withAllocation(state, id, { ...allocation, phase: drawing })
  }
  const mediators = drawnBy({ customer: ofCustomer, supplier: ofSupplier }, state, { id, allocation }, phase)
  if (mediators.length === 0) return endUnpaid(state, { id, allocation }, phase.window.tasks)
  const deadlineMs = state.timeMs + PATIENCE.seal + redoMs(allocation, 2) // each does it twice
  const seals = mediators.map(() => null)
  return withAllocation(state, id, {
    ...allocation,
    phase: { ...shown, name: 'sealing', deadlineMs, mediators, seals },
  })
}

/** The customer shows the next link of its chain, the supplier its secret. */
function isPartOf(allocation: Allocation, side: 'customer' | 'supplier', secret: Key): boolean {
  if (side === 'customer') return isNextNonce(allocation, secret, allocation.windows)
  const { secretAnchor } = allocation
  return secretAnchor !== null && isNonceOf(secret, 0, { nonce: secretAnchor, window: -1 })
}

/** Hosts with a bond that volunteered before, and belong to neither side; of one account no two. */
function drawnBy(reveals: Reveals, state: State, named: Named, phase: PhaseNamed<'drawing'>): PublicKey[] {
  const { customer, supplier } = named.allocation
  const candidates: Candidate[] = []
  for (const [host, since] of state.mediators.entries()) {
    const banker = state.bankers.get(host)!
    if (since >= phase.sinceMs || total(banker) < state.settings.bond) continue
    // The ledger knows no addresses: an account stands for one.
    candidates.push({ host, account: banker.account, prefix: banker.account })
  }
  const seed = panelSeed(windowOf(named), phase.window.root, reveals, 0)
  const excludes = ({ account }: Candidate) => account === customer || account === supplier
  return drawPanel(seed, poolOf(candidates), { excludes }).map(({ host }) => host)
}

/** What its commitments are bound to. */
function windowOf({ id, allocation: { supplier, windows } }: Named): WindowName {
  return { contract: id, supplier, window: windows - 1 }
}

/** By an account with a bonded host: it will do tasks again for others, or will no longer. */
export const mediate: Rule<'mediate'> = (state, { account, action: { host, willing } }) => {
  const banker = bankerOf(state, host, account)
  if (typeof banker === 'string') return banker
  const since = state.mediators.get(host)
  if (willing === (since !== undefined)) return 'nothing-new'
  if (willing && total(banker) < state.settings.bond) return 'bond-too-small'
  return withMediator(state, host, willing ? state.timeMs : undefined)
}

/** By a mediator: `sealOf` its finding. */
export const seal: Rule<'seal'> = (state, { account, action: { allocation: name, host, seal } }) => {
  const found = drawn(state, name, account, host, 'sealing')
  if (typeof found === 'string') return found
  const { id, allocation, phase, index } = found
  if (phase.seals[index] !== null) return 'replayed'
  const seals = phase.seals.with(index, seal)
  if (seals.includes(null)) return withAllocation(state, id, { ...allocation, phase: { ...phase, seals } })
  return unsealing(state, { id, allocation }, { ...phase, seals })
}

/** By a mediator, when all have sealed, or time is over. */
export const verdict: Rule<'verdict'> = (state, { account, action }) => {
  const { allocation: name, host, finding, salt } = action
  const found = drawn(state, name, account, host, 'unsealing')
  if (typeof found === 'string') return found
  const { id, allocation, phase, index } = found
  if (phase.findings[index] !== null) return 'replayed'
  if (phase.seals[index] !== sealOf(id, host, finding, salt)) return 'no-proof'
  const findings = phase.findings.with(index, finding)
  const named = { id, allocation: { ...allocation, phase: { ...phase, findings } } }
  const isWhole = phase.seals.every((sealed, at) => sealed === null || findings[at] !== null)
  return isWhole ? conclude(state, named, { ...phase, findings }) : withAllocation(state, id, named.allocation)
}

function drawn<N extends 'sealing' | 'unsealing'>(
  state: State,
  id: Key,
  account: PublicKey,
  host: PublicKey,
  name: N,
): (Named & { readonly phase: PhaseNamed<N>; readonly index: number }) | Refusal {
  const allocation = state.allocations.get(id)
  if (!allocation) return 'no-allocation'
  const found = inPhase(state, { id, allocation }, [name])
  if (typeof found === 'string') return found
  const index = (found.phase.mediators as readonly PublicKey[]).indexOf(host)
  if (index < 0 || state.hosts.get(host) !== account) return 'not-allowed'
  return { ...found, index }
}

/** Findings may be told now, of those who have sealed one. */
export function unsealing(state: State, { id, allocation }: Named, phase: PhaseNamed<'sealing'>): State {
  const deadlineMs = state.timeMs + PATIENCE.verdict
  const findings = phase.seals.map(() => null)
  return withAllocation(state, id, { ...allocation, phase: { ...phase, name: 'unsealing', deadlineMs, findings } })
}

/** What mediators have found decides (`verdictOf`); when too few have told, nothing is paid and nobody is fined. */
export function conclude(state: State, named: Named, phase: PhaseNamed<'unsealing'>): State {
  const { mediators, findings, window, digest } = phase
  const votes = new Map<PublicKey, Vote>()
  for (const [at, host] of mediators.entries()) if (findings[at] !== null) votes.set(host, findings[at] as Vote)
  const found = verdictOf(mediators, votes, digest)
  const wrong = found === 'undecided' ? [] : outvoted(mediators, votes)
  const owners = [...votes.keys()].flatMap((host) => (wrong.includes(host) ? [] : (state.hosts.get(host) ?? [])))
  const fined = wrong.reduce(fineMediator, state)
  const [paid, rest] = withFees(fined, named, owners, found === 'convicted' ? 'supplier' : 'customer')
  switch (found) {
    case 'acquitted':
      return convictCustomer(paid, rest, window.tasks)
    case 'convicted':
      return convictSupplier(paid, rest, window.tasks)
    case 'not-deterministic':
      return endPaid(paid, rest, window.tasks, 'unstable')
    case 'undecided':
      return endUnpaid(paid, rest, window.tasks)
  }
}
