/** A task that is done again tells the same as whoever did it first. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { fakeExecutor, waves } from '../../../sim/fake-executor.ts'
import { type FakeStore, fakeStore } from '../../../sim/fake-store.ts'
import { silentLogger } from '../../../src/core/env.ts'
import { hashKey, type Key } from '../../../src/core/ids.ts'
import { seededRandom } from '../../../src/core/random.ts'
import { defineJob } from '../../../src/mapreduce/define.ts'
import { planLocally } from '../../../src/mapreduce/local.ts'
import type { Redone } from '../../../src/mapreduce/ports.ts'
import { createRedo } from '../../../src/mapreduce/redo.ts'
import { fullMask, segmentCount, tasksOfMask } from '../../../src/mapreduce/segments.ts'
import { type JobSpec, stageSpec } from '../../../src/mapreduce/spec.ts'
import type { JobModule } from '../../../src/mapreduce/types.ts'
import { Work } from '../../../src/mapreduce/work.ts'
import { witnessed } from '../../../src/market/allocation/witness.ts'
import { VirtualTime } from './virtual-time.ts'

const contract = hashKey('contract')
const never = new AbortController().signal
const TASK_MS = 10
/** Blocks of 256 KiB: three whole ones, and some. */
const INPUT_BYTES = 900_000

/** Its partials are so large that the store keeps them. */
const copy = defineJob({
  name: 'copy',
  input: 'bytes',
  map: (task, { input }) => ({ task, head: (input as Uint8Array).slice(0, 100_000) }),
  reduce: (left, right) => (left.task > right.task ? left : right),
})

interface Parts {
  readonly module?: JobModule
  readonly cores?: number
  readonly refusal?: string
  readonly atOnce?: () => number
}

/** A customer, and a supplier whose executor tells what it makes. */
function parts({ module = waves as unknown as JobModule, cores = 0, refusal, atOnce }: Parts = {}) {
  const time = new VirtualTime()
  const env = { clock: time, random: seededRandom(1), log: silentLogger }
  const stored = fakeStore()
  let running = 0
  let most = 0
  const taskMs = () => {
    most = Math.max(most, ++running)
    time.timer(TASK_MS, () => running--)
    return TASK_MS
  }
  const redo = createRedo({
    executor: fakeExecutor({ module, taskMs, cores, ...(refusal && { refusal }) })(env),
    store: stored.store,
    ...(atOnce && { atOnce }),
  })
  const told = new Map<number, Key>()
  const plain = fakeExecutor({ module, taskMs: () => TASK_MS, cores: 2 })(env)
  const supplier = new Work(
    witnessed(plain, (_, task, digest) => told.set(task, digest)),
    stored.store,
  )
  const until = <T>(promise: Promise<T>) => time.until(promise, 1_000_000)
  const planned = async (params: JobSpec['params'], input?: string): Promise<JobSpec> => {
    const ports = { executor: plain, store: stored.store }
    const { spec } = await planLocally(ports, { module: 'x', params, seed: 7, ...(input && { input }) })
    return { ...spec, contract }
  }
  const digestsOf = async (spec: JobSpec, tasks: readonly number[]) => {
    const again = await until(Promise.all(tasks.map((task) => redo.digest(spec, task, { signal: never }))))
    return again.map(({ digest }) => digest)
  }
  const run = (spec: JobSpec, segment: number, mask: number) =>
    until(supplier.run({ spec, segment, mask }, { signal: never }))
  return { time, redo, told, stored, until, planned, digestsOf, run, most: () => most }
}

async function someInput({ files }: FakeStore, bytes: number): Promise<string> {
  async function* content() {
    yield seededRandom(bytes).bytes(bytes)
  }
  return (await files.addFile(content())).cid.toString()
}

test('it tells what a supplier tells of any tasks, whatever it did together', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 40 }), fc.nat(2), fc.nat(0xffff), async (count, at, some) => {
      const { planned, run, told, digestsOf } = parts()
      const spec = await planned({ tasks: count })
      const segment = at % segmentCount(spec, 1)
      const full = fullMask(spec, 1, segment)
      for (const mask of [full, some & full, full & -full]) {
        if (mask === 0) continue
        told.clear()
        await run(spec, segment, mask)
        const tasks = tasksOfMask(spec, segment, mask)
        expect(await digestsOf(spec, tasks)).toEqual(tasks.map((task) => told.get(task)))
      }
    }),
    { numRuns: 40 },
  )
})

