/**
 * Everything ambient, as ports: time, randomness, logs. Protocol code takes an `Env` and touches nothing else, so that
 * the same code runs on a machine (`core/system.ts`) and in the simulator (`sim/`).
 */

export interface Env {
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
}

export interface Clock {
  /** Milliseconds since the epoch (virtual in the simulator). */
  now(): number
  /** Resolves after `ms`; rejects with code `aborted` when the signal fires first. */
  sleep(ms: number, options?: { signal?: AbortSignal | undefined }): Promise<void>
  /** Calls `fire` once after `ms`. Returns the cancellation, which is harmless to call twice. */
  timer(ms: number, fire: () => void): () => void
  /**
   * A signal that aborts after `ms` or with `parent`, whichever is first. Dispose it (`using`) as soon as the work is
   * done, so that no timer is left behind.
   */
  deadline(ms: number, parent?: AbortSignal | undefined): Deadline
}

export interface Deadline extends Disposable {
  readonly signal: AbortSignal
}

export interface Random {
  /** Uniform in [0, 1), 32 random bits. */
  next(): number
  /** Uniform integer in [0, below), below <= 2^32. */
  int(below: number): number
  bytes(count: number): Uint8Array
  /** An independent stream: a function of this stream's seed and the label, not of how far this stream was read. */
  fork(label: string): Random
}

export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>

export interface Logger {
  debug(message: string, fields?: LogFields): void
  info(message: string, fields?: LogFields): void
  warn(message: string, fields?: LogFields): void
  error(message: string, fields?: LogFields): void
  child(name: string): Logger
}

const nothing = () => {}
/** Discards everything. */
export const silentLogger: Logger = {
  debug: nothing,
  info: nothing,
  warn: nothing,
  error: nothing,
  child: () => silentLogger,
}
