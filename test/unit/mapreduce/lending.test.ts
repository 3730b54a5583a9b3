/** Hosts that lend no more, and lend again, while jobs run (DESIGN 7, 11). */
import { describe, expect, test } from 'vitest'
import { expectedWaves, fakeExecutor } from '../../../sim/fake-executor.ts'
import { encode } from '../../../src/core/cbor.ts'
import { JobStanding } from '../../../src/mapreduce/survey.ts'
import { seeds } from '../../nightly.ts'
import { FakeNetwork } from './fake-network.ts'
import { end, module, someTime, submit } from './fake-ring.ts'

/** Hosts of two cores each, whose lending a test changes. */
function lenders(count: number, seed: number, taskMs: Parameters<typeof fakeExecutor>[0]['taskMs'] = () => 200) {
  const network = new FakeNetwork({ seed })
  const all = Array.from({ length: count }, () => {
    const lent = { cores: 2 }
    const host = network.add(fakeExecutor({ module, taskMs, lent }))
    const lend = (cores: number) => {
      lent.cores = cores
      host.service.capacityChanged()
    }
    return { ...host, lend, load: () => host.service.lend(), host }
  })
  const wait = (ms: number) => network.time.until(network.time.sleep(ms), ms + 1)
  return { network, all, wait }
}

describe('a host that lends no more', () => {
  test.each([40, 1000])('ends what runs and begins nothing: a job of %i tasks', async (tasks) => {
    const { network, all, wait } = lenders(3, 1)
    const id = await submit(network, all[0]!.host, tasks)
    await wait(1_000)
    const one = all[1]!
    const { busy, tasksRunning, tasksDone } = one.load()
    expect(busy).toBe(2)
    one.lend(0)
    expect(one.load()).toMatchObject({ cores: 0, busy, tasksRunning, tasksDone })
    await wait(tasks === 40 ? 16 * 200 : 500)
    expect(one.load()).toMatchObject({ busy: 0, tasksRunning: 0, tasksDone: tasksDone + tasksRunning })
    const view = await end(network, all[2]!.host, id, 600_000)
    expect(encode(view.value)).toEqual(encode(expectedWaves(tasks, 7)))
    expect(one.load().tasksDone).toBe(tasksDone + tasksRunning)
  })

  test('has its tasks done elsewhere long before their grants would run out', async () => {
    const { network, all, wait } = lenders(2, 2, () => 1000)
    const id = await submit(network, all[0]!.host, 1000)
    await wait(20_000)
    const before = all.map(({ load }) => load().tasksDone)
    all[1]!.lend(0)
    await wait(20_000)
    // Two cores, a task a second each.
    expect(all[0]!.load().tasksDone - before[0]!).toBeGreaterThanOrEqual(38)
    expect(all[1]!.load().tasksDone - before[1]!).toBeLessThanOrEqual(2)
    all[1]!.lend(2)
    await wait(20_000)
    expect(all[1]!.load().tasksDone - before[1]!).toBeGreaterThanOrEqual(36)
    expect(await end(network, all[0]!.host, id, 600_000)).toMatchObject({ value: expectedWaves(1000, 7) })
  })

  test('holds nothing that it has not begun: all of it is in queues again', async () => {
    const { network, all, wait } = lenders(3, 5, () => 20)
    // So large that hosts are given much at once.
    const tasks = 20_000
    const id = await submit(network, all[0]!.host, tasks)
    const counts = async () => {
      const sum = { queued: 0, running: 0 }
      for (const { host } of all) {
        const asked = all[0]!.host.transport.request(host.contact, JobStanding, { job: id })
        const { queued, running } = await network.time.until(asked, 2_000)
        sum.queued += queued
        sum.running += running
      }
      return sum
    }
    const lent = { cores: 2 }
    const leaf = network.add(fakeExecutor({ module, taskMs: () => 20, lent }), { leaf: true })
    await wait(5_000)
    expect((await counts()).running).toBeGreaterThan(200)
    for (const { lend } of all) lend(0)
    lent.cores = 0
    leaf.service.capacityChanged()
    await wait(2_000)
    const done = all.reduce((sum, { load }) => sum + load().tasksDone, leaf.service.lend().tasksDone)
    expect(done).toBeGreaterThan(1000)
    expect(await counts()).toEqual({ queued: tasks - done, running: 0 })
  })

  test('waits as a leaf too, and takes nothing that comes meanwhile', async () => {
    const { network, all, wait } = lenders(2, 3, () => 50)
    for (const { lend } of all) lend(0)
    const lent = { cores: 1 }
    const leaf = network.add(fakeExecutor({ module, taskMs: () => 50, lent }), { leaf: true })
    await wait(10_000)
    lent.cores = 0
    leaf.service.capacityChanged()
    const id = await submit(network, all[0]!.host, 20)
    await wait(20_000)
    expect(leaf.service.lend()).toMatchObject({ busy: 0, tasksDone: 0 })
    expect(await network.time.until(all[0]!.host.service.jobs.show(id), 2_000)).toMatchObject({
      state: 'scheduled',
      reason: expect.stringContaining('no host lends a core'),
    })
    lent.cores = 1
    leaf.service.capacityChanged()
    expect(await end(network, all[0]!.host, id)).toMatchObject({ value: expectedWaves(20, 7), workers: 1 })
  })

  test('fewer cores: no more is begun than they are', async () => {
    const { network, all, wait } = lenders(1, 4)
    await submit(network, all[0]!.host, 2000)
    await wait(2_000)
    all[0]!.lend(1)
    await wait(500)
    expect(all[0]!.load()).toMatchObject({ cores: 1, busy: 1 })
    const { tasksDone } = all[0]!.load()
    await wait(10_000)
    expect(all[0]!.load().tasksDone - tasksDone).toBeLessThanOrEqual(51)
  })
})

test.each(seeds(6))('exact while all lend now and then: seed %i', async (seed) => {
  const { network, all } = lenders(5, 100 + seed, someTime)
  const tasks = 1 + network.random.int(1_500)
  const id = await submit(network, all[0]!.host, tasks)
  for (let i = 0; i < 40; i++) {
    const one = all[network.random.int(all.length)]!
    network.time.timer(network.random.next() * 10_000, () => one.lend(network.random.int(3)))
  }
  network.time.timer(10_000, () => {
    for (const { lend } of all) lend(1)
  })
  const view = await end(network, all[3]!.host, id, 300_000)
  expect(encode(view.value)).toEqual(encode(expectedWaves(tasks, 7)))
  for (const { host } of all) expect(host.service.counters().alarms).toBe(0)
})
