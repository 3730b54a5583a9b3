/**
 * What the ledger puts into the blocks that consensus orders: operations, and what became of them (DESIGN 9). The proposer
 * executes its block and says the results and the root of the state; who votes executes it too, and votes only for what it
 * finds itself. As the results are in the payload, its digest needs no execution. Pure.
 *
 * The block in which an epoch ends is its committee's last. To make it final in bad times, when it was notarized only, the
 * committee may need blocks on top of it. These are *fillers*: they do nothing, and nothing of them stays.
 */
import { type Static, Type } from 'typebox'
import { encode } from '../../core/cbor.ts'
import { checker } from '../../core/codec.ts'
import { hashKey, type Key } from '../../core/ids.ts'
import { MAX_BLOCK_OPERATIONS, MAX_OPERATION_BYTES } from '../../core/limits.ts'
import { BytesSchema, KeySchema, record } from '../../net/message.ts'
import { decodeCanonical } from './canonical.ts'
import { committeeDigest } from './committee.ts'
import type { Block, Digest } from './consensus/block.ts'
import { MAX_PAYLOAD_BYTES } from './consensus/committee.ts'
import type { Verify } from './keys.ts'
import { operationsRoot } from './receipt/operations-tree.ts'
import { apply, applyOperation, atBlock, blockFault, type Watch } from './state/apply.ts'
import { isResult, type Result } from './state/refusal.ts'
import { checkSupply, type State, stateRoot } from './state/state.ts'

const PayloadSchema = record({
  /** Whose committee decides on the block. */
  epoch: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
  operations: Type.Array(BytesSchema(MAX_OPERATION_BYTES), { maxItems: MAX_BLOCK_OPERATIONS }),
  /** What became of each. */
  results: Type.Array(Type.Refine(Type.Unsafe<Result>(Type.Unknown()), isResult), { maxItems: MAX_BLOCK_OPERATIONS }),
  /** After the block. */
  stateRoot: KeySchema,
  /** Digest of the committee that decides on this block. */
  committee: KeySchema,
  /** Digest of the one that decides on the next: another one only from the last block of the epoch on. */
  next: KeySchema,
  /** Does the epoch end with this block? */
  last: Type.Boolean(),
})
export type Payload = Static<typeof PayloadSchema>
const payloadChecker = checker(PayloadSchema)

/** What a header says of a payload. */
export interface PayloadFacts extends Omit<Payload, 'operations' | 'results'> {
  readonly operationsRoot: Key
}

/** Of a payload around its operations, and of one operation with its result beside the operation's bytes; at most. */
const PAYLOAD_OVERHEAD_BYTES = 1024
const OPERATION_OVERHEAD_BYTES = 32

/** By object, as digests of blocks are: several look at one. The bytes of a payload never change. */
const known = new WeakMap<Uint8Array, Payload>()

/** Undefined: the bytes are no payload. Never throws. */
export function decodePayload(bytes: Uint8Array): Payload | undefined {
  const seen = known.get(bytes)
  if (seen) return seen
  const value = decodeCanonical(bytes)
  if (!payloadChecker.check(value) || value.operations.length !== value.results.length) return undefined
  known.set(bytes, value)
  return value
}

export function factsOf({ operations, results, ...rest }: Payload): PayloadFacts {
  return { ...rest, operationsRoot: operationsRoot(operations, results) }
}

export function digestOfFacts({ epoch, operationsRoot, stateRoot, committee, next, last }: PayloadFacts): Digest {
  return hashKey(encode(['chorale payload', epoch, operationsRoot, stateRoot, committee, next, last]))
}

/** For consensus. Bytes that are no payload have a digest too, and no header has it. Never throws. */
export function payloadDigest(bytes: Uint8Array): Digest {
  const payload = decodePayload(bytes)
  return payload ? digestOfFacts(factsOf(payload)) : hashKey(encode(['chorale other payload', bytes]))
}

/** Who decides on a block. */
export interface Deciding {
  readonly epoch: number
  /** Digest of the epoch's committee. */
  readonly committee: Key
}

