/**
 * What jobs need from the outside and `node.ts` fills: somebody who runs code, and a key to sign with.
 */
import type { Key } from '../core/ids.ts'
import type { JobSpec } from './spec.ts'
import type { JobShape, Json } from './types.ts'

/** Where a module's code is: a URL that `import()` takes, or undefined when the name means nothing here. */
export type ModuleResolver = (module: string) => string | undefined

/** One of the host's keys. */
export interface Signer {
  /** Peer id of this host. */
  readonly peer: string
  sign(bytes: Uint8Array): Uint8Array
  /** Has the holder of this peer id signed these bytes? Never throws. */
  verify(peer: string, bytes: Uint8Array, signature: Uint8Array): boolean
}

/** Who may do the tasks of a job that is paid for (DESIGN 7). The market implements it. */
export interface Admission {
  /** May the host with this peer id? It may change at any time; `JobsService.capacityChanged` says so. */
  admits(contract: Key, peer: string, pass: PaidPass): boolean
  /** What the contracts of a job that this host submits are known by. `job`: `jobKeyOf` its spec. */
  contractOf(job: Key): Key
}

/** Tasks of a job that names a contract. Anybody may write any contract into a spec. */
export interface PaidPass {
  /** `jobKeyOf` the spec. */
  readonly job: Key
  /** What is contracted for is the first pass. */
  readonly isFirst: boolean
}

/** Does tasks again, apart from any job, as every host does them. */
export interface Redo {
  /**
   * The hash of the partial of one task, of the first pass of a job. Rejects as `Executor.run` and the store do, and with
   * `usage` when the job has no such task.
   */
  digest(spec: JobSpec, task: number, options: { readonly signal: AbortSignal }): Promise<Redone>
}

export interface Redone {
  readonly digest: Key
  /** On its core. */
  readonly tookMs: number
}

/** Some tasks of one level-1 segment, for one core. */
export interface TaskRun {
  readonly spec: JobSpec
  /** Index of the level-1 segment. */
  readonly segment: number
  /** Bit i: the segment's i-th task. */
  readonly mask: number
  /** Of a job with stored input, for each task of the mask: the bytes of its blocks, or of its lines. The executor's own. */
  readonly inputs?: readonly Uint8Array[]
  /** Of a round but the first: its state, as dag-cbor. */
  readonly state?: Uint8Array | undefined
}

/**
 * What a run brings: the whole segment's partial when all of it was run, else one partial per task. From an executor, up
 * to MAX_RESULT_BYTES each, or of a keyed job a `Emitted` of up to MAX_KEYED_BYTES.
 */
export interface RunResult {
  readonly partials: ReadonlyArray<{ readonly level: 0 | 1; readonly index: number; readonly bytes: Uint8Array }>
  /** Milliseconds that the run took on its core. */
  readonly tookMs: number
}

/** Hears what the code of a run says while it runs. Bounded by whoever runs it. */
export interface RunNotes {
  /** One line of a task's log: at most 400 characters, of any kind. */
  log(task: number, text: string): void
  /** How much of a task is done, 0 to 1. */
  progress(task: number, share: number): void
}

export interface RunOptions {
  readonly signal: AbortSignal
  readonly notes?: RunNotes | undefined
}

/** What a job comes to: its parameters, checked and with their defaults, and how many tasks it has. */
export interface JobPlan extends JobShape {
  /** What the code calls itself. */
  readonly name: string
  readonly params: { readonly [name: string]: Json }
  readonly tasks: number
  /** What its code runs on: results of different engines are never compared, nor put together. */
  readonly engine: string
}

/**
 * Runs the code of jobs. Partials go in and out as canonical dag-cbor. `run` never works on the thread that answers the
 * network. Everything here rejects with code `user-code` when the job's own code fails, and with `usage` when
 * the parameters do not fit it; with `unsupported` when this host does not run the job's code (`refusal`).
 */
export interface Executor {
  /** Cores that are lent now: so many runs may be under way at once. What is begun is finished when they become fewer. */
  readonly cores: number
  /**
   * Why this host leaves the job to others: its code is for another engine, or is not taken here. Undefined: it runs it.
   * Never rejects.
   */
  refusal(spec: JobSpec): Promise<string | undefined>
  plan(module: string, params: { readonly [name: string]: Json }, input?: FileSize): Promise<JobPlan>
  run(run: TaskRun, options: RunOptions): Promise<RunResult>
  /** Folds partials in the order given. */
  fold(spec: JobSpec, partials: readonly Uint8Array[]): Promise<Uint8Array>
  /** Of a keyed job: runs of pairs, in the order of tasks, as few with every key once. */
  merge(spec: JobSpec, runs: readonly Uint8Array[]): Promise<readonly Uint8Array[]>
  /** The state of the round after this one; undefined: there is none. */
  next(spec: JobSpec, total: Uint8Array, state: Uint8Array | undefined): Promise<Uint8Array | undefined>
  finish(spec: JobSpec, total: Uint8Array, state?: Uint8Array | undefined): Promise<Json>
  stop(): Promise<void>
}

export interface FileSize {
  readonly cid: string
  readonly bytes: number
  /** Its leaves. */
  readonly blocks: number
}

/** A file's leaves, in order. */
export interface StoredFile extends FileSize {
  /** Of the block that holds leaf `index`: where it is kept. */
  keyOf(index: number): Key
  read(index: number, options: { signal: AbortSignal }): Promise<Uint8Array>
}

/** The overlay's store, as jobs use it. All reject as `Blocks` and `Files` do. */
export interface JobStore {
  /** Of each block: its owner has one, and the next in its replica group. */
  readonly copies: number
  /** Rejects with `limit` when the file has more than MAX_INPUT_BLOCKS leaves. */
  file(cid: string): Promise<StoredFile>
  get(cid: string, options: { signal: AbortSignal }): Promise<Uint8Array>
  /** Resolves with the CID when it is safe. `output`: it is kept as long as a file, else as long as a job may take. */
  put(bytes: Uint8Array, options: { signal: AbortSignal; output?: boolean }): Promise<string>
  /** Makes a file of leaves that have been put. Resolves with its CID. */
  join(leaves: ReadonlyArray<{ cid: string; bytes: number }>, options: { signal: AbortSignal }): Promise<string>
}
