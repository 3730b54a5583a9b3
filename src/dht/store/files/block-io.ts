/**
 * What files need of block storage, and nothing more; `Blocks` (dht/blocks.ts) satisfies it. Puts go through a window,
 * so that the time one block needs to be stored is spent on the next ones.
 */
import type { CID } from 'multiformats/cid'
import { ChoraleError } from '../../../core/errors.ts'

export interface BlockIo {
  /** Resolves when the block is safe. */
  put(cid: CID, bytes: Uint8Array, options?: { signal?: AbortSignal | undefined }): Promise<void>
  /** Verified bytes: those that hash to the CID. Rejects with `not-found` when nobody has it. */
  get(cid: CID, options?: { signal?: AbortSignal | undefined }): Promise<Uint8Array>
}

/** Blocks of one `add` or `import` that are on their way at once: with blocks of 1 MiB, 32 MiB. */
export const PUTS_IN_FLIGHT = 32

/** At most `PUTS_IN_FLIGHT` puts at once. The first failure is that of every later call. */
export class PutWindow {
  /** Blocks and bytes that were put, as often as they were put. */
  blocks = 0
  bytes = 0
  readonly #io: BlockIo
  readonly #signal: AbortSignal | undefined
  readonly #flying = new Set<Promise<void>>()
  #failure: { readonly error: unknown } | undefined

  constructor(io: BlockIo, signal: AbortSignal | undefined) {
    this.#io = io
    this.#signal = signal
  }

  /** Resolves when the put has begun. */
  async put(cid: CID, bytes: Uint8Array): Promise<void> {
    while (this.#flying.size >= PUTS_IN_FLIGHT && !this.#failure) await this.#unlessAborted(Promise.race(this.#flying))
    this.#check()
    this.blocks++
    this.bytes += bytes.length
    const flight: Promise<void> = this.#io
      .put(cid, bytes, { signal: this.#signal })
      .catch((error: unknown) => {
        this.#failure ??= { error }
      })
      .finally(() => this.#flying.delete(flight))
    this.#flying.add(flight)
  }

  /** Resolves when every block is safe. */
  async drain(): Promise<void> {
    await this.#unlessAborted(Promise.all(this.#flying))
    this.#check()
  }

  /** Waits until nothing is on its way, whatever became of it; not once the signal has told everybody to stop. */
  async settle(): Promise<void> {
    await this.#unlessAborted(Promise.all(this.#flying)).catch(() => {})
  }

  #unlessAborted<T>(work: Promise<T>): Promise<T> {
    return this.#signal ? unlessAborted(work, this.#signal) : work
  }

  #check(): void {
    throwIfAborted(this.#signal)
    if (this.#failure) throw this.#failure.error
  }
}

export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw abortReason(signal)
}

function abortReason(signal: AbortSignal): ChoraleError {
  return signal.reason instanceof ChoraleError ? signal.reason : new ChoraleError('aborted', 'given up')
}

/** The source, given up as soon as the signal fires, even while it keeps us waiting (a terminal, a pipe). */
export async function* interruptible<T>(source: AsyncIterable<T>, signal: AbortSignal | undefined): AsyncGenerator<T> {
  if (!signal) return yield* source
  const iterator = source[Symbol.asyncIterator]()
  let ended = false
  try {
    for (;;) {
      const { value, done } = await unlessAborted(iterator.next(), signal)
      if (done) {
        ended = true
        return
      }
      yield value
    }
  } catch (error) {
    // A source that still owes an answer would keep `return` waiting too, so it is only told.
    if (signal.aborted) {
      ended = true
      void iterator.return?.().catch(() => {})
    }
    throw error
  } finally {
    if (!ended) await iterator.return?.()
  }
}

/** A listener per wait, not one promise for all of them: races against a lasting promise pile up on it. */
export function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(abortReason(signal))
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
    void work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}
