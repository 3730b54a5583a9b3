/** A simulated host's clock: virtual time. Its timers wait while the host is frozen, and go with it when it dies. */
import type { Clock, Deadline } from '../src/core/env.ts'
import { ChoraleError } from '../src/core/errors.ts'
import type { SimHost } from './network.ts'
import { SimEvent } from './schedule.ts'

class Timer extends SimEvent {
  readonly host: SimHost
  readonly run: () => void
  cancelled = false

  constructor(host: SimHost, run: () => void) {
    super()
    this.host = host
    this.run = run
  }

  live(): boolean {
    return !this.cancelled && this.host.alive
  }

  fire(): void {
    const { schedule } = this.host.network
    if (this.host.pausedUntilMs > schedule.nowMs) {
      const again = new Timer(this.host, () => !this.cancelled && this.run())
      schedule.add(again, this.host.pausedUntilMs)
    } else this.run()
  }

  mark(): number {
    return this.host.number
  }
}

export class SimClock implements Clock {
  readonly #host: SimHost

  constructor(host: SimHost) {
    this.#host = host
  }

  now(): number {
    return this.#host.network.schedule.nowMs
  }

  timer(ms: number, fire: () => void): () => void {
    const timer = new Timer(this.#host, fire)
    const { schedule } = this.#host.network
    schedule.add(timer, schedule.nowMs + ms)
    return () => {
      timer.cancelled = true
    }
  }

  sleep(ms: number, options?: { signal?: AbortSignal | undefined }): Promise<void> {
    const signal = options?.signal
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(new ChoraleError('aborted', 'given up'))
      const cancel = this.timer(ms, () => {
        if (signal) signal.removeEventListener('abort', onAbort)
        resolve()
      })
      const onAbort = () => {
        cancel()
        reject(new ChoraleError('aborted', 'given up'))
      }
      signal?.addEventListener('abort', onAbort, { once: true })
    })
  }

  deadline(ms: number, parent?: AbortSignal | undefined): Deadline {
    const controller = new AbortController()
    const onParent = () => controller.abort(parent?.reason)
    const cancel = this.timer(ms, () => controller.abort(new ChoraleError('timeout', `no answer within ${ms} ms`)))
    if (parent?.aborted) onParent()
    else parent?.addEventListener('abort', onParent, { once: true })
    return {
      signal: controller.signal,
      [Symbol.dispose]() {
        cancel()
        parent?.removeEventListener('abort', onParent)
      },
    }
  }
}
