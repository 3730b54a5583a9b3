/** The demo as a new user runs it: it shows a result, and leaves nothing behind, however it ends. */
import { expect, test } from 'vitest'
import pi from '../../jobs/pi.ts'
import search from '../../jobs/search.ts'
import sweep from '../../jobs/sweep.ts'
import { fakeExecutor } from '../../sim/fake-executor.ts'
import { fakeStore } from '../../sim/fake-store.ts'
import { finishContext, mapContext } from '../../sim/job-context.ts'
import { silentLogger } from '../../src/core/env.ts'
import { systemEnv } from '../../src/core/system.ts'
import { runLocally } from '../../src/mapreduce/local.ts'
import type { JobModule } from '../../src/mapreduce/types.ts'
import { Bench, eventually } from './processes.ts'

const SMALL = ['--nodes', '3', '--samples', '2e7', '--seed', '42']
/** Long enough to be caught in the middle. */
const LONG = ['--nodes', '3', '--samples', '1e12']

const random = () => {
  throw new Error('pi has a generator of its own')
}

/** The same job without any node. */
function alone(samples: number, seed: number) {
  const { params, tasks } = pi.plan({ samples })
  const results = Array.from({ length: tasks }, (_, task) => pi.map(task, mapContext(params, { seed, random })))
  const total = results.reduce((left, right) => pi.reduce(left, right))
  return pi.finish(total, finishContext(params))
}

test('the last line of --json', async () => {
  await using bench = new Bench()
  const result = await bench.json('demo', 'pi', ...SMALL)
  expect(result).toEqual({
    v: 1,
    type: 'result',
    job: expect.stringMatching(/^bafy/),
    status: 'succeeded',
    value: alone(2e7, 42),
    samples: 2e7,
    tasks: { total: expect.any(Number), reassigned: expect.any(Number) },
    nodes: 3,
    killed: 0,
    elapsedMs: expect.any(Number),
    payment: { state: 'paid', reason: null, price: '1', total: expect.any(String), balances: expect.any(Array) },
    seed: 42,
  })
  // What one node has paid the others have earned, beside the 50 credits that each of them was granted.
  const { total, balances } = result.payment as { total: string; balances: Array<{ balance: string; change: string }> }
  expect(balances).toHaveLength(3)
  for (const { balance, change } of balances) expect(BigInt(balance)).toBe(50_000n + BigInt(change))
  expect(balances.reduce((sum, { change }) => sum + BigInt(change), 0n)).toBe(0n)
  expect(balances.map(({ change }) => change)).toContain(`${-BigInt(total)}`)
  expect([bench.leftovers(), bench.files()]).toEqual([[], []])
})

test('one node has the same pi', async () => {
  await using bench = new Bench()
  const result = await bench.json('demo', ...SMALL, '--nodes', '1')
  expect(result).toMatchObject({ nodes: 1, value: alone(2e7, 42) })
})

test('under churn the pi is the same, and nothing is left', async () => {
  await using bench = new Bench()
  const result = await bench.json('demo', '--seed', '42', '--samples', '4e8', '--nodes', '4', '--churn', '0.5')
  expect(result).toMatchObject({ nodes: 4, killed: 2, value: alone(4e8, 42) })
  expect([bench.leftovers(), bench.files()]).toEqual([[], []])
})

test.each([
  ['search', search, { text: 'hello', bits: 18 }],
  ['sweep', sweep, { steps: 60, people: 12_000 }],
] as const)('the sample job %s gives the same under churn as on one thread', async (what, job: JobModule, given) => {
  await using bench = new Bench()
  const params = Object.entries(given).flatMap(([name, value]) => ['--param', `${name}=${value}`])
  const demo = bench.json('demo', what, ...params, '--seed', '42', '--nodes', '4', '--churn', '0.3')
  const executor = fakeExecutor({ module: job, taskMs: () => 0 })(systemEnv(silentLogger))
  const ports = { executor, store: fakeStore().store }
  const { signal } = new AbortController()
  const result = await runLocally(ports, { module: what, params: given, seed: 42 }, { signal })
  expect(await demo).toMatchObject({ nodes: 4, killed: 1, status: 'succeeded', value: result.value })
  expect(bench.leftovers()).toEqual([])
})

test('for people: progress on stderr, the result on stdout', async () => {
  await using bench = new Bench()
  const { code, out, err } = await bench.run('demo', ...SMALL)
  expect(code).toBe(0)
  expect(out).toMatch(/^pi = 3\.1\d+ ± 0\.\d+ {2}\(95 % interval\)\n {2}samples +20,000,000, seed 42\n {2}time/)
  expect(err).toMatch(/the ring of 3 is up[\s\S]*Next:\n/)
})

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 130],
] as const)('%s in the middle leaves nothing behind', async (signal, code) => {
  await using bench = new Bench()
  const demo = bench.start('demo', ...LONG, '--json')
  await demo.line('progress')
  demo.child.kill(signal)
  expect((await demo.ended).code).toBe(code)
  expect([bench.leftovers(), bench.files()]).toEqual([[], []])
})

test('kill -9 of the demo itself: its nodes notice, leave and clean up', async () => {
  await using bench = new Bench()
  const demo = bench.start('demo', ...LONG, '--json')
  await demo.line('progress')
  demo.child.kill('SIGKILL')
  await demo.ended
  await eventually('no process and no file', () => bench.leftovers().length === 0 && bench.files().length === 0, 10_000)
})

test('--keep leaves the nodes running, and says how to reach and stop them', async () => {
  await using bench = new Bench()
  const { code, out } = await bench.run('demo', ...SMALL, '--keep', '--json')
  expect(code).toBe(0)
  const lines = out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  const kept = lines.find(({ type }) => type === 'kept') as { nodes: Array<{ home: string; pid: number }> }
  expect(kept.nodes).toHaveLength(3)
  for (const { home, pid } of kept.nodes) {
    expect(await bench.json('status', '--home', home)).toMatchObject({ pid, role: 'member' })
    expect(await bench.run('down', '--home', home)).toMatchObject({ code: 0 })
  }
  expect(bench.leftovers()).toEqual([])
})
