/** Hosts that die without a word and others that come, at random times; half of them under an address that was there before. */

import type { Random } from '../src/core/env.ts'
import { ChoraleError } from '../src/core/errors.ts'
import { type Schedule, SimEvent } from './schedule.ts'

/** Dead hosts whose addresses are taken up again. */
const MAX_GONE = 64

/** A cluster whose hosts are `S`. */
export interface Mortals<S> {
  readonly random: Random
  readonly schedule: Schedule
  readonly nodes: readonly S[]
  pick(random: Random): S | undefined
  kill(node: S): void
  join(again?: S): Promise<S>
  stopJoins(): void
}

export class Churn<S> {
  readonly #cluster: Mortals<S>
  readonly #random: Random
  readonly #ratePerSecond: number
  readonly #gone: S[] = []
  #stopped = false
  killed = 0
  joined = 0
  /** Joiners that no seed let in. */
  rejected = 0

  /** `share` of all hosts die per second, and as many come. */
  constructor(cluster: Mortals<S>, share: number) {
    this.#cluster = cluster
    this.#random = cluster.random.fork('churn')
    this.#ratePerSecond = share * cluster.nodes.length
    if (this.#ratePerSecond > 0) {
      this.#next(() => this.#kill())
      this.#next(() => void this.#join())
    }
  }

  /** No more deaths, and who is not in yet stays out. */
  stop(): void {
    this.#stopped = true
    this.#cluster.stopJoins()
  }

  /** The next event of a Poisson process, and so on. */
  #next(act: () => void): void {
    const waitMs = (-Math.log(1 - this.#random.next()) / this.#ratePerSecond) * 1000
    const { schedule } = this.#cluster
    schedule.add(
      new Call(() => {
        if (this.#stopped) return
        act()
        this.#next(act)
      }),
      schedule.nowMs + waitMs,
    )
  }

  #kill(): void {
    const node = this.#cluster.pick(this.#random)
    if (node === undefined || this.#cluster.nodes.length < 2) return
    this.#cluster.kill(node)
    this.killed++
    this.#gone[this.#gone.length < MAX_GONE ? this.#gone.length : this.#random.int(MAX_GONE)] = node
  }

  async #join(): Promise<void> {
    const again = this.#random.next() < 0.5 ? this.#gone.pop() : undefined
    try {
      await this.#cluster.join(again)
      this.joined++
    } catch (error) {
      if (!(error instanceof ChoraleError)) throw error
      this.rejected++
    }
  }
}

/** A call at a time. */
export class Call extends SimEvent {
  readonly #call: () => void

  constructor(call: () => void) {
    super()
    this.#call = call
  }

  live(): boolean {
    return true
  }

  fire(): void {
    this.#call()
  }

  mark(): number {
    return 1
  }
}
