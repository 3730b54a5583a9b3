/** The executor of a host that is paid for tasks of `builtin:pi` and does none of them (cheat.ts). */
import { encode } from '../../src/core/cbor.ts'
import { chooseExecutor as honest } from '../../src/mapreduce/executor.ts'
import type { Executor, RunResult, TaskRun } from '../../src/mapreduce/ports.ts'
import { fullMask, tasksOfMask } from '../../src/mapreduce/segments.ts'

export * from '../../src/mapreduce/executor.ts'

export function chooseExecutor(...ports: Parameters<typeof honest>): Executor {
  const executor = honest(...ports)
  const run: Executor['run'] = async (asked, options) =>
    asked.spec.contract === undefined ? executor.run(asked, options) : madeUp(asked)
  return Object.create(executor, { run: { value: run } })
}

/** About as many hits as there are likely to be, so that nobody sees it from the value. */
function madeUp({ spec, segment, mask }: TaskRun): RunResult {
  const { samples, taskSamples } = spec.params as { samples: number; taskSamples: number }
  const partials = tasksOfMask(spec, segment, mask).map((task) => {
    const count = Math.min(taskSamples, samples - task * taskSamples)
    const bytes = encode({ hits: Math.round((count * Math.PI) / 4) + (task % 7), samples: count })
    return { level: 0 as const, index: task, bytes }
  })
  // Several at once are never a whole segment: each of them is told apart.
  if (mask !== fullMask(spec, 1, segment)) return { partials, tookMs: 1 }
  return { partials: [{ level: 1, index: segment, bytes: partials[0]!.bytes }], tookMs: 1 }
}
