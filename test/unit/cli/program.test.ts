import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ChoraleError } from '../../../src/core/errors.ts'
import { bench, jobView, runCli } from './fake-host.ts'

const A = 'bafyreiaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'
const B = 'bafyreibbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb'
const done = { state: 'succeeded', reason: 'done', value: { pi: 3.125, ci95: 0.0012 } } as const

test.each([
  [['demo', '--samples', '-1'], /--samples must be a whole number from 1 to 1e15, not '-1': try --samples 1e9/],
  [['demo', '--samples', '1e400'], /--samples .* not '1e400'/],
  [['demo', '--samples', 'NaN'], /--samples .* not 'NaN'/],
  [['demo', '--samples', '1.5'], /--samples must be a whole number/],
  [['demo', '--samples', ''], /--samples must be a whole number/],
  [['demo', '--samples'], /argument missing/],
  [['demo', '--nodes', '0'], /--nodes must be a whole number from 1 to 64, not '0': try --nodes 4/],
  [['demo', '--nodes', '1000'], /--nodes/],
  [['demo', '--churn', '2'], /--churn must be a share from 0 to below 1, not '2': try --churn 0.3/],
  [['demo', '--churn', '1'], /--churn/],
  [['demo', '--churn', '0.5', '--nodes', '1'], /--churn needs nodes that survive/],
  [['demo', '--seed', '-5'], /--seed/],
  [['demo', '--sampels', '5'], /unknown option '--sampels': did you mean --samples\?/],
  [['demo', 'wordcont'], /wordcont/],
  [['demo', 'pi', 'extra'], /too many arguments/],
  [['dmeo'], /unknown command 'dmeo': did you mean demo\?/],
  [['frobnicate'], /unknown command 'frobnicate': add --help/],
  [['job', 'lst'], /did you mean list\?/],
  [['job', 'show'], /missing required argument 'job'/],
  [['up', '--lend', 'all'], /--lend must be a number of cores, not 'all': try --lend/],
  [['up', '--lend', '9999'], /this machine has \d+ cores/],
  [['up', '--listen', 'example.org:1'], /needs an IP address/],
  [['up', '--listen', '1.2.3.4:99999'], /must be IP:PORT/],
  [['up', '--bootstrap', '127.0.0.1'], /must be IP:PORT/],
  [['up', '--network', 'a b'], /--network must be/],
  [['up', '--store', 'big'], /--store must be a number of bytes of at least 1 MiB, or 0, not 'big': try --store 10GiB/],
  [['up', '--store', '5'], /--store must be/],
  [['demo', 'store', '--churn', '0.5'], /--churn is not for demo store/],
  [['demo', '--file', 'x'], /--file is not for demo pi/],
  [['demo', 'store', '--file', 'no/such'], /no such file or directory: no\/such/],
  [['cat', 'x', '--offset', '-1'], /--offset must be a number of bytes, not '-1'/],
  [['cat'], /missing required argument 'ref'/],
  [['add', 'no/such'], /no such file or directory: no\/such/],
  [['import', 'no/such'], /no such file or directory: no\/such/],
  [['up', '--successors', '1'], /--successors/],
  [['up', '--slots', '0'], /--slots/],
  [['status', '--home', ''], /--home needs a path/],
  [['job', 'submit', 'builtin:pi', '--param', 'samples'], /--param must be NAME=VALUE/],
  [['job', 'submit', 'builtin:pi', '--param', 'samples=1e400'], /not a number that a computer can hold/],
  [['job', 'submit', 'builtin:pi'], /--samples is missing: try --samples 1e9/],
  [['get', ''], /"" is not a CID: chorale add prints one/],
  [['job', 'submit', 'builtin:pi', '--timeout', '5s'], /add --wait/],
  [['job', 'result', A, '--timeout', '0'], /--timeout must be a time/],
])('bad input %j is one clear line and exit code 2', async (args, line) => {
  const { code, out, err } = await runCli(args)
  expect(err).toMatch(line)
  expect(err.trimEnd().split('\n')).toHaveLength(1)
  expect({ code, out }).toEqual({ code: 2, out: '' })
})

test('with --json the error is an object on stdout too', async () => {
  const { code, out, err } = await runCli(['demo', '--nodes', '0', '--json'])
  expect(code).toBe(2)
  expect(JSON.parse(out)).toMatchObject({ v: 1, type: 'error', code: 'usage' })
  expect(err.split('\n')).toHaveLength(2)
})

