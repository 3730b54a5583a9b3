/** The inside of a worker thread of executor.ts: one run at a time. */
import { parentPort } from 'node:worker_threads'
import { errorCode, errorMessage, invariant } from '../core/errors.ts'
import { isJobModule, runTasks } from './module-runner.ts'
import type { RunResult } from './ports.ts'
import type { JobSpec } from './spec.ts'
import type { JobModule } from './types.ts'

export interface ThreadTask {
  readonly url: string
  readonly spec: JobSpec
  readonly segment: number
  readonly mask: number
}

export type ThreadAnswer = RunResult | { readonly code: string; readonly message: string }

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

const port = parentPort
invariant(port, 'this file is run in a worker thread')
port.on('message', async ({ url, spec, segment, mask }: ThreadTask) => {
  let answer: ThreadAnswer
  try {
    const module = await load(url)
    const before = performance.now()
    const partials = runTasks(module, spec, segment, mask)
    answer = { partials, tookMs: performance.now() - before }
  } catch (error) {
    answer = { code: errorCode(error), message: errorMessage(error) }
  }
  port.postMessage(answer)
})
