/** The executor of jobs whose code came with them: in the sandbox, fetched by its CID where it runs. */
import { Type } from 'typebox'
import { decode, encode } from '../../core/cbor.ts'
import { type Checker, checker } from '../../core/codec.ts'
import { ChoraleError, errorMessage } from '../../core/errors.ts'
import { MAX_JOB_TASKS, MAX_KEYED_BYTES, MAX_PARTITIONS, MAX_RESULT_BYTES, MAX_TASK_BLOCKS } from '../../core/limits.ts'
import { BytesSchema, record } from '../../net/message.ts'
import type { RunSpec } from '../module-runner.ts'
import type { Executor } from '../ports.ts'
import { countBits, fullMask, tasksOfMask } from '../segments.ts'
import { FAN_IN, JobName, type JobSpec } from '../spec.ts'
import { hear, MAX_LINE_CHARS } from '../task-notes.ts'
import type { Json } from '../types.ts'
import type { OnNote } from './child.ts'
import { loadPrelude } from './prelude.ts'
import { Sandbox, type SandboxOptions, type SandboxState } from './sandbox.ts'
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
}
const notesSchema = checker(
  Type.Union([Type.String({ maxLength: MAX_LINE_CHARS }), Type.Number({ minimum: 0, maximum: 1 })]),
)

function partialsOf(bytes: typeof ResultBytes) {
  return Type.Array(record({ level: Type.Union([Type.Literal(0), Type.Literal(1)]), index: Index, bytes }), {
    maxItems: FAN_IN,
  })
}

export interface SandboxExecutorOptions extends SandboxOptions {
  /** The code of a module, checked against its name. */
  readonly codeOf: (module: string) => Promise<Uint8Array>
  /** What the code of one task may take, ms. */
  readonly taskMs?: number
}

export interface SandboxExecutor extends Executor {
  /** Undefined as long as no foreign code has been run. */
  readonly state: SandboxState | undefined
}

export function createSandboxExecutor(options: SandboxExecutorOptions): SandboxExecutor {
  const { cores, clock, codeOf, taskMs = TASK_MS } = options
  const codes = new Map<string, Promise<Uint8Array>>()
  let opening: Promise<Sandbox> | undefined
  let open: Sandbox | undefined
  let stopped = false

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
    timeoutMs: number,
    signal?: AbortSignal,
    onNote?: OnNote,
  ): Promise<Uint8Array> {
    if (stopped) throw new ChoraleError('aborted', 'the host stops')
    opening ??= Sandbox.open(options).catch((error: unknown) => {
      opening = undefined // another time it may be possible
      throw error
    })
    const [sandbox, bytes] = await Promise.all([opening, code(module)])
    open = sandbox
    return sandbox.call(job, bytes, name, encode(input), { timeoutMs, signal, onNote })
  }

  async function callFor(
    spec: JobSpec,
    name: string,
    input: unknown,
    timeoutMs: number,
    signal?: AbortSignal,
    onNote?: OnNote,
  ) {
    const engine = await engineName()
    if (spec.engine !== engine) {
      throw new ChoraleError('unsupported', `the job is for the engine ${spec.engine}, this host has ${engine}`)
    }
    return call(spec.module, jobOf(spec), name, input, timeoutMs, signal, onNote)
  }

  return {
    cores,
    get state() {
      return open?.state
    },
    async plan(module, params, file) {
      const input = { params, ...(file && { file }) }
      const plan = parsed(answers.plan, await call(module, `plan|${module}`, 'plan', input, Math.min(REST_MS, taskMs)))
      return { ...plan, engine: await engineName() }
    },
    async run({ spec, segment, mask, inputs, state }, { signal, notes }) {
      const before = clock.now()
      const input = { spec: inputOf(spec), segment, mask, ...(inputs && { inputs }), ...(state && { state }) }
      const timeoutMs = taskMs * countBits(mask)
      const checks = spec.partitions === undefined ? answers.run : answers.runKeyed
      const tasks = tasksOfMask(spec, segment, mask)
      const onNote: OnNote = (task, said) => {
        const known = tasks.find((one) => one === task)
        if (known === undefined) throw new ChoraleError('bad-message', 'a note of another task')
        hear(notes, known, notesSchema.parse(said))
      }
      const answer = parsed(checks, await callFor(spec, 'run', input, timeoutMs, signal, onNote))
      const whole = mask === fullMask(spec, 1, segment)
      const wanted = whole ? [segment] : tasks
      const partials = answer.map(({ index, bytes }) => ({ level: whole ? (1 as const) : (0 as const), index, bytes }))
      if (partials.map(({ index }) => index).join() !== wanted.join()) {
        throw new ChoraleError('user-code', "the job's process gave results that it was not asked for")
      }
      return { partials, tookMs: clock.now() - before }
    },
    async fold(spec, partials) {
      return parsed(
        answers.fold,
        await callFor(spec, 'fold', { spec: inputOf(spec), partials }, Math.min(REST_MS, taskMs)),
      )
    },
    async merge(spec, runs) {
      return parsed(answers.merge, await callFor(spec, 'merge', { spec: inputOf(spec), runs }, taskMs))
    },
    async next(spec, total, state) {
      const input = { spec: inputOf(spec), total, ...(state && { state }) }
      return parsed(answers.next, await callFor(spec, 'next', input, Math.min(REST_MS, taskMs)))[0]
    },
    async finish(spec, total, state) {
      const input = { spec: inputOf(spec), total, ...(state && { state }) }
      return parsed(answers.finish, await callFor(spec, 'finish', input, Math.min(REST_MS, taskMs)))
    },
    async stop() {
      stopped = true
      await (await opening?.catch(() => undefined))?.stop()
    },
  }
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

/** V8 decides what code means, and the prelude what it has: both are part of every job. */
export async function engineName(): Promise<string> {
  const { digest } = await loadPrelude()
  return `v8-${process.versions.v8.split('.').slice(0, 2).join('.')}/${digest}`
}

/** Two jobs never share a process, though their code be the same. */
function jobOf({ submitter, nonce }: JobSpec): string {
  return `${submitter}|${nonce}`
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
