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
  /** CID of a file in the store whose blocks are the tasks, for jobs that want one. */
  readonly input?: string | undefined
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
  /** CID of the file that it works on. */
  readonly input?: string
  /** Of a job of several rounds: the one that it is in, from 0 on. */
  readonly round?: number
  /** Peer id of the submitter. */
  readonly submitter: string
  readonly state: JobState
  /** Why it is in that state, for people. */
  readonly reason: string
  readonly tasks: {
    /** Of all rounds so far. */
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

/** What a task is given of a stored file: the bytes of its blocks, or the text of the lines that begin in them. */
export type InputKind = 'bytes' | 'lines'

export interface MapContext<Params> {
  readonly params: Params
  /** Of the job. */
  readonly seed: number
  /** The task's part of the input, if the job has one: a Uint8Array, or text, whole lines each with its line end. */
  readonly input: unknown
  /** 0 in the first round. */
  readonly round: number
  /** What `next` gave for this round; null in the first. */
  readonly state: Json
  /** Uniform in [0, 1), 32 random bits: a stream of its own for each task. */
  random(): number
  /** Of keyed jobs. */
  emit(key: string, value: Json): void
}

export interface FinishContext<Params> {
  readonly params: Params
  /** Of the round whose total it is. */
  readonly round: number
  readonly state: Json
}

/** What a job wants besides tasks. */
export interface JobShape {
  readonly input?: { readonly as: InputKind; readonly taskBlocks: number } | undefined
  readonly partitions?: number | undefined
  readonly rounds?: true | undefined
}

/** What `map` emits is kept by key (DESIGN 7). */
export interface KeyedModule {
  /** 0 to `partitions` - 1. */
  partition(key: string, partitions: number, params: { readonly [name: string]: Json }): number
  /** Two values of one key as one, of earlier tasks before those of later ones. */
  combine(left: Json, right: Json): Json
  /** What the output says of a key. */
  write(key: string, value: Json): string
}

/**
 * A job's code. Pure: a result is a function of (params, input, seed, task), never of host or attempt. Values are what
 * dag-cbor can hold.
 */
export interface JobModule<Params extends { [name: string]: Json } = { [name: string]: Json }, Partial = unknown> {
  readonly name: string
  /**
   * Checks the user's parameters (throws ChoraleError `usage` with the remedy) and says how many tasks there are.
   * `input`: the file that was given.
   */
  plan(
    params: { readonly [name: string]: Json },
    input?: { readonly bytes: number; readonly blocks: number },
  ): { params: Params; tasks: number } & JobShape
  map(task: number, context: MapContext<Params>): Partial
  /** Associative. Called in the order of task numbers: left before right. */
  reduce(left: Partial, right: Partial): Partial
  finish(total: Partial, context: FinishContext<Params>): Json
  /** The state of the next round; undefined: this was the last. */
  next?(total: Partial, context: FinishContext<Params>): Json | undefined
  readonly keyed?: KeyedModule
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
