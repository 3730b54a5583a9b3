/**
 * When repair runs: every so often, soon after something has changed, and never twice at once. Each wait is spread over
 * half to one and a half of its length, so that hosts do not march in step.
 */
import type { Env } from '../../core/env.ts'
import { errorMessage } from '../../core/errors.ts'
import { jittered } from './at-owner.ts'

export class Rounds {
  readonly #env: Env
  readonly #periodMs: number
  readonly #work: (signal: AbortSignal) => Promise<number | undefined>
  readonly #controller = new AbortController()
  #started = false
  #cancelTimer = () => {}
  #dueAtMs = Number.POSITIVE_INFINITY
  #running: Promise<void> | undefined
  #soonerMs: number | undefined

  /** `work` resolves with the milliseconds after which it would like to run again; undefined: the period is fine. */
  constructor(env: Env, periodMs: number, work: (signal: AbortSignal) => Promise<number | undefined>) {
    this.#env = env
    this.#periodMs = periodMs
    this.#work = work
  }

  start(): void {
    if (this.#started) return
    this.#started = true
    this.soon(this.#periodMs)
  }

  /** Ends for good; resolves when the work that is under way has ended. */
  async stop(): Promise<void> {
    this.#started = false
    this.#cancelTimer()
    this.#controller.abort()
    await this.#running
  }

  /** Brings the next round forward, never back: what keeps changing is repaired all the same. */
  soon(ms: number): void {
    if (!this.#started || this.#controller.signal.aborted) return
    if (this.#running) {
      this.#soonerMs = Math.min(ms, this.#soonerMs ?? ms)
      return
    }
    const waitMs = jittered(this.#env, ms)
    const atMs = this.#env.clock.now() + waitMs
    if (atMs >= this.#dueAtMs) return
    this.#dueAtMs = atMs
    this.#cancelTimer()
    this.#cancelTimer = this.#env.clock.timer(waitMs, () => {
      this.#dueAtMs = Number.POSITIVE_INFINITY
      this.#running = this.#run()
    })
  }

  async #run(): Promise<void> {
    let nextMs = this.#periodMs
    try {
      nextMs = Math.min(nextMs, (await this.#work(this.#controller.signal)) ?? nextMs)
    } catch (error) {
      if (!this.#controller.signal.aborted) this.#env.log.error('repair failed', { error: errorMessage(error) })
    }
    nextMs = Math.min(nextMs, this.#soonerMs ?? nextMs)
    this.#soonerMs = undefined
    this.#running = undefined
    this.soon(nextMs)
  }
}

/** Runs `work` over all items, a few at a time. */
export async function inParallel<T>(
  items: readonly T[],
  width: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  let next = 0
  const runner = async () => {
    while (next < items.length) await work(items[next++] as T)
  }
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, runner))
}
