/**
 * A job's spec and its id. The id is the CIDv1 (dag-cbor, SHA-256) of the spec, so whoever gets the bytes of a spec can
 * check them against the id, and nothing about a job can change after its submission.
 */
import { hash } from 'node:crypto'
import { CID } from 'multiformats/cid'
import { create as createDigest } from 'multiformats/hashes/digest'
import { type Static, Type } from 'typebox'
import { decode, encode } from '../core/cbor.ts'
import { checker } from '../core/codec.ts'
import { ChoraleError } from '../core/errors.ts'
import { hashKey, type Key } from '../core/ids.ts'
import {
  MAX_CARRY_BYTES,
  MAX_INPUT_BLOCKS,
  MAX_JOB_TASKS,
  MAX_PARTITIONS,
  MAX_ROUNDS,
  MAX_SPEC_BYTES,
  MAX_TASK_BLOCKS,
} from '../core/limits.ts'
import { BytesSchema, KeySchema, record } from '../net/message.ts'
import type { FileSize, JobPlan } from './ports.ts'
import type { JobRequest } from './types.ts'

const DAG_CBOR = 0x71
const SHA2_256 = 0x12
/** What a stage adds to a spec, at most. */
const STAGE_BYTES = MAX_CARRY_BYTES + 256
/** DESIGN 7. Part of every spec, so that a later version may choose another. */
export const FAN_IN = 16

/** What a terminal would obey is no part of it. */
export const JobName = Type.String({
  minLength: 1,
  maxLength: 64,
  pattern: '^[^\\u0000-\\u001f\\u007f-\\u009f\\u200b-\\u200f\\u2028-\\u202e\\u2066-\\u2069\\ufeff]*$',
})

export const JobId = Type.String({ pattern: '^b[a-z2-7]{58}$' })

/** A file in the store whose blocks are the tasks' input. */
const InputSchema = record({
  cid: Type.String({ minLength: 1, maxLength: 128 }),
  bytes: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
  /** Its leaves. */
  blocks: Type.Integer({ minimum: 1, maximum: MAX_INPUT_BLOCKS }),
  /** What a task is given: the bytes of its blocks, or the text of the lines that are its own. */
  as: Type.Union([Type.Literal('bytes'), Type.Literal('lines')]),
  /** Blocks of one task. */
  taskBlocks: Type.Integer({ minimum: 1, maximum: MAX_TASK_BLOCKS }),
})

/**
 * A job may be several passes over tasks, each with a tree, a spec and an id of its own: rounds, whose state comes from
 * the total of the one before, or the reduce of a keyed job. The first pass has the job's own spec, and no stage.
 */
export const StageSchema = record({
  /** The job. */
  of: JobId,
  /** Of the first pass. */
  tasks: Type.Integer({ minimum: 1, maximum: MAX_JOB_TASKS }),
  /** 1, 2, ... */
  number: Type.Integer({ minimum: 1, maximum: MAX_ROUNDS }),
  /** A task is a partition. */
  reduce: Type.Optional(Type.Literal(true)),
  /** What the stage before left, packed (`packed.ts`): the state of a round; what each partition has to read. */
  carry: BytesSchema(MAX_CARRY_BYTES),
})
export type Stage = Static<typeof StageSchema>

export const JobSpecSchema = record({
  v: Type.Literal(1),
  module: Type.String({ minLength: 1, maxLength: 256 }),
  /** What the job's code calls itself, for people. */
  name: JobName,
  params: Type.Unsafe<JobRequest['params']>(Type.Record(Type.String({ maxLength: 128 }), Type.Unknown())),
  seed: Type.Integer({ minimum: Number.MIN_SAFE_INTEGER, maximum: Number.MAX_SAFE_INTEGER }),
  tasks: Type.Integer({ minimum: 1, maximum: MAX_JOB_TASKS }),
  fanIn: Type.Literal(FAN_IN),
  /** Tasks of a segment of level 1: 1 where each task has a place of its own, at its input or its partition. */
  leaf: Type.Union([Type.Literal(FAN_IN), Type.Literal(1)]),
  input: Type.Optional(InputSchema),
  /** Of a keyed job (DESIGN 7): how many parts its output has. */
  partitions: Type.Optional(Type.Integer({ minimum: 1, maximum: MAX_PARTITIONS })),
  /** Its result may feed a next round. */
  rounds: Type.Optional(Type.Literal(true)),
  stage: Type.Optional(StageSchema),
  /** What the code runs on: same engine, same bytes. */
  engine: Type.String({ minLength: 1, maxLength: 64 }),
  /** Peer id. */
  submitter: Type.String({ minLength: 1, maxLength: 128 }),
  /** 32 hex digits: the same request twice is two jobs. */
  nonce: Type.String({ pattern: '^[0-9a-f]{32}$' }),
  submittedAtMs: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
  /** Of a job that is paid for: what its suppliers' contracts are known by. Only these do its tasks. */
  contract: Type.Optional(KeySchema),
})
export type JobSpec = Static<typeof JobSpecSchema>

const specs = checker(JobSpecSchema)

