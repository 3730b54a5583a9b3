/** Who brings the bulletin board's offers into the ledger's book, has them matched, and ends what others have left. */

import type { Key } from '../../src/core/ids.ts'
import { lateStep } from '../../src/market/allocation/steps.ts'
import type { KeyPair } from '../../src/market/ledger/keys.ts'
import type { Ledger } from '../../src/market/ledger/ledger.ts'
import { type Action, signOperation } from '../../src/market/ledger/state/operation.ts'
import type { State } from '../../src/market/ledger/state/state.ts'
import { slotAt } from '../../src/market/offers/price-slot.ts'
import { fakeKeyPair } from '../fake-keys.ts'
import type { NodePorts } from './market-node.ts'

const TRY_MS = 10_000
const MATCH_EVERY_MS = 4000
/** As many offers as fit into one operation. */
const HANDED_BYTES = 3600
const HANDED = 10

export interface AllocatorPorts extends Pick<NodePorts, 'env' | 'network' | 'ended'> {
  chain(): { readonly ledger: Ledger; readonly state: State }
  /** Posted, and not handed in yet; the first are taken away as they are. */
  readonly board: Uint8Array[]
}

export class Allocator {
  readonly #ports: AllocatorPorts
  readonly #keys: KeyPair = fakeKeyPair('allocator')
  #isSending = false
  #matchedMs = 0

  constructor(ports: AllocatorPorts) {
    this.#ports = ports
  }

  tick(nowMs: number): void {
    if (this.#isSending) return
    const { state, ledger } = this.#ports.chain()
    const action = this.#next(state, nowMs)
    if (action) void this.#send(action, state, ledger)
  }

  #next(state: State, nowMs: number): Action | undefined {
    if (!state.accounts.get(this.#keys.publicKey)) return { kind: 'open' }
    if (nowMs >= this.#matchedMs + MATCH_EVERY_MS && this.#hasBoth(state)) {
      this.#matchedMs = nowMs
      return { kind: 'match', slot: slotAt(Math.max(nowMs, state.timeMs)) }
    }
    const offers = this.#taken()
    return offers.length > 0 ? { kind: 'hand-in', offers } : this.#late(state, nowMs)
  }

  #hasBoth({ book }: State): boolean {
    let sells = false
    let buys = false
    for (const [, { left, pieces }] of book.entries()) {
      buys ||= left > 0
      sells ||= pieces.length > 0
      if (sells && buys) return true
    }
    return false
  }

  #taken(): Uint8Array[] {
    const { board } = this.#ports
    let bytes = 0
    let count = 0
    while (count < Math.min(HANDED, board.length) && (bytes += board[count]!.length) <= HANDED_BYTES) count++
    return board.splice(0, count)
  }

  #late(state: State, nowMs: number): Action | undefined {
    const blockTimeMs = Math.max(nowMs, state.timeMs)
    for (const [id, allocation] of state.allocations.entries()) {
      const action = lateStep({ id, allocation, blockTimeMs })
      if (action) return action
    }
    return undefined
  }

  async #send(action: Action, state: State, ledger: Ledger): Promise<void> {
    const { env, network, board, ended } = this.#ports
    const account: Key = this.#keys.publicKey
    const nonce = state.accounts.get(account)?.nonce ?? 0
    const bytes = signOperation({ network, account, nonce, action }, [this.#keys])
    this.#isSending = true
    let result: string | undefined
    using deadline = env.clock.deadline(TRY_MS)
    try {
      result = (await ledger.submit(bytes, deadline)).result
    } catch {
      if (action.kind === 'hand-in') board.push(...action.offers) // once more
    }
    this.#isSending = false
    ended(action, result)
  }
}
