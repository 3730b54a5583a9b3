/** Nodes started by hand, as a user would in several terminals. */
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { allSee, Bench, eventually } from './processes.ts'

const IDLE = ['--network', 'e2e', '--lend', '1cpu']

const SHAPES = [
  ['--successors', '2'],
  ['--successors', '4'],
  ['--space', 'torus2'],
]

test.each(SHAPES)(
  'three nodes form an overlay, and a job outlives the one that submitted it (%s %s)',
  async (...shape) => {
    await using bench = new Bench()
    const up = (name: string, ...more: string[]) =>
      bench.start('up', '--json', '--home', join(bench.root, name), ...IDLE, ...shape, ...more)
    const at = (name: string, ...args: string[]) => bench.json(...args, '--home', join(bench.root, name))
    const first = await up('a').line('ready')
    const address = first.address as string
    const second = up('b', '--bootstrap', address)
    const third = up('c', '--bootstrap', address)
    const ready = [first, ...(await Promise.all([second.line('ready'), third.line('ready')]))]
    await eventually('all see three nodes', () => allSee(3, ready))
    expect(await at('b', 'ring', 'show')).toMatchObject({ nodes: [{ sizeEstimate: 3 }] })
    expect(await at('a', 'peer', 'ping', (await second.line('ready')).address as string)).toMatchObject({
      rttMs: expect.any(Number),
    })
    const job = await at('b', 'job', 'submit', 'builtin:pi', '--samples', '4e8', '--seed', '42')
    process.kill(second.pid, 'SIGKILL')
    const short = (job.id as string).slice(0, 16)
    const [fromA, fromC] = await Promise.all(
      ['a', 'c'].map((name) => at(name, 'job', 'result', job.id as string, '--timeout', '60s')),
    )
    expect(fromA).toMatchObject({ status: 'succeeded', job: job.id, seed: 42 })
    expect(Math.abs((fromA as { value: { pi: number } }).value.pi - Math.PI)).toBeLessThan(0.001)
    expect(fromC?.value).toEqual(fromA?.value)
    expect(await at('c', 'job', 'show', short)).toMatchObject({ id: job.id, state: 'succeeded' })
    const started = performance.now()
    process.kill(third.pid, 'SIGTERM')
    expect(await third.ended).toMatchObject({ code: 0 })
    expect(performance.now() - started).toBeLessThan(5000)
  },
)

test('a node in the background: up -d, status, doctor, down', async () => {
  await using bench = new Bench()
  expect(await bench.run('status')).toMatchObject({ code: 3, err: expect.stringMatching(/chorale up -d\n$/) })
  const up = await bench.run('up', '-d', ...IDLE)
  expect(up).toMatchObject({
    code: 0,
    out: expect.stringMatching(/^ready: 127\.0\.0\.1:\d+, in the background as process \d+\n$/),
  })
  const status = await bench.json('status')
  expect(status).toMatchObject({ type: 'status', role: 'member' })
  expect(await bench.run('up', '-d', ...IDLE)).toMatchObject({
    code: 2,
    err: expect.stringMatching(/in use by process/),
  })
  expect(await bench.run('doctor')).toMatchObject({ code: 0 })
  expect(await bench.run('job', 'list')).toMatchObject({ code: 0, err: expect.stringMatching(/no jobs yet/) })
  const small = ['job', 'submit', 'builtin:pi', '--samples', '1e6', '--seed', '1', '--wait']
  expect(await bench.run(...small)).toMatchObject({ code: 0, out: expect.stringMatching(/^3\.1\d+ ± /) })
  expect(await bench.run('down')).toMatchObject({ code: 0, out: `node ${status.pid} has left\n` })
  expect(bench.leftovers()).toEqual([])
  const again = await bench.json('up', '-d', ...IDLE)
  expect(again.address).toBe(`127.0.0.1:${(status.address as { port: number }).port}`)
  expect(again.peer).toBe(status.peer)
  expect(await bench.run('down')).toMatchObject({ code: 0 })
})

test('what cannot be is one line with a remedy, and its exit code', async () => {
  await using bench = new Bench()
  const home = (name: string) => ['--home', join(bench.root, name)]
  const taken = createServer()
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
  const port = (taken.address() as { port: number }).port
  writeFileSync(join(bench.root, 'file'), '')
  mkdirSync(join(bench.root, 'newer'))
  writeFileSync(join(bench.root, 'newer', 'format'), '99\n')
  const cases: Array<[string[], number, RegExp]> = [
    [['up', ...home('a'), '--listen', `127.0.0.1:${port}`], 2, /port in use/],
    [['up', ...home('b'), '--bootstrap', '127.0.0.1:9'], 3, /127\.0\.0\.1:9/],
    [['up', '-d', ...home('c'), '--bootstrap', '127.0.0.1:9'], 3, /127\.0\.0\.1:9/],
    [['up', ...home('file')], 2, /--home/],
    [['up', ...home('newer')], 2, /format 99/],
    [['up', ...home('d'), '--listen', '192.0.2.1:4001'], 2, /192\.0\.2\.1/],
    [['up', ...home('e'), '--listen', '127.0.0.1', '--bootstrap', '10.255.255.1:4001'], 2, /loopback/],
    [['up', ...home('a'), '--space', 'xor'], 2, /--space must be one of ring, torus2, .*cube5/],
    [['up', ...home('a'), '--space', 'torus2', '--successors', '3'], 2, /--successors is of the ring/],
  ]
  try {
    const results = await Promise.all(cases.map(([args]) => bench.run(...args)))
    results.forEach((result, i) => {
      const [args, code, line] = cases[i]!
      expect({ args, ...result }).toEqual({ args, code, signal: null, out: '', err: expect.stringMatching(line) })
      expect(result.err.trimEnd().split('\n')).toHaveLength(1)
    })
  } finally {
    taken.close()
  }
  const made = readdirSync(bench.root).filter((name) => /^[a-e]$/.test(name))
  expect(made).toEqual([]) // none of them had a place, so none leaves a home
  expect(bench.leftovers()).toEqual([])
})
