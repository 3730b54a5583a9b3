/**
 * Watches the chains of all honest hosts from outside, executes each block once more by the rules alone, and judges: one
 * chain, no number of an account used twice, supply counted at every block, histories of clients in order.
 */

import type { StoredRun } from '../../src/market/ledger/chain-store.ts'
import type { Block } from '../../src/market/ledger/consensus/block.ts'
import type { Genesis } from '../../src/market/ledger/genesis.ts'
import type { PublicKey } from '../../src/market/ledger/keys.ts'
import type { AccountView } from '../../src/market/ledger/ledger.ts'
import { decodeRun } from '../../src/market/ledger/messages.ts'
import { decodePayload } from '../../src/market/ledger/payload.ts'
import type { EpochHeader } from '../../src/market/ledger/receipt/epochs.ts'
import { sealedIn, sealFault } from '../../src/market/ledger/receipt/header.ts'
import { type Receipt, receiptFault } from '../../src/market/ledger/receipt/receipt.ts'
import { apply, type Watch } from '../../src/market/ledger/state/apply.ts'
import { decodeOperation, ownHostOf } from '../../src/market/ledger/state/operation.ts'
import {
  type Account,
  genesisState,
  recount,
  type State,
  stateRoot,
  supplyOf,
} from '../../src/market/ledger/state/state.ts'
import { fakeVerify } from '../fake-keys.ts'
import { type Access, linearityFault } from './linearizable.ts'

interface Touch {
  readonly height: number
  readonly index: number
}

/** What is known of an account: the operations that had to do with it, and what it was after each block of these. */
interface Story {
  readonly touches: Touch[]
  readonly values: { readonly height: number; readonly account: Account | undefined }[]
  readonly accesses: Access[]
}

/** Sees the one chain once, as it grows. */
export interface ChainWatch {
  readonly tried: Watch
  readonly block: (after: State) => void
}

const KEPT_VIOLATIONS = 20

export class LedgerChecker {
  readonly violations: string[] = []
  doubleSpends = 0
  supplyConserved = true
  membersEqual = true
  receiptsValid = true
  receipts = 0
  /** Views of all epochs together, as far as they are final. */
  #viewsBefore = 0
  #view = 0
  readonly epochs: EpochHeader[] = []
  readonly #genesis: Genesis
  /** The one chain, from height 1 on. */
  readonly #chain: Block[] = []
  #state: State
  readonly #used = new Set<string>()
  readonly #stories = new Map<PublicKey, Story>()

  readonly #watch: ChainWatch | undefined

  constructor(genesis: Genesis, watch?: ChainWatch) {
    this.#genesis = genesis
    this.#watch = watch
    this.#state = genesisState(genesis)
  }

  get height(): number {
    return this.#chain.length
  }

  get views(): number {
    return this.#viewsBefore + this.#view
  }

  get state(): State {
    return this.#state
  }

  /** A host takes a run for final. */
  onRun(host: number, { bytes, lastHeight }: StoredRun): void {
    const run = decodeRun(bytes)
    if (!run) {
      this.wrong(`host ${host} stores bytes that are no run`)
      return
    }
    for (const [index, block] of run.blocks.entries()) {
      if (block.height > lastHeight) break
      const known = this.#chain[block.height - 1]
      if (known === undefined) {
        const { committee, network } = this.#state
        if (!this.#take(block, host)) return
        const sealed = sealedIn(run, index, committee)
        const fault = sealFault(network, sealed, committee, fakeVerify)
        if (fault) this.wrong(`host ${host} takes block ${block.height} for final: ${fault.message}`)
        if (sealed.header.last) this.#endEpoch({ ...sealed, next: [...this.#state.committee] })
      } else if (!isSame(known, block)) {
        this.membersEqual = false
        this.wrong(`host ${host} has another block at height ${block.height} than others`)
      }
    }
  }

  #endEpoch(header: EpochHeader): void {
    this.epochs.push(header)
    this.#viewsBefore += this.#view
    this.#view = 0
  }

