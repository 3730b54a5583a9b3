/**
 * Runs the functions of a job's module on encoded partials: what an executor does, whatever thread it does it on.
 * Every partial goes through its encoding before it is folded, so that a fold gives the same bytes wherever it is done.
 */
import { decode } from '../core/cbor.ts'
import { ChoraleError, errorMessage } from '../core/errors.ts'
import { MAX_RESULT_BYTES } from '../core/limits.ts'
import { emitted, merged, written } from './pairs.ts'
import type { RunNotes, RunResult, TaskRun } from './ports.ts'
import { fullMask, tasksOfMask } from './segments.ts'
import type { JobSpec } from './spec.ts'
import { TaskNotes } from './task-notes.ts'
import { NO_TASK, nextRandom, reseed } from './task-random.ts'
import type { FinishContext, JobModule, Json, KeyedModule } from './types.ts'
import { encodeValue } from './values.ts'

/** What of a spec the code of its job may depend on. */
export interface RunSpec extends Pick<JobSpec, 'seed' | 'params' | 'tasks' | 'fanIn' | 'leaf' | 'partitions'> {
  readonly input?: { readonly as: 'bytes' | 'lines' } | undefined
  readonly stage?: { readonly number: number; readonly reduce?: true | undefined } | undefined
}

export interface TestRun {
  readonly what: string
  readonly params: JobSpec['params']
  readonly seed: number
  readonly input?: string
}

type Given = Pick<TaskRun, 'inputs' | 'state'>
type Context = FinishContext<JobSpec['params']>

const text = new TextDecoder('utf-8', { ignoreBOM: true })

/** How the message of a failure in `map` and in `reduce` begins: it is a text that comes out of threads and sandboxes. */
export const FAILED_IN = "the job's code failed in "
export const FAILED_IN_REDUCE = `${FAILED_IN}reduce`

/** The task that such a message names. */
export function failedTask(message: string): number | undefined {
  const task = message.startsWith(FAILED_IN) && /^task (\d{1,8}):/.exec(message.slice(FAILED_IN.length))?.[1]
  return task ? Number(task) : undefined
}

/** Is it the default export of a module of jobs? */
export function isJobModule(value: unknown): value is JobModule {
  const functions = ['plan', 'map', 'reduce', 'finish'] as const
  return (
    typeof value === 'object' &&
    value !== null &&
    functions.every((name) => typeof (value as Record<string, unknown>)[name] === 'function')
  )
}

/**
 * The tasks of a mask in a level-1 segment: one partial for the whole segment, else one for each task. `onStep` is called
 * before each task, and before they are folded.
 */
export function runTasks(
  module: JobModule,
  spec: RunSpec,
  segment: number,
  mask: number,
  given: Given = {},
  notes?: RunNotes,
  onStep: () => void = () => {},
): RunResult['partials'] {
  const said = new TaskNotes(notes)
  const partials = tasksOfMask(spec, segment, mask).map((index, i) => {
    reseed(spec.seed, index)
    said.begin(index)
    onStep()
    try {
      const bytes = userCode(`task ${index}`, () => runTask(module, spec, index, given.inputs?.[i], given.state, said))
      return { level: 0 as const, index, bytes }
    } finally {
      said.end()
    }
  })
  if (mask !== fullMask(spec, 1, segment)) return partials
  const [first] = partials
  if (spec.leaf === 1 && first) return [{ level: 1, index: segment, bytes: first.bytes }]
  onStep()
  const bytes = foldPartials(
    module,
    spec,
    partials.map((partial) => partial.bytes),
  )
  return [{ level: 1, index: segment, bytes }]
}

