/**
 * How people write a job: a module whose default export is `defineJob({ ... })` or `defineKeyedJob({ ... })`. It runs
 * where no clock, network, file or locale is, and gives the same bytes everywhere.
 */
import { ChoraleError } from '../core/errors.ts'
import { MAX_JOB_TASKS, MAX_PARTITIONS, MAX_TASK_BLOCKS } from '../core/limits.ts'
import { type ParamSpec, paramsOf } from './params.ts'
import type { FinishContext, InputKind, JobModule, JobTest, Json, MapContext } from './types.ts'

export type { ParamSpec } from './params.ts'
export type { Json } from './types.ts'

export type ParamsOf<S> = {
  -readonly [N in keyof S]: S[N] extends typeof String | string
    ? string
    : S[N] extends typeof Number | number
      ? number
      : S[N] extends typeof Boolean | boolean
        ? boolean
        : never
}

type InputOf<I> = I extends 'lines' ? string : I extends 'bytes' ? Uint8Array : undefined

export type TaskContext<S, I, State = Json> = Omit<MapContext<ParamsOf<S>>, 'emit' | 'input' | 'state'> & {
  /** The task's part of the input: bytes, or text: whole lines, each with its line end. */
  readonly input: InputOf<I>
  /** What `next` gave for this round; null in the first. */
  readonly state: State | null
}

export type RoundContext<S, State> = Omit<FinishContext<ParamsOf<S>>, 'state'> & {
  /** Of the round whose total it is; null in the first. */
  readonly state: State | null
}

/** Of the input. */
interface FileBytes {
  readonly bytes: number
  /** Of 256 KiB, unless it was added with --lines. */
  readonly blocks: number
}

interface Tasks<S extends { [name: string]: ParamSpec }, I extends InputKind | undefined> {
  /** For people: 1 to 64 characters. */
  readonly name: string
  readonly params?: S
  /** How many tasks there are, 1 to 2^22. May throw an Error that tells what is wrong with the parameters. */
  split?(params: ParamsOf<S>): number
  /**
   * Instead of `split`: the tasks are the blocks of a stored file. `bytes`: as they are, 256 KiB each; `lines`: the lines
   * that begin in them.
   */
  readonly input?: I
  /** `chorale job check` runs them: by what they show. */
  readonly tests?: { readonly [what: string]: JobTest }
  /** Neighbouring blocks that make one task, 1 to 32. Default 1. */
  readonly taskBlocks?: number | ((params: ParamsOf<S>, input: FileBytes) => number)
}

export interface JobDefinition<
  S extends { [name: string]: ParamSpec },
  Partial,
  I extends InputKind | undefined,
  State extends Json,
> extends Tasks<S, I> {
  /**
   * One task: 0 to the number of tasks - 1. A result is what JSON can hold, and Uint8Array, up to 512 KiB; no NaN or
   * Infinity. `Math.random` is the context's `random`.
   */
  map(task: number, context: TaskContext<S, I, State>): Partial
  /** Two neighbouring results as one, left before right. It must not matter which neighbours come together first. */
  reduce(left: Partial, right: Partial): Partial
  /**
   * For jobs of several rounds: what every task of the next round is given as `state`, or undefined when this round was
   * the last.
   */
  next?(total: Partial, context: RoundContext<S, State>): State | undefined
  /** What is shown as the job's value. Default: the total itself. */
  finish?(total: Partial, context: RoundContext<S, State>): Json
}

export function defineJob<
  const S extends { [name: string]: ParamSpec },
  Partial,
  const I extends InputKind | undefined = undefined,
  State extends Json = Json,
>(job: JobDefinition<S, Partial, I, State>): JobModule<ParamsOf<S> & { [name: string]: Json }, Partial> {
  type Params = ParamsOf<S> & { [name: string]: Json }
  const next = job.next?.bind(job)
  return {
    name: job.name,
    plan: (given, input) => ({
      ...(planOf(job, given, input) as { params: Params; tasks: number }),
      ...(next && { rounds: true as const }),
    }),
    map: (task, context) => job.map(task, context as never),
    reduce: (left, right) => job.reduce(left, right),
    finish: (total, context) => (job.finish ? job.finish(total, context as never) : (total as Json)),
    ...(next && { next: (total, context) => next(total, context as never) }),
    ...(job.tests && { tests: job.tests }),
  }
}

/** The file that a keyed job has made. */
export interface KeyedOutput {
  /** Its CID: what `write` gave, in the order of partitions, and of keys within each. */
  readonly output: string
  readonly bytes: number
  readonly keys: number
}

