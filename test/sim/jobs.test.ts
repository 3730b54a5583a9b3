/** Jobs on real nodes of both overlays and real registers in the simulator: churn, loss, duplicates, reordering, virtual nodes, the codec. */
import { expect, test } from 'vitest'
import { Call } from '../../sim/churn.ts'
import { expectedWaves, fakeExecutor, waves } from '../../sim/fake-executor.ts'
import { JobsCluster, type JobsClusterOptions } from '../../sim/jobs-cluster.ts'
import { uniformLatency } from '../../sim/latency.ts'
import { encode } from '../../src/core/cbor.ts'
import type { JobModule } from '../../src/mapreduce/types.ts'
import { seeds } from '../nightly.ts'

const module = waves as unknown as JobModule

async function overlay(
  size: number,
  options: Omit<JobsClusterOptions, 'executor'>,
  taskMs: number,
): Promise<JobsCluster> {
  const executor = fakeExecutor({ module, taskMs: (_task, env) => taskMs * (0.5 + env.random.next()) })
  const cluster = new JobsCluster({ executor, ...options })
  cluster.start(size)
  await cluster.schedule.run(5_000)
  return cluster
}

async function submit(cluster: JobsCluster, tasks: number): Promise<string> {
  const { jobs } = cluster.service(cluster.nodes[0]!)
  const request = { module: 'builtin:waves', params: { tasks }, seed: 7 }
  return (await cluster.schedule.until(jobs.submit(request))).id
}

const half = [
  ...seeds(6).map((seed) => ({ space: 'ring', seed })),
  ...seeds(3).map((seed) => ({ space: 'torus2', seed })),
]

test.each(half)('half of the hosts die over a job, others come: exact, %o', async ({ space, seed }) => {
  const faults = { loss: 0.005, duplication: 0.01, reordering: 0.01 }
  const cluster = await overlay(
    16,
    { space, seed, ...faults, codec: seed % 2 === 0, slots: seed % 3 === 0 ? 2 : 1 },
    100,
  )
  const tasks = 500 + cluster.random.int(2_500)
  const id = await submit(cluster, tasks)
  const startMs = cluster.schedule.nowMs
  // One every two seconds, the submitter first; every second one is replaced.
  for (let i = 0; i < 8; i++) {
    const at = startMs + 1_000 + 2_000 * (i + cluster.random.next())
    cluster.schedule.add(new Call(() => cluster.kill(i === 0 ? cluster.nodes[0]! : cluster.pick()!)), at)
    if (i % 2 === 0) cluster.schedule.add(new Call(() => void cluster.join().catch(() => {})), at + 1_000)
  }
  const view = await cluster.follow(id, 180_000)
  expect(view.state).toBe('succeeded')
  expect(encode(view.value)).toEqual(encode(expectedWaves(tasks, 7)))
  for (const service of cluster.services) expect(service.counters().alarms).toBe(0)
})

/** As `chorale demo --churn 0.5` does it: the record, the segments and their coordinator change hands at the same time. */
test.each([
  ['ring', 150],
  ['torus2', 40],
])(
  'half of a young overlay dies at once over a job, others come and die too: exact, many times (%s)',
  async (space, count) => {
    for (const seed of seeds(count)) {
      const cluster = await overlay(4, { space, seed, latency: uniformLatency(0.1, seed % 3 === 0 ? 20 : 2) }, 10)
      const { random } = cluster
      const id = await submit(cluster, 191)
      const join = () => void cluster.join().catch(() => {})
      const killAtMs = cluster.schedule.nowMs + 50 + 600 * random.next()
      const joinAtMs = killAtMs + 300 + 700 * random.next()
      for (const kill of [1, 2]) cluster.schedule.add(new Call(() => cluster.kill(cluster.pick()!)), killAtMs + kill)
      for (const _ of [1, 2]) cluster.schedule.add(new Call(join), joinAtMs + 150 * random.next())
      if (seed % 2 === 0) {
        const againAtMs = joinAtMs + 3_000 * random.next()
        cluster.schedule.add(new Call(() => cluster.nodes.length > 2 && cluster.kill(cluster.nodes.at(-1)!)), againAtMs)
        cluster.schedule.add(new Call(join), againAtMs + 500)
      }
      const view = await cluster.follow(id, 60_000)
      expect(view, `seed ${seed}`).toMatchObject({ state: 'succeeded', value: expectedWaves(191, 7) })
    }
  },
)

test('a hundred hosts find the work within two seconds, and leave nothing behind', async () => {
  const cluster = await overlay(100, { seed: 9 }, 100)
  const tasks = 6_000
  const id = await submit(cluster, tasks)
  await cluster.schedule.run(cluster.schedule.nowMs + 2_000)
  for (const service of cluster.services) expect(service.lend().tasksDone + service.lend().busy).toBeGreaterThan(0)
  const startMs = cluster.schedule.nowMs
  const view = await cluster.follow(id, 60_000)
  expect(view).toMatchObject({ state: 'succeeded', value: expectedWaves(tasks, 7), workers: 100 })
  // 6 s of work on each; a third of it is done.
  expect(cluster.schedule.nowMs - startMs).toBeLessThan(8_000)
  await cluster.schedule.run(cluster.schedule.nowMs + 10_000)
  for (const service of cluster.services) expect(service.counters()).toMatchObject({ liveJobs: 0, partialsBytes: 0 })
})

test('a host that joins during a job has work within two seconds', async () => {
  for (const seed of seeds(3)) {
    const cluster = await overlay(40, { seed }, 100)
    await submit(cluster, 8_000)
    await cluster.schedule.run(cluster.schedule.nowMs + 3_000)
    const joined = await cluster.schedule.until(cluster.join())
    await cluster.schedule.run(cluster.schedule.nowMs + 2_000)
    const { busy, tasksDone } = cluster.service(joined).lend()
    expect(busy + tasksDone, `seed ${seed}`).toBeGreaterThan(0)
  }
})

/** Owners of parents ask for so many segments only after minutes: whoever inherits one must take it up by itself. */
test('the segments of a large job are taken up by the heirs of dead hosts: exact, and soon', async () => {
  for (const seed of seeds(2)) {
    const cluster = await overlay(30, { seed }, 40)
    const tasks = 17_000
    const id = await submit(cluster, tasks)
    const startMs = cluster.schedule.nowMs
    for (let i = 0; i < 8; i++) {
      const at = startMs + 2_000 + 2_000 * i
      cluster.schedule.add(new Call(() => cluster.kill(cluster.pick()!)), at)
    }
    const view = await cluster.follow(id, 120_000)
    expect(view, `seed ${seed}`).toMatchObject({ state: 'succeeded', value: expectedWaves(tasks, 7) })
    // 24 s of work for all of them, 31 s for those who are left.
    expect(cluster.schedule.nowMs - startMs, `seed ${seed}`).toBeLessThan(60_000)
  }
})

test('the same seed runs the same job in the same events', async () => {
  const digests = []
  for (const _ of [1, 2]) {
    const cluster = await overlay(8, { seed: 3, loss: 0.01 }, 50)
    await cluster.follow(await submit(cluster, 300), 60_000)
    digests.push(cluster.schedule.digest)
  }
  expect(digests[0]).toBe(digests[1])
})
