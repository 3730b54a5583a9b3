/**
 * Operations that wait to be decided on, at a banker. In the order in which they came, but the operations of one account in
 * the order of their numbers; what has a gap before it waits until that is filled. Bounded in all and for each account, so
 * that nobody fills it for others.
 */
import { hashKey, type Key } from '../../core/ids.ts'
import { MAX_WAITING_BYTES, MAX_WAITING_OPERATIONS, MAX_WAITING_PER_ACCOUNT } from '../../core/limits.ts'
import type { Verify } from './keys.ts'
import type { Handed } from './messages.ts'
import { applyOperation } from './state/apply.ts'
import { decodeOperation, type Operation, ownHostOf, signaturesFault } from './state/operation.ts'
import type { State } from './state/state.ts'

interface Waiting {
  readonly bytes: Uint8Array
  readonly lane: string
  readonly number: number
}

export class Mempool {
  readonly #verify: Verify
  /** In the order of arrival, by hash of the bytes. */
  readonly #all = new Map<Key, Waiting>()
  readonly #lanes = new Map<string, Map<number, Waiting>>()
  #bytes = 0

  constructor(verify: Verify) {
    this.#verify = verify
  }

  get size(): number {
    return this.#all.size
  }

  /** `state`: the final one, at a block of now. A refusal that is told is one that leaves the ledger as it is. */
  offer(bytes: Uint8Array, state: State): Handed {
    const hash = hashKey(bytes)
    if (this.#all.has(hash)) return 'waits'
    const operation = decodeOperation(bytes)
    if (typeof operation === 'string') return operation
    if (operation.network !== state.network) return 'wrong-network'
    const { lane, number, ofHost } = queueOf(operation)
    const expected = expectedIn(state, operation)
    if (operation.action.kind === 'open') {
      // With another number it would fit one day and change nothing, and be wanted for ever.
      if (state.accounts.get(operation.account)) return 'account-exists'
      if (number > 0) return 'nonce-gap'
    }
    if (number < expected) return 'replayed'
    const queue = this.#lanes.get(lane)
    if (queue?.has(number)) return 'replayed'
    if (number - expected >= MAX_WAITING_PER_ACCOUNT || (ofHost && number > expected)) return 'nonce-gap'
    const hasAccount = expected > 0 || state.accounts.get(operation.account) !== undefined
    if (!(hasAccount || ofHost || operation.action.kind === 'open' || queue?.has(0))) return 'no-account'
    if (signaturesFault(operation, this.#verify)) return 'bad-signature'
    if (ofHost) {
      const { state: after, result } = applyOperation(state, bytes, this.#verify)
      if (after === state) return result
    }
    if (this.#all.size >= MAX_WAITING_OPERATIONS || this.#bytes + bytes.length > MAX_WAITING_BYTES) return 'busy'
    const waiting = { bytes, lane, number }
    this.#all.set(hash, waiting)
    if (queue) queue.set(number, waiting)
    else this.#lanes.set(lane, new Map([[number, waiting]]))
    this.#bytes += bytes.length
    return 'waits'
  }

  /** Those that fit onto this state, one after the other. */
  *candidates(state: State): Generator<Uint8Array> {
    const next = new Map<string, number>()
    const passedOver = new Set<Waiting>()
    for (const waiting of this.#all.values()) {
      const { lane } = waiting
      let number = next.get(lane) ?? nextIn(state, lane)
      if (waiting.number > number) passedOver.add(waiting)
      if (waiting.number !== number) {
        next.set(lane, number)
        continue
      }
      let at: Waiting | undefined = waiting
      while (at) {
        yield at.bytes
        const after: Waiting | undefined = this.#lanes.get(lane)?.get(++number)
        at = after && passedOver.has(after) ? after : undefined
      }
      next.set(lane, number)
    }
  }

  /** Is there one that fits? */
  isWanting(state: State): boolean {
    for (const _ of this.candidates(state)) return true
    return false
  }

  /** After a block: `state` is the final one, at a block of now. Drops what has become of no use. */
  settle(state: State): void {
    for (const [hash, { bytes, lane, number }] of this.#all) {
      const ofHost = isHostLane(lane)
      const isOver = number < nextIn(state, lane)
      if (isOver || (ofHost && applyOperation(state, bytes, this.#verify).state === state)) this.#drop(hash)
    }
  }

  #drop(hash: Key): void {
    const { bytes, lane, number } = this.#all.get(hash)!
    this.#all.delete(hash)
    this.#bytes -= bytes.length
    const queue = this.#lanes.get(lane)!
    queue.delete(number)
    if (queue.size === 0) this.#lanes.delete(lane)
  }
}

/** What a host signs has the epoch for a number; the other operations of an account are counted. */
function queueOf({ account, nonce, action }: Operation): { lane: string; number: number; ofHost: boolean } {
  const host = ownHostOf(action)
  return { lane: host === undefined ? account : `${action.kind} ${host}`, number: nonce, ofHost: host !== undefined }
}

function isHostLane(lane: string): boolean {
  return lane.includes(' ')
}

function nextIn(state: State, lane: string): number {
  return isHostLane(lane) ? state.epoch : (state.accounts.get(lane as Key)?.nonce ?? 0)
}

/** The number that an operation must have to be next. */
export function expectedIn(state: State, operation: Operation): number {
  return nextIn(state, queueOf(operation).lane)
}
