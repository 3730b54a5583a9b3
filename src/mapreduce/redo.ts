/**
 * Tasks of a job's first pass done again, apart from any job: by a customer that tests what it is paying for, and by mediators
 * (DESIGN 10). What is hashed is what the executor makes of the single task, before the store keeps what is large, as
 * `witnessed` (market/allocation/witness.ts) does of the tasks of a supplier.
 *
 * One task at a time, whatever is lent: this is no work for others, and no worker counts it. But what a supplier does a further
 * time, because each task is paid to several, is: as many at once as it lends.
 */
import { ChoraleError } from '../core/errors.ts'
import { hashKey } from '../core/ids.ts'
import type { Executor, JobStore, Redo, Redone } from './ports.ts'
import { firstChild, parentIndex } from './segments.ts'
import { type JobSpec, rootSpec } from './spec.ts'
import { Work } from './work.ts'

export interface RedoPorts {
  /** Of this host, as it is: not one that tells what it does to a market. */
  readonly executor: Executor
  readonly store: JobStore
  /** Tasks at once; 1 by default, and at least. */
  readonly atOnce?: () => number
}

/**
 * Rejects with `unsupported` too where this host does not run the job's code, or has another engine than the job is for: what
 * it made would prove nothing.
 */
export function createRedo({ executor, store, atOnce = () => 1 }: RedoPorts): Redo {
  const work = new Work(executor, store)
  const waiting: Array<() => void> = []
  let running = 0

  async function digest(spec: JobSpec, task: number, options: { readonly signal: AbortSignal }): Promise<Redone> {
    if (!Number.isSafeInteger(task) || task < 0 || task >= spec.tasks) {
      throw new ChoraleError('usage', `the job has the tasks 0 to ${spec.tasks - 1}, and no task ${task}`)
    }
    const refusal = await executor.refusal(spec)
    if (refusal !== undefined) throw new ChoraleError('unsupported', refusal)
    const segment = parentIndex(spec, 0, task)
    const mask = 1 << (task - firstChild(spec, 1, segment))
    const { partials, tookMs } = await work.make({ spec, segment, mask }, options)
    return { digest: hashKey(partials[0]!.bytes), tookMs }
  }

  return {
    digest: (spec, task, options) => inTurn(() => digest(rootSpec(spec), task, options), options.signal),
  }

  /** After what came before. Who gives up need not wait for it. */
  function inTurn<T>(begin: () => Promise<T>, signal: AbortSignal): Promise<T> {
    return new Promise((resolve, reject) => {
      const onAbort = () => reject(new ChoraleError('aborted', 'given up'))
      if (signal.aborted) return onAbort()
      signal.addEventListener('abort', onAbort, { once: true })
      const run = async () => {
        try {
          if (!signal.aborted) resolve(await begin())
        } catch (error) {
          reject(error)
        } finally {
          signal.removeEventListener('abort', onAbort)
          running--
          next()
        }
      }
      waiting.push(() => void run())
      next()
    })
  }

  function next(): void {
    while (waiting.length > 0 && running < Math.max(1, atOnce())) {
      running++
      waiting.shift()!()
    }
  }
}
