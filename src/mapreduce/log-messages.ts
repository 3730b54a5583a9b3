/**
 * The messages of logs. Hosts that run tasks send the lines straight to the owner of the job's key. It keeps the last ones
 * of each job, numbered as they came, and says when the next batch is welcome, so that a thousand hosts are no more
 * to it than a few.
 */
import { type Static, Type } from 'typebox'
import { defineMessage, record } from '../net/message.ts'
import { Index } from './messages.ts'
import { JobId } from './spec.ts'
import { MAX_LINE_CHARS } from './task-notes.ts'

/** What one message holds at most. A character may take three bytes. */
export const MAX_BATCH = { lines: 200, chars: 16_000 }
export const MAX_PAUSE_MS = 5_000
/** Lines that one message may say were lost. */
export const MAX_LOST = 1_000_000

const Text = Type.String({ maxLength: MAX_LINE_CHARS })
const Count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
const Yes = Type.Optional(Type.Literal(true))

const Line = record({ task: Index, text: Text })
export type Line = Static<typeof Line>

export const JobLog = defineMessage('jobs/log', {
  request: record({
    job: JobId,
    /** Grows from batch to batch of one sender: what comes twice counts once. */
    batch: Count,
    lines: Type.Array(Line, { maxItems: MAX_BATCH.lines }),
    /** Lines before these that were not sent: there were too many. */
    lost: Type.Integer({ minimum: 0, maximum: MAX_LOST }),
  }),
  reply: record({ moved: Yes, pauseMs: Type.Integer({ minimum: 0, maximum: MAX_PAUSE_MS }) }),
})

const KeptLine = record({
  /** Of all lines of the job; those that were lost are counted too. */
  seq: Count,
  task: Index,
  /** Peer id. */
  host: Type.String({ maxLength: 128 }),
  text: Text,
  /** When it came, by the keeper's clock. */
  atMs: Count,
})
export type KeptLine = Static<typeof KeptLine>

/** The lines of a job after one that was seen. */
export const JobLogRead = defineMessage('jobs/log-read', {
  request: record({
    job: JobId,
    /** Of the keeper that `after` is a number of; another one has other numbers. */
    keeper: Type.String({ maxLength: 160 }),
    after: Count,
    task: Type.Optional(Index),
  }),
  reply: record({
    moved: Yes,
    keeper: Type.String({ maxLength: 160 }),
    lines: Type.Array(KeptLine, { maxItems: MAX_BATCH.lines }),
    /** There are more lines than these already. */
    more: Type.Boolean(),
    /** The job has ended. */
    over: Type.Boolean(),
  }),
})
