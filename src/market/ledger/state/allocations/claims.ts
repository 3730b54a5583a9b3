/**
 * Who has done which tasks of a job: each is paid to as many suppliers as the job has replicas, and to none of them twice. Kept
 * while anybody is contracted for the job.
 */

import type { Key } from '../../../../core/ids.ts'
import { MAX_CLAIMED_RANGES } from '../../../../core/limits.ts'
import { type State, withClaims } from '../state.ts'
import { type Allocation, claimId } from './allocation.ts'
import { type Ranges, stacked, unstacked } from './ranges.ts'

/** Of tasks, in as many layers as each may be done; and how many allocations are about them. */
export interface Claims {
  readonly layers: readonly Ranges[]
  readonly allocations: number
}

type Parties = Pick<Allocation, 'customer' | 'supplier' | 'job' | 'replicas'>

/** The two entries of an allocation: of all suppliers, and of its own. */
function entriesOf(parties: Parties): readonly { readonly id: Key; readonly height: number }[] {
  return [
    { id: claimId(parties), height: parties.replicas },
    { id: claimId(parties, parties.supplier), height: 1 },
  ]
}

export function contracted(state: State, parties: Parties): State {
  return entriesOf(parties).reduce((next, { id }) => {
    const { layers, allocations } = next.claims.get(id) ?? { layers: [], allocations: 0 }
    return withClaims(next, id, { layers, allocations: allocations + 1 })
  }, state)
}

/** The allocation is over. */
export function uncontracted(state: State, parties: Parties): State {
  return entriesOf(parties).reduce((next, { id }) => {
    const { layers, allocations } = next.claims.get(id)!
    return withClaims(next, id, allocations > 1 ? { layers, allocations: allocations - 1 } : undefined)
  }, state)
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
