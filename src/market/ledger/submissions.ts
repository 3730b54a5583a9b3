/**
 * Operations that were submitted at this host: brought to those who lead next, then to all bankers until they are final, and
 * answered with their receipts. A host needs no seat for that.
 */
import type { Env } from '../../core/env.ts'
import { ChoraleError } from '../../core/errors.ts'
import { hashKey, type Key } from '../../core/ids.ts'
import { MAX_WAITING_OPERATIONS, MAX_WAITING_PER_ACCOUNT } from '../../core/limits.ts'
import { placeOf, receiptAt } from './archive.ts'
import type { Chain, FinalBlock } from './chain.ts'
import { quorumOf } from './committee.ts'
import type { Courier } from './courier.ts'
import type { PublicKey, Verify } from './keys.ts'
import { InDoubt, type Outcome } from './ledger.ts'
import { expectedIn } from './mempool.ts'
import { Hand, type Handed, MAX_HANDED, MAX_SMALL_BYTES } from './messages.ts'
import { receiptOf } from './receipt/receipt.ts'
import { decodeOperation, type Operation, signaturesFault } from './state/operation.ts'
import type { Refusal } from './state/refusal.ts'

/** What comes within so short a time goes together. */
const GATHER_MS = 6
const AGAIN_MS = 1500
const HAND_TIMEOUT_MS = 5000

export interface SubmissionsPorts {
  readonly env: Env
  readonly chain: Chain
  readonly courier: Courier
  readonly verify: Verify
  readonly host: PublicKey
  /** Of the consensus now, as far as this host knows. */
  view(): number
  /** Into this host's own queue, if it has a seat. */
  offer(operations: readonly Uint8Array[]): readonly Handed[]
  /** Resolves when the chain here shows all that was final at the call. */
  freshen(signal: AbortSignal): Promise<void>
  /** Somebody begins to wait here. */
  hurry(): void
  /** A banker knows more of the chain than this host. */
  behind(host: PublicKey): void
}

interface Pending {
  readonly bytes: Uint8Array
  readonly operation: Operation
  readonly waiters: Set<(outcome: Outcome) => void>
  sentAtMs: number
  /** Times that it went to a banker who has not said that there is no room for it: one of them may have it. */
  handed: number
  /** A banker had no room for it. */
  isBusy: boolean
}

export class Submissions {
  readonly #ports: SubmissionsPorts
  readonly #pending = new Map<Key, Pending>()
  #gathering = false
  #cancelAgain: (() => void) | undefined
  readonly #forget: () => void

  constructor(ports: SubmissionsPorts) {
    this.#ports = ports
    this.#forget = ports.chain.events.on('block', (block) => this.#onBlock(block))
  }

  get size(): number {
    return this.#pending.size
  }

  stop(): void {
    this.#forget()
    this.#cancelAgain?.()
  }

  async submit(bytes: Uint8Array, signal: AbortSignal): Promise<Outcome> {
    const { chain, verify } = this.#ports
    const operation = decodeOperation(bytes)
    if (typeof operation === 'string') return refused(operation)
    if (operation.network !== chain.network) return refused('wrong-network')
    if (signaturesFault(operation, verify)) return refused('bad-signature')
    let known = this.#known(operation, bytes)
    if (known === 'not-yet') {
      await this.#ports.freshen(signal) // this copy may lag
      known = this.#known(operation, bytes)
    }
    if (known === 'not-yet') return refused(hasAccount(chain, operation) ? 'nonce-gap' : 'no-account')
    if (known) return known
    if (this.#pending.size >= MAX_WAITING_OPERATIONS) {
      throw new ChoraleError('busy', `${this.#pending.size} operations wait at this node: try again later`)
    }
    return this.#wait(operation, bytes, signal)
  }

  /** To all bankers once; nobody waits for it. */
  bring(operations: readonly Uint8Array[]): void {
    const { chain } = this.#ports
    const duties = operations.map((bytes) => ({ bytes }))
    for (const group of groups(duties)) for (const host of chain.committee) this.#tell(host, group).catch(() => {})
  }

  /** What is known of it already. `not-yet`: it cannot come in yet. Undefined: it may. */
  #known(operation: Operation, bytes: Uint8Array): Outcome | 'not-yet' | undefined {
    const { chain } = this.#ports
    const { account, nonce, action } = operation
    const expected = expectedIn(chain.state, operation)
    if (nonce < expected) {
      const place = placeOf(chain, account, nonce, bytes)
      const receipt = place && receiptAt(chain, place)
      if (receipt) return { result: receipt.result, receipt }
      return refused(action.kind === 'open' ? 'account-exists' : 'replayed')
    }
    if (nonce > expected && !this.#areWaiting(account, expected, nonce)) return 'not-yet'
    if (nonce === expected && action.kind !== 'open' && !hasAccount(chain, operation)) return 'not-yet'
    return undefined
  }

  /** Are all of an account's operations between these numbers on their way from here? */
  #areWaiting(account: PublicKey, from: number, until: number): boolean {
    if (until - from > MAX_WAITING_PER_ACCOUNT) return false
    const waiting = new Set<number>()
    for (const { operation } of this.#pending.values()) if (operation.account === account) waiting.add(operation.nonce)
    for (let number = from; number < until; number++) if (!waiting.has(number)) return false
    return true
  }

