/** A job as it is shown, made from its record and from what its coordinator has heard since. */
import { Type } from 'typebox'
import { decode } from '../core/cbor.ts'
import { checker } from '../core/codec.ts'
import { record } from '../net/message.ts'
import { type Alarm, mergeAlarms } from './alarm.ts'
import { FailureSchema } from './failure.ts'
import type { Summary } from './messages.ts'
import { type Heard, reasonOf } from './reason.ts'
import { currentSpec, type JobRecord, type RecordStage, terminalState } from './record.ts'
import { tasksOf } from './segments.ts'
import { countSketch, mergeSketches } from './sketch.ts'
import { type JobSpec, jobIdOf, parseSpec, tasksInAll } from './spec.ts'
import { mergeTallies, TallySchema } from './tally.ts'
import { JOB_STATES, type JobAlarm, type JobView, type Json } from './types.ts'

const Count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
const Peer = Type.String({ maxLength: 128 })
const Digest = Type.String({ maxLength: 64 })
const AlarmView = record({
  tasks: record({ first: Count, end: Count }),
  attempts: Type.Array(record({ digest: Type.Optional(Digest), host: Type.Optional(Peer) }), { maxItems: 2 }),
})
const JsonSchema = Type.Unsafe<Json>(Type.Unknown())

/** What comes from another node is checked against this. */
export const views = checker(
  Type.Unsafe<JobView>(
    record({
      id: Type.String({ maxLength: 128 }),
      module: Type.String({ maxLength: 256 }),
      name: Type.String({ maxLength: 64 }),
      params: Type.Record(Type.String(), Type.Unknown()),
      seed: Type.Integer(),
      submitter: Type.String({ maxLength: 128 }),
      state: Type.Union(JOB_STATES.map((state) => Type.Literal(state))),
      reason: Type.String({ maxLength: 1000 }),
      tasks: record({
        total: Count,
        done: Count,
        reassigned: Count,
        queued: Type.Optional(Count),
        running: Type.Optional(Count),
        partly: Type.Optional(Type.Number({ minimum: 0 })),
      }),
      input: Type.Optional(Type.String({ maxLength: 128 })),
      round: Type.Optional(Count),
      workers: Count,
      doneBy: Type.Optional(TallySchema),
      estimate: Type.Optional(JsonSchema),
      value: Type.Optional(JsonSchema),
      digest: Type.Optional(Digest),
      failure: Type.Optional(FailureSchema),
      alarms: Type.Optional(Type.Array(AlarmView, { maxItems: 8 })),
      hosts: Type.Optional(
        Type.Array(record({ peer: Peer, cores: Count, queued: Count, running: Count }), { maxItems: 64 }),
      ),
      submittedAtMs: Count,
      finishedAtMs: Type.Optional(Count),
    }),
  ),
)

/** What a coordinator has heard of a job beyond its record. */
export interface News extends Heard {
  readonly summary: Summary
  readonly estimate: Json | undefined
}

export function viewOf(job: JobRecord, heard?: News): JobView {
  const id = jobIdOf(job.spec)
  const spec = parseSpec(id, job.spec)
  const { module, name, params, seed, submitter, submittedAtMs } = spec
  const tasks = tasksInAll(spec, job.stage)
  const now = heard?.summary ?? job.progress
  const workers = countSketch(mergeSketches(job.progress.workers, now.workers))
  const done = Math.min(tasks, Math.max(job.progress.done, now.done))
  const reassigned = Math.max(job.progress.reassigned, now.reassigned)
  const alarms = Math.max(job.progress.alarms, now.alarms)
  const named = mergeAlarms(job.progress.named, now.named)
  const doneBy = mergeTallies(job.progress.doneBy ?? [], now.doneBy ?? [])
  const base = {
    ...{ id, module, name, params, seed, submitter, workers, submittedAtMs },
    ...(doneBy.length > 0 && { doneBy }),
    ...(spec.input && { input: spec.input.cid }),
    ...(spec.rounds && { round: job.stage?.number ?? 0 }),
    ...(named.length > 0 && { alarms: named.map((alarm) => alarmOf(currentSpec(spec, job), alarm)) }),
  }
  const { end, control } = job
  const state = terminalState(job)
  if (state === 'succeeded' && end?.value) {
    const counts = { total: tasks, done: tasks, reassigned }
    const value = decode(end.value) as Json
    return {
      ...base,
      state,
      reason: warn(end.reason, alarms, end.disputed),
      tasks: counts,
      value,
      digest: end.digest,
      finishedAtMs: end.atMs,
    }
  }
  const counts = { total: tasks, done, reassigned }
  if (state === 'cancelled') {
    return { ...base, state, reason: 'cancelled by its submitter', tasks: counts, finishedAtMs: control?.atMs ?? 0 }
  }
  if (end) {
    const { failure, atMs } = end
    const reason = warn(end.reason, alarms, false)
    return { ...base, state: 'failed', reason, tasks: counts, ...(failure && { failure }), finishedAtMs: atMs }
  }
  const estimate = heard?.estimate
  const running = done > 0 || workers > 0 || (heard?.summary.running ?? 0) > 0
  const hosts = heard?.hosts?.filter((host) => host.queued + host.running > 0)
  return {
    ...base,
    state: running ? 'running' : job.started ? 'scheduled' : 'waiting',
    reason: warn(
      reasonOf(heard, {
        started: job.started,
        begun: running,
        contracted: spec.contract !== undefined,
        work: atWork(spec, job.stage),
      }),
      alarms,
      false,
    ),
    tasks: { ...counts, ...(heard?.reported && underWay(heard.summary)) },
    ...(hosts && hosts.length > 0 && { hosts: hosts.map(({ busy: _, ...host }) => host) }),
    ...(estimate !== undefined && { estimate }),
  }
}

function atWork(spec: JobSpec, stage: RecordStage | undefined): string {
  if (spec.partitions) return stage ? 'hosts put the output together' : 'hosts are at work'
  return spec.rounds ? `hosts are at work on round ${stage?.number ?? 0}` : 'hosts are at work'
}

function warn(reason: string, alarms: number, disputed: boolean): string {
  if (disputed) return `${reason}; but another result came too: a host lies, or the job is not deterministic`
  if (alarms === 0) return reason
  return `${reason}; two different results came for ${alarms} of its segments: a host lies, or it is not deterministic`
}

function underWay({ queued, running, partly }: Summary): Partial<JobView['tasks']> {
  return { queued, running, ...(partly !== undefined && { partly }) }
}

function alarmOf(spec: JobSpec, { level, index, attempts }: Alarm): JobAlarm {
  return { tasks: tasksOf(spec, level, index), attempts }
}
