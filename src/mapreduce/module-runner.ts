/**
 * Runs the functions of a job's module on encoded partials: what an executor does, whatever thread it does it on.
 * Every partial goes through its encoding before it is folded, so that a fold gives the same bytes wherever it is done.
 */
import { decode, encode } from '../core/cbor.ts'
import { ChoraleError, errorMessage } from '../core/errors.ts'
import { MAX_PARTIAL_BYTES } from '../core/limits.ts'
import type { RunResult } from './ports.ts'
import { bitsOf, fullMask } from './segments.ts'
import type { JobSpec } from './spec.ts'
import { NO_TASK, nextRandom, reseed } from './task-random.ts'
import type { JobModule, Json } from './types.ts'

/** Is it the default export of a module of jobs? */
export function isJobModule(value: unknown): value is JobModule {
  const functions = ['plan', 'map', 'reduce', 'finish'] as const
  return (
    typeof value === 'object' &&
    value !== null &&
    functions.every((name) => typeof (value as Record<string, unknown>)[name] === 'function')
  )
}

/** The tasks of a mask in a level-1 segment: one partial for the whole segment, else one for each task. */
export function runTasks(module: JobModule, spec: JobSpec, segment: number, mask: number): RunResult['partials'] {
  const context = Object.freeze({ params: frozen(spec.params), seed: spec.seed, random: nextRandom })
  const partials: Array<{ level: 0 | 1; index: number; bytes: Uint8Array }> = []
  for (const bit of bitsOf(mask)) {
    const index = segment * spec.fanIn + bit
    reseed(spec.seed, index)
    const bytes = userCode(`task ${index}`, () => encodePartial(module.map(index, context)))
    partials.push({ level: 0, index, bytes })
  }
  if (mask !== fullMask(spec, 1, segment)) return partials
  const bytes = foldPartials(
    module,
    spec,
    partials.map((partial) => partial.bytes),
  )
  return [{ level: 1, index: segment, bytes }]
}

/** Left to right. */
export function foldPartials(module: JobModule, spec: JobSpec, partials: readonly Uint8Array[]): Uint8Array {
  reseed(spec.seed, NO_TASK)
  return userCode('reduce', () => {
    let total = decode(partials[0] as Uint8Array)
    for (const partial of partials.slice(1)) total = module.reduce(total, decode(partial))
    return encodePartial(total)
  })
}

export function finishJob(module: JobModule, spec: JobSpec, total: Uint8Array): Json {
  reseed(spec.seed, NO_TASK)
  const context = Object.freeze({ params: frozen(spec.params) })
  return userCode('finish', () => module.finish(decode(total), context))
}

/** What one task changes no other may see, for who runs which task is no part of a job. */
function frozen<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !ArrayBuffer.isView(value)) {
    for (const inner of Object.values(value)) frozen(inner)
    Object.freeze(value)
  }
  return value
}

function encodePartial(value: unknown): Uint8Array {
  const bytes = encode(value)
  if (bytes.length > MAX_PARTIAL_BYTES) {
    throw new ChoraleError(
      'limit',
      `a result has ${bytes.length} bytes, the most is ${MAX_PARTIAL_BYTES}: reduce it further in map`,
    )
  }
  return bytes
}

function userCode<T>(where: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (error instanceof ChoraleError && error.code === 'limit') throw error
    throw new ChoraleError('user-code', `the job's code failed in ${where}: ${errorMessage(error)}`, { cause: error })
  }
}
