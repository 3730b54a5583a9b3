/**
 * The executor of a machine: one worker thread per lent core, started when it is needed and ended when it has been idle.
 * The thread that answers the network only folds and finishes, which is little work. Trusted modules only: those that ship with
 * the package. Foreign code runs in the sandbox (sandbox/executor.ts).
 */
import { setFlagsFromString } from 'node:v8'
import { Worker } from 'node:worker_threads'
import type { Clock, Logger } from '../core/env.ts'
import { ChoraleError, ERROR_CODES, type ErrorCode, errorMessage } from '../core/errors.ts'
import type { ThreadAnswer, ThreadNote, ThreadTask } from './executor-thread.ts'
import { finishJob, foldPartials, isJobModule, nextRound } from './module-runner.ts'
import type { Executor, ModuleResolver, RunNotes, RunResult } from './ports.ts'
import { hear } from './task-notes.ts'
import type { JobModule } from './types.ts'

/** The version of the rules by which the modules of the package are run. */
const ENGINE = 'builtin/1'
/** A thread keeps some 30 MB, and takes 50 ms to start: longer than the pauses within a job, and no longer. */
const THREAD_IDLE_MS = 5_000
/**
 * Half of where a thread makes its objects. V8 begins with 1 MB, and lets it grow by what lives long: a task that leaves
 * nothing behind would have it cleared a thousand times a second.
 */
const SEMI_SPACE_MB = 8

export interface ThreadExecutorOptions {
  /** Cores that are lent. */
  readonly cores: number
  readonly modules: ModuleResolver
  readonly clock: Clock
  readonly log: Logger
}

type Done = Exclude<ThreadAnswer, { code: string }>

interface Waiting {
  readonly notes: RunNotes | undefined
  readonly resolve: (result: Done) => void
  readonly reject: (error: ChoraleError) => void
}

interface Thread {
  readonly worker: Worker
  current: Waiting | undefined
  /** Takes back the end that an idle thread awaits. */
  keep: () => void
}

