/** Jobs over a file in the store, on real processes: one that ships with the package, and one of its user. */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { Bench } from './processes.ts'

const SHAKESPEARE = fileURLToPath(new URL('../../../shared/data/tinyshakespeare.txt', import.meta.url))

const LONGEST = `
import { defineKeyedJob } from 'chorale/job'

export default defineKeyedJob({
  name: 'longest',
  params: { least: 1 },
  input: 'lines',
  partitions: 3,
  map(task, { params, input, emit }) {
    for (const line of input.split('\\n')) if (line.length >= params.least) emit(line.slice(0, 2), line.length)
  },
  combine: (left: number, right: number) => Math.max(left, right),
  write: (start, length) => start + ' ' + length + '\\n',
  tests: {
    'the longest of two': { input: 'abc\\nabcde\\n', check: (value, output) => value.keys === 1 && output === 'ab 5\\n' },
  },
})
`

/** Homes of nodes that are up. */
async function nodes(bench: Bench, count: number): Promise<string[]> {
  const homes = Array.from({ length: count }, (_, i) => join(bench.root, 'nodes', String(i)))
  const up = (home: string, ...through: string[]) =>
    bench.start('up', '--home', home, '--listen', '127.0.0.1:0', ...through, '--lend', '1cpu', '--json').line('ready')
  const { address } = (await up(homes[0]!)) as { address: string }
  await Promise.all(homes.slice(1).map((home) => up(home, '--bootstrap', address)))
  return homes
}

function someLines(): string {
  const lines = Array.from({ length: 30_000 }, (_, i) => `${(i * 7919) % 1000} Line\t${'é'.repeat(i % 40)} of ${i}`)
  return lines.join('\n')
}

/** Without the empty line that comes of a text that begins with something else than a letter. */
function countedBySystem(file: string): string {
  const pipe = `tr -cs A-Za-z '\\n' < "$1" | tr A-Z a-z | LC_ALL=C sort | uniq -c`
  const counted = execFileSync('sh', ['-c', pipe, 'sh', file], { encoding: 'utf8', maxBuffer: 2 ** 26 })
  return counted.replace(/^ *\d+ \n/, '')
}

test('a word count is what tr, sort and uniq say', async ({ skip }) => {
  await using bench = new Bench()
  const made = join(bench.root, 'made.txt')
  writeFileSync(made, someLines())
  const homes = await nodes(bench, 3)
  const count = async (file: string) => {
    const { cid } = await bench.json('add', file, '--home', homes[0]!)
    const submit = ['job', 'submit', 'builtin:wordcount', '--input', String(cid), '--wait', '--home', homes[1]!]
    const { value } = await bench.json(...submit)
    const { output } = value as { output: string }
    return (await bench.run('cat', output, '--home', homes[2]!)).out
  }
  expect(await count(made)).toBe(countedBySystem(made))
  if (!existsSync(SHAKESPEARE)) return skip('there is no shared/data/tinyshakespeare.txt')
  expect(await count(SHAKESPEARE)).toBe(countedBySystem(SHAKESPEARE))
})

test("a keyed job of its user's gives the same bytes on one machine and on three nodes", async () => {
  await using bench = new Bench()
  const file = join(bench.root, 'longest.ts')
  const text = join(bench.root, 'lines.txt')
  const output = join(bench.root, 'out.txt')
  writeFileSync(file, LONGEST)
  writeFileSync(text, someLines())
  const local = ['job', 'run', '--local', file, '--input', text]
  const alone = await bench.json(...local, '-o', output)
  expect(alone.value).toMatchObject({ keys: 100, output: expect.stringMatching(/^baf/) })
  expect(await bench.run(...local, '-o', output)).toMatchObject({ code: 2, err: expect.stringContaining('exists') })
  expect((await bench.run('job', 'check', file, '--input', text)).out).toContain('associative in 12 of 12 tries')
  expect((await bench.run('job', 'check', file)).out).toContain('1 test passed')
  const wrong = join(bench.root, 'wrong.ts')
  writeFileSync(wrong, LONGEST.replace('Math.max', 'Math.min'))
  expect(await bench.run('job', 'check', wrong)).toMatchObject({
    code: 5,
    err: expect.stringContaining('failed in the test "the longest of two": check gave false'),
  })

  const homes = await nodes(bench, 3)
  const { cid } = await bench.json('add', text, '--home', homes[0]!)
  const submit = ['job', 'submit', file, '--wait', '--home', homes[1]!]
  const { value } = await bench.json(...submit, '--input', String(cid))
  expect(value).toEqual(alone.value)
  const cat = await bench.run('cat', (value as { output: string }).output, '--home', homes[2]!)
  expect(cat.out).toBe(readFileSync(output, 'utf8'))
  expect(cat.out.split('\n')).toContain(
    `71 ${someLines()
      .split('\n')
      .filter((line) => line.startsWith('71'))
      .reduce((most, line) => Math.max(most, line.length), 0)}`,
  )

  const unfit: ReadonlyArray<readonly [string[], number, RegExp]> = [
    [[], 2, /longest works on a file: name it with --input/],
    [['--input', 'lines.txt'], 2, /"lines.txt" is not a CID: chorale add prints one/],
    [['--input', 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'], 2, /bafkreigh2aki/],
  ]
  for (const [args, code, message] of unfit) {
    const refused = await bench.run(...submit, ...args)
    expect(refused).toMatchObject({ code, err: expect.stringMatching(message) })
    expect(refused.err.trimEnd().split('\n')).toHaveLength(1)
  }
})
