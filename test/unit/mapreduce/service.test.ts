import { describe, expect, test } from 'vitest'
import { expectedWaves, fakeExecutor } from '../../../sim/fake-executor.ts'
import { encode } from '../../../src/core/cbor.ts'
import { ChoraleError, errorCode } from '../../../src/core/errors.ts'
import { encodeCover, rangeCover } from '../../../src/mapreduce/cover.ts'
import { JobDispatch, JobEnd, JobResults, type Result } from '../../../src/mapreduce/messages.ts'
import { jobKey, segmentKey } from '../../../src/mapreduce/spec.ts'
import { markOf } from '../../../src/mapreduce/tally.ts'
import type { JobModule } from '../../../src/mapreduce/types.ts'
import { seeds } from '../../nightly.ts'
import { type FakeHost, FakeNetwork } from './fake-network.ts'
import { collect, end, module, ring, someTime, submit } from './fake-ring.ts'

/** Results of the first segment, for a grant that nobody gave. */
function bring(from: FakeHost, to: FakeHost, job: string, results: Result[]) {
  const message = { job, segment: 0, grant: 1, mask: 1, more: false, results, tookMs: 1, worker: from.contact.peer }
  return from.transport.request(to.contact, JobResults, message)
}

describe('a quiet network', () => {
  test.each([1, 2, 16, 17, 300])('one host alone runs a job of %i tasks', async (tasks) => {
    const { network, hosts } = ring(1, { seed: 1 })
    const id = await submit(network, hosts[0]!, tasks)
    const view = await end(network, hosts[0]!, id)
    expect(view).toMatchObject({ state: 'succeeded', value: expectedWaves(tasks, 7), workers: 1 })
    expect(view.tasks).toEqual({ total: tasks, done: tasks, reassigned: 0 })
  })

  test('eight hosts share a job evenly, show how it goes, and keep nothing of it', async () => {
    const { network, hosts } = ring(8, { seed: 2 })
    const started = network.time.now()
    const id = await submit(network, hosts[0]!, 1000)
    const views = await network.time.until(collect(hosts[3]!.service.jobs.watch(id)), 60_000)
    const last = views.at(-1)
    expect(last).toMatchObject({ state: 'succeeded', value: expectedWaves(1000, 7), workers: 8 })
    expect(last?.tasks.reassigned).toBe(0)
    // 1,000 tasks of 20 ms on 8 cores take 2,500 ms.
    expect(network.time.now() - started).toBeLessThan(3_000)
    for (const host of hosts) expect(host.service.lend().tasksDone).toBeGreaterThan(100)
    const did = hosts.map(({ contact, service }) => [markOf(contact.peer), service.lend().tasksDone] as const)
    expect(last?.doneBy).toEqual(did.toSorted((a, b) => a[0] - b[0]))
    const estimates = views.filter((view) => view.estimate !== undefined)
    expect(estimates.length).toBeGreaterThan(10)
    const done = views.map((view) => view.tasks.done)
    expect(done).toEqual(done.toSorted((a, b) => a - b))
    await network.time.until(network.time.sleep(5_000), 6_000)
    for (const host of hosts) {
      const { liveJobs, partialsBytes, alarms } = host.service.counters()
      expect({ liveJobs, partialsBytes, alarms }).toEqual({ liveJobs: 0, partialsBytes: 0, alarms: 0 })
    }
  })

  test('the result does not depend on the number of hosts', async () => {
    const values = []
    for (const count of [1, 3, 7, 20]) {
      const { network, hosts } = ring(count, { seed: count })
      const id = await submit(network, hosts[0]!, 777)
      values.push(encode((await end(network, hosts[0]!, id)).value))
    }
    for (const value of values) expect(value).toEqual(encode(expectedWaves(777, 7)))
  })

  test('tasks that take no time cost few messages', async () => {
    const { network, hosts } = ring(4, { seed: 3 }, { taskMs: () => 0 })
    const id = await submit(network, hosts[0]!, 4_096)
    expect(await end(network, hosts[0]!, id)).toMatchObject({ state: 'succeeded' })
    let sent = 0
    for (const host of hosts) for (const count of host.sent.values()) sent += count
    expect(sent).toBeLessThan(4_096 / 2)
  })

  test('hosts that lend nothing still keep queues for those that do', async () => {
    const { network, hosts, make } = ring(5, { seed: 4 }, { cores: 0 })
    const id = await submit(network, hosts[0]!, 200)
    await network.time.until(network.time.sleep(3_000), 4_000)
    const view = await network.time.until(hosts[1]!.service.jobs.show(id), 1_000)
    expect(view).toMatchObject({ state: 'scheduled' })
    void make
    network.add(fakeExecutor({ module, taskMs: () => 5 }))
    expect(await end(network, hosts[1]!, id)).toMatchObject({ value: expectedWaves(200, 7), workers: 1 })
  })

  test('a leaf submits, works and watches', async () => {
    const { network, hosts } = ring(3, { seed: 5 }, { cores: 0 })
    const leaf = network.add(fakeExecutor({ module, taskMs: () => 5, cores: 2 }), { leaf: true })
    const id = await submit(network, leaf, 150)
    expect(await end(network, leaf, id)).toMatchObject({ state: 'succeeded', value: expectedWaves(150, 7), workers: 1 })
    expect(leaf.service.lend().tasksDone).toBeGreaterThanOrEqual(150)
    expect(hosts.every((host) => host.service.lend().tasksDone === 0)).toBe(true)
  })

  test('a leaf that waits has work within two seconds, whichever member has the queue', async () => {
    for (const seed of seeds(5)) {
      const { network, hosts } = ring(12, { seed: 50 + seed }, { cores: 0 })
      const leaf = network.add(fakeExecutor({ module, taskMs: () => 50 }), { leaf: true })
      await network.time.until(network.time.sleep(20_000), 30_000)
      await submit(network, hosts[0]!, 10)
      await network.time.until(network.time.sleep(2_000), 3_000)
      expect(leaf.service.lend().tasksDone, `seed ${seed}`).toBeGreaterThan(0)
    }
  })

  test('several jobs at once, listed newest first', async () => {
    const { network, hosts } = ring(4, { seed: 6 })
    const ids: string[] = []
    for (const tasks of [300, 200, 100]) ids.unshift(await submit(network, hosts[0]!, tasks))
    for (const id of ids) await end(network, hosts[1]!, id)
    const listed = await network.time.until(hosts[0]!.service.jobs.list(), 5_000)
    expect(listed.map((view) => view.id)).toEqual(ids)
    expect(listed.map((view) => view.value)).toEqual([100, 200, 300].map((tasks) => expectedWaves(tasks, 7)))
  })

  test('a job that nobody knows', async () => {
    const { network, hosts } = ring(3, { seed: 7 })
    const { jobs } = hosts[0]!.service
    expect(await network.time.until(jobs.show(`b${'a'.repeat(58)}`), 5_000)).toBeUndefined()
    const watched = collect(jobs.watch(`b${'a'.repeat(58)}`))
    await expect(network.time.until(watched, 5_000)).rejects.toMatchObject({ code: 'not-found' })
  })
})

