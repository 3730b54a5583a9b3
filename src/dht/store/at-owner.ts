/**
 * Finds the owner of a key and asks it, again and again until a deadline, as long as another try may help: the ring may
 * be between two states, or a message was lost. What registers and blocks share of their procedures.
 */
import type { Env } from '../../core/env.ts'
import { ChoraleError, type ErrorCode, errorCode, errorMessage } from '../../core/errors.ts'
import type { Key } from '../../core/ids.ts'
import type { Contact } from '../../net/contact.ts'
import type { Overlay } from '../overlay.ts'

/** For one lookup, and for one question to an owner, which asks its group first: so that a lost message leaves time. */
export const STEP_TIMEOUT_MS = 2_000
/** Between tries; grows by half each time, spread over half to one and a half. */
const FIRST_RETRY_MS = 50
const LAST_RETRY_MS = 500

const RETRYABLE: ReadonlySet<ErrorCode> = new Set(['timeout', 'unreachable', 'gone', 'busy', 'not-owner', 'no-route'])

/** May another try help? */
export function mayPass(error: unknown): boolean {
  return RETRYABLE.has(errorCode(error))
}

export interface OwnerQuestion<R> {
  readonly key: Key
  /** For all tries together, ms. */
  readonly deadlineMs: number
  readonly signal?: AbortSignal | undefined
  /** This host owns the key. */
  here(): Promise<R>
  there(owner: Contact, signal: AbortSignal): Promise<R>
}

/** Rejects with what cannot pass, with `timeout` at the deadline, or as the caller's signal says. */
export async function atOwner<R>(env: Env, overlay: Overlay, peer: string, question: OwnerQuestion<R>): Promise<R> {
  const { key, deadlineMs } = question
  using deadline = env.clock.deadline(deadlineMs, question.signal)
  const { signal } = deadline
  let failure: unknown
  for (let attempt = 0; ; attempt++) {
    try {
      if (attempt > 0) await env.clock.sleep(retryMs(env, attempt), { signal })
      if (overlay.owns(key)) return await unlessAborted(question.here(), signal)
      // After a failure the cache is what may have been wrong.
      const { owner } = await overlay.lookup(key, { signal, deadlineMs: STEP_TIMEOUT_MS, noCache: attempt > 0 })
      if (owner.peer === peer) return await unlessAborted(question.here(), signal)
      return await question.there(owner, signal)
    } catch (error) {
      if (question.signal?.aborted) throw error
      if (signal.aborted) {
        const last = failure === undefined ? '' : `: ${errorMessage(failure)}`
        throw new ChoraleError('timeout', `no owner within ${deadlineMs} ms${last}`, { cause: failure })
      }
      if (!mayPass(error)) throw error
      failure = error
    }
  }
}

/** The pause before the given try; the first retry is number 1. */
export function retryMs(env: Env, attempt: number): number {
  return jittered(env, Math.min(FIRST_RETRY_MS * 1.5 ** Math.max(0, attempt - 1), LAST_RETRY_MS))
}

/** Half to one and a half. */
export function jittered(env: Env, ms: number): number {
  return Math.round(ms * (0.5 + env.random.next()))
}

/** The work goes on for others who wait for it; this caller does not wait any longer. */
export function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () =>
      reject(signal.reason instanceof ChoraleError ? signal.reason : new ChoraleError('aborted', 'given up'))
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
    void work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}
