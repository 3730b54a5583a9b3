/**
 * The job record (DESIGN 7): a mergeable register at the job's key with the spec, what is known of the job's progress, its
 * end, and what the submitter has ordered. Progress only grows; a result beats a late cancel; two different
 * results for one job are kept as a dispute. The partials themselves are kept by the replica groups of their segments.
 */
import { type Static, Type } from 'typebox'
import { encode } from '../core/cbor.ts'
import { hashKey } from '../core/ids.ts'
import { MAX_JOB_VALUE_BYTES, MAX_SPEC_BYTES } from '../core/limits.ts'
import type { RegisterKind } from '../dht/registers.ts'
import { BytesSchema, record } from '../net/message.ts'
import { mergeAlarms } from './alarm.ts'
import { FailureSchema, FailureText } from './failure.ts'
import { Digest, PROGRESS, type Summary } from './messages.ts'
import type { Signer } from './ports.ts'
import { mergeSketches } from './sketch.ts'
import { isStageOf, type JobSpec, jobIdOf, jobKey, parseSpec, StageSchema, stageSpec } from './spec.ts'
import { mergeTallies, TallySchema } from './tally.ts'
import type { JobState } from './types.ts'

const Count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })

const EndSchema = record({
  state: Type.Union([Type.Literal('succeeded'), Type.Literal('failed')]),
  reason: FailureText,
  /** With `failed`. */
  failure: Type.Optional(FailureSchema),
  /** dag-cbor of what `finish` made; with `succeeded`. */
  value: Type.Optional(BytesSchema(MAX_JOB_VALUE_BYTES)),
  /** Of the total; the reason's when it failed. */
  digest: Digest,
  /** Somebody came to another end. */
  disputed: Type.Boolean(),
  atMs: Count,
})
export type JobEnding = Static<typeof EndSchema>

const ControlSchema = record({
  seq: Count,
  action: Type.Literal('cancel'),
  atMs: Count,
  signature: BytesSchema(256),
})
export type JobControl = Static<typeof ControlSchema>

/** The pass that the job is in, if it is not the first. */
const RecordStageSchema = record({
  number: StageSchema.properties.number,
  reduce: StageSchema.properties.reduce,
  carry: StageSchema.properties.carry,
  /** Tasks that were reassigned in the passes before. */
  reassigned: Count,
  /** Who did how many tasks in the passes before. */
  doneBy: Type.Optional(TallySchema),
})
export type RecordStage = Static<typeof RecordStageSchema>

const JobRecordSchema = record({
  v: Type.Literal(1),
  spec: BytesSchema(MAX_SPEC_BYTES),
  /** Has the first dispatch been sent? */
  started: Type.Boolean(),
  stage: Type.Optional(RecordStageSchema),
  /** Of all passes. */
  progress: record(PROGRESS),
  end: Type.Optional(EndSchema),
  control: Type.Optional(ControlSchema),
})
export type JobRecord = Static<typeof JobRecordSchema>

/** A day after its last change. */
const RECORD_EXPIRES_AFTER_MS = 24 * 3_600_000

export function newRecord(spec: Uint8Array): JobRecord {
  return { v: 1, spec, started: false, progress: { done: 0, reassigned: 0, workers: [], alarms: 0 } }
}

/** What of a summary goes into the record. */
export function progressOf({ done, reassigned, workers, doneBy, alarms, named }: Summary): JobRecord['progress'] {
  return { done, reassigned, workers, alarms, ...(doneBy && { doneBy }), ...(named && { named }) }
}

export function mergeRecords(a: JobRecord, b: JobRecord): JobRecord {
  const end = mergeEnds(a.end, b.end)
  const named = mergeAlarms(a.progress.named, b.progress.named)
  const doneBy = mergeTallies(a.progress.doneBy ?? [], b.progress.doneBy ?? [])
  const control = mergeControls(a.control, b.control)
  const stage = mergeStages(a.stage, b.stage)
  return {
    v: 1,
    spec: a.spec,
    started: a.started || b.started,
    ...(stage && { stage }),
    progress: {
      done: Math.max(a.progress.done, b.progress.done),
      reassigned: Math.max(a.progress.reassigned, b.progress.reassigned),
      workers: [...mergeSketches(a.progress.workers, b.progress.workers)],
      alarms: Math.max(a.progress.alarms, b.progress.alarms),
      ...(doneBy.length > 0 && { doneBy: doneBy.map(([host, tasks]) => [host, tasks]) }),
      ...(named.length > 0 && { named }),
    },
    ...(end && { end }),
    ...(control && { control }),
  }
}

/** A success beats a failure; of two successes the smaller digest stands, and the dispute is noted. */
function mergeEnds(a: JobEnding | undefined, b: JobEnding | undefined): JobEnding | undefined {
  if (!a || !b) return a ?? b
  const disputed = a.disputed || b.disputed || (a.state === b.state && a.state === 'succeeded' && a.digest !== b.digest)
  const better = order(a) <= order(b) ? a : b
  return better.disputed === disputed ? better : { ...better, disputed }
}

function order(end: JobEnding): string {
  const rest = hashKey(encode({ ...end, disputed: false }))
  return `${end.state === 'succeeded' ? 0 : 1}|${end.digest}|${String(end.atMs).padStart(16, '0')}|${rest}`
}

/** The later one. Of two that differ, which only a job that is not deterministic or a liar makes, any; the same everywhere. */
function mergeStages(a: RecordStage | undefined, b: RecordStage | undefined): RecordStage | undefined {
  if (!a || !b) return a ?? b
  if (a.number !== b.number) return a.number > b.number ? a : b
  return hashKey(encode(a)) <= hashKey(encode(b)) ? a : b
}

/** The later one. */
function mergeControls(a: JobControl | undefined, b: JobControl | undefined): JobControl | undefined {
  if (!a || !b) return a ?? b
  if (a.seq !== b.seq) return a.seq > b.seq ? a : b
  return hashKey(encode(a)) <= hashKey(encode(b)) ? a : b
}

/** The spec of the pass that the job is in. `job`: its own spec. */
export function currentSpec(job: JobSpec, { stage }: Pick<JobRecord, 'stage'>): JobSpec {
  if (!stage) return job
  const { reassigned: _, doneBy: _by, ...pass } = stage
  return stageSpec(job, pass)
}

/** What the submitter signs. */
export function controlBytes(job: string, control: Omit<JobControl, 'signature'>): Uint8Array {
  return encode(['chorale job control', job, control.seq, control.action, control.atMs])
}

export function jobRecords(signer: Signer): RegisterKind<JobRecord> {
  return {
    name: 'job',
    schema: JobRecordSchema,
    merge: mergeRecords,
    expiresAfterMs: RECORD_EXPIRES_AFTER_MS,
    admit(key, value) {
      const id = jobIdOf(value.spec)
      if (jobKey(id) !== key) return false
      const spec = parseSpec(id, value.spec)
      if (value.stage && !isStageOf(spec, value.stage)) return false
      const control = value.control
      return !control || signer.verify(spec.submitter, controlBytes(id, control), control.signature)
    },
  }
}

/** A state that nothing follows. */
export function terminalState(job: JobRecord): 'succeeded' | 'failed' | 'cancelled' | undefined {
  return job.end?.state ?? (job.control ? 'cancelled' : undefined)
}

export function isTerminal(state: JobState): boolean {
  return state === 'succeeded' || state === 'failed' || state === 'cancelled'
}
