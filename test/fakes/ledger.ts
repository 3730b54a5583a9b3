/** A ledger of one banker that decides at once: what the facade promises, without a network. */
import { fakeKeyPair, fakeVerify } from '../../sim/fake-keys.ts'
import { ChoraleError } from '../../src/core/errors.ts'
import type { Key } from '../../src/core/ids.ts'
import { committeeDigest } from '../../src/market/ledger/committee.ts'
import { digestOf } from '../../src/market/ledger/consensus/block.ts'
import { type FinalRun, statement } from '../../src/market/ledger/consensus/messages.ts'
import { encodeGenesis, type Genesis, networkOf } from '../../src/market/ledger/genesis.ts'
import type { KeyPair, PublicKey, Verify } from '../../src/market/ledger/keys.ts'
import type { AccountView, HistoryEntry, Ledger, LedgerStatus, Outcome, Place } from '../../src/market/ledger/ledger.ts'
import { lockedOf } from '../../src/market/ledger/locked.ts'
import { buildPayload, decodePayload, payloadDigest } from '../../src/market/ledger/payload.ts'
import { sealedIn } from '../../src/market/ledger/receipt/header.ts'
import { type Receipt, type ReceiptFile, receiptOf } from '../../src/market/ledger/receipt/receipt.ts'
import { applyOperation, atBlock } from '../../src/market/ledger/state/apply.ts'
import { decodeOperation, type Operation } from '../../src/market/ledger/state/operation.ts'
import type { Refusal } from '../../src/market/ledger/state/refusal.ts'
import { genesisState, type State } from '../../src/market/ledger/state/state.ts'

interface Entry {
  readonly place: Place
  readonly timeMs: number
  readonly operation: Operation
  readonly receipt: Receipt
  readonly before: State
  readonly after: State
}

