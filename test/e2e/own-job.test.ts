/** A job that somebody wrote, from its file to its value: on this machine alone, and over an overlay of real processes. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { Bench } from './processes.ts'

const BIRTHDAYS = `
import { defineJob } from 'chorale/job'

export default defineJob({
  name: 'birthdays',
  params: { people: 23, groups: 40_000 },
  split: ({ groups }) => Math.ceil(groups / 1000),
  map(task, { params, random }) {
    if (params.people === 13 && task === 5) throw new Error('unlucky')
    let shared = 0
    for (let i = 0; i < 1000; i++) {
      const days = new Set<number>()
      for (let person = 0; person < params.people; person++) days.add(Math.floor(random() * 365))
      if (days.size < params.people) shared++
    }
    return { shared, sum: Math.sqrt(shared) / 3 }
  },
  reduce: (left, right) => ({ shared: left.shared + right.shared, sum: left.sum + right.sum }),
})
`

test('a job of its user gives the same value on one machine and on three nodes', async () => {
  await using bench = new Bench()
  const file = join(bench.root, 'birthdays.ts')
  writeFileSync(file, BIRTHDAYS)
  const alone = await bench.json('job', 'run', '--local', file, '--seed', '42')
  expect(alone).toMatchObject({ type: 'result', status: 'succeeded', tasks: { total: 40 }, seed: 42 })
  const { shared } = alone.value as { shared: number }
  expect(shared / 40_000).toBeCloseTo(0.507, 1)

  const homes = [1, 2, 3].map((i) => join(bench.root, 'nodes', String(i)))
  const up = (home: string, ...through: string[]) =>
    bench.start('up', '--home', home, '--listen', '127.0.0.1:0', ...through, '--lend', '1cpu', '--json').line('ready')
  const { address } = (await up(homes[0]!)) as { address: string }
  await Promise.all(homes.slice(1).map((home) => up(home, '--bootstrap', address)))
  const submit = (...args: string[]) => ['job', 'submit', file, '--seed', '42', '--wait', '--home', homes[1]!, ...args]
  expect((await bench.json(...submit())).value).toEqual(alone.value)

  const failed = await bench.run(...submit('--param', 'people=13'))
  expect(failed.code).toBe(5)
  expect(failed.err).toContain("the job's code failed in task 5: unlucky")
  const local = await bench.run('job', 'run', '--local', file, '--param', 'people=13')
  expect(local.code).toBe(5)
  expect(local.err).toMatch(/failed in task 5: unlucky at Object.map \(birthdays.ts:9:\d+\)/)
  const early = join(bench.root, 'early.ts')
  writeFileSync(
    early,
    `import { defineJob } from 'chorale/job'\n\nconst none: string[] = []\nnone[1]!.trim()\nexport default 1`,
  )
  for (const how of [
    ['run', '--local', early],
    ['submit', early, '--home', homes[1]!],
  ]) {
    const ended = await bench.run('job', ...how)
    expect(ended).toMatchObject({ code: 5, err: expect.stringMatching(/reading 'trim'\).* early.ts:4:\d+/s) })
  }
  const wrong = await bench.run(...submit('--param', 'peeple=13'))
  expect(wrong).toMatchObject({ code: 2, err: expect.stringContaining('birthdays has no parameter "peeple"') })
})

test('a job to begin with is written, checked and run', async () => {
  await using bench = new Bench()
  expect(await bench.runHere('job', 'new', 'birthdays')).toMatchObject({ code: 0, out: 'birthdays.ts\n' })
  expect(await bench.runHere('job', 'new', 'birthdays')).toMatchObject({
    code: 2,
    err: expect.stringContaining('birthdays.ts is there already'),
  })
  const checked = await bench.runHere('job', 'check', 'birthdays.ts')
  expect(checked).toMatchObject({
    code: 0,
    out: expect.stringContaining('associative in 12 of 12 tries; 2 tests passed'),
  })
  const run = await bench.runHere('job', 'run', '--local', 'birthdays.ts', '--seed', '42', '--json')
  expect(JSON.parse(run.out)).toMatchObject({ value: { probability: expect.closeTo(0.507, 1), groups: 200_000 } })
  writeFileSync(
    join(bench.root, 'bad.ts'),
    `import { defineJob } from 'chorale/job'
    let calls = 0
    let first: number | undefined
    export default defineJob({
      name: 'bad',
      params: { impure: false, memo: false, broken: false },
      split: () => 10,
      map: (task, { params, random }) => (params.impure ? ++calls : params.memo ? (first ??= random()) : task),
      reduce: (left: number, right: number) => left - right,
      finish(total, { params }) {
        if (params.broken) throw new Error('no end')
        return total
      },
    })`,
  )
  expect(await bench.runHere('job', 'check', 'bad.ts')).toMatchObject({
    code: 5,
    err: expect.stringContaining('reduce must be associative'),
  })
  expect(await bench.runHere('job', 'check', 'bad.ts', '--param', 'impure=true')).toMatchObject({
    code: 5,
    err: expect.stringContaining('gave two different results'),
  })
  expect(await bench.runHere('job', 'check', 'bad.ts', '--param', 'memo=true')).toMatchObject({
    code: 5,
    err: expect.stringContaining('gave two different results'),
  })
  expect(await bench.runHere('job', 'check', 'bad.ts', '--param', 'broken=true')).toMatchObject({
    code: 5,
    err: expect.stringMatching(/failed in finish: no end .*bad.ts/),
  })
})
