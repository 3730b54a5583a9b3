/** A ledger of one banker that decides at once: what the facade promises, without a network. */
import { fakeKeyPair, fakeVerify } from '../../sim/fake-keys.ts'
import { ChoraleError } from '../../src/core/errors.ts'
import type { Key } from '../../src/core/ids.ts'
import { encodeGenesis, type Genesis, networkOf } from '../../src/market/ledger/genesis.ts'
import type { KeyPair, PublicKey, Verify } from '../../src/market/ledger/keys.ts'
import type { AccountView, HistoryEntry, Ledger, LedgerStatus, Outcome, Place } from '../../src/market/ledger/ledger.ts'
import { certificateOf, finalizeBytes, headerDigest, headerOf } from '../../src/market/ledger/receipt/header.ts'
import { type Receipt, type ReceiptFile, receiptOf } from '../../src/market/ledger/receipt/receipt.ts'
import { apply } from '../../src/market/ledger/state/apply.ts'
import { decodeOperation, type Operation } from '../../src/market/ledger/state/operation.ts'
import { genesisState, type State } from '../../src/market/ledger/state/state.ts'

interface Entry {
  readonly place: Place
  readonly timeMs: number
  readonly operation: Operation
  readonly receipt: Receipt
  readonly before: State
  readonly after: State
}

export class SoleLedger implements Ledger {
  readonly genesis: Genesis
  readonly network: Key
  state: State
  /** Asked before each submission: what it throws is what the caller gets, before or after the operation is in. */
  readonly trouble: Array<{ readonly error: ChoraleError; readonly after: boolean }> = []
  /** What a call of `submit` is preceded by, once each. */
  readonly before: Array<() => Promise<unknown>> = []
  halted: string | undefined
  nowMs: number
  readonly #banker: KeyPair
  readonly #verify: Verify
  readonly #entries: Entry[] = []
  #parent: Key

  constructor(genesis: Genesis, banker: KeyPair = fakeKeyPair('banker 1'), verify: Verify = fakeVerify) {
    this.genesis = genesis
    this.network = networkOf(genesis)
    this.state = genesisState(genesis)
    this.nowMs = genesis.createdAtMs
    this.#banker = banker
    this.#verify = verify
    this.#parent = this.network
  }

  status(): LedgerStatus {
    const { height, epoch, timeMs, committee, minted, burnt, accounts } = this.state
    const seat = committee.indexOf(this.#banker.publicKey)
    return {
      ...{ height, view: height, epoch, blockTimeMs: timeMs, committee, minted, burnt },
      ...{ seat: seat < 0 ? undefined : seat, accounts: accounts.size, pending: 0, lag: 0, halted: this.halted },
    }
  }

  async account(account: PublicKey): Promise<AccountView | undefined> {
    if (this.halted !== undefined) throw new ChoraleError('timeout', this.halted)
    const known = this.state.accounts.get(account)
    const hosts = [...this.state.hosts.entries()].filter(([, owner]) => owner === account).map(([host]) => host)
    return known && { ...known, hosts, height: this.state.height }
  }

  accountOf(host: PublicKey): PublicKey | undefined {
    return this.state.hosts.get(host)
  }

  escrow(id: Key) {
    return this.state.escrows.get(id)
  }

  async submit(bytes: Uint8Array): Promise<Outcome> {
    await this.before.shift()?.()
    const trouble = this.trouble.shift()
    if (trouble && !trouble.after) throw trouble.error
    const outcome = this.#submit(bytes)
    if (trouble) throw trouble.error
    return outcome
  }

  #submit(bytes: Uint8Array): Outcome {
    const known = this.#entries.find(({ receipt }) => Buffer.compare(receipt.operation, bytes) === 0)
    if (known) return { result: known.receipt.result, receipt: known.receipt }
    const { state: before } = this
    const block = { height: before.height + 1, epoch: before.epoch, blockTimeMs: this.nowMs, operations: [bytes] }
    const applied = apply(before, block, this.#verify)
    const [result] = applied.results
    const counted = ['wrong-network', 'no-account', 'account-exists', 'replayed', 'nonce-gap', 'bad-signature']
    const operation = decodeOperation(bytes)
    if (typeof operation === 'string') return { result: operation, receipt: undefined }
    if (result !== 'applied' && counted.includes(result!)) return { result: result!, receipt: undefined }
    const header = headerOf(before, block, applied, this.#parent)
    this.#parent = headerDigest(this.network, header)
    const signature = this.#banker.sign(finalizeBytes(this.network, block.height, this.#parent))
    const certificate = certificateOf(block.height, [{ signer: this.#banker.publicKey, signature }])
    const receipt = receiptOf(this.network, { header, certificate }, block, applied, 0)
    this.state = applied.state
    const place = { height: block.height, index: 0 }
    this.#entries.push({ place, timeMs: this.nowMs, operation, receipt, before, after: this.state })
    return { result: result!, receipt }
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
