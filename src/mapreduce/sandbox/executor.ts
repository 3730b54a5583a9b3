/** The executor of jobs whose code came with them: in the sandbox, fetched by its CID where it runs. */
import { Type } from 'typebox'
import { decode, encode } from '../../core/cbor.ts'
import { type Checker, checker } from '../../core/codec.ts'
import { ChoraleError, errorCode, errorMessage } from '../../core/errors.ts'
import { MAX_JOB_TASKS, MAX_KEYED_BYTES, MAX_PARTITIONS, MAX_RESULT_BYTES, MAX_TASK_BLOCKS } from '../../core/limits.ts'
import { BytesSchema, record } from '../../net/message.ts'
import { FAILED_IN, type RunSpec, type TestRun } from '../module-runner.ts'
import type { Executor } from '../ports.ts'
import { fullMask, tasksOfMask } from '../segments.ts'
import { FAN_IN, JobName, type JobSpec, jobIdOf, rootSpec } from '../spec.ts'
import { hear, MAX_LINE_CHARS } from '../task-notes.ts'
import type { Json } from '../types.ts'
import { type AdmissionOptions, type CodeKind, refusalOf, type SandboxState, stateOf } from './admission.ts'
import type { OnNote } from './child.ts'
import { loadPrelude } from './prelude.ts'
import { type CallOptions, inspectMachine, Sandbox, type SandboxOptions } from './sandbox.ts'
import { checkWasm, isWasm } from './wasm-check.ts'

/** What the code of one task, and of anything else, may take. */
const TASK_MS = 120_000
const REST_MS = 30_000
/** Code is at most a block. */
const MAX_CODES = 16

/** Runs of one partition: as many as MAX_KEYED_BYTES may come to, cut in halves. */
const MAX_RUNS = 256

// What comes out of a sandbox is as hostile as what comes from the network.
const ResultBytes = BytesSchema(MAX_RESULT_BYTES)
const KeyedBytes = BytesSchema(MAX_KEYED_BYTES)
const Index = Type.Integer({ minimum: 0, maximum: MAX_JOB_TASKS })
const answers = {
  plan: checker(
    record({
      name: JobName,
      params: Type.Unsafe<{ [name: string]: Json }>(Type.Record(Type.String(), Type.Unknown())),
      tasks: Type.Integer({ minimum: 1, maximum: MAX_JOB_TASKS }),
      input: Type.Optional(
        record({
          as: Type.Union([Type.Literal('bytes'), Type.Literal('lines')]),
          taskBlocks: Type.Integer({ minimum: 1, maximum: MAX_TASK_BLOCKS }),
        }),
      ),
      partitions: Type.Optional(Type.Integer({ minimum: 1, maximum: MAX_PARTITIONS })),
      rounds: Type.Optional(Type.Literal(true)),
    }),
  ),
  run: checker(partialsOf(ResultBytes)),
  runKeyed: checker(partialsOf(KeyedBytes)),
  fold: checker(ResultBytes),
  merge: checker(Type.Array(BytesSchema(MAX_RESULT_BYTES), { maxItems: MAX_RUNS })),
  /** Nothing, or the state. */
  next: checker(Type.Array(ResultBytes, { maxItems: 1 })),
  finish: checker(Type.Unsafe<Json>(Type.Unknown())),
  tests: checker(
    Type.Array(
      record({
        what: Type.String({ maxLength: 200 }),
        params: Type.Unsafe<{ [name: string]: Json }>(Type.Record(Type.String(), Type.Unknown())),
        seed: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
        input: Type.Optional(Type.String()),
      }),
      { maxItems: 100 },
    ),
  ),
}
const notesSchema = checker(
  Type.Union([Type.String({ maxLength: MAX_LINE_CHARS }), Type.Number({ minimum: 0, maximum: 1 })]),
)

function partialsOf(bytes: typeof ResultBytes) {
  return Type.Array(record({ level: Type.Union([Type.Literal(0), Type.Literal(1)]), index: Index, bytes }), {
    maxItems: FAN_IN,
  })
}

