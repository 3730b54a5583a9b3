/** Jobs that are wrong in every way that people find: one clear message with the place, and a node that is as well as before. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { Bench, eventually } from './processes.ts'

const job = (parts: string, top = '') => `
import { defineJob } from 'chorale/job'
${top}
export default defineJob({
  name: 'bad',
  params: { tasks: 20, at: -1, text: '' },
  split: ({ tasks }) => tasks,
  map: (task) => task,
  reduce: (left, right) => left + right,
  ${parts}
})
`

interface Bad {
  readonly code: string
  readonly args?: readonly string[]
  readonly exit: 2 | 5
  readonly says: RegExp
}

const BAD: { readonly [what: string]: Bad } = {
  'a syntax error': { code: job('finish: (total) => total +,'), exit: 5, says: /bad\.ts:10:29: Unexpected ","/ },
  'no default export': { code: 'export const x = 1', exit: 5, says: /no default export/ },
  'an import that is not there': {
    code: job('', `import 'nothing-at-all'`),
    exit: 5,
    says: /bad\.ts:3:\d+: Could not resolve "nothing-at-all"/,
  },
  'a file that is read': {
    code: job('', `import { readFileSync } from 'node:fs'\nconsole.log(readFileSync)`),
    exit: 5,
    says: /bad\.ts:3:\d+: Could not resolve "node:fs".*a job has no files/,
  },
  'an error at the top': { code: job('', `throw new Error('too early')`), exit: 5, says: /too early.*bad\.ts:3/ },
  'map that throws in one task': {
    code: job(`map(task) { if (task === 17) throw new Error('unlucky'); return task },`),
    exit: 5,
    says: /task 17: unlucky/,
  },
  'map that throws in all': {
    code: job(`map() { throw new Error('never') },`),
    args: ['--param', 'tasks=200'],
    exit: 5,
    says: /task \d+: never/,
  },
  'map that is async': { code: job('map: async (task) => task,'), exit: 5, says: /async/ },
  'reduce that throws': {
    code: job(`reduce() { throw new Error('apart') },`),
    exit: 5,
    says: /reduce: apart/,
  },
  'a result that is too large': {
    code: job(`map: () => 'x'.repeat(600_000),`),
    exit: 5,
    says: /task \d+: .*600005 bytes, the most is 524288/,
  },
  'a result of no kind': { code: job('map: () => ({ deep: [() => 1] }),'), exit: 5, says: /task \d+: .*function/ },
  'no number': { code: job('map: () => 0 / 0,'), exit: 5, says: /task \d+: .*NaN/ },
  'a value that is too large': { code: job(`finish: () => 'x'.repeat(20_000),`), exit: 5, says: /the most is 16384/ },
  'no tasks': { code: job(''), args: ['--param', 'tasks=0'], exit: 2, says: /from 1 to 4194304, not 0/ },
  'too many tasks': { code: job(''), args: ['--param', 'tasks=10000000'], exit: 2, says: /not 10000000/ },
  'a parameter that it has not': { code: job(''), args: ['--param', 'task=2'], exit: 2, says: /no parameter "task"/ },
  'a parameter of another kind': { code: job(''), args: ['--param', 'text=2'], exit: 2, says: /text must be a string/ },
  'an input that it does not want': {
    code: job(''),
    args: ['--input', 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'],
    exit: 2,
    says: /takes no --input|nobody/,
  },
  'a loop at the top': { code: job('', 'for (;;);'), exit: 5, says: /longer than/ },
}

test('one message with the place, the right exit code, and a node that goes on', async () => {
  await using bench = new Bench()
  const home = join(bench.root, 'node')
  const node = bench.start('up', '--home', home, '--listen', '127.0.0.1:0', '--lend', '2cpu', '--json')
  await node.line('ready')
  const submit = async (what: string, { code, args = [], exit, says }: Bad) => {
    const file = join(bench.root, what.replaceAll(' ', '-'), 'bad.ts')
    mkdirSync(dirname(file))
    writeFileSync(file, code)
    const ended = await bench.run('job', 'submit', file, '--seed', '1', '--wait', '--home', home, ...args)
    expect.soft(ended, what).toMatchObject({ code: exit, out: '', err: expect.stringMatching(says) })
    expect
      .soft(
        ended.err.split('\n').filter((line) => line.startsWith('chorale: ')),
        what,
      )
      .toHaveLength(1)
  }
  // Each starts a process or two; at night all of them.
  const all = Object.entries(BAD).filter((_, i) => process.env.CHORALE_NIGHTLY || i % 3 === 0)
  for (let i = 0; i < all.length; i += 4) await Promise.all(all.slice(i, i + 4).map(([what, bad]) => submit(what, bad)))
  await eventually(
    'nothing is under way any more',
    async () => {
      const { lend, counters } = (await bench.json('status', '--home', home)) as {
        lend: { busy: number }
        counters: { liveJobs: number }
      }
      return lend.busy === 0 && counters.liveJobs === 0
    },
    5_000,
  )
  const good = join(bench.root, 'good.ts')
  writeFileSync(good, job(''))
  const { value } = await bench.json('job', 'submit', good, '--seed', '1', '--wait', '--home', home)
  expect(value).toBe(190)
})
