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
import { MAX_JOB_TASKS, MAX_SPEC_BYTES } from '../core/limits.ts'
import { record } from '../net/message.ts'
import type { JobPlan } from './ports.ts'
import type { JobRequest } from './types.ts'

const DAG_CBOR = 0x71
const SHA2_256 = 0x12
/** DESIGN 7. Part of every spec, so that a later version may choose another. */
export const FAN_IN = 16

/** What a terminal would obey is no part of it. */
export const JobName = Type.String({
  minLength: 1,
  maxLength: 64,
  pattern: '^[^\\u0000-\\u001f\\u007f-\\u009f\\u200b-\\u200f\\u2028-\\u202e\\u2066-\\u2069\\ufeff]*$',
})

export const JobSpecSchema = record({
  v: Type.Literal(1),
  module: Type.String({ minLength: 1, maxLength: 256 }),
  /** What the job's code calls itself, for people. */
  name: JobName,
  params: Type.Unsafe<JobRequest['params']>(Type.Record(Type.String({ maxLength: 128 }), Type.Unknown())),
  seed: Type.Integer({ minimum: Number.MIN_SAFE_INTEGER, maximum: Number.MAX_SAFE_INTEGER }),
  tasks: Type.Integer({ minimum: 1, maximum: MAX_JOB_TASKS }),
  fanIn: Type.Literal(FAN_IN),
  /** What the code runs on: same engine, same bytes. */
  engine: Type.String({ minLength: 1, maxLength: 64 }),
  /** Peer id. */
  submitter: Type.String({ minLength: 1, maxLength: 128 }),
  /** 32 hex digits: the same request twice is two jobs. */
  nonce: Type.String({ pattern: '^[0-9a-f]{32}$' }),
  submittedAtMs: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
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
  if (bytes.length > MAX_SPEC_BYTES) {
    throw new ChoraleError('limit', `the job's parameters are too large: ${bytes.length} of ${MAX_SPEC_BYTES} bytes`)
  }
  return bytes
}

/** Throws `bad-message` unless the bytes are a spec and the id is theirs. */
export function parseSpec(id: string, bytes: Uint8Array): JobSpec {
  if (bytes.length > MAX_SPEC_BYTES || jobIdOf(bytes) !== id) {
    throw new ChoraleError('bad-message', 'a spec that is not of its job')
  }
  return specs.parse(decode(bytes))
}

/** Of a job that runs without an overlay. `run`: other runs of the same have processes of their own. */
export function localSpec({ module, seed }: JobRequest, plan: JobPlan, run = 0): JobSpec {
  const nonce = String(run).padStart(32, '0')
  return { v: 1, module, seed, ...plan, fanIn: FAN_IN, submitter: 'local', nonce, submittedAtMs: 0 }
}

/** Where the job record is kept. */
export function jobKey(id: string): Key {
  return hashKey(`job|${id}`)
}

/** Where a segment is folded: H(job, l, j). */
export function segmentKey(id: string, level: number, index: number): Key {
  return hashKey(`segment|${id}|${level}|${index}`)
}
