/** The inside of a worker thread of executor.ts: one run at a time. */
import { parentPort } from 'node:worker_threads'
import { errorCode, errorMessage, invariant } from '../core/errors.ts'
import { isJobModule, mergeRuns, runTasks } from './module-runner.ts'
import type { RunNotes, RunResult, TaskRun } from './ports.ts'
import type { JobSpec } from './spec.ts'
import type { JobModule } from './types.ts'

export interface ThreadTask {
  readonly url: string
  /** One of the two. */
  readonly run?: TaskRun
  readonly merge?: { readonly spec: JobSpec; readonly runs: readonly Uint8Array[] }
}

export type ThreadAnswer = RunResult | readonly Uint8Array[] | { readonly code: string; readonly message: string }

/** Before the answer: a line of a task's log, or how much of the task is done. */
export interface ThreadNote {
  readonly task: number
  readonly said: string | number
}

const loaded = new Map<string, JobModule>()

async function load(url: string): Promise<JobModule> {
  let module = loaded.get(url)
  if (!module) {
    const exports = (await import(url)) as { default?: unknown }
    invariant(isJobModule(exports.default), `${url} exports no job`)
    loaded.set(url, (module = exports.default))
  }
  return module
}

async function answerOf({ url, run, merge }: ThreadTask): Promise<ThreadAnswer> {
  const module = await load(url)
  if (merge) return mergeRuns(module, merge.spec, merge.runs)
  invariant(run, 'a thread is given a run or a merge')
  const before = performance.now()
  const partials = runTasks(module, run.spec, run.segment, run.mask, run, notes)
  return { partials, tookMs: performance.now() - before }
}

const port = parentPort
invariant(port, 'this file is run in a worker thread')
const note = (task: number, said: string | number) => port.postMessage({ task, said } satisfies ThreadNote)
const notes: RunNotes = { log: note, progress: note }
port.on('message', async (task: ThreadTask) => {
  port.postMessage(
    await answerOf(task).catch(
      (error: unknown): ThreadAnswer => ({ code: errorCode(error), message: errorMessage(error) }),
    ),
  )
})