test('of a job with stored input, whose results the store keeps', async () => {
  const { planned, run, told, digestsOf, stored } = parts({ module: copy as unknown as JobModule })
  const spec = await planned({}, await someInput(stored, INPUT_BYTES))
  expect([spec.leaf, spec.tasks]).toEqual([1, 4])
  const tasks = [0, 1, 2, 3]
  const { partials } = await run(spec, 0, 1)
  expect(partials[0]!.bytes.length).toBeLessThan(1_000) // the supplier has put it into the store
  for (const task of tasks.slice(1)) await run(spec, task, 1)
  const before = stored.blocks.size
  const digests = await digestsOf(spec, tasks)
  expect(digests).toEqual(tasks.map((task) => told.get(task)))
  expect(new Set(digests).size).toBe(4)
  expect(stored.blocks.size, 'nothing is kept of a test').toBe(before)
})

test('of a later pass it is the first that is done again', async () => {
  const { planned, digestsOf } = parts()
  const spec = { ...(await planned({ tasks: 20 })), rounds: true as const }
  const pass = stageSpec(spec, { number: 1, carry: new Uint8Array([0xf6]) })
  expect(await digestsOf(pass, [3])).toEqual(await digestsOf(spec, [3]))
})

test.each([20, -1, 0.5, 2 ** 40, Number.NaN])('task %d of 20 is none', async (task) => {
  const { planned, redo } = parts()
  const spec = await planned({ tasks: 20 })
  await expect(redo.digest(spec, task, { signal: never })).rejects.toMatchObject({ code: 'usage' })
})

test('a host that does not run the code does not say what it comes to', async () => {
  const { planned, redo } = parts({ refusal: 'the job is for the engine fake/2' })
  const spec = await planned({ tasks: 20 })
  const asked = redo.digest(spec, 1, { signal: never })
  await expect(asked).rejects.toMatchObject({ code: 'unsupported', message: 'the job is for the engine fake/2' })
})

test.each([0, 4])('one at a time, in turn, with %i cores lent', async (cores) => {
  const { planned, redo, time, until, most } = parts({ cores })
  const spec = await planned({ tasks: 40 })
  const from = time.now()
  const order: number[] = []
  const asked = [5, 30, 1, 17].map((task) =>
    redo.digest(spec, task, { signal: never }).then(({ tookMs }) => {
      order.push(task)
      expect(tookMs).toBe(TASK_MS)
    }),
  )
  await until(Promise.all(asked))
  expect([order, most(), time.now() - from]).toEqual([[5, 30, 1, 17], 1, 4 * TASK_MS])
})

test('what is done for money is done on as many cores as are lent, and goes on when they are none', async () => {
  let cores = 2
  const { planned, redo, time, until, most } = parts({ atOnce: () => cores })
  const spec = await planned({ tasks: 40 })
  const from = time.now()
  const asked = Promise.all([5, 30, 1, 17].map((task) => redo.digest(spec, task, { signal: never })))
  await until(time.sleep(TASK_MS / 2))
  cores = 0
  await until(asked)
  expect([most(), time.now() - from]).toEqual([2, 3 * TASK_MS])
})

test("who gives up does not wait, and the next are served; a failure is nobody else's", async () => {
  const { planned, redo, until, time } = parts()
  const spec = await planned({ tasks: 40 })
  const outcomes: string[] = []
  const ask = (task: number, signal: AbortSignal) =>
    redo.digest(spec, task, { signal }).then(
      ({ digest }: Redone) => outcomes.push(`${task} ${digest.length}`),
      ({ code }) => outcomes.push(`${task} ${code}`),
    )
  const [first, third] = [new AbortController(), new AbortController()]
  const all = [ask(0, first.signal), ask(1, never), ask(2, third.signal), ask(99, never), ask(3, never)]
  third.abort()
  await until(time.sleep(TASK_MS / 2))
  expect(outcomes).toEqual(['2 aborted'])
  first.abort()
  await until(Promise.all(all))
  expect(outcomes).toEqual(['2 aborted', '0 aborted', '1 64', '99 usage', '3 64'])
  await expect(redo.digest(spec, 1, { signal: first.signal })).rejects.toMatchObject({ code: 'aborted' })
})
