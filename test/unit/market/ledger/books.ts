/** A small ledger to try rules on: named parties with keys, their numbers kept, one block per call. */
import { expect } from 'vitest'
import { fakeKeyPair, fakeVerify } from '../../../../sim/fake-keys.ts'
import { type Genesis, PRIVATE_LEDGER, type Settings } from '../../../../src/market/ledger/genesis.ts'
import type { KeyPair, PublicKey, Verify } from '../../../../src/market/ledger/keys.ts'
import { amount } from '../../../../src/market/ledger/state/amount.ts'
import { type Applied, apply, type Block } from '../../../../src/market/ledger/state/apply.ts'
import {
  type Action,
  escrowId,
  ownHostOf,
  signersOf,
  signOperation,
  type Unsigned,
} from '../../../../src/market/ledger/state/operation.ts'
import type { Result } from '../../../../src/market/ledger/state/refusal.ts'
import { genesisState, recount, type State, supplyOf } from '../../../../src/market/ledger/state/state.ts'

export const START_MS = 1_700_000_000_000
export const GRANT = 50_000n

export function genesisWith(bankers: readonly number[], settings: Partial<Settings> = {}): Genesis {
  return {
    v: 1,
    settings: { name: 'test', placement: 'ip-port', replicas: 3, ...PRIVATE_LEDGER, ...settings },
    createdAtMs: START_MS,
    bankers: bankers
      .map((number) => ({ host: fakeKeyPair(`banker ${number}`).publicKey, account: idOf(`owner ${number}`) }))
      .sort((a, b) => (a.host < b.host ? -1 : 1)),
  }
}

export function idOf(name: string): PublicKey {
  return fakeKeyPair(name).publicKey
}

export interface Tried {
  before: State
  block: Block
  applied: Applied
}

export class Books {
  readonly genesis: Genesis
  state: State
  readonly verify: Verify
  readonly #keyOf: (name: string) => KeyPair
  readonly #names = new Map<PublicKey, string>()

  constructor(genesis = genesisWith([1]), verify = fakeVerify, keyOf = fakeKeyPair) {
    this.genesis = genesis
    this.state = genesisState(genesis)
    this.verify = verify
    this.#keyOf = keyOf
    for (let i = 1; i <= 40; i++) {
      this.id(`banker ${i}`)
      this.id(`owner ${i}`)
    }
  }

  /** Public key of a name. */
  id(name: string): PublicKey {
    const { publicKey } = this.#keyOf(name)
    this.#names.set(publicKey, name)
    return publicKey
  }

  nameOf(id: PublicKey): string {
    return this.#names.get(id)!
  }

  keyOf(id: PublicKey): KeyPair {
    return this.#keyOf(this.#names.get(id)!)
  }

  /** The next operation of this account, signed as it must be; `changes` go into what is signed. */
  operation(who: string, action: Action, changes: Partial<Unsigned> = {}): Uint8Array {
    const account = this.id(who)
    const nonce = ownHostOf(action) === undefined ? (this.state.accounts.get(account)?.nonce ?? 0) : this.state.epoch
    const unsigned = { network: this.state.network, account, nonce, action, ...changes }
    return signOperation(
      unsigned,
      signersOf(unsigned).map((id) => this.keyOf(id)),
    )
  }

  /** A block of these operations, `afterMs` later. Checks what must hold after every block. */
  block(operations: readonly Uint8Array[], afterMs = 0): Tried {
    const before = this.state
    const { height, epoch, timeMs } = before
    const block = { height: height + 1, epoch, blockTimeMs: timeMs + afterMs, operations }
    const applied = apply(before, block, this.verify)
    this.state = applied.state
    expect(applied.results).toHaveLength(operations.length)
    expect(recount(this.state)).toBe(supplyOf(this.state))
    return { before, block, applied }
  }

  do(who: string, action: Action, afterMs = 0): Result {
    return this.block([this.operation(who, action)], afterMs).applied.results[0]!
  }

  /** Does what must succeed. */
  must(who: string, action: Action, afterMs = 0): void {
    expect(this.do(who, action, afterMs)).toBe('applied')
  }

  open(...names: string[]): this {
    for (const name of names) this.must(name, { kind: 'open' })
    return this
  }

  /** An escrow of these terms, funded in full. */
  escrow(payer: string, payees: string[], millicredits: bigint, arbiter?: string, lifeMs = 60_000) {
    const nonce = this.state.accounts.get(this.id(payer))!.nonce
    const escrow = escrowId({ network: this.state.network, account: this.id(payer), nonce })
    this.must(payer, {
      kind: 'open-escrow',
      payees: payees.map((name) => this.id(name)),
      arbiter: arbiter === undefined ? null : this.id(arbiter),
      amount: amount(millicredits),
      deadlineMs: this.state.timeMs + lifeMs,
    })
    this.must(payer, { kind: 'fund', escrow, amount: amount(millicredits) })
    return escrow
  }

  /** Free and granted millicredits of an account. */
  purse(name: string): readonly [free: bigint, granted: bigint] {
    const { free, granted } = this.state.accounts.get(this.id(name))!
    return [free, granted]
  }
}
