/**
 * Units of studies on worker threads, one per core, each with one unit at a time. Units begin in the order given and
 * end in any; their results come in the order given.
 */
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { ChoraleError, errorMessage } from '../../../src/core/errors.ts'

/** One unit, by the name of its study. */
export interface Work {
  readonly study: string
  readonly unit: unknown
}

export type Answer = { readonly result: unknown } | { readonly error: string }

export interface PoolOptions {
  /** URL of the module whose `STUDIES` the threads know. */
  readonly registry: string
  readonly signal: AbortSignal
  readonly workers?: number | undefined
}

/** A unit may hold an overlay of 10,000 nodes; many small objects die young. */
const LIMITS = { maxOldGenerationSizeMb: 4096, maxYoungGenerationSizeMb: 192 }

/**
 * `onDone` sees each unit when it has ended, with its place in `works`. Its threads have ended when it returns or throws.
 * @throws ChoraleError `internal` of the first unit that fails, with study, unit and seed; the signal's reason.
 */
export async function runUnits(
  works: readonly Work[],
  { registry, signal, workers = availableParallelism() }: PoolOptions,
  onDone: (index: number, result: unknown) => void,
): Promise<void> {
  signal.throwIfAborted()
  const failed = new AbortController()
  const stop = AbortSignal.any([signal, failed.signal])
  let next = 0
  const thread = async () => {
    if (next >= works.length) return
    const worker = new Worker(new URL('./worker.ts', import.meta.url), { workerData: registry, resourceLimits: LIMITS })
    try {
      while (next < works.length) {
        const index = next++
        const work = works[index]!
        const answer = await ask(worker, work, stop)
        if ('error' in answer) throw new ChoraleError('internal', `${describe(work)}: ${answer.error}`)
        onDone(index, answer.result)
      }
    } catch (error) {
      failed.abort(error)
      throw error
    } finally {
      await worker.terminate()
    }
  }
  const ended = await Promise.allSettled(Array.from({ length: Math.min(workers, works.length) }, thread))
  if (ended.some(({ status }) => status === 'rejected')) throw stop.reason
}

function ask(worker: Worker, work: Work, signal: AbortSignal): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>()
  // Out of memory, or a module that does not load.
  const onError = (error: unknown) => resolve({ error: errorMessage(error) })
  const onExit = (code: number) => resolve({ error: `its thread ended with exit code ${code}` })
  const onAbort = () => reject(signal.reason)
  worker.on('message', resolve).on('error', onError).on('exit', onExit)
  signal.addEventListener('abort', onAbort)
  if (signal.aborted) onAbort()
  else worker.postMessage(work)
  return promise.finally(() => {
    worker.off('message', resolve).off('error', onError).off('exit', onExit)
    signal.removeEventListener('abort', onAbort)
  })
}

const UNIT_CHARACTERS = 200

/** `study dgvh, unit {"n":100,"seed":3}, seed 3`. */
function describe({ study, unit }: Work): string {
  const text = JSON.stringify(unit)
  const { seed } = Object(unit) as { seed?: unknown }
  const shown = text.length > UNIT_CHARACTERS ? `${text.slice(0, UNIT_CHARACTERS)}...` : text
  return `study ${study}, unit ${shown}${seed === undefined ? '' : `, seed ${seed}`}`
}
