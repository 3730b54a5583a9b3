/**
 * What a job is, as users and other layers see it. Shapes that travel have their schemas beside the messages.
 */

export const JOB_STATES = ['waiting', 'scheduled', 'running', 'succeeded', 'failed', 'cancelled'] as const
export type JobState = (typeof JOB_STATES)[number]

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json }

/** What a user asks for. */
export interface JobRequest {
  /** `builtin:pi`, or the CID of a module's code. */
  readonly module: string
  readonly params: { readonly [name: string]: Json }
  /** All randomness of the job derives from it and the task number. */
  readonly seed: number
}

/** A job as one node knows it. */
export interface JobView {
  /** CID of the spec. */
  readonly id: string
  readonly module: string
  /** What the job's code calls itself. */
  readonly name: string
  readonly params: { readonly [name: string]: Json }
  readonly seed: number
  /** Peer id of the submitter. */
  readonly submitter: string
  readonly state: JobState
  /** Why it is in that state, for people. */
  readonly reason: string
  readonly tasks: {
    readonly total: number
    readonly done: number
    /** Given to another host because the first one died, fell silent or gave them back; not those that were only late. */
    readonly reassigned: number
  }
  /** Hosts that have done work for it. */
  readonly workers: number
  /** `finish` over what is folded so far; while the job runs only. */
  readonly estimate?: Json
  /** `finish` over everything; once it has succeeded. */
  readonly value?: Json
  readonly submittedAtMs: number
  readonly finishedAtMs?: number
}

export interface MapContext<Params> {
  readonly params: Params
  /** Of the job. */
  readonly seed: number
  /** Uniform in [0, 1), 32 random bits: a stream of its own for each task. */
  random(): number
}

/**
 * A job's code. Pure: a result is a function of (params, seed, task), never of host or attempt. Values are what dag-cbor
 * can hold.
 */
export interface JobModule<Params extends { [name: string]: Json } = { [name: string]: Json }, Partial = unknown> {
  readonly name: string
  /** Checks the user's parameters (throws ChoraleError `usage` with the remedy) and says how many tasks there are. */
  plan(params: { readonly [name: string]: Json }): { params: Params; tasks: number }
  map(task: number, context: MapContext<Params>): Partial
  /** Associative. Called in the order of task numbers: left before right. */
  reduce(left: Partial, right: Partial): Partial
  finish(total: Partial, context: { readonly params: Params }): Json
}

/** The part of a node that people submit jobs to. */
export interface Jobs {
  submit(request: JobRequest, options?: { signal?: AbortSignal }): Promise<JobView>
  /** Jobs that this node submitted, works on or keeps records of, newest first. */
  list(): Promise<JobView[]>
  /** From anywhere in the network; undefined when nobody knows it. */
  show(id: string, options?: { signal?: AbortSignal }): Promise<JobView | undefined>
  /** The view now and at every change, until a terminal state. Leaving the loop stops the watch, not the job. */
  watch(id: string, options?: { signal?: AbortSignal }): AsyncIterable<JobView>
  cancel(id: string): Promise<JobView>
}
