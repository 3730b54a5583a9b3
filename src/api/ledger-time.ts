/** How long a request that needs the committee may take: `?timeoutMs=N`, told by the client and kept by the node. */
import type { Clock } from '../core/env.ts'
import { ChoraleError } from '../core/errors.ts'
import { systemClock } from '../core/system.ts'

/** A timer holds no more. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1
/** For the work to say what became of it when its time is over. */
const LAST_WORD_MS = 1000

/** Undefined: as long as the client waits. Throws `usage`. */
export function timeoutIn(query: URLSearchParams): number | undefined {
  const text = query.get('timeoutMs')
  if (text === null) return undefined
  const ms = /^\d{1,10}$/.test(text) ? Number(text) : 0
  if (ms >= 1 && ms <= MAX_TIMEOUT_MS) return ms
  throw new ChoraleError('usage', `a timeout is 1 to ${MAX_TIMEOUT_MS} milliseconds, not ${JSON.stringify(text)}`)
}

/**
 * Work that stops at its signal. Its own error is what the client hears, for it says why. Work that does not end by then has
 * not begun, as other operations of the account go first, and never will: then it rejects `timeout`.
 */
export async function inTime<T>(
  timeoutMs: number | undefined,
  signal: AbortSignal,
  work: (options: { readonly signal: AbortSignal }) => Promise<T>,
  clock: Clock = systemClock,
): Promise<T> {
  if (timeoutMs === undefined) return work({ signal })
  using deadline = clock.deadline(timeoutMs, signal)
  let cancel = () => {}
  const unbegun = new Promise<never>((_, reject) => {
    deadline.signal.addEventListener('abort', () => {
      const line = 'what the node has asked for before is not decided yet'
      cancel = clock.timer(LAST_WORD_MS, () => reject(new ChoraleError('timeout', line)))
    })
  })
  try {
    return await Promise.race([work(deadline), unbegun])
  } finally {
    cancel()
  }
}
