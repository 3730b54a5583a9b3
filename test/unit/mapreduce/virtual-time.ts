/** Virtual time for tests over fakes: a queue of events, each run alone. The simulator has its own, with a digest. */
import type { Clock, Deadline } from '../../../src/core/env.ts'
import { ChoraleError } from '../../../src/core/errors.ts'

interface Event {
  readonly atMs: number
  readonly sequence: number
  readonly run: () => void
  cancelled: boolean
}

/** Virtual time: the earliest event runs, then every microtask, then the next. */
export class VirtualTime implements Clock {
  #now = 1_700_000_000_000
  #sequence = 0
  readonly #heap: Event[] = []

  now(): number {
    return this.#now
  }

  timer(ms: number, fire: () => void): () => void {
    const event = { atMs: this.#now + Math.max(0, ms), sequence: this.#sequence++, run: fire, cancelled: false }
    const heap = this.#heap
    let i = heap.push(event) - 1
    while (i > 0) {
      const parent = (i - 1) >> 1
      if (before(heap[parent] as Event, event)) break
      heap[i] = heap[parent] as Event
      i = parent
    }
    heap[i] = event
    return () => {
      event.cancelled = true
    }
  }

  sleep(ms: number, options?: { signal?: AbortSignal | undefined }): Promise<void> {
    const signal = options?.signal
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        cancel()
        reject(new ChoraleError('aborted', 'given up'))
      }
      if (signal?.aborted) return reject(new ChoraleError('aborted', 'given up'))
      const cancel = this.timer(ms, () => {
        signal?.removeEventListener('abort', onAbort)
        resolve()
      })
      signal?.addEventListener('abort', onAbort, { once: true })
    })
  }

  deadline(ms: number, parent?: AbortSignal | undefined): Deadline {
    const controller = new AbortController()
    const onParent = () => controller.abort(parent?.reason)
    const cancel = this.timer(ms, () => controller.abort(new ChoraleError('timeout', 'too late')))
    parent?.addEventListener('abort', onParent, { once: true })
    return {
      signal: controller.signal,
      [Symbol.dispose]() {
        cancel()
        parent?.removeEventListener('abort', onParent)
      },
    }
  }

  /** Runs until the promise settles; throws when virtual time passes the limit. */
  async until<T>(promise: Promise<T>, limitMs: number): Promise<T> {
    let settled = false
    const settle = () => {
      settled = true
    }
    promise.then(settle, settle)
    const end = this.#now + limitMs
    for (;;) {
      await new Promise(setImmediate)
      if (settled) return promise
      const event = this.#pop()
      if (!event || event.atMs > end) throw new Error(`nothing after ${limitMs} ms of virtual time`)
      this.#now = event.atMs
      if (!event.cancelled) event.run()
    }
  }

  #pop(): Event | undefined {
    const heap = this.#heap
    const first = heap[0]
    const last = heap.pop()
    if (!first || !last || heap.length === 0) return first
    let i = 0
    for (;;) {
      let child = 2 * i + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && before(heap[child + 1] as Event, heap[child] as Event)) child++
      if (before(last, heap[child] as Event)) break
      heap[i] = heap[child] as Event
      i = child
    }
    heap[i] = last
    return first
  }
}

function before(a: Event, b: Event): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.sequence < b.sequence)
}