describe('deaths', () => {
  test.each(seeds(12))('exact through kills, joins, loss and duplication: seed %i', async (seed) => {
    const faults = { loss: 0.02, duplication: 0.02 }
    const { network, hosts, make } = ring(8, { seed, ...faults }, { taskMs: someTime })
    const tasks = 1 + network.random.int(1_500)
    const id = await submit(network, hosts[0]!, tasks)
    // The submitter, the coordinator, and two at random. The last one watches.
    const watcher = hosts[7]!
    const victims = [() => hosts[0]!, () => network.owner(jobKey(id)), () => hosts[network.random.int(7)]!]
    for (const victim of [...victims, victims[2]!]) {
      network.time.timer(network.random.next() * 4_000, () => {
        if (victim() !== watcher && victim().alive) network.kill(victim())
      })
    }
    for (let i = 0; i < 3; i++) network.time.timer(network.random.next() * 4_000, () => network.add(make))
    const view = await end(network, watcher, id, 120_000)
    expect(encode(view.value)).toEqual(encode(expectedWaves(tasks, 7)))
    for (const host of network.hosts) expect(host.service.counters().alarms).toBe(0)
  })

  test('work goes on at once when the network says that a host is gone', async () => {
    const { network, hosts } = ring(8, { seed: 40, detectionMs: 200, latencyMs: [0.2, 0.4] })
    const id = await submit(network, hosts[0]!, 2_000)
    const started = network.time.now()
    for (const at of [1_000, 1_500]) {
      network.time.timer(at, () => {
        const victim = hosts.slice(1, 7).find((host) => host.alive)
        if (victim) network.kill(victim)
      })
    }
    const view = await end(network, hosts[7]!, id)
    expect(view).toMatchObject({ state: 'succeeded', value: expectedWaves(2_000, 7) })
    // 5 s of work on 8 hosts; with 6 of them from the first second on 6.3 s.
    expect(network.time.now() - started).toBeLessThan(10_000)
    expect(view.tasks.reassigned).toBeGreaterThan(0)
  })

  test('a slow host does not hold up the job', async () => {
    const network = new FakeNetwork({ seed: 41 })
    const quick = fakeExecutor({ module, taskMs: () => 20 })
    const hosts = Array.from({ length: 5 }, () => network.add(quick))
    network.add(fakeExecutor({ module, taskMs: () => 30_000 }))
    const id = await submit(network, hosts[0]!, 400)
    const started = network.time.now()
    const view = await end(network, hosts[0]!, id)
    expect(view).toMatchObject({ value: expectedWaves(400, 7) })
    expect(network.time.now() - started).toBeLessThan(6_000)
    // It renews what it was given: late, not lost.
    expect(view.tasks.reassigned).toBe(0)
  })

  test('a job whose keepers are all gone: whoever asks or waits hears so', async () => {
    const { network, hosts } = ring(8, { seed: 43, detectionMs: 1e9 })
    const id = await submit(network, hosts[0]!, 2_000)
    const owner = network.owner(jobKey(id))
    const survivor = hosts.find((host) => host !== owner)!
    const watched = (async () => {
      for await (const view of survivor.service.jobs.watch(id)) expect(view.state).not.toBe('succeeded')
    })()
    watched.catch(() => {})
    await network.time.until(network.time.sleep(500), 1_000)
    for (const host of hosts) if (host !== survivor) network.kill(host)
    const asked = network.time.now()
    const code = (promise: Promise<unknown>) => promise.then(() => 'an answer', errorCode)
    expect(await network.time.until(code(survivor.service.jobs.show(id)), 60_000)).toBe('no-route')
    expect(network.time.now() - asked).toBeLessThan(15_000)
    expect(await network.time.until(code(watched), 90_000)).toBe('no-route')
  })

  test('a host that stops politely hands its queue over within a second', async () => {
    const { network, hosts } = ring(4, { seed: 42, latencyMs: [0.2, 0.4] })
    const id = await submit(network, hosts[0]!, 800)
    const started = network.time.now()
    await network.time.until(network.time.sleep(1_000), 2_000)
    const leaving = network.time.now()
    await network.time.until(network.leave(hosts[1]!), 2_000)
    expect(network.time.now() - leaving).toBeLessThanOrEqual(1_000)
    const view = await end(network, hosts[0]!, id)
    expect(view).toMatchObject({ value: expectedWaves(800, 7) })
    // 16 s of work: 4 s of it in the first second, the rest on three.
    expect(network.time.now() - started).toBeLessThan(6_500)
  })

  test('a job outlives even its record, as long as its segments live', async () => {
    const { network, hosts } = ring(12, { seed: 43, detectionMs: 300 })
    const id = await submit(network, hosts[0]!, 2_000)
    await network.time.until(network.time.sleep(1_000), 2_000)
    const keepers = hosts.filter((host) => host.stored.get('job')?.has(jobKey(id)))
    expect(keepers.length).toBe(4)
    for (const keeper of keepers) network.kill(keeper)
    await network.time.until(network.time.sleep(5_000), 6_000)
    const watcher = hosts.find((host) => host.alive) as FakeHost
    expect(await end(network, watcher, id)).toMatchObject({ state: 'succeeded', value: expectedWaves(2_000, 7) })
  })
})

