/** Hosts that wait here for the next final block. */
import type { Env } from '../../core/env.ts'
import { ChoraleError } from '../../core/errors.ts'
import type { Chain } from './chain.ts'

export class Waiters {
  readonly #env: Env
  readonly #chain: Chain
  readonly #max: number
  readonly #waiting = new Set<() => void>()
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

  /** Until there is a block above this height, or for so long. Rejects `busy` when too many wait. */
  wait(above: number, ms: number): Promise<void> {
    if (ms === 0 || this.#chain.tip.height > above) return Promise.resolve()
    if (this.#waiting.size >= this.#max) throw new ChoraleError('busy', `${this.#max} hosts wait here for news`)
    return new Promise((resolve) => {
      const wake = () => {
        cancel()
        this.#waiting.delete(wake)
        resolve()
      }
      const cancel = this.#env.clock.timer(ms, wake)
      this.#waiting.add(wake)
    })
  }

  #wake(): void {
    for (const wake of [...this.#waiting]) wake()
  }
}