export interface SandboxExecutorOptions extends SandboxOptions, AdmissionOptions {
  /** The code of a module, checked against its name. */
  readonly codeOf: (module: string) => Promise<Uint8Array>
  /** What the code of one task may take, ms. */
  readonly taskMs?: number
  /** Was it submitted through this host? Default: every job is its user's own. */
  readonly isOwn?: (spec: JobSpec) => boolean
}

export interface SandboxExecutor extends Executor {
  /** Whose code runs here and how; undefined until `inspect` has found it out. */
  readonly state: SandboxState | undefined
  /** Rejects with `io` when it could not be found out: another time it may be. */
  inspect(): Promise<SandboxState>
  /** The tests that a module has (`JobTest`). */
  tests(module: string): Promise<TestRun[]>
  /** Rejects with `user-code` unless the value is what a test wants. */
  check(module: string, what: string, value: Json, output: string): Promise<void>
}

export function createSandboxExecutor(options: SandboxExecutorOptions): SandboxExecutor {
  const { cores, clock, codeOf, taskMs = TASK_MS, isOwn = () => true } = options
  const codes = new Map<string, Promise<Uint8Array>>()
  const rest = { timeoutMs: Math.min(REST_MS, taskMs) }
  let state: SandboxState | undefined
  let stopped = false

  /** Undefined: this machine cannot run foreign code. */
  const machine = kept(async () => {
    try {
      const found = await inspectMachine(options.level)
      state = stateOf(found, options)
      return found
    } catch (error) {
      if (errorCode(error) !== 'config') throw error
      state = stateOf({ level: 'none', why: errorMessage(error) }, options)
      return undefined
    }
  })

  const sandbox = kept(async () => {
    const found = await machine()
    if (!found) throw new ChoraleError('config', `foreign code cannot be run here: ${state?.why}`)
    return Sandbox.open(options, found)
  })

  async function inspect(): Promise<SandboxState> {
    await machine()
    return state as SandboxState
  }

  async function refusal(spec: JobSpec): Promise<string | undefined> {
    const kind: CodeKind = spec.engine.startsWith('wasm/') ? 'wasm' : 'js'
    const engine = await engineName(kind)
    if (spec.engine !== engine) return `the job is for the engine ${spec.engine}, this host has ${engine}`
    const found = await inspect()
    return refusalOf(found, kind, found.strangers !== 'any' && isOwn(spec)) // which takes a signature to find out
  }

  function code(module: string): Promise<Uint8Array> {
    const known = codes.get(module)
    codes.delete(module)
    const found = known ?? codeOf(module).then(checked)
    codes.set(module, found) // the one used last is at the end
    found.catch(() => codes.get(module) === found && codes.delete(module))
    for (const oldest of codes.keys()) {
      if (codes.size <= MAX_CODES) break
      codes.delete(oldest)
    }
    return found
  }

  async function call(
    module: string,
    job: string,
    name: string,
    input: unknown,
    options: CallOptions,
  ): Promise<Uint8Array> {
    if (stopped) throw new ChoraleError('aborted', 'the host stops')
    const [open, bytes] = await Promise.all([sandbox(), code(module)])
    return open.call(job, bytes, name, encode(input), options)
  }

  async function callFor(spec: JobSpec, name: string, input: unknown, options: CallOptions) {
    const why = await refusal(spec)
    if (why !== undefined) throw new ChoraleError('unsupported', why)
    // A spec that says WebAssembly and names JavaScript would be a way around the refusal.
    if (spec.engine !== (await engineName(kindOf(await code(spec.module))))) {
      throw new ChoraleError('user-code', "the job's code is not what its spec says that it is")
    }
    return call(spec.module, jobOf(spec), name, input, options)
  }

  return {
    cores,
    get state() {
      return state
    },
    inspect,
    // What could not be found out now is found out when it is to be run, which is tried again.
    refusal: (spec) => refusal(spec).catch(() => undefined),
    async plan(module, params, file) {
      const input = { params, ...(file && { file }) }
      const plan = parsed(answers.plan, await call(module, `plan|${module}`, 'plan', input, { ...rest, stacks: true }))
      return { ...plan, engine: await engineName(kindOf(await code(module))) }
    },
    async run({ spec, segment, mask, inputs, state }, { signal, notes }) {
      const before = clock.now()
      const input = { spec: inputOf(spec), segment, mask, ...(inputs && { inputs }), ...(state && { state }) }
      const tasks = tasksOfMask(spec, segment, mask)
      const steps = [...tasks.map((task) => `task ${task}`), 'reduce'].map((step) => `${FAILED_IN}${step}: it`)
      const checks = spec.partitions === undefined ? answers.run : answers.runKeyed
      const onNote: OnNote = (task, said) => {
        const known = tasks.find((one) => one === task)
        if (known === undefined) throw new ChoraleError('bad-message', 'a note of another task')
        hear(notes, known, notesSchema.parse(said))
      }
      const answer = parsed(checks, await callFor(spec, 'run', input, { timeoutMs: taskMs, steps, signal, onNote }))
      const whole = mask === fullMask(spec, 1, segment)
      const wanted = whole ? [segment] : tasks
      const partials = answer.map(({ index, bytes }) => ({ level: whole ? (1 as const) : (0 as const), index, bytes }))
      if (partials.map(({ index }) => index).join() !== wanted.join()) {
        throw new ChoraleError('user-code', "the job's process gave results that it was not asked for")
      }
      return { partials, tookMs: clock.now() - before }
    },
    async fold(spec, partials) {
      return parsed(answers.fold, await callFor(spec, 'fold', { spec: inputOf(spec), partials }, rest))
    },
    async merge(spec, runs) {
      return parsed(answers.merge, await callFor(spec, 'merge', { spec: inputOf(spec), runs }, { timeoutMs: taskMs }))
    },
    async next(spec, total, state) {
      const input = { spec: inputOf(spec), total, ...(state && { state }) }
      return parsed(answers.next, await callFor(spec, 'next', input, rest))[0]
    },
    async finish(spec, total, state) {
      const input = { spec: inputOf(spec), total, ...(state && { state }) }
      return parsed(answers.finish, await callFor(spec, 'finish', input, rest))
    },
    async tests(module) {
      return parsed(answers.tests, await call(module, `plan|${module}`, 'tests', null, { ...rest, stacks: true }))
    },
    async check(module, what, value, output) {
      await call(module, `plan|${module}`, 'check', { what, value, output }, { ...rest, stacks: true })
    },
    async stop() {
      stopped = true
      await (await sandbox.made()?.catch(() => undefined))?.stop()
    },
  }
}