  #take(block: Block, host: number): boolean {
    const { height, view, timeMs, payload } = block
    const said = decodePayload(payload)
    if (height !== this.#chain.length + 1 || !said) {
      this.wrong(`host ${host} has no chain up to block ${height}`)
      return false
    }
    const { operations, epoch } = said
    const tried = { height, epoch, blockTimeMs: timeMs, operations }
    const { state, results } = apply(this.#state, tried, fakeVerify, this.#watch?.tried)
    if (stateRoot(state) !== said.stateRoot || results.join() !== said.results.join()) {
      this.wrong(`block ${height} has another outcome than it says`)
    }
    if (recount(state) !== supplyOf(state)) {
      this.supplyConserved = false
      this.wrong(`after block ${height} there are ${recount(state)} of ${supplyOf(state)} millicredits`)
    }
    this.#chain.push(block)
    this.#state = state
    this.#view = view
    this.#watch?.block(state)
    for (const [index, bytes] of operations.entries())
      this.#touch(bytes, results[index] === 'applied', { height, index })
    return true
  }

  #touch(bytes: Uint8Array, isApplied: boolean, at: Touch): void {
    const operation = decodeOperation(bytes)
    if (typeof operation === 'string') {
      this.wrong(`block ${at.height} holds what is no operation`)
      return
    }
    const { account, nonce, action } = operation
    if (ownHostOf(action) === undefined) {
      const name = `${account} ${nonce}`
      if (this.#used.has(name)) {
        this.doubleSpends++
        this.wrong(`block ${at.height} uses number ${nonce} of ${account.slice(0, 8)} again`)
      }
      this.#used.add(name)
    }
    const others = isApplied && 'to' in action ? [action.to] : []
    for (const id of [account, ...others]) {
      const { touches, values } = this.#story(id)
      touches.push(at)
      if (values.at(-1)?.height === at.height) values.pop()
      values.push({ height: at.height, account: this.#state.accounts.get(id) })
    }
  }

  /** A client has a receipt. */
  onReceipt(receipt: Receipt, beganMs: number, endedMs: number): void {
    this.receipts++
    const fault = receiptFault(receipt, this.#genesis, this.epochs, fakeVerify)
    if (fault) {
      this.receiptsValid = false
      this.wrong(`a receipt of block ${receipt.header.height} is bad: ${fault.message}`)
    }
    const operation = decodeOperation(receipt.operation)
    if (typeof operation === 'string') return
    const { account, action } = operation
    const others = receipt.result === 'applied' && 'to' in action ? [action.to] : []
    for (const id of [account, ...others]) {
      const { touches, accesses } = this.#story(id)
      const at = touches.findLastIndex(
        ({ height, index }) => height === receipt.header.height && index === receipt.index,
      )
      if (at < 0) this.wrong(`a receipt is for an operation that is not in block ${receipt.header.height}`)
      accesses.push({ kind: 'write', version: at + 1, beganMs, endedMs })
    }
  }

  /** A client has read an account, as of now. */
  onRead(id: PublicKey, seen: AccountView | undefined, beganMs: number, endedMs: number): void {
    const { touches, values, accesses } = this.#story(id)
    const height = seen?.height ?? 0
    const version = touches.findLastIndex((touch) => touch.height <= height) + 1
    accesses.push({ kind: 'read', version, beganMs, endedMs })
    const value = values.findLast((one) => one.height <= height)?.account
    const same = value?.free === seen?.free && value?.granted === seen?.granted && value?.nonce === seen?.nonce
    if (!same) this.wrong(`a read shows what account ${id.slice(0, 8)} was not after block ${height}`)
  }

  /** At the end. */
  judgeHistories(): number {
    for (const [id, { accesses }] of this.#stories) {
      const fault = linearityFault(accesses)
      if (fault) this.wrong(`account ${id.slice(0, 8)}: ${fault}`)
    }
    return this.#stories.size
  }

  #story(id: PublicKey): Story {
    let story = this.#stories.get(id)
    if (!story) this.#stories.set(id, (story = { touches: [], values: [], accesses: [] }))
    return story
  }

  wrong(what: string): void {
    if (this.violations.length < KEPT_VIOLATIONS) this.violations.push(what)
  }
}

function isSame(a: Block, b: Block): boolean {
  const places = a.view === b.view && a.parent === b.parent && a.timeMs === b.timeMs
  return places && Buffer.compare(a.payload, b.payload) === 0
}
