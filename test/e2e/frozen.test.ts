/** A node that is stopped for a while (SIGSTOP), as a laptop that sleeps: its connections stay open and silent. */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { allSee, Bench, eventually } from './processes.ts'

test('a job and the ring go on without a frozen node, which takes part again when it wakes', async () => {
  await using bench = new Bench()
  const up = (name: string, ...more: string[]) =>
    bench.start('up', '--json', '--home', join(bench.root, name), '--network', 'e2e', '--lend', '1cpu', ...more)
  const at = (name: string, ...args: string[]) => bench.json(...args, '--home', join(bench.root, name))
  const tasksDone = async (name: string) => ((await at(name, 'status')).lend as { tasksDone: number }).tasksDone

  const first = up('a')
  const founder = await first.line('ready')
  const others = ['b', 'c'].map((name) => up(name, '--bootstrap', founder.address as string))
  const ready = [founder, ...(await Promise.all(others.map((node) => node.line('ready'))))]
  await eventually('all see three nodes', () => allSee(3, ready))
  const frozen = others[1]!
  const job = await at('a', 'job', 'submit', 'builtin:pi', '--samples', '1e9', '--seed', '42')
  await eventually('the node works on the job', async () => (await tasksDone('c')) > 0)
  process.kill(frozen.pid, 'SIGSTOP')
  const result = await at('a', 'job', 'result', job.id as string, '--timeout', '60s')
  expect(result).toMatchObject({ status: 'succeeded', value: { pi: expect.closeTo(Math.PI, 3) } })
  await eventually('the others take it for gone', () => allSee(2, ready.slice(0, 2)))
  expect(await at('b', 'job', 'submit', 'builtin:pi', '--samples', '2e7', '--seed', '1', '--wait')).toMatchObject({
    status: 'succeeded',
  })

  process.kill(frozen.pid, 'SIGCONT')
  await eventually('it is back', () => allSee(3, ready))
  expect(await at('c', 'job', 'result', job.id as string)).toMatchObject({ value: result.value })
  const before = await tasksDone('c')
  await at('c', 'job', 'submit', 'builtin:pi', '--samples', '4e8', '--seed', '2', '--wait')
  expect(await tasksDone('c')).toBeGreaterThan(before)
  process.kill(frozen.pid, 'SIGTERM')
  expect(await frozen.ended).toMatchObject({ code: 0 })
})