describe('controls', () => {
  test('a cancelled job stops everywhere and stays cancelled', async () => {
    const { network, hosts } = ring(6, { seed: 50 })
    const id = await submit(network, hosts[0]!, 5_000)
    await network.time.until(network.time.sleep(1_000), 2_000)
    const foreign = network.time.until(hosts[1]!.service.jobs.cancel(id), 5_000)
    await expect(foreign).rejects.toMatchObject({ code: 'auth' })
    const view = await network.time.until(hosts[0]!.service.jobs.cancel(id), 5_000)
    expect(view.state).toBe('cancelled')
    await network.time.until(network.time.sleep(500), 1_000)
    const before = hosts.map((host) => host.service.lend().tasksDone)
    await network.time.until(network.time.sleep(3_000), 4_000)
    expect(hosts.map((host) => host.service.lend().tasksDone)).toEqual(before)
    for (const host of hosts) expect(host.service.counters()).toMatchObject({ liveJobs: 0, partialsBytes: 0 })
    expect(await end(network, hosts[4]!, id)).toMatchObject({ state: 'cancelled' })
  })

  test('a cancel that comes after the result changes nothing', async () => {
    const { network, hosts } = ring(3, { seed: 51 })
    const id = await submit(network, hosts[0]!, 50)
    await end(network, hosts[0]!, id)
    const view = await network.time.until(hosts[0]!.service.jobs.cancel(id), 5_000)
    expect(view).toMatchObject({ state: 'succeeded', value: expectedWaves(50, 7) })
  })

  test.each(seeds(8))('a cancel that races with the result: one end, the same everywhere: seed %i', async (seed) => {
    const { network, hosts } = ring(5, { seed })
    const id = await submit(network, hosts[0]!, 40)
    await network.time.until(network.time.sleep(60 + 40 * (seed % 40)), 2_000)
    await network.time.until(hosts[0]!.service.jobs.cancel(id), 5_000)
    await network.time.until(network.time.sleep(2_000), 3_000)
    const ends = new Set<string>()
    for (const host of hosts) ends.add((await end(network, host, id)).state)
    expect(ends.size).toBe(1)
  })
})