/** Made at the first call, and again after a failure: another time it may be possible. `made`: without making it. */
function kept<T>(make: () => Promise<T>): (() => Promise<T>) & { made(): Promise<T> | undefined } {
  let made: Promise<T> | undefined
  const get = () => {
    made ??= make().catch((error: unknown) => {
      made = undefined
      throw error
    })
    return made
  }
  return Object.assign(get, { made: () => made })
}

/** An answer that is none is the fault of the code, which may own the process. */
function parsed<T>(answer: Checker<T>, bytes: Uint8Array): T {
  try {
    return answer.parse(decode(bytes))
  } catch (error) {
    const why = `the job's code gave what cannot be used: ${errorMessage(error)}`
    throw new ChoraleError('user-code', why, { cause: error })
  }
}

/** A job in WebAssembly may have less in it than the engine would take. */
function checked(code: Uint8Array): Uint8Array {
  if (isWasm(code)) checkWasm(code)
  return code
}

function kindOf(code: Uint8Array): CodeKind {
  return isWasm(code) ? 'wasm' : 'js'
}

/**
 * V8 decides what code means, and the prelude what it has: both are part of every job. And which kind of code it is, for
 * some hosts take only one.
 */
export async function engineName(kind: CodeKind): Promise<string> {
  const { digest } = await loadPrelude()
  return `${kind}/v8-${process.versions.v8.split('.').slice(0, 2).join('.')}/${digest}`
}

/** Two jobs never share a process, though their code be the same. */
function jobOf(spec: JobSpec): string {
  return jobIdOf(encode(rootSpec(spec)))
}

/** What the code may know of its job. */
function inputOf({ seed, params, tasks, fanIn, leaf, partitions, input, stage }: JobSpec): RunSpec {
  return {
    ...{ seed, params, tasks, fanIn, leaf },
    ...(partitions && { partitions }),
    ...(input && { input: { as: input.as } }),
    ...(stage && { stage: { number: stage.number, ...(stage.reduce && { reduce: true }) } }),
  }
}
