/** What a host's own user sees of the ledger, and does with it. */
import { ChoraleError } from '../../core/errors.ts'
import type { Key } from '../../core/ids.ts'
import { historyOf, receiptFileAt } from './archive.ts'
import type { Chain } from './chain.ts'
import type { Genesis } from './genesis.ts'
import type { PublicKey } from './keys.ts'
import type { AccountView, HistoryEntry, Ledger, LedgerStatus, Outcome, Place } from './ledger.ts'
import { type Locked, lockedOf } from './locked.ts'
import type { ReceiptFile } from './receipt/receipt.ts'
import type { RollCall } from './roll-call.ts'
import { type Banker, type Escrow, hostsOf, type State } from './state/state.ts'
import type { Submissions } from './submissions.ts'

export interface LedgerViewPorts {
  readonly chain: Chain
  readonly rollCall: RollCall
  readonly submissions: Submissions
  readonly host: PublicKey
  consensusView(): number
  pending(): number
  heardHeight(): number
  halted(): string | undefined
  look(): Promise<void>
}

export class LedgerView implements Ledger {
  readonly genesis: Genesis
  readonly network: Key
  readonly #ports: LedgerViewPorts

  constructor(ports: LedgerViewPorts) {
    this.#ports = ports
    this.genesis = ports.chain.genesis
    this.network = ports.chain.network
  }

  get state(): State {
    return this.#ports.chain.state
  }

  onBlock(listener: () => void): () => void {
    const { events } = this.#ports.chain
    const ends = [events.on('block', listener), events.on('epoch', listener)] // a copy may begin anew with a snapshot
    return () => {
      for (const end of ends) end()
    }
  }

  status(): LedgerStatus {
    const { chain, host, consensusView, pending, heardHeight, halted } = this.#ports
    const { state, tip } = chain
    const { epoch, committee, minted, burnt, accounts } = state
    const index = committee.indexOf(host)
    return {
      base: chain.store.base,
      height: tip.height,
      view: consensusView(),
      epoch,
      blockTimeMs: state.timeMs,
      committee,
      seat: index < 0 ? undefined : index,
      minted,
      burnt,
      accounts: accounts.size,
      pending: pending(),
      lag: Math.max(0, heardHeight() - tip.height),
      halted: halted(),
    }
  }

  look(): Promise<void> {
    return this.#ports.look()
  }

  async account(account: PublicKey, { signal }: { readonly signal: AbortSignal }): Promise<AccountView | undefined> {
    await this.#ports.rollCall.freshen(signal)
    return this.accountHere(account)
  }

  accountHere(account: PublicKey): AccountView | undefined {
    const { state } = this.#ports.chain
    const known = state.accounts.get(account)
    return known && { ...known, hosts: hostsOf(state, account), height: state.height }
  }

  locked(account: PublicKey): Locked {
    return lockedOf(this.#ports.chain.state, account)
  }

  accountOf(host: PublicKey): PublicKey | undefined {
    return this.#ports.chain.state.hosts.get(host)
  }

  hosts(): Iterable<readonly [host: PublicKey, account: PublicKey]> {
    return this.#ports.chain.state.hosts.entries()
  }

  banker(host: PublicKey): Banker | undefined {
    return this.#ports.chain.state.bankers.get(host)
  }

  escrow(id: Key): Escrow | undefined {
    return this.#ports.chain.state.escrows.get(id)
  }

  submit(operation: Uint8Array, { signal }: { readonly signal: AbortSignal }): Promise<Outcome> {
    return this.#ports.submissions.submit(operation, signal)
  }

  async history(
    account: PublicKey,
    options: { readonly limit: number; readonly before?: Place },
  ): Promise<HistoryEntry[]> {
    return historyOf(this.#ports.chain, account, options)
  }

  async receipt(place: Place): Promise<ReceiptFile | undefined> {
    const { chain } = this.#ports
    const { base } = chain.store
    if (place.height >= 1 && place.height <= base) {
      throw new ChoraleError('not-found', `not kept here: this node's copy of the ledger begins with block ${base + 1}`)
    }
    return receiptFileAt(chain, place)
  }
}