export interface KeyedDefinition<
  S extends { [name: string]: ParamSpec },
  Value extends Json,
  I extends InputKind | undefined,
> extends Tasks<S, I> {
  /** Parts of the output, each made by one host: 1 to 1024. Default 8. What one part holds may have 16 MiB. */
  readonly partitions?: number | ((params: ParamsOf<S>, input: FileBytes) => number)
  /** The part that a key belongs to. Default: by a hash of the key. */
  partition?(key: string, partitions: number, params: ParamsOf<S>): number
  /** One task: emits pairs of a key and a value. */
  map(task: number, context: TaskContext<S, I> & { emit(key: string, value: Value): void }): void
  /** Two values of one key as one, earlier before later. It must not matter which neighbours come together first. */
  combine(left: Value, right: Value): Value
  /** What the output says of a key. Default: the key, a tab, the value as JSON, and a line end. */
  write?(key: string, value: Value): string
  /** What is shown as the job's value. Default: the output. */
  finish?(output: KeyedOutput, context: { readonly params: ParamsOf<S> }): Json
}

const DEFAULT_PARTITIONS = 8

/** A job whose results are kept by key: its output is a file, sorted by key within each of its parts. */
export function defineKeyedJob<
  const S extends { [name: string]: ParamSpec },
  Value extends Json,
  const I extends InputKind | undefined = undefined,
>(job: KeyedDefinition<S, Value, I>): JobModule<ParamsOf<S> & { [name: string]: Json }, KeyedOutput> {
  type Params = ParamsOf<S> & { [name: string]: Json }
  return {
    name: job.name,
    plan(given, input) {
      const plan = planOf(job, given, input)
      const { partitions: wanted = DEFAULT_PARTITIONS } = job
      const params = plan.params as Params
      const partitions =
        typeof wanted === 'number' ? wanted : asUsage(() => wanted(params, input ?? { bytes: 0, blocks: 0 }))
      requireCount('partitions', partitions, MAX_PARTITIONS)
      return { ...plan, params, partitions }
    },
    map: (task, context) => job.map(task, context as never) as never,
    reduce: (left) => left, // of no use: pairs are combined by key
    ...(job.tests && { tests: job.tests }),
    finish: (output, { params }) => (job.finish ? job.finish(output, { params }) : { ...output }),
    keyed: {
      partition: (key, partitions, params) =>
        job.partition ? job.partition(key, partitions, params as Params) : hashOf(key) % partitions,
      combine: (left, right) => job.combine(left as Value, right as Value),
      write: (key, value) => (job.write ? job.write(key, value as Value) : `${key}\t${JSON.stringify(value)}\n`),
    },
  }
}

/** FNV-1a over UTF-16 units. */
function hashOf(key: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193)
  return (hash ^ (hash >>> 15)) >>> 0
}

function planOf<S extends { [name: string]: ParamSpec }>(
  job: Tasks<S, InputKind | undefined>,
  given: { readonly [name: string]: Json },
  input: { readonly bytes: number; readonly blocks: number } | undefined,
) {
  const params = paramsOf(job.name, job.params ?? {}, given)
  const { input: as, taskBlocks: wanted = 1 } = job
  if (as) {
    if (!input) throw new ChoraleError('usage', `${job.name} works on a file: name it with --input`)
    const taskBlocks = typeof wanted === 'number' ? wanted : asUsage(() => wanted(params as ParamsOf<S>, input))
    requireCount('taskBlocks', taskBlocks, MAX_TASK_BLOCKS)
    return { params, tasks: Math.ceil(input.blocks / taskBlocks), input: { as, taskBlocks } }
  }
  if (input) throw new ChoraleError('usage', `${job.name} takes no --input`)
  if (!job.split) throw new ChoraleError('user-code', 'a job must have split or input, to say what its tasks are')
  const tasks = asUsage(() => job.split!(params as ParamsOf<S>))
  requireCount('tasks', tasks, MAX_JOB_TASKS)
  return { params, tasks }
}

function asUsage<T>(work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw new ChoraleError('usage', error instanceof Error ? error.message : String(error), { cause: error })
  }
}

function requireCount(what: string, count: unknown, most: number): void {
  if (typeof count === 'number' && Number.isInteger(count) && count >= 1 && count <= most) return
  const who = what === 'tasks' ? 'split must give a whole number of tasks' : `${what} must be a whole number`
  throw new ChoraleError('usage', `${who} from 1 to ${most}, not ${String(count)}`)
}
