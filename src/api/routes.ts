/**
 * The control API: what both ends agree on. HTTP over a Unix socket in the host's home, which only its user can open;
 * JSON, and newline-delimited JSON for streams. The seed of the `/v1` API (DESIGN 11).
 *
 *   GET  /v1/status                HostStatus
 *   GET  /v1/peers                 PeerView[]
 *   POST /v1/ping      {target}    {rttMs}
 *   POST /v1/stop                  {}             the process leaves after the answer
 *   POST /v1/jobs      JobRequest  JobView
 *   GET  /v1/jobs                  JobView[]
 *   GET  /v1/jobs/ID               JobView        ID may be a unique prefix, here and below
 *   GET  /v1/jobs/ID/watch         JobView, one per line, until a terminal state
 *   POST /v1/jobs/ID/cancel        JobView
 *
 * Errors are `{ error: { code, message } }` with the codes of core/errors.ts; in a stream, such a line is the last.
 */
import type { ErrorCode } from '../core/errors.ts'

/** A request body: the largest is a job's parameters. */
export const MAX_BODY_BYTES = 64 * 1024
/** Requests and watches that one host serves at a time. */
export const MAX_API_CONNECTIONS = 64

export interface ErrorBody {
  readonly error: { readonly code: ErrorCode; readonly message: string }
}

/** What programs that speak plain HTTP see. */
export function httpStatus(code: ErrorCode): number {
  switch (code) {
    case 'usage':
    case 'bad-message':
      return 400
    case 'auth':
      return 403
    case 'not-found':
      return 404
    case 'busy':
    case 'limit':
      return 429
    case 'unreachable':
    case 'no-route':
    case 'not-placed':
      return 503
    case 'timeout':
    case 'wait-timeout':
      return 504
    default:
      return 500
  }
}