export interface Executed {
  readonly payload: Uint8Array
  /** After the block. After a filler, that before it. */
  readonly state: State
}

/**
 * A payload for a block of this time on this state: of the candidates, in their order, those that fit and change anything;
 * a filler, if the state's last block ended the epoch. The time is not below the state's.
 */
export function buildPayload(
  before: State,
  deciding: Deciding,
  timeMs: number,
  candidates: Iterable<Uint8Array>,
  verify: Verify,
  watch?: Watch,
): Executed {
  if (before.epoch !== deciding.epoch) return filler(before, deciding)
  let state = atBlock(before, { height: before.height + 1, blockTimeMs: timeMs })
  const operations: Uint8Array[] = []
  const results: Result[] = []
  let room = MAX_PAYLOAD_BYTES - PAYLOAD_OVERHEAD_BYTES
  for (const bytes of candidates) {
    const needed = bytes.length + OPERATION_OVERHEAD_BYTES
    if (needed > room || operations.length === MAX_BLOCK_OPERATIONS) break
    const outcome = applyOperation(state, bytes, verify)
    if (outcome.state === state) continue
    watch?.({ index: operations.length, operation: outcome.operation, before: state, after: outcome.state })
    state = outcome.state
    operations.push(bytes)
    results.push(outcome.result)
    room -= needed
  }
  checkSupply(state)
  return { payload: encodePayload(deciding, operations, results, state), state }
}

/**
 * The state after this block, by the rules that a voter goes by; or why nobody may vote for it. The block's parent is the
 * last one that the state has seen, or a filler above that. Never throws.
 */
export function judgePayload(
  before: State,
  deciding: Deciding,
  { height, timeMs, payload }: Block,
  verify: Verify,
  watch?: Watch,
): State | string {
  if (before.epoch !== deciding.epoch) {
    const only = filler(before, deciding).payload
    return Buffer.compare(only, payload) === 0 ? before : 'only a filler may follow the last block of an epoch'
  }
  const said = decodePayload(payload)
  if (said === undefined) return 'its bytes are no payload'
  const block = { height, epoch: said.epoch, blockTimeMs: timeMs, operations: said.operations }
  const fault = blockFault(before, block)
  if (fault !== undefined) return fault
  const { state, results, idle } = apply(before, block, verify, watch)
  if (idle > 0) return `${idle} of its operations change nothing`
  return isOutcome(said, results, factsAfter(deciding, state)) ? state : 'its operations have another outcome'
}

/** Is that what the payload says? Its epoch has been looked at, and its spelling when it was decoded. */
function isOutcome(said: Payload, results: readonly Result[], found: Outcome): boolean {
  const { stateRoot, committee, next, last } = found
  const facts = said.stateRoot === stateRoot && said.committee === committee && said.next === next && said.last === last
  return facts && said.results.every((result, index) => result === results[index])
}

type Outcome = Pick<Payload, 'stateRoot' | 'committee' | 'next' | 'last'>

/** What a payload says besides its operations and their results. */
function factsAfter({ epoch, committee }: Deciding, after: State): Outcome {
  const next = committeeDigest(after.committee)
  return { stateRoot: stateRoot(after), committee, next, last: after.epoch !== epoch }
}

function encodePayload(
  deciding: Deciding,
  operations: readonly Uint8Array[],
  results: readonly Result[],
  after: State,
): Uint8Array {
  const { epoch } = deciding
  const payload: Payload = {
    epoch,
    operations: [...operations],
    results: [...results],
    ...factsAfter(deciding, after),
  }
  const bytes = encode(payload)
  known.set(bytes, payload)
  return bytes
}

/** One for each end of an epoch, whatever its height and time. Not `last`: only one block is. */
function filler(state: State, { epoch, committee }: Deciding): Executed {
  const next = committeeDigest(state.committee)
  const payload: Payload = {
    epoch,
    operations: [],
    results: [],
    stateRoot: stateRoot(state),
    committee,
    next,
    last: false,
  }
  return { payload: encode(payload), state }
}