export function createThreadExecutor(options: ThreadExecutorOptions): Executor {
  const { cores, modules, clock, log } = options
  const loaded = new Map<string, Promise<JobModule>>()
  const threads = new Set<Thread>()
  let stopped = false

  function urlOf(name: string): string {
    const url = modules(name)
    if (!url) throw new ChoraleError('usage', `there is no module "${name}": "builtin:pi" is one`)
    return url
  }

  function load(name: string): Promise<JobModule> {
    let module = loaded.get(name)
    if (!module) {
      const url = urlOf(name) // only names that resolve are kept, so the map is as small as the package
      module = import(url).then((exports: { default?: unknown }) => {
        if (!isJobModule(exports.default)) throw new ChoraleError('user-code', `${name} exports no job`)
        return exports.default
      })
      loaded.set(name, module)
    }
    return module
  }

  function start(): Thread {
    // The same extension as this file's: .ts from the sources, .js from the package.
    const file = import.meta.url.replace(/executor\.(\w+)$/, 'executor-thread.$1')
    setFlagsFromString(`--min-semi-space-size=${SEMI_SPACE_MB}`) // `resourceLimits` only knows the most
    const worker = new Worker(new URL(file), { stdin: false })
    const thread: Thread = { worker, current: undefined, keep: () => {} }
    worker.unref()
    worker.on('message', (answer: ThreadAnswer | ThreadNote) => {
      const waiting = thread.current
      if ('said' in answer) return hear(waiting?.notes, answer.task, answer.said)
      thread.current = undefined
      thread.keep = clock.timer(THREAD_IDLE_MS, () => end(thread))
      if ('code' in answer) waiting?.reject(new ChoraleError(known(answer.code), answer.message))
      else waiting?.resolve(answer)
    })
    const gone = (reason: string) => {
      thread.keep()
      threads.delete(thread)
      const waiting = thread.current
      thread.current = undefined
      waiting?.reject(new ChoraleError('user-code', `the job's code ended its thread: ${reason}`))
    }
    worker.on('error', (error) => gone(errorMessage(error)))
    worker.on('exit', (code) => {
      if (!stopped && thread.current) log.warn('a worker thread ended', { code })
      gone(`exit code ${code}`)
    })
    threads.add(thread)
    return thread
  }

  function end(thread: Thread): Promise<unknown> {
    thread.keep()
    threads.delete(thread)
    return thread.worker.terminate()
  }

  function call(task: ThreadTask, signal?: AbortSignal, notes?: RunNotes): Promise<Done> {
    return new Promise((resolve, reject) => {
      if (stopped || signal?.aborted) return reject(new ChoraleError('aborted', 'the job is over'))
      const thread = [...threads].find((one) => !one.current) ?? start()
      thread.keep()
      // A thread does not hear anything while it computes: the only way to stop it is to end it.
      const onAbort = () => {
        thread.current = undefined
        void end(thread)
        reject(new ChoraleError('aborted', 'the job is over'))
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      const settled = () => signal?.removeEventListener('abort', onAbort)
      thread.current = {
        notes,
        resolve: (result) => {
          settled()
          resolve(result)
        },
        reject: (error) => {
          settled()
          reject(error)
        },
      }
      thread.worker.postMessage(task, movable(task))
    })
  }

  return {
    cores,
    async refusal({ module, engine }) {
      if (engine !== ENGINE) return `the job is for the engine ${engine}, this host has ${ENGINE}`
      return modules(module) ? undefined : `this host has no module "${module}"`
    },
    async plan(name, params, input) {
      const module = await load(name)
      return { name: module.name, ...module.plan(params, input), engine: ENGINE }
    },
    run: async (run, { signal, notes }) =>
      (await call({ url: urlOf(run.spec.module), run }, signal, notes)) as RunResult,
    merge: async (spec, runs) =>
      (await call({ url: urlOf(spec.module), merge: { spec, runs } })) as readonly Uint8Array[],
    async fold(spec, partials) {
      return foldPartials(await load(spec.module), spec, partials)
    },
    async next(spec, total, state) {
      return nextRound(await load(spec.module), spec, total, state)
    },
    async finish(spec, total, state) {
      return finishJob(await load(spec.module), spec, total, state)
    },
    async stop() {
      stopped = true
      await Promise.all([...threads].map(end))
    },
  }
}

/**
 * Blocks pass through this thread, and V8 takes them for growth of a heap that is small: it would look for garbage again
 * and again, on all cores, which is a fifth of what a word count takes. The heap of a node that works on stored input may
 * be three times what is alive in it.
 */
function letHeapGrow(): void {
  if (grows) return
  grows = true
  setFlagsFromString('--heap-growing-percent=200')
}
let grows = false

/** What need not be copied on its way to a thread: inputs are the executor's own (`TaskRun`). */
function movable({ run }: ThreadTask): ArrayBuffer[] {
  return (run?.inputs ?? []).flatMap(({ buffer, byteLength }) =>
    buffer instanceof ArrayBuffer && buffer.byteLength === byteLength ? [buffer] : [],
  )
}

/** One executor for all modules, `of` says which of several. `lent`: as it is now. */
export function chooseExecutor(lent: { readonly cores: number }, of: (module: string) => Executor): Executor {
  return {
    get cores() {
      return lent.cores
    },
    refusal: async (spec) => of(spec.module).refusal(spec),
    plan: async (module, params, input) => of(module).plan(module, params, input),
    async run(run, options) {
      if (run.inputs) letHeapGrow()
      return of(run.spec.module).run(run, options)
    },
    fold: async (spec, partials) => of(spec.module).fold(spec, partials),
    merge: async (spec, runs) => of(spec.module).merge(spec, runs),
    next: async (spec, total, state) => of(spec.module).next(spec, total, state),
    finish: async (spec, total, state) => of(spec.module).finish(spec, total, state),
    stop: async () => {},
  }
}

function known(code: string): ErrorCode {
  return (ERROR_CODES as readonly string[]).includes(code) ? (code as ErrorCode) : 'user-code'
}