function runTask(
  module: JobModule,
  spec: RunSpec,
  task: number,
  input: Uint8Array | undefined,
  state: Uint8Array | undefined,
  { log, progress }: TaskNotes,
): Uint8Array {
  const { keyed } = module
  if (spec.stage?.reduce) {
    if (!keyed) throw new Error('the job is not keyed')
    return written(keyed, decode(input as Uint8Array) as Uint8Array[])
  }
  const context = {
    ...contextOf(spec, state),
    seed: spec.seed,
    random: nextRandom,
    input: input && spec.input?.as === 'lines' ? text.decode(input) : input,
    log,
    progress,
  }
  if (spec.partitions === undefined) {
    const emit = () => {
      throw new Error('emit is for jobs made by defineKeyedJob')
    }
    return encodePartial(module.map(task, Object.freeze({ ...context, emit })))
  }
  if (!keyed) throw new Error('the job is not keyed')
  return emitted(keyed, spec.partitions, context.params, (emit) =>
    module.map(task, Object.freeze({ ...context, emit })),
  )
}

/** Left to right. */
export function foldPartials(module: JobModule, spec: RunSpec, partials: readonly Uint8Array[]): Uint8Array {
  reseed(spec.seed, NO_TASK)
  return userCode('reduce', () => {
    let total = decode(partials[0] as Uint8Array)
    for (const partial of partials.slice(1)) total = module.reduce(total, decode(partial))
    return encodePartial(total)
  })
}

export function finishJob(module: JobModule, spec: RunSpec, total: Uint8Array, state?: Uint8Array): Json {
  reseed(spec.seed, NO_TASK)
  return userCode('finish', () => {
    const value = module.finish(decode(total), Object.freeze(contextOf(spec, state)))
    encodeValue(value) // tells what is wrong with it
    return value
  })
}

/** Of a keyed job: pairs of several runs, in the order of tasks, as few. */
export function mergeRuns(module: JobModule, spec: RunSpec, runs: readonly Uint8Array[]): Uint8Array[] {
  reseed(spec.seed, NO_TASK)
  return userCode('combine', () => merged(module.keyed as KeyedModule, runs))
}

/** The state of the next round; undefined: there is none. */
export function nextRound(
  module: JobModule,
  spec: RunSpec,
  total: Uint8Array,
  state: Uint8Array | undefined,
): Uint8Array | undefined {
  reseed(spec.seed, NO_TASK)
  return userCode('next', () => {
    const next = module.next?.(decode(total), Object.freeze(contextOf(spec, state)))
    return next === undefined ? undefined : encodePartial(next)
  })
}

/** Tests of a job, without what checks them. */
export function testsOf({ tests = {} }: JobModule): TestRun[] {
  return Object.entries(tests).map(([what, { params = {}, seed = 42, input }]) => {
    return { what, params, seed, ...(input !== undefined && { input }) }
  })
}

/** Throws unless the value is what the test wants. */
export function checkTest({ tests = {} }: JobModule, what: string, value: Json, output: string): void {
  userCode(`the test ${JSON.stringify(what)}`, () => {
    if (tests[what]?.check(value, output) === false) throw new Error('check gave false')
  })
}

/** What one task changes no other may see, for who runs which task is no part of a job. */
function contextOf(spec: RunSpec, state: Uint8Array | undefined): Context {
  return {
    params: frozen(spec.params),
    round: spec.stage?.number ?? 0,
    state: state ? frozen(decode(state) as Json) : null,
  }
}

function frozen<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !ArrayBuffer.isView(value)) {
    for (const inner of Object.values(value)) frozen(inner)
    Object.freeze(value)
  }
  return value
}

function encodePartial(value: unknown): Uint8Array {
  const bytes = encodeValue(value)
  if (bytes.length > MAX_RESULT_BYTES) {
    throw new ChoraleError(
      'limit',
      `a result has ${bytes.length} bytes, the most is ${MAX_RESULT_BYTES}: reduce it further in map`,
    )
  }
  return bytes
}

function userCode<T>(where: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw new ChoraleError('user-code', `${FAILED_IN}${where}: ${errorMessage(error)}`, { cause: error })
  }
}
