/** Jobs on real Chord nodes and real registers in the simulator: churn, loss, duplicates, reordering, virtual nodes, the codec. */
import { expect, test } from 'vitest'
import { Call } from '../../sim/churn.ts'
import { encode } from '../../src/core/codec.ts'
import type { JobModule } from '../../src/mapreduce/types.ts'
import { seeds } from '../nightly.ts'
import { expectedWaves, fakeExecutor, waves } from '../unit/mapreduce/fake-executor.ts'
import { JobsCluster, type JobsClusterOptions } from './jobs-cluster.ts'

const module = waves as unknown as JobModule

async function ring(size: number, options: Omit<JobsClusterOptions, 'executor'>, taskMs: number): Promise<JobsCluster> {
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

test.each(seeds(6))('half of the hosts die over a job, others come: exact, seed %i', async (seed) => {
  const faults = { loss: 0.005, duplication: 0.01, reordering: 0.01 }
  const cluster = await ring(16, { seed, ...faults, codec: seed % 2 === 0, slots: seed % 3 === 0 ? 2 : 1 }, 100)
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

test('a hundred hosts find the work within two seconds, and leave nothing behind', async () => {
  const cluster = await ring(100, { seed: 9 }, 100)
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

test('the same seed runs the same job in the same events', async () => {
  const digests = []
  for (const _ of [1, 2]) {
    const cluster = await ring(8, { seed: 3, loss: 0.01 }, 50)
    await cluster.follow(await submit(cluster, 300), 60_000)
    digests.push(cluster.schedule.digest)
  }
  expect(digests[0]).toBe(digests[1])
})
