/**
 * Blocks of operations, applied to the state (DESIGN 9). Pure and total: every operation applies or has a reason, whatever its
 * bytes, and the same block makes the same state everywhere. Nothing here reads a clock, a random number, or the order of a map
 * that anybody else filled.
 *
 * An operation that comes as it should (well formed, of this network, with its number and its signatures) uses up that
 * number, applied or not. So what was refused once is refused for good, and cannot be kept by another to be played when it
 * would apply.
 */
import { invariant } from '../../../core/errors.ts'
import { MAX_BLOCK_OPERATIONS, MAX_OPERATION_BYTES } from '../../../core/limits.ts'
import type { Verify } from '../keys.ts'
import { link, open, transfer, unlink } from './accounts.ts'
import { accuse } from './accusations.ts'
import { challenge, dispute, draw, mediate, seal, show, verdict } from './allocations/disputes.ts'
import { expire } from './allocations/expire.ts'
import { approve, commit, end, reveal, sign } from './allocations/work.ts'
import { admit, bond, drop, endEpoch, heartbeat, unbond, withdraw } from './bankers.ts'
import { handIn, match, raiseOffer, withdrawOffer } from './book/book.ts'
import { fine, fund, openEscrow, refund, release, split, timeOut } from './escrows.ts'
import { decodeOperation, type Kind, type Operation, ownHostOf, signaturesFault, type Unsigned } from './operation.ts'
import type { Refusal, Result } from './refusal.ts'
import { checkSupply, type Rule, type State, withAccount } from './state.ts'

export interface Block {
  /** One more than that of the block before. */
  readonly height: number
  /** The epoch whose committee decides on the block. */
  readonly epoch: number
  /** Milliseconds since the epoch of computers. */
  readonly blockTimeMs: number
  readonly operations: readonly Uint8Array[]
}

export interface Applied {
  readonly state: State
  /** One for each operation. */
  readonly results: readonly Result[]
  /** How many of the operations changed nothing. */
  readonly idle: number
}

/** Hears of each operation of a block, as it is tried: it is undefined when its bytes are none. */
export type Watch = (tried: {
  readonly index: number
  readonly operation: Operation | undefined
  readonly before: State
  readonly after: State
}) => void

const RULES: { readonly [K in Kind]: Rule<K> } = {
  open,
  link,
  unlink,
  transfer,
  'open-escrow': openEscrow,
  fund,
  release,
  refund,
  split,
  fine,
  'time-out': timeOut,
  'hand-in': handIn,
  'withdraw-offer': withdrawOffer,
  'raise-offer': raiseOffer,
  match,
  sign,
  commit,
  reveal,
  approve,
  challenge,
  show,
  dispute,
  draw,
  mediate,
  seal,
  verdict,
  end,
  expire,
  bond,
  unbond,
  withdraw,
  admit,
  drop,
  heartbeat,
  'end-epoch': endEpoch,
  accuse,
}

/** Why a block cannot follow this state, whatever its operations: nobody votes for such a one. */
export function blockFault(state: State, { height, epoch, blockTimeMs, operations }: Block): string | undefined {
  if (height !== state.height + 1) return `its height is ${height}, not ${state.height + 1}`
  if (epoch !== state.epoch) return `it is of epoch ${epoch}, not ${state.epoch}`
  if (!(Number.isSafeInteger(blockTimeMs) && blockTimeMs <= 8.64e15)) return 'its time is no time'
  if (blockTimeMs < state.timeMs) return 'its time is before that of the block before it'
  if (operations.length > MAX_BLOCK_OPERATIONS) return `it has more than ${MAX_BLOCK_OPERATIONS} operations`
  const long = operations.some(({ length }) => length > MAX_OPERATION_BYTES)
  if (long) return `it has an operation of more than ${MAX_OPERATION_BYTES} bytes`
  return undefined
}

/** Asserts that the block has no `blockFault`, and that no credit came or went but by a grant or a fine. */
export function apply(before: State, block: Block, verify: Verify, watch?: Watch): Applied {
  const fault = blockFault(before, block)
  invariant(fault === undefined, `a block was decided on that cannot be: ${fault}`)
  let state = atBlock(before, block)
  let idle = 0
  const results = block.operations.map((bytes, index) => {
    const outcome = applyOperation(state, bytes, verify)
    if (outcome.state === state) idle++
    watch?.({ index, operation: outcome.operation, before: state, after: outcome.state })
    state = outcome.state
    return outcome.result
  })
  checkSupply(state)
  return { state, results, idle }
}

/** The state in which the operations of a block are tried one by one. */
export function atBlock(state: State, { height, blockTimeMs }: Pick<Block, 'height' | 'blockTimeMs'>): State {
  return { ...state, height, timeMs: blockTimeMs }
}

/**
 * What gives back the very same state changes nothing, not even a number: a proposer leaves it out of its block, and nobody
 * votes for a block with such a one. Other refusals belong in it, so that their senders learn what became of them. Never throws.
 */
export function applyOperation(state: State, bytes: Uint8Array, verify: Verify): Outcome {
  const operation = decodeOperation(bytes)
  if (typeof operation === 'string') return { state, result: operation, operation: undefined }
  const fault = envelopeFault(state, operation) ?? signaturesFault(operation, verify)
  if (fault) return { state, result: fault, operation }
  const counted = withNumberUsed(state, operation)
  const outcome = ruleOf(operation.action.kind)(counted, operation)
  if (typeof outcome === 'string') return { state: counted, result: outcome, operation }
  return { state: outcome, result: 'applied', operation }
}

interface Outcome {
  readonly state: State
  readonly result: Result
  /** Decoded; undefined when the bytes are none. */
  readonly operation: Operation | undefined
}

/** Is it of this network, and the next of its account? Cheap, so it comes before the signatures. */
function envelopeFault(state: State, operation: Operation): Refusal | undefined {
  if (operation.network !== state.network) return 'wrong-network'
  const expected = expectedNumber(state, operation)
  if (typeof expected === 'string') return expected
  if (operation.nonce < expected) return 'replayed'
  return operation.nonce > expected ? 'nonce-gap' : undefined
}

function expectedNumber(state: State, { account, action }: Unsigned): number | Refusal {
  const known = state.accounts.get(account)
  if (action.kind === 'open') return known ? 'account-exists' : 0
  if (!known) return 'no-account'
  return ownHostOf(action) === undefined ? known.nonce : state.epoch
}

/** What a host does uses no number of the account, and an opening makes the first one. */
function withNumberUsed(state: State, { account, action }: Unsigned): State {
  if (action.kind === 'open' || ownHostOf(action) !== undefined) return state
  const known = state.accounts.get(account)!
  return withAccount(state, account, { ...known, nonce: known.nonce + 1 })
}

function ruleOf(kind: Kind): Rule<Kind> {
  return RULES[kind] as unknown as Rule<Kind>
}
