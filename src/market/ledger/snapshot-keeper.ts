/**
 * Puts a snapshot of each epoch's end into the store of blocks, for whoever joins a long chain (`bootstrap.ts`). All bankers
 * of the next epoch do, one after the other: so it is there if one of them is honest, and mostly the first puts the
 * blocks and the others only extend their leases. Nothing is put while the chain is short.
 */
import type { Env } from '../../core/env.ts'
import { errorMessage } from '../../core/errors.ts'
import { MAX_LEASE_MS } from '../../core/limits.ts'
import type { Chain } from './chain.ts'
import type { PublicKey } from './keys.ts'
import type { SnapshotOffer } from './messages.ts'
import { putSnapshot, type SnapshotBlocks } from './snapshot-blocks.ts'

/** Each seat waits so much longer than the one before it. */
const TURN_MS = 2000
/** When it is not on the disk here yet, or the store of blocks does not take it. */
const RETRY_MS = 30_000
/** Leases are so many epochs long, so that the latest two are there and those before end; and at least so long. */
const LEASE_EPOCHS = 3
const MIN_LEASE_MS = 3_600_000

export interface SnapshotKeeperPorts {
  readonly env: Env
  readonly chain: Chain
  readonly blocks: SnapshotBlocks
  readonly host: PublicKey
  /** A chain of fewer blocks needs none. */
  readonly shortChain: number
}

export class SnapshotKeeper {
  readonly #ports: SnapshotKeeperPorts
  readonly #stopped = new AbortController()
  #cancel = () => {}
  /** What is in the store of blocks. */
  latest: SnapshotOffer | undefined

  constructor(ports: SnapshotKeeperPorts) {
    this.#ports = ports
  }

  /** Is the state of now one that this host has to put? */
  get isDue(): boolean {
    const { tip, base } = this.#ports.chain
    return tip.height === base.height && this.#mustPut()
  }

  #mustPut(): boolean {
    const { chain, host, shortChain } = this.#ports
    return chain.base.height >= Math.max(1, shortChain) && chain.committee.includes(host)
  }

  /** At the beginning of an epoch, or of this host. */
  begin(): void {
    const { chain, host } = this.#ports
    const { epoch, committee } = chain
    const turn = (committee.indexOf(host) + epoch) % committee.length
    this.#cancel()
    if (this.#mustPut()) this.#plan(turn * TURN_MS)
  }

  stop(): void {
    this.#stopped.abort()
    this.#cancel()
  }

  #plan(ms: number): void {
    if (!this.#stopped.signal.aborted) this.#cancel = this.#ports.env.clock.timer(ms, () => void this.#put())
  }

  /** And again, to renew the leases, as long as the epoch lasts. */
  async #put(): Promise<void> {
    const { env, chain, blocks } = this.#ports
    const { epoch, base } = chain
    const { signal } = this.#stopped
    const { epochMs } = chain.genesis.settings
    const leaseMs = Math.min(MAX_LEASE_MS, Math.max(MIN_LEASE_MS, LEASE_EPOCHS * epochMs))
    let nextMs = RETRY_MS
    try {
      const kept = chain.store.snapshot(base.height)
      if (kept?.height === base.height) {
        const root = `${await putSnapshot(blocks, kept.chunks, { leaseMs, signal })}`
        // Else it may be the beginning of one that is gone.
        if (chain.epoch === epoch) this.latest = { epoch, root }
        nextMs = leaseMs / LEASE_EPOCHS
      }
    } catch (error) {
      if (signal.aborted) return
      env.log.warn('the snapshot of the ledger could not be put', { epoch, reason: errorMessage(error) })
    }
    if (chain.epoch === epoch) this.#plan(nextMs)
  }
}