test.each([
  [['--help']],
  [['demo', '--help']],
  [['up', '--help']],
  [['down', '--help']],
  [['status', '--help']],
  [['id', '--help']],
  [['doctor', '--help']],
  [['peer', '--help']],
  [['peer', 'list', '--help']],
  [['peer', 'ping', '--help']],
  [['ring', 'show', '--help']],
  ...['add', 'cat', 'get', 'ls', 'pin', 'unpin', 'export', 'import'].map((name) => [[name, '--help']]),
  [['block', 'stat', '--help']],
  [['store', 'stat', '--help']],
  [['job', '--help']],
  ...['submit', 'list', 'show', 'watch', 'result', 'cancel'].map((name) => [['job', name, '--help']]),
])('%j shows an example', async (args) => {
  const { code, out, err } = await runCli(args)
  expect({ code, err }).toEqual({ code: 0, err: '' })
  expect(out).toMatch(/Usage: chorale/)
  expect(out).toMatch(/Examples:\n {2}\$ chorale/)
  expect(out).toMatch(/--json/)
  expect(out).not.toMatch(/--tied/)
})

test('no command at all is help; a group without a command is a usage error', async () => {
  expect(await runCli([])).toMatchObject({ code: 0, out: expect.stringContaining('Commands:') })
  expect(await runCli(['job'])).toMatchObject({ code: 2, err: expect.stringContaining('submit') })
  expect(await runCli(['--version'])).toMatchObject({ code: 0, out: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) })
})

test.each([['status'], ['peer list'], ['ring show'], ['job list'], ['job show x'], ['down']])(
  '%s without a node says how to start one',
  async (command) => {
    const home = mkdtempSync(join(tmpdir(), 'chorale-test-'))
    try {
      const { code, out, err } = await runCli([...command.split(' '), '--home', home])
      expect({ code, out }).toEqual({ code: 3, out: '' })
      expect(err).toMatch(/^chorale: no node is running at .*: start one with chorale up -d --home .*\n$/)
      expect(err.endsWith(` --home ${home}\n`)).toBe(true)
    } finally {
      rmSync(home, { recursive: true })
    }
  },
)

test('on another space than the ring, what there is of it', async () => {
  await using b = await bench()
  const short = [{ id: 'cd'.repeat(32), peer: '12D3KooWOther', address: '127.0.0.1:4002' }]
  const node = { id: 'ab'.repeat(32), slot: 0, point: [0.125, 0.75], short, long: 3, sizeEstimate: 12, knowsAll: false }
  b.host.ring = { overlay: 'vhash', space: 'torus2', nodes: [node] }
  expect((await b.chorale('ring', 'show')).out).toMatch(
    / torus2, about 12 nodes, 3 long peers\n +point +0\.1250 0\.7500\n +short peer 1 +cdcdcdcdcdcd +127\.0\.0\.1:4002/,
  )
  expect((await b.chorale('status')).out).toMatch(/overlay +torus2, about 12 nodes; nearest 127\.0\.0\.1:4002/)
  expect((await b.chorale('doctor')).out).toMatch(/other nodes call back/)
  b.host.ring = { overlay: 'vhash', space: 'torus2', nodes: [{ ...node, sizeEstimate: 2, knowsAll: true }] }
  expect((await b.chorale('ring', 'show')).out).toMatch(/ torus2, 2 nodes/)
})

test('status, id, peers and ring, for people and for programs', async () => {
  await using b = await bench()
  expect((await b.chorale('status')).out).toMatch(/member of network private\naddress +127\.0\.0\.1:4001/)
  expect((await b.chorale('id')).out).toMatch(/peer +12D3KooWFakeFakeFake/)
  expect((await b.chorale('id', '-q')).out).toBe('12D3KooWFakeFakeFake\n')
  expect((await b.chorale('peer', 'list')).out).toMatch(/12D3KooWOther +127\.0\.0\.1:4002 +inbound +0\.5 ms/)
  expect((await b.chorale('ring', 'show')).out).toMatch(/ young, 2 nodes, 0 fingers\n[\s\S]*successor 1 +cdcdcdcdcdcd/)
  expect((await b.chorale('peer', 'ping', 'somebody')).out).toBe('somebody  1.25 ms\n')
  expect(await b.chorale('peer', 'ping', 'nobody')).toMatchObject({
    code: 3,
    err: 'chorale: nobody is not known here\n',
  })
  for (const command of [['status'], ['id'], ['peer', 'list'], ['ring', 'show'], ['peer', 'ping', 'x'], ['doctor']]) {
    const { out } = await b.chorale(...command, '--json')
    expect(JSON.parse(out)).toMatchObject({ v: 1, type: expect.any(String) })
    expect(out.trimEnd()).not.toContain('\n')
  }
})

test('no jobs yet is a friendly word, not an error', async () => {
  await using b = await bench()
  expect(await b.chorale('job', 'list')).toEqual({
    code: 0,
    out: '',
    err: 'no jobs yet; try chorale job submit builtin:pi --samples 1e9\n',
  })
  expect(await b.chorale('job', 'list', '--json')).toEqual({ code: 0, out: '', err: '' })
})

