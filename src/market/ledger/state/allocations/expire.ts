/** The end of a wait: whoever was waited for bears it. */
import { type Rule, type State, withAllocation } from '../state.ts'
import { conclude, unsealing } from './disputes.ts'
import { convictCustomer, convictSupplier, endUnpaid, type Named, payWindow, stop, unsigned } from './settle.ts'

/** By anybody, when the deadline of an allocation's phase is over. One that is closed is forgotten then. */
export const expire: Rule<'expire'> = (state, { action: { allocation: id } }) => {
  const allocation = state.allocations.get(id)
  if (!allocation) return 'no-allocation'
  return state.timeMs <= allocation.phase.deadlineMs ? 'before-deadline' : expired(state, { id, allocation })
}

function expired(state: State, named: Named): State {
  const { phase } = named.allocation
  switch (phase.name) {
    case 'signing':
      return unsigned(state, named)
    case 'running':
      return stop(state, named)
    case 'committed':
    case 'revealed':
    case 'shown':
      return payWindow(state, named, phase.window.tasks)
    case 'challenged':
      return convictSupplier(state, named, phase.window.tasks)
    case 'drawing': // who disputes says its part first
      return (phase.ofCustomer === undefined ? convictCustomer : convictSupplier)(state, named, phase.window.tasks)
    case 'sealing':
      if (phase.seals.every((seal) => seal === null)) return endUnpaid(state, named, phase.window.tasks)
      return unsealing(state, named, phase)
    case 'unsealing':
      return conclude(state, named, phase)
    case 'closed':
      return withAllocation(state, named.id, undefined)
  }
}
