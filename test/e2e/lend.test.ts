/** What real nodes lend: set before the start, paused while a job runs, kept over a restart, resumed; the job stays exact. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { connectHost } from '../../src/api/client.ts'
import { Bench, eventually } from './processes.ts'

const SLOW = `
import { defineJob } from 'chorale/job'

export default defineJob({
  name: 'slow',
  split: () => 48,
  map(task, { random }) {
    let sum = 0
    for (let i = 0; i < 2e7; i++) sum += random()
    return sum
  },
  reduce: (left: number, right: number) => left + right,
})
`

test('lending is set, paused while a job runs, kept over a restart, and resumed', async () => {
  await using bench = new Bench()
  const file = join(bench.root, 'slow.ts')
  writeFileSync(file, SLOW)
  const home = (name: string) => ['--home', join(bench.root, name)]
  const lend = (name: string, ...args: string[]) => bench.json('lend', ...args, ...home(name))
  const up = async (name: string, ...more: string[]) => {
    const node = bench.start('up', ...home(name), '--listen', '127.0.0.1:0', '--network', 'lend', '--json', ...more)
    const { address, socket, lend } = await node.line('ready')
    return { node, address: address as string, host: connectHost(socket as string), lend }
  }
  const drained = (host: ReturnType<typeof connectHost>) =>
    eventually('what runs is finished', async () => (await host.status()).lend.busy === 0)

  // One lends by what it was told before its first start, one by its flag.
  expect(await lend('first', 'set', '--cpu', '1', '--memory', '1GiB')).toMatchObject({ running: false })
  const submitter = await up('submitter', '--lend', '0')
  const entry = ['--bootstrap', submitter.address]
  const first = await up('first', ...entry)
  const second = await up('second', ...entry, '--lend', '1cpu,1GiB')
  for (const { host } of [first, second]) {
    expect((await host.lending.view()).setting).toMatchObject({ cores: 1, memoryBytes: 2 ** 30 })
  }
  expect((await submitter.host.status()).lend).toMatchObject({ state: 'off', cores: 0 })

  const { id } = await bench.json('job', 'submit', file, '--seed', '42', ...home('submitter'))
  const job = String(id)
  const show = async () => (await submitter.host.jobs.show(job))!
  await eventually('both work', async () => {
    const all = await Promise.all([first, second].map(async ({ host }) => (await host.status()).lend))
    return all.every(({ tasksDone, busy }) => tasksDone > 0 && busy > 0)
  })

  // One ends what it has begun, the other goes on.
  const paused = await lend('second', 'pause')
  expect(paused).toMatchObject({ running: true, state: 'paused', cores: 0, tasksRunning: expect.any(Number) })
  await drained(second.host)
  const { tasksDone: done } = (await second.host.status()).lend
  expect(done).toBeLessThanOrEqual(Number(paused.tasksDone) + Number(paused.tasksRunning))
  const before = (await first.host.status()).lend.tasksDone
  await eventually('the other goes on', async () => (await first.host.status()).lend.tasksDone >= before + 2)
  expect((await second.host.status()).lend.tasksDone).toBe(done)

  // Nobody lends: the job waits and says so.
  await lend('first', 'pause')
  await drained(first.host)
  await eventually('it waits', async () => (await show()).reason.startsWith('no host lends a core'))
  expect((await show()).tasks.done).toBeLessThan(48)

  // A pause is no matter of one run.
  expect(await bench.run('down', ...home('first'))).toMatchObject({ code: 0 })
  await first.node.ended
  const again = await up('first', ...entry)
  expect(again.lend).toMatchObject({ state: 'paused' })
  expect((await bench.run('status', ...home('first'))).out).toMatch(
    /\nlends +nothing now: paused, until chorale lend resume\n/,
  )
  expect(await lend('first', 'resume')).toMatchObject({ state: 'lending', cores: 1 })
  expect(await lend('second', 'resume')).toMatchObject({ state: 'lending', cores: 1 })

  const alone = await bench.json('job', 'run', '--local', file, '--seed', '42')
  const result = await bench.json('job', 'result', job, '--wait', ...home('submitter'))
  expect(result).toMatchObject({ status: 'succeeded', value: alone.value })
  const measured = await lend('first', 'show', '--measure')
  expect(measured).toMatchObject({
    speedHolds: true,
    market: { seen: 0, won: 0, earned: '0' },
    speed: { level: expect.stringMatching(/^(os|process)$/) },
  })
  const { mips } = measured.speed as { mips: number }
  expect(mips).toBeGreaterThan(10)
})

test('without bubblewrap nothing is lent at level os', async () => {
  vi.stubEnv('PATH', '/nowhere')
  onTestFinished(() => void vi.unstubAllEnvs())
  await using bench = new Bench()
  const home = ['--home', join(bench.root, 'walled')]
  const refused = await bench.run('lend', 'set', '--level', 'os', ...home)
  expect(refused).toMatchObject({ code: 2, out: '' })
  expect(refused.err).toMatch(/^chorale: --level os cannot be had here: bubblewrap .*\n$/)
  // Set where there was one.
  expect(await bench.run('lend', 'set', '--when', 'always', ...home)).toMatchObject({ code: 0 })
  writeFileSync(join(bench.root, 'walled', 'lending.json'), '{"setting":{"level":"os"}}')
  const node = bench.start('up', ...home, '--listen', '127.0.0.1:0', '--network', 'lend', '--json')
  const why = expect.stringMatching(/^--level os cannot be had here: bubblewrap/)
  expect(await node.line('ready')).toMatchObject({ lend: { state: 'refused', why } })
  expect(await bench.json('lend', 'show', ...home)).toMatchObject({
    state: 'refused',
    why,
    cores: 0,
    slots: expect.any(Number),
  })
  expect(await bench.json('lend', 'set', '--level', 'process', ...home)).toMatchObject({ state: 'lending' })
})
