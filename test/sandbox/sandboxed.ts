/** Foreign code in a sandbox of its own, for the tests that try to break out of it. */
import { onTestFinished } from 'vitest'
import { encode } from '../../src/core/cbor.ts'
import { silentLogger } from '../../src/core/env.ts'
import { systemClock } from '../../src/core/system.ts'
import { type Level, runnerFiles, whyNoBubblewrap } from '../../src/mapreduce/sandbox/command.ts'
import { createSandboxExecutor, engineName } from '../../src/mapreduce/sandbox/executor.ts'
import type { JobSpec } from '../../src/mapreduce/spec.ts'
import type { Json } from '../../src/mapreduce/types.ts'

/** Why the level `os` cannot be tried here; undefined: it can. */
export const noBubblewrap = await whyNoBubblewrap(await runnerFiles())

export const levels: readonly Level[] = ['os', 'process']

export interface SandboxedOptions {
  readonly level?: Level
  readonly taskMs?: number
  readonly heapMb?: number
}

/** A job's module whose tasks do what `map` says: the body of a function of `task`. */
export function moduleOf(map: string, top = ''): string {
  return `${top}
    export default {
      name: 'x',
      plan: (params) => ({ params, tasks: 16 }),
      map(task, context) { ${map} },
      reduce: (left, right) => left + right,
      finish: (total) => total,
    }`
}

/** Runs single tasks of a module. */
export function sandboxed(
  code: string | Uint8Array,
  { level = 'process', taskMs = 10_000, heapMb = 128 }: SandboxedOptions = {},
) {
  const executor = createSandboxExecutor({
    level,
    taskMs,
    limits: { heapMb, dataMb: 2 * heapMb },
    cores: 1,
    clock: systemClock,
    log: silentLogger,
    codeOf: async () => (typeof code === 'string' ? new TextEncoder().encode(code) : code),
  })
  onTestFinished(() => executor.stop())
  const spec = async (): Promise<JobSpec> => ({
    v: 1,
    module: 'x',
    name: 'x',
    params: {},
    seed: 7,
    tasks: 16,
    fanIn: 16,
    leaf: 16,
    engine: await engineName(typeof code === 'string' ? 'js' : 'wasm'),
    submitter: 'somebody',
    nonce: '0'.repeat(32),
    submittedAtMs: 0,
  })
  return {
    executor,
    spec,
    /** What task `task` gives. */
    async task(task = 0): Promise<Json> {
      const run = { spec: await spec(), segment: 0, mask: 1 << task }
      const { partials } = await executor.run(run, { signal: new AbortController().signal })
      return executor.finish(await spec(), partials[0]!.bytes)
    },
    fold: async (...partials: Json[]) => executor.fold(await spec(), partials.map(encode)),
  }
}

/** The memory of this process, which stands for a node's, while others do harm. */
export class MemoryWatch {
  readonly #before = process.memoryUsage.rss()
  #most = this.#before
  readonly #timer = setInterval(() => this.#look(), 10)

  #look(): void {
    this.#most = Math.max(this.#most, process.memoryUsage.rss())
  }

  /** The most bytes above those at the beginning. */
  end(): number {
    clearInterval(this.#timer)
    this.#look()
    return this.#most - this.#before
  }
}
