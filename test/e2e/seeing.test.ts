/** What real nodes tell of a job: where it would go, why it waits, what it logs, why it failed, and the same bytes again. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { Bench, eventually } from './processes.ts'

const TALK = `
import { defineJob } from 'chorale/job'

export default defineJob({
  name: 'talk',
  params: { tasks: 40, bad: -1, slow: false },
  split: ({ tasks }) => tasks,
  map(task, { params, random, log, progress }) {
    const first = random()
    log('first', first)
    for (let i = 0; params.slow && i < 20; i++) {
      for (let j = 0; j < 4e7; j++) random()
      progress(i / 20)
    }
    if (task === params.bad) throw new Error('unlucky')
    return { sum: first, bytes: new Uint8Array([task]) }
  },
  reduce: (left, right) => ({ sum: left.sum + right.sum, bytes: right.bytes }),
  finish: ({ sum }) => sum,
})
`

test('a job is planned, waits, logs, fails, is done again, and its result is checked', async () => {
  await using bench = new Bench()
  const file = join(bench.root, 'talk.ts')
  writeFileSync(file, TALK)
  const homes = [1, 2, 3].map((i) => join(bench.root, 'nodes', String(i)))
  const up = async (home: string, lend: string, address?: string) => {
    const join = address === undefined ? [] : ['--bootstrap', address]
    const node = bench.start('up', '--home', home, '--listen', '127.0.0.1:0', '--lend', lend, ...join, '--json')
    return (await node.line('ready')).address as string
  }
  const at = (i: number, ...args: string[]) => bench.run('job', ...args, '--home', homes[i]!)
  const json = (i: number, ...args: string[]) => bench.json('job', ...args, '--home', homes[i]!)
  const address = await up(homes[0]!, '0')
  await up(homes[1]!, '0', address)

  // Nobody lends: it is planned all the same, and says why it waits.
  const plan = await json(0, 'plan', file, '--param', 'tasks=100')
  expect(plan).toMatchObject({
    type: 'plan',
    name: 'talk',
    tasks: { total: 100 },
    engine: expect.stringMatching(/^js\/v8-/),
  })
  expect(plan.placement).toMatchObject({ segments: 7, sampled: 7, lending: { asked: 2, hosts: 0, cores: 0 } })
  expect((await at(0, 'list')).out).toBe('')
  const { id } = await json(0, 'submit', file, '--seed', '42', '--param', 'slow=true')
  const job = String(id)
  await eventually('it says that nobody lends', async () => {
    return String((await json(1, 'show', job)).reason).startsWith('no host lends a core: 2 hosts are known, 0 lend')
  })

  // Somebody does: what its tasks say is heard elsewhere while they run, and their progress is seen.
  const following = bench.start('job', 'logs', job, '-f', '--home', homes[0]!, '--json')
  await up(homes[2]!, '2cpu', address)
  const line = await following.line('line')
  expect(line).toMatchObject({ job, text: expect.stringMatching(/^first 0\.\d+$/), host: expect.any(String) })
  await eventually('it shows how far its tasks are', async () => {
    const { tasks } = (await json(1, 'show', job)) as { tasks: { partly?: number; queued?: number; running?: number } }
    return (tasks.partly ?? 0) > 0 && (tasks.queued ?? 0) > 0 && (tasks.running ?? 0) > 0
  })
  expect(await at(0, 'cancel', job)).toMatchObject({ code: 0 })
  expect((await following.ended).code).toBe(0)

  // It fails: where, what it said, and what to type.
  const failed = await at(1, 'submit', file, '--seed', '42', '--param', 'bad=17', '--wait')
  expect(failed.code).toBe(5)
  const again = /chorale job replay (\w+) --task 17 --home /.exec(failed.err)
  expect(failed.err).toMatch(/failed +in map, task 17, on 12D3Koo\w+\n +log +first 0\.\d+\n/)
  const replayed = await at(2, 'replay', again![1]!, '--task', '17', '--allow-native')
  expect(replayed).toMatchObject({
    code: 5,
    err: expect.stringMatching(/task 17 \| first 0\.\d+\n.*unlucky at Object.map/),
  })
  const other = await json(2, 'replay', again![1]!, '--task', '16', '--allow-native')
  expect(other).toMatchObject({ task: 16, value: { bytes: { '/': { bytes: 'EA==' } } }, log: [{ task: 16 }] })

  // Once more from another node: another job.
  const retried = (await at(2, 'retry', again![1]!)).out.trim()
  expect(retried).toMatch(/^bafyrei\w{52}$/)
  expect(retried.startsWith(again![1]!)).toBe(false)

  // And one that is done: its value in a file, its log of one task, and the same bytes again.
  const done = await json(1, 'submit', file, '--seed', '42', '--wait')
  const value = join(bench.root, 'value.json')
  expect(await at(2, 'result', String(done.job), '-o', value)).toMatchObject({ code: 0 })
  expect(JSON.parse(readFileSync(value, 'utf8'))).toBe(done.value)
  const log = await at(0, 'logs', String(done.job), '--task', '5')
  expect(log.out).toMatch(/^\S+ task 5 \| first 0\.\d+\n$/)
  const whole = await json(1, 'replay', String(done.job))
  expect(whole).toMatchObject({ same: true, value: done.value })
  expect(await at(0, 'retry', String(done.job))).toMatchObject({ code: 2, err: expect.stringMatching(/has succeeded/) })
})
