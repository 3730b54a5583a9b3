/**
 * What a job is, as users and other layers see it. Shapes that travel have their schemas beside the messages.
 */

import type { JobPlan } from './ports.ts'
import type { JobSpec } from './spec.ts'

export type { JobSpec }

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
  /** Its tasks are done by contracted hosts only (`Admission`). */
  readonly paid?: true | undefined
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
    /** In queues, and given to hosts: what the coordinator has heard, while it runs. */
    readonly queued?: number
    readonly running?: number
    /** What those say is done of them, in tasks: 1.5. */
    readonly partly?: number
  }
  /** Hosts that have done work for it. */
  readonly workers: number
  /** Which of them did how many tasks, as far as that is known: 32 bits of the hash of the peer id (tally.ts), tasks. */
  readonly doneBy?: ReadonlyArray<readonly [host: number, tasks: number]>
  /** `finish` over what is folded so far; while the job runs only. */
  readonly estimate?: Json
  /** `finish` over everything; once it has succeeded. */
  readonly value?: Json
  /** SHA-256 of all partials, folded; once it has succeeded. */
  readonly digest?: string
  /** Why it failed: what its code did, where, and the last lines of the task's log. */
  readonly failure?: JobFailure
  /** The first few cases of two different results for one thing. */
  readonly alarms?: readonly JobAlarm[]
  /** Hosts that have its tasks in their queues, or gave them out; asked when nothing comes of it for a while. */
  readonly hosts?: readonly JobHost[]
  readonly submittedAtMs: number
  readonly finishedAtMs?: number
}

export interface JobFailure {
  readonly phase: 'map' | 'reduce' | 'finish'
  /** If it is known which one it was; of the round that the job was in, or a partition of a keyed job. */
  readonly task?: number
  /** Peer id. */
  readonly host: string
  readonly message: string
  readonly log: readonly string[]
}

export interface JobAlarm {
  /** The tasks [first, end) that it is about. */
  readonly tasks: { readonly first: number; readonly end: number }
  /** Two different results: SHA-256, and the peer id of who brought it, as far as they are known. */
  readonly attempts: ReadonlyArray<{ readonly digest?: string; readonly host?: string }>
}

export interface JobHost {
  /** Peer id. */
  readonly peer: string
  readonly cores: number
  readonly queued: number
  readonly running: number
}

/** A line that a task logged. */
export interface JobLogLine {
  /** Of all lines of the job, as its coordinator got them; a gap is lines that were not kept. */
  readonly seq: number
  readonly task: number
  /** Peer id of the host that ran the task. */
  readonly host: string
  readonly text: string
  readonly atMs: number
}

/** A job that has not been submitted, and what it comes to. */
export interface PlannedJob {
  readonly request: JobRequest
  readonly plan: JobPlan
}

/** Where the tasks of a job would go. */
export interface JobPlacement {
  /** Tasks that are kept in one place until they are done, and how many such places were looked up. */
  readonly segments: number
  readonly sampled: number
  /** By the places that were looked up, most tasks first. */
  readonly hosts: ReadonlyArray<{ readonly peer: string; readonly address: string; readonly tasks: number }>
  /** Of hosts that answered when they were asked. */
  readonly lending: { readonly asked: number; readonly hosts: number; readonly cores: number; readonly busy: number }
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
  /**
   * A line of the task's log (`chorale job logs`), no part of its result. Strings as they are, else as JSON; of a task
   * the first 12 lines and the last 8 are kept, 400 characters each and 2,000 in all.
   */
  log(...values: unknown[]): void
  /** How much of this task is done, 0 to 1: worth saying in tasks that take a minute. */
  progress(share: number): void
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

/** A whole run of a job on one machine, and what its value must be. */
export interface JobTest {
  readonly params?: { readonly [name: string]: Json }
  readonly seed?: number
  /** What it works on: a text. */
  readonly input?: string
  /**
   * False, or an error thrown: the job is wrong. `output`: of a keyed job, what it has written.
   */
  // biome-ignore lint/suspicious/noExplicitAny: the value is what this very job's finish gives
  check(value: any, output: string): boolean | undefined
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
  /** By what they show. */
  readonly tests?: { readonly [what: string]: JobTest }
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
  /** What the network knows of how a job is to be done; undefined when nobody knows it. */
  spec(id: string, options?: { signal?: AbortSignal }): Promise<JobSpec | undefined>
  /** Was it submitted through this node, and its code so the user's own? False when nobody knows it. */
  isOwn(id: string, options?: { signal?: AbortSignal }): Promise<boolean>
  /**
   * The same once more, submitted by this node: of any submitter, if it failed or was cancelled. Code of others stays that
   * of others, which not every host runs. `asOwn`: it is this user's from now on, and this node runs it as such.
   */
  retry(id: string, options?: { signal?: AbortSignal; asOwn?: boolean }): Promise<JobView>
  /**
   * The last lines that the tasks of a job have logged, oldest first, and with `follow` what comes until its end. A new
   * coordinator of a job begins anew, with `seq` too.
   */
  logs(
    id: string,
    options?: { task?: number | undefined; follow?: boolean; signal?: AbortSignal },
  ): AsyncIterable<JobLogLine>
  /** Where the tasks of a job like this would go now; submits nothing. */
  place(plan: PlannedJob, options?: { signal?: AbortSignal }): Promise<JobPlacement>
}
