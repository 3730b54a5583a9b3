/**
 * An executor that tells what each task of a paid job came to: the digests that its supplier commits to, and the same digests for
 * whoever does a task again. Partials of single tasks are what is hashed, since a supplier may do any of them, and every host
 * makes the same bytes of a task.
 */
import { hashKey, type Key } from '../../core/ids.ts'
import type { Executor, RunOptions, RunResult, TaskRun } from '../../mapreduce/ports.ts'
import { fullMask, tasksOfMask } from '../../mapreduce/segments.ts'
import type { JobSpec } from '../../mapreduce/spec.ts'

/** `spec`: of the pass, which names its contract. `task`: its number in the pass. */
export type OnDone = (spec: JobSpec, task: number, digest: Key) => void

/** Results are the same to the byte. Of a whole segment the tasks are run apart and folded then. */
export function witnessed(executor: Executor, onDone: OnDone): Executor {
  return {
    get cores() {
      return executor.cores
    },
    refusal: (spec) => executor.refusal(spec),
    plan: (module, params, input) => executor.plan(module, params, input),
    run: (run, options) => (run.spec.contract === undefined ? executor.run(run, options) : runApart(run, options)),
    fold: (spec, partials) => executor.fold(spec, partials),
    merge: (spec, runs) => executor.merge(spec, runs),
    next: (spec, total, state) => executor.next(spec, total, state),
    finish: (spec, total, state) => executor.finish(spec, total, state),
    stop: () => executor.stop(),
  }

  async function runApart(run: TaskRun, options: RunOptions): Promise<RunResult> {
    const { spec, segment, mask } = run
    const tasks = tasksOfMask(spec, segment, mask)
    const isWhole = mask === fullMask(spec, 1, segment) && tasks.length > 1
    const { partials, tookMs } = isWhole ? await inTwo(run, options) : await executor.run(run, options)
    // A segment of one task is that task.
    for (const { level, index, bytes } of partials) onDone(spec, level === 0 ? index : tasks[0]!, hashKey(bytes))
    if (!isWhole) return { partials, tookMs }
    const bytes = await executor.fold(
      spec,
      partials.map((partial) => partial.bytes),
    )
    return { partials: [{ level: 1, index: segment, bytes }], tookMs }
  }

  /** The first task, and all others: neither is a whole segment. */
  async function inTwo(run: TaskRun, options: RunOptions): Promise<RunResult> {
    const { mask, inputs } = run
    const lowest = mask & -mask
    const parts = [
      { ...run, mask: lowest, ...(inputs && { inputs: inputs.slice(0, 1) }) },
      { ...run, mask: mask ^ lowest, ...(inputs && { inputs: inputs.slice(1) }) },
    ]
    const results: RunResult[] = []
    for (const part of parts) results.push(await executor.run(part, options))
    return {
      partials: results.flatMap(({ partials }) => partials),
      tookMs: results.reduce((sum, { tookMs }) => sum + tookMs, 0),
    }
  }
}
