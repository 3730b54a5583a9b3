/**
 * Operations that wait to be decided on, at a banker. In the order in which they came, but the operations of one account in
 * the order of their numbers. Bounded in all and for each account.
 *
 * What is ready, because nothing is missing before it, comes into a block sooner or later and so makes room. What is early may
 * wait for an operation that its account never sends. So only a few of these are kept, and the oldest of them goes when
 * another comes: whoever still wants it brings it again. What hosts ask for always has room: there is one of a kind for
 * each banker, and it is what ends epochs.
 */
import { hashKey, type Key } from '../../core/ids.ts'
import {
  MAX_WAITING_BYTES,
  MAX_WAITING_EARLY,
  MAX_WAITING_OPERATIONS,
  MAX_WAITING_PER_ACCOUNT,
} from '../../core/limits.ts'
import type { Verify } from './keys.ts'
import type { Handed } from './messages.ts'
import { applyOperation } from './state/apply.ts'
import { decodeOperation, type Operation, ownHostOf, signaturesFault } from './state/operation.ts'
import type { State } from './state/state.ts'

interface Waiting {
  readonly hash: Key
  readonly bytes: Uint8Array
  readonly lane: string
  readonly number: number
}

export class Mempool {
  readonly #verify: Verify
  /** By hash of the bytes, in the order in which they came to be ready. */
  readonly #ready = new Map<Key, Waiting>()
  /** By hash of the bytes, the oldest first. */
  readonly #early = new Map<Key, Waiting>()
  readonly #lanes = new Map<string, Map<number, Waiting>>()
  #bytes = 0

  constructor(verify: Verify) {
    this.#verify = verify
  }

  get size(): number {
    return this.#ready.size + this.#early.size
  }

  /** `state`: the final one, at a block of now. A refusal that is told is one that leaves the ledger as it is. */
  offer(bytes: Uint8Array, state: State): Handed {
    const hash = hashKey(bytes)
    if (this.#ready.has(hash) || this.#early.has(hash)) return 'waits'
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
    const isFull = this.size >= MAX_WAITING_OPERATIONS || this.#bytes + bytes.length > MAX_WAITING_BYTES
    if (isFull && !ofHost) return 'busy'
    const before = queue?.get(number - 1)
    const waiting = { hash, bytes, lane, number }
    if (queue) queue.set(number, waiting)
    else this.#lanes.set(lane, new Map([[number, waiting]]))
    this.#bytes += bytes.length
    this.#early.set(hash, waiting)
    if (number === expected || (before && this.#ready.has(before.hash))) this.#makeReady(waiting)
    else if (this.#early.size > MAX_WAITING_EARLY) this.#drop(this.#early.values().next().value!)
    return 'waits'
  }

  /** With those that follow on it. */
  #makeReady({ lane, number }: Waiting): void {
    for (const waiting of this.#following(lane, number)) {
      this.#early.delete(waiting.hash)
      this.#ready.set(waiting.hash, waiting)
    }
  }

  *#following(lane: string, number: number): Generator<Waiting> {
    const queue = this.#lanes.get(lane)
    for (let at = queue?.get(number); at; at = queue?.get(at.number + 1)) yield at
  }

  /** Those that fit onto this state, one after the other. It may be ahead of the final one. */
  *candidates(state: State): Generator<Uint8Array> {
    const next = new Map<string, number>()
    const nextOf = (lane: string) => next.get(lane) ?? nextIn(state, lane)
    for (const { bytes, lane, number } of this.#ready.values()) {
      if (number !== nextOf(lane)) continue
      yield bytes
      next.set(lane, number + 1)
    }
    for (const { lane } of this.#early.values()) {
      for (const { bytes, number } of this.#following(lane, nextOf(lane))) {
        yield bytes
        next.set(lane, number + 1)
      }
    }
  }

  /** Is there one that fits? */
  isWanting(state: State): boolean {
    for (const _ of this.candidates(state)) return true
    return false
  }

  /** After a block: `state` is the final one, at a block of now. Drops what has become of no use. */
  settle(state: State): void {
    for (const part of [this.#ready, this.#early]) {
      for (const waiting of part.values()) {
        const { bytes, lane, number } = waiting
        const isOver = number < nextIn(state, lane)
        if (isOver || (isHostLane(lane) && applyOperation(state, bytes, this.#verify).state === state))
          this.#drop(waiting)
      }
    }
    for (const waiting of this.#early.values()) {
      if (waiting.number === nextIn(state, waiting.lane)) this.#makeReady(waiting)
    }
  }

  #drop({ hash, bytes, lane, number }: Waiting): void {
    this.#ready.delete(hash)
    this.#early.delete(hash)
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
