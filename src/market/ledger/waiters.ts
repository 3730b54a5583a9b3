/** Hosts that wait here for the next final block. */
import type { Env } from '../../core/env.ts'
import { ChoraleError } from '../../core/errors.ts'
import type { Chain } from './chain.ts'

/** Of one peer: it waits once, and again where it has started anew and this host has not seen that. */
const MAX_OF_PEER = 4

export class Waiters {
  readonly #env: Env
  readonly #chain: Chain
  readonly #max: number
  /** By what ends the wait: the peer. */
  readonly #waiting = new Map<() => void, string>()
  readonly #forget: () => void

  constructor(env: Env, chain: Chain, max: number) {
    this.#env = env
    this.#chain = chain
    this.#max = max
    this.#forget = chain.events.on('block', () => this.#wake())
  }

  stop(): void {
    this.#forget()
    this.#wake()
  }

  /** Until there is a block above this height, or for so long. Throws `busy` when too many wait, or this peer too often. */
  wait(peer: string, above: number, ms: number): Promise<void> {
    if (ms === 0 || this.#chain.tip.height > above) return Promise.resolve()
    if (this.#waiting.size >= this.#max) throw new ChoraleError('busy', `${this.#max} requests wait here for news`)
    if (this.#countOf(peer) >= MAX_OF_PEER) {
      throw new ChoraleError('busy', `${MAX_OF_PEER} requests of this peer wait here for news`)
    }
    return new Promise((resolve) => {
      const wake = () => {
        cancel()
        this.#waiting.delete(wake)
        resolve()
      }
      const cancel = this.#env.clock.timer(ms, wake)
      this.#waiting.set(wake, peer)
    })
  }

  #countOf(peer: string): number {
    let count = 0
    for (const waiting of this.#waiting.values()) if (waiting === peer) count++
    return count
  }

  #wake(): void {
    for (const wake of [...this.#waiting.keys()]) wake()
  }
}
