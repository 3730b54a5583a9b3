/** A host that others cannot dial: it has no place in the ring, and takes part through members (DESIGN 1). */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { Bench, eventually } from './processes.ts'

interface Status {
  readonly role: string
  readonly lend: { readonly tasksDone: number }
}

const pi = (samples: string, seed: number) => ['job', 'submit', 'builtin:pi', '--samples', samples, '--seed', `${seed}`]

test('a leaf submits, watches and works through a member, and through another when that one is killed', async () => {
  await using bench = new Bench()
  const options = (name: string, lend: number) =>
    ['up', '--json', '--home', join(bench.root, name), '--network', 'leaves', '--lend', `${lend}`] as const
  const at = (name: string, ...args: string[]) => bench.json(...args, '--home', join(bench.root, name))
  const status = async (name: string) => (await at(name, 'status')) as unknown as Status
  const a = bench.start(...options('a', 0))
  const address = (await a.line('ready')).address as string
  const b = bench.start(...options('b', 0), '--bootstrap', address)
  await b.line('ready')
  // It is told of one member only. Nobody else lends, so what gets done is done by the leaf.
  const leaf = bench.startUndialable(...options('leaf', 1), '--bootstrap', address)
  expect(await leaf.line('ready')).toMatchObject({ role: 'leaf' })
  expect((await status('leaf')).role).toBe('leaf')
  expect(await at('leaf', 'ring', 'show')).toMatchObject({ nodes: [] })

  const first = await at('leaf', ...pi('2e7', 42), '--wait', '--timeout', '60s')
  expect(first).toMatchObject({ status: 'succeeded', seed: 42, value: { pi: expect.closeTo(Math.PI, 2) } })
  expect((await status('leaf')).lend.tasksDone).toBe((first.tasks as { total: number }).total)
  expect(await at('b', 'job', 'result', first.job as string)).toMatchObject({ value: first.value })

  const long = await at('leaf', ...pi('1e9', 7))
  const watch = bench.start('job', 'watch', long.id as string, '--json', '--home', join(bench.root, 'leaf'))
  const doneBefore = (await status('leaf')).lend.tasksDone
  await eventually('the leaf works on it', async () => (await status('leaf')).lend.tasksDone > doneBefore)
  process.kill(a.pid, 'SIGKILL')
  const watched = await watch.ended
  expect(watched).toMatchObject({ code: 0 })
  const views = watched.out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  expect(views.length).toBeGreaterThan(1)
  expect(views.at(-1)).toMatchObject({ state: 'succeeded', value: { pi: expect.closeTo(Math.PI, 3) } })
  const again = await at('leaf', ...pi('2e7', 42), '--wait', '--timeout', '60s')
  expect(again).toMatchObject({ status: 'succeeded', value: first.value })

  // The last member is replaced by another life of the first, at its old place.
  process.kill(b.pid, 'SIGKILL')
  await b.ended
  await bench.start(...options('a', 0)).line('ready')
  expect(await at('leaf', ...pi('2e7', 42), '--wait', '--timeout', '60s')).toMatchObject({ value: first.value })
  process.kill(leaf.pid, 'SIGTERM')
  expect(await leaf.ended).toMatchObject({ code: 0 })
})
