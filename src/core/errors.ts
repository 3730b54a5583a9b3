/**
 * The one error type of Chorale. Expected outcomes (not found, refused) are values; an error is for what stops a
 * procedure. Over wires and processes only `{ code, message }` travels, never an Error object.
 */

export const ERROR_CODES = [
  'aborted', // the caller gave up
  'timeout', // no answer by the deadline
  'unreachable', // cannot connect, or the connection went away
  'gone', // the address answers, but with another incarnation or slot than the contact names
  'busy', // the peer is in the middle of its own operation, or over its limits: retry with jitter
  'bad-message', // malformed, oversized or against its schema
  'unsupported', // the peer does not know this kind of message
  'wrong-network', // the peer is of another network or version
  'limit', // one of our own caps
  'not-found',
  'not-owner', // asked for a key that the node does not own
  'no-route', // a lookup found no way to an owner
  'usage', // the user asked for something impossible
  'config', // home directory or settings cannot be used
  'no-node', // no running node on this machine
  'auth',
  'user-code', // the job's own code failed
  'not-placed', // nobody took the job by its deadline
  'credits',
  'wait-timeout', // the wait is over, the job lives on
  'mismatch', // two results for one thing
  'interrupted',
  'io', // disk or socket of this machine
  'internal', // a broken invariant: our bug
] as const

export type ErrorCode = (typeof ERROR_CODES)[number]

export class ChoraleError extends Error {
  readonly code: ErrorCode

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.name = 'ChoraleError'
    this.code = code
  }
}

/** The code of any thrown value; `internal` when it is not one of ours. */
export function errorCode(error: unknown): ErrorCode {
  return error instanceof ChoraleError ? error.code : 'internal'
}

const KNOWN_CODES: ReadonlySet<string> = new Set(ERROR_CODES)

/** A code that came from elsewhere; `internal` when it is not one of ours. */
export function knownCode(code: string): ErrorCode {
  return KNOWN_CODES.has(code) ? (code as ErrorCode) : 'internal'
}

/** The message of any thrown value, for people. */
export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** Asserts an invariant, in production too. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new ChoraleError('internal', `broken invariant: ${message}`)
}