  #wait(operation: Operation, bytes: Uint8Array, signal: AbortSignal): Promise<Outcome> {
    const hash = hashKey(bytes)
    let pending = this.#pending.get(hash)
    if (!pending) {
      pending = { bytes, operation, waiters: new Set(), sentAtMs: Number.NEGATIVE_INFINITY, handed: 0, isBusy: false }
      this.#pending.set(hash, pending)
      if (this.#pending.size === 1) this.#ports.hurry()
      this.#gather()
    }
    const { waiters } = pending
    return new Promise((resolve, reject) => {
      const settle = (outcome: Outcome) => {
        signal.removeEventListener('abort', giveUp)
        resolve(outcome)
      }
      const giveUp = () => {
        waiters.delete(settle)
        if (waiters.size === 0) this.#pending.delete(hash)
        reject(lateError(pending))
      }
      waiters.add(settle)
      if (signal.aborted) giveUp()
      else signal.addEventListener('abort', giveUp, { once: true })
    })
  }

  #gather(): void {
    if (this.#gathering) return
    this.#gathering = true
    const send = () => {
      cancel()
      if (!this.#gathering) return
      this.#gathering = false
      this.#send()
    }
    const cancel = this.#ports.env.clock.timer(GATHER_MS, send)
    void this.#ports.courier.company().then(send)
  }

  /** What was not sent lately. */
  #send(): void {
    const { env, chain } = this.#ports
    const nowMs = env.clock.now()
    const due = [...this.#pending.values()].filter(({ sentAtMs }) => nowMs - sentAtMs >= AGAIN_MS)
    const isNew = ({ sentAtMs }: Pending) => sentAtMs === Number.NEGATIVE_INFINITY
    const parts = [
      { hosts: this.#nextLeaders(), operations: due.filter(isNew) },
      { hosts: chain.committee, operations: due.filter((pending) => !isNew(pending)) },
    ]
    for (const pending of due) pending.sentAtMs = nowMs
    for (const { hosts, operations } of parts) {
      for (const group of groups(operations)) for (const host of hosts) void this.#hand(host, group)
    }
    if (this.#pending.size === 0) return
    this.#cancelAgain ??= env.clock.timer(AGAIN_MS, () => {
      this.#cancelAgain = undefined
      this.#send()
    })
  }

  /**
   * This host, if it is a banker, and as many that lead next as one of them must be honest: whoever has an operation leads its
   * view to an end, so it comes in. The others read it in a block, and need not read it twice.
   */
  #nextLeaders(): ReadonlySet<PublicKey> {
    const { chain, host, view } = this.#ports
    const { committee, firstLeader } = chain
    const count = committee.length - quorumOf(committee.length) + 1
    const next = Array.from({ length: count }, (_, i) => committee[(view() + i + firstLeader) % committee.length]!)
    return new Set(committee.includes(host) ? [host, ...next] : next)
  }

  async #hand(host: PublicKey, group: readonly Pending[]): Promise<void> {
    const { directory } = this.#ports.courier
    const isKnown = host === this.#ports.host || directory.known(host) || (await directory.find(host))
    const wanted = isKnown ? group.filter(({ waiters }) => waiters.size > 0) : []
    if (wanted.length === 0) return
    for (const pending of wanted) pending.handed++
    let answers: readonly Handed[]
    try {
      answers = await this.#tell(host, wanted)
    } catch {
      return // it may have come all the same, and is brought again
    }
    for (const [index, pending] of wanted.entries()) {
      const answer = answers[index]
      if (answer === 'busy') {
        pending.handed--
        pending.isBusy = true
      } else if (answer !== 'waits' && this.#pending.get(hashKey(pending.bytes)) === pending) {
        this.#ports.behind(host) // it was good as far as this host knew
      }
    }
  }

  async #tell(host: PublicKey, group: ReadonlyArray<{ readonly bytes: Uint8Array }>): Promise<readonly Handed[]> {
    const { chain, courier, offer } = this.#ports
    const operations = group.map(({ bytes }) => bytes)
    if (host === this.#ports.host) return offer(operations)
    const message = { network: chain.network, operations }
    return (await courier.ask(host, Hand, message, { timeoutMs: HAND_TIMEOUT_MS })).answers
  }

  #onBlock({ height, payload, sealed }: FinalBlock): void {
    if (this.#pending.size === 0) return
    const { network } = this.#ports.chain
    for (const [index, bytes] of payload.operations.entries()) {
      const hash = hashKey(bytes)
      const pending = this.#pending.get(hash)
      if (!pending) continue
      const receipt = receiptOf(network, sealed(), payload, index)
      this.#settle(hash, pending, { result: receipt.result, receipt })
    }
    const { state } = this.#ports.chain
    if (state.height !== height) return // more blocks of the same run follow
    for (const [hash, pending] of this.#pending) {
      const { operation } = pending
      if (operation.nonce >= expectedIn(state, operation)) continue
      // Another one with its number was faster.
      this.#settle(hash, pending, refused(operation.action.kind === 'open' ? 'account-exists' : 'replayed'))
    }
  }

  #settle(hash: Key, { waiters }: Pending, outcome: Outcome): void {
    this.#pending.delete(hash)
    for (const settle of waiters) settle(outcome)
  }
}

function refused(result: Refusal): Outcome {
  return { result, receipt: undefined }
}

function hasAccount(chain: Chain, { account }: Operation): boolean {
  return chain.state.accounts.get(account) !== undefined
}

function lateError({ handed, isBusy }: Pending): ChoraleError {
  if (handed > 0) return new InDoubt()
  if (isBusy) return new ChoraleError('busy', 'the queues of the bankers are full: submit the same bytes again later')
  return new ChoraleError('unreachable', 'no banker can be reached: the operation was not sent')
}

/** As many as one message holds. */
function groups<T extends { readonly bytes: Uint8Array }>(operations: readonly T[]): T[][] {
  const made: T[][] = []
  let room = 0
  for (const operation of operations) {
    const { length } = operation.bytes
    const last = made.at(-1)
    if (last && length <= room && last.length < MAX_HANDED) last.push(operation)
    else {
      made.push([operation])
      room = MAX_SMALL_BYTES
    }
    room -= length + 4
  }
  return made
}
