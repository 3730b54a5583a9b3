/**
 * Jobs that people write, before they go into the overlay: a file and all that it imports as one module, and a whole run
 * of it on this machine. Errors are told in the places of the user's own files.
 */
import { SourceMap, type SourceMapPayload } from 'node:module'
import { type Logger, silentLogger } from './core/env.ts'
import { ChoraleError } from './core/errors.ts'
import { seededRandom } from './core/random.ts'
import { systemClock } from './core/system.ts'
import { type Bundle, bundleJob } from './mapreduce/bundle.ts'
import { type CheckResult, checkJob } from './mapreduce/check.ts'
import { type LocalOptions, type LocalPorts, type LocalResult, runLocally } from './mapreduce/local.ts'
import { createLocalStore, type LocalStore } from './mapreduce/local-store.ts'
import type { FileSize, JobPlan } from './mapreduce/ports.ts'
import { createSandboxExecutor, type SandboxExecutor } from './mapreduce/sandbox/executor.ts'
import { inspectMachine, type Machine } from './mapreduce/sandbox/sandbox.ts'
import type { JobRequest, Json } from './mapreduce/types.ts'

export type { Bundle, LocalResult }
export { bundleJob }

export interface JobFileRun {
  readonly file: string
  readonly params: JobRequest['params']
  readonly seed: number
  /** A file on this machine, for jobs that work on one. */
  readonly input?: string | undefined
  /** Processes at once. */
  readonly cores: number
  readonly log?: Logger
}

/**
 * Runs a job's file from its beginning to its end in the sandbox of this machine. Rejects with `user-code` or `usage` as
 * the code says, and with `aborted`.
 */
export function runJobFile(
  run: JobFileRun,
  options: LocalOptions & {
    /** Called with the result while what the job has made can still be read. */
    onResult?: (result: LocalResult, store: Pick<LocalStore, 'cat'>) => Promise<void>
  },
): Promise<LocalResult> {
  return withJobFile(run, options.signal, async (ports, request) => {
    const result = await runLocally(ports, request, options)
    await options.onResult?.(result, ports.store)
    return result
  })
}

/** Tries a job's file (`checkJob`). Rejects likewise, and with `user-code` when it is not what the overlay relies on. */
export function checkJobFile(
  run: JobFileRun,
  { signal }: { signal: AbortSignal },
): Promise<CheckResult & { readonly tests: number }> {
  const random = seededRandom(run.seed)
  return withJobFile(run, signal, async (ports, request) => {
    const { executor, store } = ports
    const { module } = request
    const tests = await executor.tests(module)
    const texts = tests.map(({ input }) => (input === undefined ? undefined : store.addText(input)))
    const checked = await checkJob(ports, { ...request, input: request.input ?? texts[0] }, { random, signal })
    for (const [i, { what, params, seed }] of tests.entries()) {
      const { value } = await runLocally(ports, { module, params, seed, input: texts[i] ?? request.input }, { signal })
      await executor.check(module, what, value, await outputOf(value, store))
    }
    return { ...checked, tests: tests.length }
  })
}

/** What a keyed job has written, if its value names it. */
async function outputOf(value: Json, store: LocalStore): Promise<string> {
  const output = typeof value === 'object' && value !== null && !Array.isArray(value) ? value.output : undefined
  const pieces: Uint8Array[] = []
  if (typeof output === 'string') for await (const piece of store.cat(output)) pieces.push(piece)
  return Buffer.concat(pieces).toString()
}

/** What a job's file comes to, and the size of its code. Rejects likewise. */
export function planJobFile(
  run: JobFileRun,
  file: FileSize | undefined,
  { signal }: { signal: AbortSignal },
): Promise<{ plan: JobPlan; codeBytes: number }> {
  return withJobFile(run, signal, async ({ executor }, { module, params }, { code }) => ({
    plan: await executor.plan(module, params, file),
    codeBytes: code.length,
  }))
}

interface FilePorts extends LocalPorts {
  readonly executor: SandboxExecutor
  readonly store: LocalStore
}

async function withJobFile<T>(
  { file, params, seed, input, cores, log = silentLogger }: JobFileRun,
  signal: AbortSignal,
  work: (ports: FilePorts, request: JobRequest, bundle: Bundle) => Promise<T>,
): Promise<T> {
  const bundle = await bundleJob(file)
  const codeOf = async () => bundle.code
  await using store = createLocalStore()
  const executor = createSandboxExecutor({ cores, clock: systemClock, log, codeOf, stacks: true })
  const onAbort = () => void executor.stop()
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await work({ executor, store }, { module: file, params, seed, input }, bundle)
  } catch (error) {
    if (signal.aborted) throw signal.reason
    throw inOwnFiles(error, bundle.map)
  } finally {
    signal.removeEventListener('abort', onAbort)
    await executor.stop()
  }
}

/** How this machine can run foreign code. Rejects with `config` when it cannot. */
export async function inspectSandbox(): Promise<Pick<Machine, 'level' | 'why'>> {
  const { level, why } = await inspectMachine()
  return { level, why }
}

/** `at map (job:3:120)` as `at map (wordcount.ts:17:5)`. */
export function inOwnFiles<E>(error: E, map: string | undefined): E | ChoraleError {
  if (map === undefined || !(error instanceof ChoraleError)) return error
  let sources: SourceMap | undefined
  const message = error.message.replace(/job:(\d+):(\d+)/g, (place, line: string, column: string) => {
    sources ??= new SourceMap(JSON.parse(map) as SourceMapPayload)
    const entry = sources.findEntry(Number(line) - 1, Number(column) - 1)
    if (!('originalSource' in entry)) return place
    return `${entry.originalSource}:${entry.originalLine + 1}:${entry.originalColumn + 1}`
  })
  return message === error.message ? error : new ChoraleError(error.code, message, { cause: error })
}
