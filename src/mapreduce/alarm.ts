/**
 * Alarms (DESIGN 7): two attempts of one task, or two folds of one segment, with different bytes. All are counted; the
 * first few are named, with what came and who brought it.
 */
import { type Static, Type } from 'typebox'
import { encode } from '../core/cbor.ts'
import { hashKey } from '../core/ids.ts'
import { MAX_JOB_TASKS } from '../core/limits.ts'
import { record } from '../net/message.ts'

const MAX_NAMED = 3

const Attempt = record({
  /** SHA-256 of the result; absent: it stayed where it was found. */
  digest: Type.Optional(Type.String({ pattern: '^[0-9a-f]{64}$' })),
  /** Peer id of whoever brought it, if that is known. */
  host: Type.Optional(Type.String({ maxLength: 128 })),
})
export type Attempt = Static<typeof Attempt>

export const AlarmSchema = record({
  /** 0: a task. */
  level: Type.Integer({ minimum: 0, maximum: 8 }),
  index: Type.Integer({ minimum: 0, maximum: MAX_JOB_TASKS - 1 }),
  attempts: Type.Array(Attempt, { minItems: 2, maxItems: 2 }),
})
export type Alarm = Static<typeof AlarmSchema>
export const Alarms = Type.Array(AlarmSchema, { maxItems: MAX_NAMED })

export function attemptOf(digest: string | undefined, host: string | undefined): Attempt {
  return { ...(digest !== undefined && { digest }), ...(host !== undefined && { host }) }
}

/** The first few of both, in an order of their own: merging is commutative, associative and idempotent. */
export function mergeAlarms(a: readonly Alarm[] = [], b: readonly Alarm[] = []): Alarm[] {
  const named = new Map([...a, ...b].map((alarm) => [nameOf(alarm), alarm]))
  return [...named]
    .sort(([x], [y]) => (x < y ? -1 : 1))
    .slice(0, MAX_NAMED)
    .map(([, alarm]) => alarm)
}

function nameOf(alarm: Alarm): string {
  return `${alarm.level}|${String(alarm.index).padStart(8, '0')}|${hashKey(encode(alarm))}`
}
