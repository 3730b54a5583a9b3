/**
 * What runs inside an isolate before and around a job's module: it hardens the realm, and turns calls with bytes into
 * calls of the job's functions. What it gives back is bytes that it has made itself, or the text of an error.
 *
 * esbuild makes it one script (`prelude.ts` of the folder above). Its hash is part of the engine's name, for results may
 * depend on it.
 */
import './text-globals.ts'
import { decode, encode } from '../../../core/cbor.ts'
import {
  checkTest,
  finishJob,
  foldPartials,
  isJobModule,
  mergeRuns,
  nextRound,
  type RunSpec,
  runTasks,
  testsOf,
} from '../../module-runner.ts'
import type { FileSize } from '../../ports.ts'
import type { JobModule, Json } from '../../types.ts'
import { replaceMath } from './math.ts'
import { watchMemory } from './memory.ts'
import { replaceNaN } from './nan.ts'
import { hardenRealm } from './realm.ts'
import { type DecodeOutside, useOutside } from './text.ts'
import { wasmJob } from './wasm-job.ts'

const MAX_MESSAGE = 2000
const OUT_OF_MEMORY = 'memory an allocation failed'

interface Run {
  readonly spec: RunSpec
  readonly segment: number
  readonly mask: number
  readonly inputs?: Uint8Array[]
  readonly state?: Uint8Array
}

interface Total {
  readonly spec: RunSpec
  readonly total: Uint8Array
  readonly state?: Uint8Array
}

/**
 * `onStep`: is called when a task begins, and when tasks are folded. `note`: takes a line of a task's log, or how much of
 * the task is done. `textOf`: makes long texts of bytes. No object of the job's gets to them.
 */
export function start(onStep: () => void, note: (task: number, said: string | number) => void, textOf: DecodeOutside) {
  useOutside(textOf)
  replaceMath()
  replaceNaN()
  const hasFailed = watchMemory()
  let job: JobModule | undefined

  const notes = { log: note, progress: note }

  const calls: { [name: string]: (input: never) => unknown } = {
    plan: ({ params, file }: { params: { [name: string]: Json }; file?: FileSize }) => {
      const { params: checked, tasks, input, partitions, rounds } = job!.plan(params, file)
      return {
        ...{ name: job!.name, params: checked, tasks },
        ...(input && { input }),
        ...(partitions !== undefined && { partitions }),
        ...(rounds && { rounds }),
      }
    },
    run: ({ spec, segment, mask, ...given }: Run) => runTasks(job!, spec, segment, mask, given, notes, onStep),
    fold: ({ spec, partials }: { spec: RunSpec; partials: Uint8Array[] }) => foldPartials(job!, spec, partials),
    merge: ({ spec, runs }: { spec: RunSpec; runs: Uint8Array[] }) => mergeRuns(job!, spec, runs),
    next: ({ spec, total, state }: Total) => {
      const next = nextRound(job!, spec, total, state)
      return next ? [next] : []
    },
    finish: ({ spec, total, state }: Total) => finishJob(job!, spec, total, state),
    tests: () => testsOf(job!),
    check: ({ what, value, output }: { what: string; value: Json; output: string }) => {
      checkTest(job!, what, value, output)
      return null
    },
  }
  return {
    /** Before any code of the job. */
    harden: hardenRealm,
    /** A module's default export, or the bytes of WebAssembly. */
    take(module: unknown): void {
      if (module instanceof ArrayBuffer) {
        job = wasmJob(new Uint8Array(module)) as unknown as JobModule
        return
      }
      if (!isJobModule(module)) throw new TypeError('the module has no default export made by defineJob')
      job = module
    },
    call(name: string, input: ArrayBuffer): ArrayBuffer | string {
      try {
        const bytes = encode(calls[name]!(decode(new Uint8Array(input)) as never))
        if (hasFailed()) return OUT_OF_MEMORY
        const out = new ArrayBuffer(bytes.length)
        new Uint8Array(out).set(bytes)
        return out
      } catch (error) {
        return hasFailed() ? OUT_OF_MEMORY : describe(error)
      }
    },
  }
}

/**
 * `kind message`, and where it was thrown if stacks are kept. The getters of a thrown object are the job's code: they may
 * say anything, but what comes out is a text.
 */
function describe(error: unknown): string {
  try {
    const { name, code, message, cause } = error as { [name: string]: unknown }
    const text = typeof message === 'string' ? message : String(error)
    // By name, because a bundle has a class of its own.
    if (name === 'ChoraleError' && code === 'usage') return `usage ${text.slice(0, MAX_MESSAGE)}`
    const { stack } = (cause ?? error) as { stack?: unknown }
    const where = typeof stack === 'string' ? /\n\s+at [^\n]*job:\d+:\d+\)?/.exec(stack)?.[0] : undefined
    return `user-code ${text.slice(0, MAX_MESSAGE)}${where ?? ''}`
  } catch {
    return 'user-code something was thrown that has no message'
  }
}