/** `bafyrei...`, 59 characters. */
export function jobIdOf(specBytes: Uint8Array): string {
  const digest = createDigest(SHA2_256, hash('sha256', specBytes, 'buffer'))
  return CID.createV1(DAG_CBOR, digest).toString()
}

export function encodeSpec(spec: JobSpec): Uint8Array {
  const bytes = encode(spec)
  const mayHaveStages = !spec.stage && (spec.rounds || spec.partitions)
  const most = MAX_SPEC_BYTES - (mayHaveStages ? STAGE_BYTES : 0)
  if (bytes.length > most) {
    throw new ChoraleError('limit', `the job's parameters are too large: ${bytes.length} of ${most} bytes`)
  }
  return bytes
}

/** Throws `bad-message` unless the bytes are a spec and the id is theirs. */
export function parseSpec(id: string, bytes: Uint8Array): JobSpec {
  if (bytes.length > MAX_SPEC_BYTES || jobIdOf(bytes) !== id) {
    throw new ChoraleError('bad-message', 'a spec that is not of its job')
  }
  const spec = specs.parse(decode(bytes))
  if (!isSound(spec)) throw new ChoraleError('bad-message', 'a spec that contradicts itself')
  // A pass is of the job that it names: others may make passes of it that differ in their carry, but in nothing else.
  if (spec.stage && jobIdOf(encode(rootSpec(spec))) !== spec.stage.of) {
    throw new ChoraleError('bad-message', 'a stage that is not of its job')
  }
  return spec
}

/** Do its parts fit together? What is derived elsewhere, such as where a task is, relies on it. */
function isSound(spec: JobSpec): boolean {
  const { tasks, leaf, input, partitions, rounds, stage } = spec
  const first = stage?.tasks ?? tasks
  if (leaf !== (input || partitions ? 1 : FAN_IN)) return false
  if (input && first !== Math.ceil(input.blocks / input.taskBlocks)) return false
  if (partitions && rounds) return false
  return !stage || (isStageOf(spec, stage) && tasks === (stage.reduce ? partitions : first))
}

/** Can a job of this kind have such a pass? */
export function isStageOf(
  job: Pick<JobSpec, 'partitions' | 'rounds'>,
  stage: Pick<Stage, 'number' | 'reduce'>,
): boolean {
  return stage.reduce ? job.partitions !== undefined && stage.number === 1 : job.rounds === true
}

/** The first pass of a job. */
export function specOf(
  { module, seed }: JobRequest,
  plan: JobPlan,
  input: FileSize | undefined,
  { submitter, nonce, submittedAtMs }: Pick<JobSpec, 'submitter' | 'nonce' | 'submittedAtMs'>,
): JobSpec {
  const { name, params, tasks, engine, partitions, rounds } = plan
  return {
    v: 1,
    module,
    name,
    params,
    seed,
    tasks,
    fanIn: FAN_IN,
    leaf: input || partitions ? 1 : FAN_IN,
    ...(plan.input && input && { input: { ...input, ...plan.input } }),
    ...(partitions && { partitions }),
    ...(rounds && { rounds }),
    engine,
    submitter,
    nonce,
    submittedAtMs,
  }
}

/** Names a job that is paid for in offers and contracts: the hash of its spec without what its contracts are known by. */
export function jobKeyOf({ contract, stage, ...spec }: JobSpec): Key {
  return hashKey(encode(spec))
}

/** Of a job that runs without an overlay. `run`: other runs of the same have processes of their own. */
export function localSpec(request: JobRequest, plan: JobPlan, input?: FileSize, run = 0): JobSpec {
  return specOf(request, plan, input, { submitter: 'local', nonce: String(run).padStart(32, '0'), submittedAtMs: 0 })
}

/** A later pass of a job. `job`: its own spec. */
export function stageSpec(job: JobSpec, stage: Omit<Stage, 'of' | 'tasks'>): JobSpec {
  const of = jobIdOf(encode(job))
  const tasks = stage.reduce ? (job.partitions as number) : job.tasks
  return { ...job, tasks, stage: { ...stage, of, tasks: job.tasks } }
}

/** The job that a pass is of. */
export function rootOf(id: string, { stage }: JobSpec): string {
  return stage?.of ?? id
}

/** The job's own spec. */
export function rootSpec({ stage, ...spec }: JobSpec): JobSpec {
  return stage ? { ...spec, tasks: stage.tasks } : spec
}

/** Tasks of all passes up to and with this one, and those that are known to come. */
export function tasksInAll(job: JobSpec, stage: Pick<Stage, 'number'> | undefined): number {
  return job.partitions ? job.tasks + job.partitions : job.tasks * (1 + (stage?.number ?? 0))
}

/** Tasks of the passes before this one. */
export function tasksBefore(job: JobSpec, stage: Pick<Stage, 'number'> | undefined): number {
  return stage ? job.tasks * stage.number : 0
}

/** Where the job record is kept. */
export function jobKey(id: string): Key {
  return hashKey(`job|${id}`)
}

/** Where a segment is folded: H(job, l, j). */
export function segmentKey(id: string, level: number, index: number): Key {
  return hashKey(`segment|${id}|${level}|${index}`)
}
