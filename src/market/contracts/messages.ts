/** What sides of an allocation, and mediators, ask each other off the ledger. */
import { Type } from 'typebox'
import { MAX_JOB_TASKS, MAX_OPENINGS_PER_MESSAGE, MAX_SPEC_BYTES } from '../../core/limits.ts'
import { BytesSchema, defineMessage, KeySchema, record } from '../../net/message.ts'
import { ALLOCATION_WINDOWS } from '../ledger/state/allocations/allocation.ts'

const Position = Type.Integer({ minimum: 0, maximum: MAX_JOB_TASKS })

const OpeningSchema = record({
  position: Position,
  digest: KeySchema,
  salt: KeySchema,
  path: Type.Array(KeySchema, { maxItems: 22 }),
})

/** Of the customer to the supplier's host: shall open these places of the open window. */
export const OpenWindow = defineMessage('market/open', {
  request: record({
    allocation: KeySchema,
    window: Type.Integer({ minimum: 0, maximum: ALLOCATION_WINDOWS }),
    positions: Type.Array(Position, { minItems: 1, maxItems: MAX_OPENINGS_PER_MESSAGE }),
  }),
  reply: record({ openings: Type.Array(OpeningSchema, { maxItems: MAX_OPENINGS_PER_MESSAGE }) }),
})

/** Of a host that has to do with an allocation to another: what its job is. */
export const TellSpec = defineMessage('market/spec', {
  request: record({ allocation: KeySchema }),
  reply: record({ spec: BytesSchema(MAX_SPEC_BYTES) }),
})
