/** Real threads, no timing: what they bring is what the module makes in this thread. */
import { afterEach, expect, test } from 'vitest'
import noop from '../../../jobs/noop.ts'
import pi from '../../../jobs/pi.ts'
import { type Clock, silentLogger } from '../../../src/core/env.ts'
import { systemClock } from '../../../src/core/system.ts'
import { createThreadExecutor } from '../../../src/mapreduce/executor.ts'
import { runTasks } from '../../../src/mapreduce/module-runner.ts'
import type { Executor } from '../../../src/mapreduce/ports.ts'
import { FAN_IN, type JobSpec } from '../../../src/mapreduce/spec.ts'
import type { JobModule, Json } from '../../../src/mapreduce/types.ts'

const never = new AbortController().signal
const executors: Executor[] = []

afterEach(async () => {
  for (const executor of executors.splice(0)) await executor.stop()
})

/** Modules by name: those that ship, and small ones written here. */
function start(cores: number, sources: Record<string, string> = {}, clock: Clock = systemClock): Executor {
  const modules = (name: string) => {
    if (name === 'builtin:pi') return new URL('../../../jobs/pi.ts', import.meta.url).href
    if (name === 'builtin:noop') return new URL('../../../jobs/noop.ts', import.meta.url).href
    const source = sources[name]
    return source && `data:text/javascript,${encodeURIComponent(source)}`
  }
  const executor = createThreadExecutor({ cores, modules, clock, log: silentLogger })
  executors.push(executor)
  return executor
}

function specOf(module: string, params: { [name: string]: Json }, tasks: number): JobSpec {
  const nonce = '0'.repeat(32)
  return {
    v: 1,
    module,
    name: 'x',
    params,
    seed: 42,
    tasks,
    fanIn: FAN_IN,
    leaf: 16,
    engine: 'builtin/1',
    submitter: 'p',
    nonce,
    submittedAtMs: 0,
  }
}

test('threads bring the same bytes as this thread, whole segments and single tasks', async () => {
  const executor = start(2)
  const { params, tasks } = await executor.plan('builtin:pi', { samples: 2 ** 21 })
  const spec = specOf('builtin:pi', params, tasks)
  const runs = [
    [0, 0xffff],
    [1, 0b1010],
    [1, 0xffff],
  ].map(([segment = 0, mask = 0]) => ({ spec, segment, mask }))
  const results = await Promise.all(runs.map((run) => executor.run(run, { signal: never })))
  results.forEach((result, i) => {
    expect(result.partials).toEqual(
      runTasks(pi as unknown as JobModule, spec, runs[i]?.segment ?? 0, runs[i]?.mask ?? 0),
    )
  })
  expect(results.map(({ partials }) => partials.map(({ level }) => level))).toEqual([[1], [0, 0], [1]])
  const total = await executor.fold(spec, [
    results[0]?.partials[0]?.bytes,
    results[2]?.partials[0]?.bytes,
  ] as Uint8Array[])
  expect(await executor.finish(spec, total)).toMatchObject({ samples: 2 ** 21 })
})

test('code that throws, and code that ends its thread, fail the run and not the executor', async () => {
  const broken =
    'export default { plan: () => ({}), map(t) { if (t === 0) throw new Error("zero"); process.exit(3) }, reduce() {}, finish() {} }'
  const executor = start(1, { broken })
  const spec = specOf('broken', {}, 16)
  const failed = (mask: number) => expect(executor.run({ spec, segment: 0, mask }, { signal: never })).rejects
  await failed(0b01).toMatchObject({ code: 'user-code', message: expect.stringMatching(/task 0: zero/) })
  await failed(0b10).toMatchObject({ code: 'user-code' })
  const noopSpec = specOf('builtin:noop', { tasks: 16 }, 16)
  const { partials } = await executor.run({ spec: noopSpec, segment: 0, mask: 0xffff }, { signal: never })
  expect(partials).toEqual(runTasks(noop as unknown as JobModule, noopSpec, 0, 0xffff))
})

test('a run that never ends is ended by its signal', async () => {
  const endless = 'export default { plan: () => ({}), map() { for (;;); }, reduce() {}, finish() {} }'
  const executor = start(1, { endless })
  const abort = new AbortController()
  const run = executor.run({ spec: specOf('endless', {}, 1), segment: 0, mask: 1 }, { signal: abort.signal })
  abort.abort()
  await expect(run).rejects.toMatchObject({ code: 'aborted' })
})

test('modules that are not there, or are no jobs', async () => {
  const executor = start(1, { nothing: 'export default 1' })
  await expect(executor.plan('builtin:tau', {})).rejects.toMatchObject({ code: 'usage' })
  await expect(executor.plan('nothing', {})).rejects.toMatchObject({ code: 'user-code' })
})

test('an idle thread is ended after a while, a busy one never, and the next run starts another', async () => {
  const timers = new Set<() => void>()
  const timer: Clock['timer'] = (_, fire) => {
    timers.add(fire)
    return () => timers.delete(fire)
  }
  const pass = () => {
    for (const fire of timers) fire()
  }
  // Counts the runs of its thread: a new thread begins again.
  const counting =
    'let runs = 0; export default { plan: () => ({}), map: () => ({ runs: ++runs }), reduce: (a) => a, finish() {} }'
  const executor = start(1, { counting }, { ...systemClock, timer })
  const spec = specOf('counting', {}, 16)
  const run = async () =>
    Buffer.from((await executor.run({ spec, segment: 0, mask: 1 }, { signal: never })).partials[0]?.bytes ?? []).at(-1)
  expect(await run()).toBe(1)
  expect(timers.size).toBe(1)
  const busy = run()
  expect(timers.size).toBe(0)
  pass()
  expect(await busy).toBe(2)
  pass()
  expect(timers.size).toBe(0)
  expect(await run()).toBe(1)
  await executor.stop()
  expect(timers.size).toBe(0)
})
