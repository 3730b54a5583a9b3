/** Waiting for the committee: whoever waits hears why before long, and the wait ends in time. */
import { Option } from 'commander'
import type { RemoteLedger } from '../api/ledger-client.ts'
import type { Clock } from '../core/env.ts'
import { ChoraleError, errorCode, errorMessage } from '../core/errors.ts'
import { systemClock } from '../core/system.ts'
import type { Cli } from './cli.ts'
import * as format from './format.ts'
import { duration } from './values.ts'

/** A ledger that goes on answers sooner. */
const QUIET_MS = 3000
/** For the node to say what became of it, beyond the time that it was given. */
const ANSWER_MS = 5000

export function timeoutOption(what: string): Option {
  return new Option('--timeout <time>', what).argParser(duration('--timeout')).default(60_000, '60s')
}

/**
 * Does what the committee decides on. While it takes long, lines on stderr say what it waits for. Rejects as `work` does, and
 * `wait-timeout` when the node itself is silent.
 */
export async function patiently<T>(
  cli: Pick<Cli, 'note' | 'signal'>,
  ledger: Pick<RemoteLedger, 'status'>,
  timeoutMs: number,
  work: (options: { readonly signal: AbortSignal; readonly timeoutMs: number }) => Promise<T>,
  clock: Clock = systemClock,
): Promise<T> {
  using deadline = clock.deadline(timeoutMs + ANSWER_MS, cli.signal)
  const { signal } = deadline
  let over = false
  let told = ''
  let cancel = () => {}
  const watch = async () => {
    const halted = await ledger.status({ signal }).then(
      (status) => status.halted,
      () => null,
    )
    if (over) return
    const why =
      halted === null ? 'the bankers have not answered yet' : `the ledger stands still: ${format.plain(halted)}`
    if (why !== told) cli.note(`waiting, for at most ${format.span(timeoutMs)}: ${why}`)
    told = why
    cancel = clock.timer(QUIET_MS, watch)
  }
  cancel = clock.timer(QUIET_MS, watch)
  try {
    return await work({ signal, timeoutMs })
  } catch (error) {
    if (!signal.aborted || cli.signal.aborted) throw error
    throw new ChoraleError('wait-timeout', 'the node does not answer: see chorale status', { cause: error })
  } finally {
    over = true
    cancel()
  }
}

/** A wait that is over, as `wait-timeout` with a hint what to do; other errors as they are. */
export function late(error: unknown, hint: string): unknown {
  if (errorCode(error) !== 'timeout') return error
  return new ChoraleError('wait-timeout', `${errorMessage(error)}: ${hint}`, { cause: error })
}
