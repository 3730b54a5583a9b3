/** What clients of the control API send, checked. */
import type { Checker } from '../core/codec.ts'
import { ChoraleError, errorMessage } from '../core/errors.ts'

/** The caller is a user's program: what does not fit is their usage, not a peer's bad message. */
export function parse<T>(schema: Checker<T>, value: unknown): T {
  try {
    return schema.parse(value)
  } catch (error) {
    throw new ChoraleError('usage', errorMessage(error), { cause: error })
  }
}
