/** Exit codes (DESIGN 11): one table, so that scripts can rely on them. */
import type { ErrorCode } from '../core/errors.ts'
import type { JobState } from '../mapreduce/types.ts'

export const EXIT = {
  ok: 0,
  internal: 1,
  usage: 2,
  noNode: 3,
  auth: 4,
  userCode: 5,
  notPlaced: 6,
  credits: 7,
  waitTimeout: 8,
  mismatch: 9,
  /** A good receipt, of something that the ledger has refused. */
  refused: 10,
  interrupted: 130,
} as const

export function exitCodeOf(code: ErrorCode): number {
  switch (code) {
    case 'usage':
    case 'config':
    case 'io': // a full disk or a taken port: the remedy is the user's, it is no fault of ours
    case 'not-found':
    case 'limit': // a full store, a line that is too long: the remedy is the user's too
    case 'bad-message': // a file that is damaged
      return EXIT.usage
    case 'no-node':
    case 'unreachable':
    case 'no-route':
    case 'timeout':
    case 'gone':
    case 'busy':
    case 'wrong-network':
      return EXIT.noNode
    case 'auth':
      return EXIT.auth
    case 'user-code':
      return EXIT.userCode
    case 'not-placed':
      return EXIT.notPlaced
    case 'credits':
      return EXIT.credits
    case 'wait-timeout':
      return EXIT.waitTimeout
    case 'mismatch':
      return EXIT.mismatch
    case 'interrupted':
    case 'aborted':
      return EXIT.interrupted
    default:
      return EXIT.internal
  }
}

/** For commands that end with a job: cancelled or failed, it has no result. */
export function exitCodeOfJob(state: JobState): number {
  return state === 'failed' || state === 'cancelled' ? EXIT.userCode : EXIT.ok
}