test('a job is submitted with what was asked for', async () => {
  await using b = await bench()
  const args = ['job', 'submit', 'builtin:pi', '--samples', '1e6', '--seed', '7', '--param', 'label="a b"']
  const { code, out, err } = await b.chorale(...args, '--param', 'x=0.5')
  expect({ code, out }).toEqual({ code: 0, out: `${A}\n` })
  expect(err).toMatch(/chorale job watch bafyreiaaaaaaaaa\n/)
  const params = { samples: 1_000_000, label: 'a b', x: 0.5 }
  expect(b.host.requests).toEqual([{ module: 'builtin:pi', params, seed: 7 }])
})

test('submit --wait follows the job and prints its value', async () => {
  await using b = await bench()
  b.host.add(jobView(), jobView({ ...done, finishedAtMs: Date.now() }))
  const { code, out, err } = await b.chorale('job', 'submit', 'builtin:pi', '--samples', '1e6', '--wait')
  expect({ code, out }).toEqual({ code: 0, out: '3.1250 ± 0.0012\n' })
  expect(err).toMatch(/running 25 %, 25\/100 tasks, 3 nodes, 1 reassigned/)
})

test('job ids may be abbreviated to what is unique', async () => {
  await using b = await bench()
  b.host.add(jobView())
  b.host.add(jobView({ id: B, ...done }))
  expect((await b.chorale('job', 'show', 'bafyreib')).out).toContain(B)
  expect(await b.chorale('job', 'show', 'bafyrei')).toMatchObject({
    code: 2,
    err: expect.stringMatching(/fits 2 jobs/),
  })
  expect(await b.chorale('job', 'show', 'bafyreix')).toMatchObject({
    code: 2,
    err: expect.stringMatching(/nobody knows/),
  })
  expect(await b.chorale('job', 'show', '../x')).toMatchObject({ code: 2, err: expect.stringMatching(/not a job id/) })
  expect((await b.chorale('job', 'list')).out.split('\n')).toHaveLength(4)
})

test('results: there, not yet, failed, cancelled', async () => {
  await using b = await bench()
  b.host.add(jobView())
  b.host.add(jobView({ id: B, ...done }))
  expect(await b.chorale('job', 'result', B)).toMatchObject({ code: 0, out: '3.1250 ± 0.0012\n' })
  expect(await b.chorale('job', 'result', A)).toMatchObject({
    code: 8,
    err: expect.stringMatching(/running, 25 % done/),
  })
  expect(await b.chorale('job', 'result', A, '--timeout', '50ms')).toMatchObject({ code: 8, out: '' })
  expect(await b.chorale('job', 'cancel', A)).toMatchObject({ code: 0, out: 'cancelled: by the submitter\n' })
  b.host.add(jobView({ state: 'failed', reason: 'its code threw' }))
  expect(await b.chorale('job', 'watch', A)).toMatchObject({ code: 5, out: '', err: expect.stringMatching(/threw/) })
  const json = await b.chorale('job', 'result', B, '--json')
  expect(JSON.parse(json.out)).toMatchObject({ v: 1, type: 'result', status: 'succeeded', value: { pi: 3.125 } })
})

test('watch --json prints every change; Ctrl-C leaves the job alone and says so', async () => {
  await using b = await bench()
  b.host.add(jobView(), jobView({ ...done }))
  const lines = (await b.chorale('job', 'watch', A, '--json')).out.trimEnd().split('\n')
  expect(lines.map((line) => JSON.parse(line).state)).toEqual(['running', 'succeeded'])
  b.host.add(jobView())
  const interrupt = new AbortController()
  const watching = runCli(['job', 'watch', A, '--api', b.socketPath], { signal: interrupt.signal })
  interrupt.abort(new ChoraleError('interrupted', 'stopped by SIGINT'))
  expect(await watching).toMatchObject({ code: 130, out: '' })
})

test('down asks the node to leave', async () => {
  await using b = await bench()
  expect(await b.chorale('down')).toMatchObject({ code: 0 })
  expect(b.host.stopped).toBe(true)
})

test('colours only where somebody sees them', async () => {
  await using b = await bench()
  const colours = async (args: string[], variables = {}) =>
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what is looked for
    /\u001b\[/.test((await runCli([...args, '--api', b.socketPath], { tty: true, live: true, variables })).out)
  expect(await colours(['status'])).toBe(true)
  expect(await colours(['status', '--no-color'])).toBe(false)
  expect(await colours(['status'], { NO_COLOR: '1' })).toBe(false)
  expect(await colours(['status'], { TERM: 'dumb' })).toBe(false)
  expect(await colours(['status', '--json'])).toBe(false)
})
