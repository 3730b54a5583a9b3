/**
 * What jobs need from the outside and `node.ts` fills: somebody who runs code, and a key to sign with.
 */
import type { JobSpec } from './spec.ts'
import type { Json } from './types.ts'

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

/** Some tasks of one level-1 segment, for one core. */
export interface TaskRun {
  readonly spec: JobSpec
  /** Index of the level-1 segment. */
  readonly segment: number
  /** Bit i: task `segment * fanIn + i`. */
  readonly mask: number
}

/** What a run brings: the whole segment's partial when all of it was run, else one partial per task. */
export interface RunResult {
  readonly partials: ReadonlyArray<{ readonly level: 0 | 1; readonly index: number; readonly bytes: Uint8Array }>
  /** Milliseconds that the run took on its core. */
  readonly tookMs: number
}

/** What a job comes to: its parameters, checked and with their defaults, and how many tasks it has. */
export interface JobPlan {
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
 * the parameters do not fit it; with `unsupported` when the job is for another engine.
 */
export interface Executor {
  /** Cores that are lent: so many runs may be under way at once. */
  readonly cores: number
  plan(module: string, params: { readonly [name: string]: Json }): Promise<JobPlan>
  run(run: TaskRun, options: { signal: AbortSignal }): Promise<RunResult>
  /** Folds partials in the order given. */
  fold(spec: JobSpec, partials: readonly Uint8Array[]): Promise<Uint8Array>
  finish(spec: JobSpec, total: Uint8Array): Promise<Json>
  stop(): Promise<void>
}