describe('bad code and bad hosts', () => {
  test("a job whose code fails ends with the code's own words", async () => {
    const broken: JobModule = {
      ...module,
      map(task, context) {
        if (task === 33) throw new Error('no such word')
        return module.map(task, context)
      },
    }
    const { network, hosts } = ring(4, { seed: 60 }, { module: broken })
    const id = await submit(network, hosts[0]!, 100)
    const view = await end(network, hosts[0]!, id)
    expect(view).toMatchObject({ state: 'failed', reason: "the job's code failed in task 33: no such word" })
  })

  test('what goes wrong on a host and not in the code is tried again, and tells nothing of the job', async () => {
    let times = 0
    const trouble = () => (times++ % 3 === 0 ? new ChoraleError('io', 'no room for a process') : undefined)
    const { network, hosts } = ring(4, { seed: 67 }, { trouble })
    const view = await end(network, hosts[0]!, await submit(network, hosts[0]!, 60))
    expect(view).toMatchObject({ state: 'succeeded', value: expectedWaves(60, 7) })
    expect(times).toBeGreaterThan(10)
  })

  test('a partial that is too large is refused with what to do about it', async () => {
    const large: JobModule = { ...module, map: () => 'x'.repeat(600_000) }
    const { network, hosts } = ring(3, { seed: 61 }, { module: large })
    const view = await end(network, hosts[0]!, await submit(network, hosts[0]!, 3))
    expect(view.state).toBe('failed')
    expect(view.reason).toMatch(/the most is 524288: reduce it further in map/)
  })

  test('partials of which a frame holds one arrive all the same', async () => {
    const longest: JobModule = {
      ...module,
      map: (task) => ({ text: 'x'.repeat(30_000), count: task }),
      reduce: (left, right) => ({ ...(left as object), count: (right as { count: number }).count }),
      finish: (total) => (total as { count: number }).count,
    }
    const { network, hosts } = ring(4, { seed: 66 }, { module: longest })
    const view = await end(network, hosts[0]!, await submit(network, hosts[0]!, 100))
    expect(view).toMatchObject({ state: 'succeeded', value: 99 })
  })

  test('a second result for a segment raises an alarm; the first one stands', async () => {
    const { network, hosts } = ring(4, { seed: 62 }, { taskMs: (task) => (task > 300 ? 1_000 : 5) })
    const id = await submit(network, hosts[0]!, 320)
    await network.time.until(network.time.sleep(3_000), 4_000)
    const root = network.owner(segmentKey(id, 1, 0))
    const liar = hosts.find((host) => host !== root) as FakeHost
    const bent = { level: 1, index: 0, bytes: encode({ sum: 1, count: 16 }) }
    await network.time.until(bring(liar, root, id, [bent]), 5_000)
    expect(root.service.counters().alarms).toBe(1)
    const view = await end(network, hosts[0]!, id)
    expect(view).toMatchObject({ state: 'succeeded', value: expectedWaves(320, 7) })
    expect(view.reason).toMatch(/two different results came for 1 of its segments/)
  })

  test('so does a second result for a task, after the segment has been folded too', async () => {
    const { network, hosts } = ring(1, { seed: 63 }, { taskMs: (task) => (task < 16 ? 5 : 100) })
    const id = await submit(network, hosts[0]!, 64)
    await network.time.until(network.time.sleep(1_500), 2_000)
    const root = hosts[0]!
    const liar = network.add(fakeExecutor({ module, taskMs: () => 5, cores: 0 }), { leaf: true })
    const results = [3, 4].map((index) => ({ level: 0, index, bytes: encode({ sum: 1, count: index }) }))
    await network.time.until(bring(liar, root, id, results), 5_000)
    expect(root.service.counters().alarms).toBe(2)
    expect(await end(network, root, id)).toMatchObject({ state: 'succeeded', value: expectedWaves(64, 7) })
  })

  test('bundles and results that make no sense are refused', async () => {
    const { network, hosts } = ring(2, { seed: 64 }, { taskMs: () => 1_000 })
    const id = await submit(network, hosts[0]!, 100)
    await network.time.until(network.time.sleep(500), 1_000)
    const ask = (change: object) => {
      const message = { job: id, level: 1, cover: Uint8Array.from([0, 0, 1]), fresh: true, handover: false, hops: 0 }
      return network.time.until(
        hosts[0]!.transport.request(hosts[1]!.contact, JobDispatch, { ...message, ...change }),
        5_000,
      )
    }
    expect(await ask({})).toEqual({})
    await expect(ask({ cover: Uint8Array.from([9, 9, 9]) })).rejects.toMatchObject({ code: 'bad-message' })
    await expect(ask({ cover: Uint8Array.from([0, 0, 100]) })).rejects.toMatchObject({ code: 'bad-message' })
    const unknown = `b${'a'.repeat(58)}`
    expect(await ask({ job: unknown })).toEqual({ need: true })
    await expect(ask({ job: unknown, spec: encode({ v: 1 }) })).rejects.toMatchObject({ code: 'bad-message' })
  })

  test('nonsense from the user', async () => {
    const { network, hosts } = ring(1, { seed: 65 })
    const { jobs } = hosts[0]!.service
    const request = { module: 'builtin:waves', params: { tasks: 0 }, seed: 1 }
    await expect(network.time.until(jobs.submit(request), 1_000)).rejects.toMatchObject({ code: 'usage' })
    const seed = { ...request, params: { tasks: 1 }, seed: 1.5 }
    await expect(network.time.until(jobs.submit(seed), 1_000)).rejects.toMatchObject({ code: 'usage' })
  })
})

test('what a stranger says of the end of a job is not believed by who coordinates it', async () => {
  const { network, hosts } = ring(6, { seed: 17 }, { taskMs: () => 200 })
  const id = await submit(network, hosts[0]!, 300)
  await network.time.until(network.time.sleep(1_000), 2_000)
  const coordinator = network.owner(jobKey(id))
  const liar = hosts.find((host) => host !== coordinator)!
  const cover = encodeCover(rangeCover(0, 1))
  const message = { job: id, cover, segments: 1, hops: 40 }
  await network.time.until(liar.transport.request(coordinator.contact, JobEnd, message), 5_000)
  const view = await end(network, hosts[0]!, id, 120_000)
  expect(view).toMatchObject({ state: 'succeeded', value: expectedWaves(300, 7) })
})
