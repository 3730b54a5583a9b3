/**
 * Where no block has come for a while, a host asks whether there is one: who has no seat may wait for it at a host that waits,
 * too, and somebody may wait for what this host does next.
 */
import type { Env } from '../../core/env.ts'
import type { Ledger } from '../ledger/ledger.ts'
import type { Wallet } from '../ledger/wallet.ts'

const FRESH_MS = 2_000
const PATIENCE_MS = 5_000

export interface FreshnessPorts {
  readonly env: Env
  readonly ledger: Pick<Ledger, 'account'>
  readonly wallet: Pick<Wallet, 'account'>
}

export class Freshness {
  readonly #ports: FreshnessPorts
  readonly #signal: AbortSignal
  #heardMs = 0

  constructor(ports: FreshnessPorts, signal: AbortSignal) {
    this.#ports = ports
    this.#signal = signal
  }

  /** A block has come. */
  heard(): void {
    this.#heardMs = this.#ports.env.clock.now()
  }

  /** Brings this host's copy of the ledger up to now, unless it is of late. Never rejects. */
  async ask(): Promise<void> {
    const { env, ledger, wallet } = this.#ports
    if (env.clock.now() < this.#heardMs + FRESH_MS) return
    this.heard()
    using deadline = env.clock.deadline(PATIENCE_MS, this.#signal)
    await ledger.account(wallet.account, deadline).catch(() => {})
  }
}