export function ended(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

export class SoleLedger implements Ledger {
  readonly genesis: Genesis
  readonly network: Key
  state: State
  /** Asked before each submission: what it throws is what the caller gets, before or after the operation is in. */
  readonly trouble: Array<{ readonly error: ChoraleError; readonly after: boolean }> = []
  /** What a call of `submit` is preceded by, once each. */
  readonly before: Array<(options: { readonly signal: AbortSignal }) => Promise<unknown>> = []
  halted: string | undefined
  /** Reads as of now wait for their signal. */
  stalls = false
  /** As of now. */
  reads = 0
  /** How often it looked who is there. */
  looks = 0
  /** As it says itself. */
  base = 0
  /** The chain. */
  readonly runs: FinalRun[] = []
  nowMs: number
  readonly #banker: KeyPair
  readonly #verify: Verify
  readonly #entries: Entry[] = []
  readonly #listeners = new Set<() => void>()
  #parent: Key
  #view = 0

  constructor(genesis: Genesis, banker: KeyPair = fakeKeyPair('banker 1'), verify: Verify = fakeVerify) {
    this.genesis = genesis
    this.network = networkOf(genesis)
    this.state = genesisState(genesis)
    this.nowMs = genesis.createdAtMs
    this.#banker = banker
    this.#verify = verify
    this.#parent = this.network
  }

  onBlock(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async look(): Promise<void> {
    this.looks++
  }

  status(): LedgerStatus {
    const { height, epoch, timeMs, committee, minted, burnt, accounts } = this.state
    const seat = committee.indexOf(this.#banker.publicKey)
    return {
      ...{ base: this.base, height, view: height, epoch, blockTimeMs: timeMs, committee, minted, burnt },
      ...{ seat: seat < 0 ? undefined : seat, accounts: accounts.size, pending: 0, lag: 0, halted: this.halted },
    }
  }

  async account(account: PublicKey, options?: { readonly signal: AbortSignal }): Promise<AccountView | undefined> {
    this.reads++
    if (this.stalls) await ended(options!.signal)
    if (this.halted !== undefined) throw new ChoraleError('timeout', this.halted)
    return this.accountHere(account)
  }

  accountHere(account: PublicKey): AccountView | undefined {
    const known = this.state.accounts.get(account)
    const hosts = [...this.state.hosts.entries()].filter(([, owner]) => owner === account).map(([host]) => host)
    return known && { ...known, hosts, height: this.state.height }
  }

  locked(account: PublicKey) {
    return lockedOf(this.state, account)
  }

  accountOf(host: PublicKey): PublicKey | undefined {
    return this.state.hosts.get(host)
  }

  hosts() {
    return this.state.hosts.entries()
  }

  banker(host: PublicKey) {
    return this.state.bankers.get(host)
  }

  escrow(id: Key) {
    return this.state.escrows.get(id)
  }

  async submit(bytes: Uint8Array, options = { signal: new AbortController().signal }): Promise<Outcome> {
    await this.before.shift()?.(options)
    const trouble = this.trouble.shift()
    if (trouble && !trouble.after) throw trouble.error
    const outcome = this.#submit(bytes)
    if (trouble) throw trouble.error
    return outcome
  }

  #submit(bytes: Uint8Array): Outcome {
    const known = this.#entries.find(({ receipt }) => Buffer.compare(receipt.operation, bytes) === 0)
    if (known) return { result: known.receipt.result, receipt: known.receipt }
    const { state: before, nowMs: timeMs, network } = this
    const { epoch, committee, height } = before
    const deciding = { epoch, committee: committeeDigest(committee) }
    const { payload, state } = buildPayload(before, deciding, timeMs, [bytes], this.#verify)
    const said = decodePayload(payload)!
    if (said.operations.length === 0) {
      const { result } = applyOperation(
        atBlock(before, { height: height + 1, blockTimeMs: timeMs }),
        bytes,
        this.#verify,
      )
      return { result: result as Refusal, receipt: undefined }
    }
    const block = { height: height + 1, view: ++this.#view, parent: this.#parent, timeMs, payload }
    this.#parent = digestOf(block, payloadDigest)
    const signature = this.#banker.sign(statement({ network, epoch }, 'finalize', block.view, this.#parent))
    const vote = { type: 'certificate', kind: 'finalize', view: block.view, digest: this.#parent } as const
    const run = { blocks: [block], above: [], certificate: { ...vote, members: [0], signatures: [signature] } }
    this.runs.push(run)
    const receipt = receiptOf(network, sealedIn(run, 0, committee), said, 0)
    this.state = state
    if (state.epoch !== epoch) this.#view = 0
    const operation = decodeOperation(bytes) as Operation
    const place = { height: block.height, index: 0 }
    this.#entries.push({ place, timeMs, operation, receipt, before, after: this.state })
    for (const listener of this.#listeners) listener()
    return { result: receipt.result, receipt }
  }

  async history(account: PublicKey, { limit, before }: { limit: number; before?: Place }): Promise<HistoryEntry[]> {
    return this.#entries
      .filter(({ place }) => before === undefined || place.height < before.height)
      .map(({ place, timeMs, operation, receipt, ...states }) => {
        const was = states.before.accounts.get(account)
        const is = states.after.accounts.get(account)
        const effect = {
          free: (is?.free ?? 0n) - (was?.free ?? 0n),
          granted: (is?.granted ?? 0n) - (was?.granted ?? 0n),
        }
        return { ...place, timeMs, operation, result: receipt.result, effect }
      })
      .filter(({ operation, effect }) => operation.account === account || effect.free !== 0n || effect.granted !== 0n)
      .reverse()
      .slice(0, limit)
  }

  async receipt({ height, index }: Place): Promise<ReceiptFile | undefined> {
    const entry = this.#entries.find(({ place }) => place.height === height && place.index === index)
    return entry && { v: 1, genesis: encodeGenesis(this.genesis), epochs: [], receipt: entry.receipt }
  }
}
