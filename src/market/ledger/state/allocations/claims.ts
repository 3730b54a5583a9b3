/**
 * Who has done which tasks of a job: each is paid to as many suppliers as the job has replicas, and to none of them twice. Kept
 * while anybody is contracted for the job, or an offer of its customer for it stands in the book.
 */

import type { Key } from '../../../../core/ids.ts'
import { MAX_CLAIMED_RANGES } from '../../../../core/limits.ts'
import { type State, withClaims } from '../state.ts'
import { type Allocation, claimId } from './allocation.ts'
import { type Ranges, stacked, unstacked, without } from './ranges.ts'

/** Of tasks, in as many layers as each may be done; and how many allocations and offers are about them. */
export interface Claims {
  readonly layers: readonly Ranges[]
  readonly holders: number
}

type Parties = Pick<Allocation, 'customer' | 'supplier' | 'job' | 'replicas'>

/** Of all suppliers, and where tasks are done more than once of its own: one layer holds none of them twice anyway. */
function entriesOf(parties: Parties): readonly { readonly id: Key; readonly height: number }[] {
  const all = { id: claimId(parties), height: parties.replicas }
  return parties.replicas === 1 ? [all] : [all, { id: claimId(parties, parties.supplier), height: 1 }]
}

export function contracted(state: State, parties: Parties): State {
  return entriesOf(parties).reduce((next, { id }) => held(next, id), state)
}

/** The allocation is over. */
export function uncontracted(state: State, parties: Parties): State {
  return entriesOf(parties).reduce((next, { id }) => letGo(next, id), state)
}

/** By one more allocation or offer; `id`: a `claimId`. */
export function held(state: State, id: Key): State {
  const { layers, holders } = state.claims.get(id) ?? { layers: [], holders: 0 }
  return withClaims(state, id, { layers, holders: holders + 1 })
}

export function letGo(state: State, id: Key): State {
  const { layers, holders } = state.claims.get(id)!
  return withClaims(state, id, holders > 1 ? { layers, holders: holders - 1 } : undefined)
}

export function claimed(state: State, parties: Parties, tasks: Ranges): State | 'claimed' | 'too-many-ranges' {
  let next = state
  for (const { id, height } of entriesOf(parties)) {
    const claims = next.claims.get(id)!
    const layers = stacked(claims.layers, tasks, height)
    if (!layers) return 'claimed'
    if (layers.reduce((sum, layer) => sum + layer.length, 0) > MAX_CLAIMED_RANGES) return 'too-many-ranges'
    next = withClaims(next, id, { ...claims, layers })
  }
  return next
}

/** Others may do these tasks. */
export function released(state: State, parties: Parties, tasks: Ranges): State {
  return entriesOf(parties).reduce((next, { id }) => {
    const claims = next.claims.get(id)!
    return withClaims(next, id, { ...claims, layers: unstacked(claims.layers, tasks) })
  }, state)
}

/** Of these tasks those that were not claimed as often as the job wants each done, and not by this supplier. */
export function claimableOf({ claims }: Pick<State, 'claims'>, parties: Parties, done: Ranges): Ranges {
  return entriesOf(parties).reduce(
    (left, { id, height }) => without(left, claims.get(id)?.layers[height - 1] ?? []),
    done,
  )
}
