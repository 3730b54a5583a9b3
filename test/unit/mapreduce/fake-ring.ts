/** Hosts on a fake network that run the job `waves`, and how a test submits one and awaits its end. */
import { expect } from 'vitest'
import { type FakeExecutorOptions, fakeExecutor, waves } from '../../../sim/fake-executor.ts'
import type { Env } from '../../../src/core/env.ts'
import type { JobModule, JobView } from '../../../src/mapreduce/types.ts'
import { type FakeHost, FakeNetwork, type FakeOptions } from './fake-network.ts'

export const module = waves as unknown as JobModule
export const someTime = (_task: number, env: Env) => (env.random.next() < 0.01 ? 500 : 5 + env.random.next() * 30)

export function ring(count: number, options: FakeOptions, executor: Partial<FakeExecutorOptions> = {}) {
  const make = fakeExecutor({ module, taskMs: () => 20, ...executor })
  const network = new FakeNetwork(options)
  const hosts = Array.from({ length: count }, () => network.add(make))
  return { network, hosts, make }
}

export async function submit(network: FakeNetwork, host: FakeHost, tasks: number): Promise<string> {
  const request = { module: 'builtin:waves', params: { tasks }, seed: 7 }
  const view = await network.time.until(host.service.jobs.submit(request), 10_000)
  expect(view).toMatchObject({ state: 'waiting', tasks: { total: tasks, done: 0, reassigned: 0 } })
  return view.id
}

export async function collect(views: AsyncIterable<JobView>): Promise<JobView[]> {
  const all: JobView[] = []
  for await (const view of views) all.push(view)
  return all
}

export async function end(network: FakeNetwork, host: FakeHost, id: string, limitMs = 60_000): Promise<JobView> {
  return (await network.time.until(collect(host.service.jobs.watch(id)), limitMs)).at(-1) as JobView
}
