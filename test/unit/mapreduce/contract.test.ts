/** Jobs that are paid for are done by contracted hosts (DESIGN 7). */
import { expect, test } from 'vitest'
import { expectedWaves, fakeExecutor } from '../../../sim/fake-executor.ts'
import { encode } from '../../../src/core/cbor.ts'
import { hashKey, type Key } from '../../../src/core/ids.ts'
import { seeds } from '../../nightly.ts'
import { FakeNetwork } from './fake-network.ts'
import { end, module, someTime } from './fake-ring.ts'

const contract = hashKey('contract')

/** Hosts that all know who is admitted, by number. */
function hired(count: number, seed: number, admitted: Set<number>) {
  const network = new FakeNetwork({ seed })
  const admission = {
    admits: (of: Key, peer: string) => of === contract && admitted.has(Number(peer.slice(5)) - 1),
    contractOf: () => contract,
  }
  const hosts = Array.from({ length: count }, () =>
    network.add(fakeExecutor({ module, taskMs: someTime, lent: { cores: 2 } }), { admission }),
  )
  const done = () => hosts.map(({ service }) => service.lend().tasksDone)
  const submit = async (tasks: number, paid = true) => {
    const request = { module: 'builtin:waves', params: { tasks }, seed: 7, ...(paid && { paid: true as const }) }
    return (await network.time.until(hosts[0]!.service.jobs.submit(request), 10_000)).id
  }
  return { network, hosts, done, submit, wait: (ms: number) => network.time.until(network.time.sleep(ms), ms + 1) }
}

test.each([30, 1500])('only hosts that are contracted do the tasks, and all fold: %i tasks', async (tasks) => {
  const { network, hosts, done, submit } = hired(5, 1, new Set([2, 3]))
  const view = await end(network, hosts[0]!, await submit(tasks), 300_000)
  expect(encode(view.value)).toEqual(encode(expectedWaves(tasks, 7)))
  const [a, b, c, d, e] = done() as [number, number, number, number, number]
  expect([a, b, e]).toEqual([0, 0, 0])
  expect(c + d).toBeGreaterThanOrEqual(tasks)
})

test('a job whose contracts are with nobody waits, and others go on', async () => {
  const admitted = new Set<number>()
  const { network, hosts, done, submit, wait } = hired(3, 2, admitted)
  const paid = await submit(40)
  const free = await submit(40, false)
  expect(await end(network, hosts[1]!, free)).toMatchObject({ value: expectedWaves(40, 7) })
  await wait(5_000)
  const view = await network.time.until(hosts[0]!.service.jobs.show(paid), 10_000)
  expect(view?.reason).toBe('it waits for hosts that are contracted for it')
  const before = done()
  expect(before.reduce((sum, count) => sum + count)).toBe(40)
  admitted.add(1)
  for (const { service } of hosts) service.capacityChanged()
  expect(await end(network, hosts[0]!, paid)).toMatchObject({ value: expectedWaves(40, 7) })
  expect(done()[1]! - before[1]!).toBe(40)
})

test.each(['killed', 'no longer admitted'] as const)(
  'a job whose contracted host is %s goes on with one that is admitted later',
  async (how) => {
    const admitted = new Set([3])
    const { network, hosts, done, submit, wait } = hired(5, 3, admitted)
    const id = await submit(400)
    await wait(2_000)
    const [, , , before] = done() as [number, number, number, number]
    expect(before).toBeGreaterThan(10)
    admitted.delete(3)
    if (how === 'killed') network.kill(hosts[3]!)
    else for (const { service } of hosts) service.capacityChanged()
    await wait(10_000)
    const lost = await network.time.until(hosts[0]!.service.jobs.show(id), 10_000)
    expect(lost).toMatchObject({ state: 'running', reason: 'it waits for hosts that are contracted for it' })
    admitted.add(4)
    for (const { service } of hosts) service.capacityChanged()
    const view = await end(network, hosts[0]!, id, 300_000)
    expect(encode(view.value)).toEqual(encode(expectedWaves(400, 7)))
    expect(done().slice(0, 3)).toEqual([0, 0, 0])
  },
)

test.each(seeds(4))('exact while contracts come and go: seed %i', async (seed) => {
  const admitted = new Set([0, 1])
  const { network, hosts, submit } = hired(5, 10 + seed, admitted)
  const tasks = 200 + network.random.int(1_000)
  const id = await submit(tasks)
  for (let i = 1; i <= 20; i++) {
    network.time.timer(i * 400, () => {
      const number = network.random.int(5)
      if (i < 20 && admitted.has(number)) admitted.delete(number)
      else admitted.add(number)
      for (const { service } of hosts) service.capacityChanged()
    })
  }
  const view = await end(network, hosts[2]!, id, 600_000)
  expect(encode(view.value)).toEqual(encode(expectedWaves(tasks, 7)))
})
