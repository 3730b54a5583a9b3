/** Runs a job's pure functions at once and takes virtual time for them. */
import type { Env } from '../src/core/env.ts'
import { ChoraleError } from '../src/core/errors.ts'
import { finishJob, foldPartials, mergeRuns, nextRound, runTasks } from '../src/mapreduce/module-runner.ts'
import type { Executor, RunResult } from '../src/mapreduce/ports.ts'
import { tasksOfMask } from '../src/mapreduce/segments.ts'
import type { JobModule } from '../src/mapreduce/types.ts'
import { mapContext } from './job-context.ts'

export interface FakeExecutorOptions {
  readonly cores?: number
  /** In place of `cores`, for a test that changes it on the way. */
  readonly lent?: { readonly cores: number }
  readonly module: JobModule
  /** Virtual milliseconds that a task takes. */
  readonly taskMs: (task: number, env: Env) => number
  /** A machine that cannot always: what is thrown instead of the work. */
  readonly trouble?: () => ChoraleError | undefined
  /** A host that leaves the job to others, and why. */
  readonly refusal?: string
  /** A host that lies. */
  readonly bend?: (partials: RunResult['partials']) => RunResult['partials']
}

export function fakeExecutor(options: FakeExecutorOptions): (env: Env) => Executor & { tasksRun: number } {
  const { module } = options
  const trouble = () => {
    const error = options.refusal ? new ChoraleError('unsupported', options.refusal) : options.trouble?.()
    if (error) throw error
  }
  return (env) => ({
    get cores() {
      return options.lent?.cores ?? options.cores ?? 1
    },
    tasksRun: 0,
    refusal: async () => options.refusal,
    plan: async (_name, params, input) => ({ name: module.name, ...module.plan(params, input), engine: 'fake/1' }),
    async run({ spec, segment, mask, ...given }, { signal, notes }) {
      trouble()
      let tookMs = 0
      for (const task of tasksOfMask(spec, segment, mask)) {
        tookMs += options.taskMs(task, env)
        this.tasksRun++
      }
      await env.clock.sleep(tookMs, { signal })
      const partials = runTasks(module, spec, segment, mask, given, notes)
      return { partials: options.bend ? options.bend(partials) : partials, tookMs }
    },
    async fold(spec, partials) {
      trouble()
      return foldPartials(module, spec, partials)
    },
    merge: async (spec, runs) => mergeRuns(module, spec, runs),
    next: async (spec, total, state) => nextRound(module, spec, total, state),
    async finish(spec, total, state) {
      trouble()
      return finishJob(module, spec, total, state)
    },
    stop: async () => {},
  })
}

/** Sums that depend on the order of additions: any other fold than the one in order shows in the last bits. */
export const waves: JobModule<{ tasks: number }, { sum: number; count: number }> = {
  name: 'waves',
  plan({ tasks }) {
    if (typeof tasks !== 'number' || tasks < 1) throw new ChoraleError('usage', 'tasks must be positive')
    return { params: { tasks }, tasks }
  },
  map: (task, { seed }) => ({ sum: Math.sin(task * 12.9898 + seed) * 43_758.5453 + 1 / (task + 3), count: 1 }),
  reduce: (left, right) => ({ sum: left.sum + right.sum, count: left.count + right.count }),
  finish: ({ sum, count }) => ({ sum, count }),
}

/** What the job's value must be: the folds of the segment tree, done in the plainest way. */
export function expectedWaves(tasks: number, seed: number, fanIn = 16): { sum: number; count: number } {
  const context = mapContext({ tasks }, { seed })
  let level = Array.from({ length: tasks }, (_, task) => waves.map(task, context))
  do {
    const next: typeof level = []
    for (let i = 0; i < level.length; i += fanIn) next.push(level.slice(i, i + fanIn).reduce(waves.reduce))
    level = next
  } while (level.length > 1)
  return level[0] as { sum: number; count: number }
}
