/** Hosts that cannot run a job, or do not take its code: it is left to others, folds included. */
import { expect, test } from 'vitest'
import { expectedWaves, fakeExecutor } from '../../../sim/fake-executor.ts'
import { encode } from '../../../src/core/cbor.ts'
import { ChoraleError, errorCode } from '../../../src/core/errors.ts'
import { JobErrand } from '../../../src/mapreduce/messages.ts'
import { encodeSpec } from '../../../src/mapreduce/spec.ts'
import type { JobModule } from '../../../src/mapreduce/types.ts'
import { seeds } from '../../nightly.ts'
import type { FakeHost } from './fake-network.ts'
import { end, module, ring, submit } from './fake-ring.ts'

test.each(['io', 'config'] as const)('where no host can run it, the job waits and says why: %s', async (code) => {
  let times = 0
  const trouble = () => {
    if (times++ > 10_000) throw new Error('it is given out again and again')
    return new ChoraleError(code, 'no room for a process')
  }
  const { network, hosts } = ring(4, { seed: 68 }, { trouble })
  const id = await submit(network, hosts[0]!, 300)
  await network.time.until(network.time.sleep(25_000), 30_000)
  const view = await network.time.until(hosts[1]!.service.jobs.show(id), 10_000)
  expect(view).toMatchObject({ state: 'scheduled', reason: expect.stringContaining('no room for a process') })
  expect(times).toBeLessThan(500)
  for (const { service } of hosts) expect(service.counters().failedRuns).toBe(0)
})

test('one host that cannot run it does not end the job', async () => {
  const { network, hosts, make } = ring(3, { seed: 70 })
  const cannot = fakeExecutor({ module, taskMs: () => 20, trouble: () => new ChoraleError('config', 'no sandbox') })
  for (let i = 0; i < 3; i++) network.add(cannot)
  network.add(make)
  const view = await end(network, hosts[0]!, await submit(network, hosts[0]!, 600))
  expect(view).toMatchObject({ state: 'succeeded', value: expectedWaves(600, 7) })
})

test.each(seeds(12))('one host in eight takes the code: it does all, folds for others too: seed %i', async (seed) => {
  const refuses = { module, taskMs: () => 20, refusal: 'no JavaScript of others' }
  const { network, hosts } = ring(7, { seed: 700 + seed }, refuses)
  const able = network.add(fakeExecutor({ module, taskMs: () => 20 }))
  const before = network.time.now()
  const view = await end(network, hosts[0]!, await submit(network, able, 600))
  expect(view).toMatchObject({ state: 'succeeded', value: expectedWaves(600, 7), workers: 1 })
  expect(able.service.lend().tasksDone).toBeGreaterThanOrEqual(600)
  // 600 tasks of 20 ms on one core take 12,000 ms.
  expect(network.time.now() - before).toBeLessThan(14_000)
})

test('a fold waits, and the job says why, until a host comes that takes the code', async () => {
  const refuses = { module, taskMs: () => 20, refusal: 'no JavaScript of others' }
  const { network, hosts } = ring(6, { seed: 71 }, refuses)
  const able = network.add(fakeExecutor({ module, taskMs: () => 20 }), { leaf: true })
  // A leaf takes tasks, but nobody can ask it to fold.
  const id = await submit(network, able, 200)
  await network.time.until(network.time.sleep(30_000), 40_000)
  const waiting = await network.time.until(hosts[1]!.service.jobs.show(id), 10_000)
  expect(waiting).toMatchObject({ state: 'running', tasks: { done: 200 } })
  expect(waiting?.reason).toMatch(/waits for a host that takes its code: .*no JavaScript of others/)
  network.add(fakeExecutor({ module, taskMs: () => 20 }))
  const view = await end(network, hosts[0]!, id)
  expect(view).toMatchObject({ state: 'succeeded', value: expectedWaves(200, 7) })
})

test('folds of many messages for other hosts are folds of all their parts, when some get lost and some come twice', async () => {
  const large = {
    ...module,
    map: (task, context) => ({ ...(module.map(task, context) as object), ballast: new Uint8Array(20_000) }),
    reduce: (left, right) => ({ ...(module.reduce(left, right) as object), ballast: new Uint8Array(20_000) }),
  } satisfies JobModule
  const options = { module: large, taskMs: () => 1 }
  const { network, hosts } = ring(
    7,
    { seed: 72, loss: 0.1, duplication: 0.3 },
    { ...options, refusal: 'no JavaScript of others' },
  )
  const able = network.add(fakeExecutor({ ...options, cores: 8 }))
  const view = await end(network, hosts[0]!, await submit(network, able, 2_500), 600_000)
  expect(view).toMatchObject({ state: 'succeeded', value: expectedWaves(2_500, 7) })
})

test('a host that is asked for many folds at once does each of them whole, or says that it is busy', async () => {
  const { network, hosts } = ring(2, { seed: 73 }, { taskMs: () => 60_000 })
  const [asker, able] = hosts as [FakeHost, FakeHost]
  const job = await submit(network, able, 300)
  await network.time.until(network.time.sleep(3_000), 4_000)
  const spec = encodeSpec((await network.time.until(able.service.jobs.spec(job), 5_000))!)
  const ask = (errand: number, at: number) => {
    const parts = [encode({ sum: errand, count: 1 + at })]
    const message = { job, spec, work: 'fold' as const, errand, at, of: 2, parts }
    return asker.transport.request(able.contact, JobErrand, message, { timeoutMs: 30_000 }).catch(errorCode)
  }
  const numbers = Array.from({ length: 40 }, (_, i) => i)
  const firsts = await network.time.until(Promise.all(numbers.map((i) => ask(i, 0))), 60_000)
  const lasts = await network.time.until(Promise.all(numbers.map((i) => ask(i, 1))), 60_000)
  const taken = firsts.filter((reply) => reply !== 'busy').length
  expect(taken).toBe(32)
  for (const i of numbers) {
    const whole = { bytes: encode({ sum: 2 * i, count: 3 }), others: [] }
    expect(lasts[i]).toEqual(firsts[i] === 'busy' ? 'busy' : whole)
  }
})
