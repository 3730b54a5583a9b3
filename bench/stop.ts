/** How a benchmark that has processes of its own is stopped: by a signal, with time to take them down. */
import { ChoraleError } from '../src/core/errors.ts'

/** Aborts at the first SIGINT, SIGTERM or SIGHUP. */
export function stopOnSignal(): AbortController {
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => stop.abort(new ChoraleError('interrupted', `stopped by ${signal}`)))
  }
  return stop
}
