/** Which side of an allocation this host is, and what that side does next. */
import type { Key } from '../../core/ids.ts'
import { customerStep, lateStep, mediatorStep, supplierStep } from '../allocation/steps.ts'
import type { KeyPair, PublicKey } from '../ledger/keys.ts'
import type { Allocation } from '../ledger/state/allocations/allocation.ts'
import type { Action } from '../ledger/state/operation.ts'
import type { Mediating } from './mediating.ts'
import { isMine, type Self } from './parts.ts'
import type { RememberedJob, Remembering } from './remembering.ts'
import type { Supplying } from './supplying.ts'
import type { Testing } from './testing.ts'

export interface Sides {
  readonly self: Self
  readonly keys: KeyPair
  readonly supplying: Supplying
  readonly testing: Testing
  readonly mediating: Mediating
  readonly remembering: Remembering
}

export interface At {
  readonly id: Key
  readonly contract: Key
  readonly allocation: Allocation
  readonly blockTimeMs: number
}

/** Undefined: nothing for now. Begins to find out what is missing. */
export function nextStep(sides: Sides, { contract, ...at }: At): Action | undefined {
  const { self, keys, supplying, testing, mediating, remembering } = sides
  const { id, allocation } = at
  const { phase, customer, job } = allocation
  if (phase.name === 'closed') return lateStep(at)
  if (phase.name !== 'revealed') testing.forget(id)
  if (isMine(allocation, self)) return supplierStep({ ...at, keys }, supplying.work(id, contract, allocation))
  if ('mediators' in phase && (phase.mediators as readonly PublicKey[]).includes(self.host)) {
    return mediatorStep({ ...at, keys }, self.host, mediating.finding(id, allocation))
  }
  const own = customer === self.account ? remembering.get(job) : undefined
  return own ? asCustomer(sides, at, own) : lateStep(at)
}

function asCustomer({ keys, testing }: Sides, at: Omit<At, 'contract'>, job: RememberedJob): Action | undefined {
  const { id, allocation } = at
  const isTrusting = job.policy.kind === 'none'
  return customerStep(
    { ...at, keys },
    {
      isTrusting,
      isOver: job.releasedMs !== undefined,
      examined: isTrusting ? undefined : testing.examined(id, allocation, job.spec),
      digest: (task) => testing.own(allocation.job, job.spec, task),
    },
  )
}
