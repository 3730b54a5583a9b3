/** Why a job's code cannot go on: where it was, and what it said before. Travels up the tree and into the job record. */
import { type Static, Type } from 'typebox'
import { MAX_JOB_TASKS } from '../core/limits.ts'
import { record } from '../net/message.ts'

const MAX_MESSAGE = 500
const MAX_LINES = 8
const MAX_LINE = 160

export const FailureText = Type.String({ maxLength: MAX_MESSAGE })

export const FailureSchema = record({
  phase: Type.Union([Type.Literal('map'), Type.Literal('reduce'), Type.Literal('finish')]),
  /** When it is known which one it was; of the pass that the job was in. */
  task: Type.Optional(Type.Integer({ minimum: 0, maximum: MAX_JOB_TASKS - 1 })),
  /** Peer id of the host that ran it. */
  host: Type.String({ maxLength: 128 }),
  message: FailureText,
  /** The last lines of the task's log. */
  log: Type.Array(Type.String({ maxLength: MAX_LINE }), { maxItems: MAX_LINES }),
})
export type Failure = Static<typeof FailureSchema>

/** Cut to what may travel. */
export function failureOf(
  phase: Failure['phase'],
  host: string,
  message: string,
  { task, log = [] }: { task?: number | undefined; log?: readonly string[] } = {},
): Failure {
  return {
    phase,
    ...(task !== undefined && { task }),
    host,
    message: cut(message, MAX_MESSAGE),
    log: log.slice(-MAX_LINES).map((line) => cut(line, MAX_LINE)),
  }
}

/** Upper bound of its encoding, bytes. */
export function failureBytes({ message, log }: Failure): number {
  return 400 + 3 * log.reduce((sum, line) => sum + 2 + line.length, message.length)
}

function cut(text: string, max: number): string {
  return (text.length > max ? text.slice(0, max) : text).toWellFormed()
}
