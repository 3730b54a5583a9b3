/** What the commands of jobs tell, before, while and after: plan, logs, show, result -o, retry, replay. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { ChoraleError } from '../../../src/core/errors.ts'
import { inspectMachine } from '../../../src/mapreduce/sandbox/sandbox.ts'
import { localSpec } from '../../../src/mapreduce/spec.ts'
import type { JobLogLine, JobView, PlannedJob } from '../../../src/mapreduce/types.ts'
import { type Bench, bench, jobView, runCli } from './fake-host.ts'

const A = jobView().id
const HOST = '12D3KooWQx1sHostThatRan'
const lines: JobLogLine[] = [
  { seq: 1, task: 3, host: HOST, text: 'begin 3', atMs: 1 },
  { seq: 6, task: 17, host: HOST, text: 'red \u001b[31m\ttext', atMs: 2 },
]
const failed: Partial<JobView> = {
  state: 'failed',
  reason: "the job's code failed in task 17: unlucky",
  failure: { phase: 'map', task: 17, host: HOST, message: 'unlucky', log: ['begin 17', 'at \u001b[2J 9'] },
  finishedAtMs: Date.now(),
}

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'chorale-test-'))
  onTestFinished(() => rmSync(made, { recursive: true }))
  return made
}

/** A job of 20 tasks of the package, which anybody can do again. */
function known(b: Bench, change: Partial<JobView> = {}): void {
  const plan = { name: 'noop', params: { tasks: 20 }, tasks: 20, engine: 'builtin/1' }
  b.host.specs.set(A, localSpec({ module: 'builtin:noop', params: {}, seed: 1 }, plan))
  b.host.add(jobView({ module: 'builtin:noop', state: 'succeeded', finishedAtMs: Date.now(), ...change }))
}

test('logs: of all tasks or one, as lines of text or of JSON, and what is missing', async () => {
  await using b = await bench()
  b.host.add(jobView(failed))
  b.host.lines = lines
  expect(await b.chorale('job', 'logs', A)).toEqual({
    code: 0,
    out: `..${HOST.slice(-8)} task 3 | begin 3\n..${HOST.slice(-8)} task 17 | red \ufffd[31m    text\n`,
    err: '(4 lines not kept)\n',
  })
  const json = await b.chorale('job', 'logs', A, '-f', '--task', '17', '--json')
  expect(
    json.out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line)),
  ).toEqual([{ v: 1, type: 'line', job: A, ...lines[1] }])
  expect((await b.chorale('job', 'logs', A, '--task', '4')).err).toMatch(/no lines of task 4 .* replay .* --task 4/)
  for (const wrong of ['x', '-1', '1.5', '4194304']) {
    expect(await b.chorale('job', 'logs', A, '--task', wrong)).toMatchObject({ code: 2, out: '' })
  }
  expect(await b.chorale('job', 'logs', 'bafyreix')).toMatchObject({
    code: 2,
    err: expect.stringMatching(/nobody knows/),
  })
})

test('whoever stops following a log hears that the job goes on', async () => {
  await using b = await bench()
  b.host.add(jobView())
  b.host.lines = lines
  const interrupt = new AbortController()
  const out: string[] = []
  const following = runCli(['job', 'logs', A, '-f', '--api', b.socketPath], {
    signal: interrupt.signal,
    out: (text) => {
      if (out.push(text) === 2) interrupt.abort(new ChoraleError('interrupted', 'stopped by SIGINT'))
    },
  })
  expect(await following).toMatchObject({ code: 130, err: expect.stringMatching(/the job goes on/) })
  expect(out).toHaveLength(2)
})

test('a failed job shows phase, task, host, the last lines of its log, and what to type', async () => {
  await using b = await bench()
  b.host.add(jobView(failed))
  const replay = `chorale job replay ${A.slice(0, 16)} --task 17`
  const { out } = await b.chorale('job', 'show', A)
  expect(out).toMatch(new RegExp(`failed +in map, task 17, on ${HOST}\nlog +begin 17\nlog +at \ufffd\\[2J 9\n`))
  expect(out).toContain(replay)
  const result = await b.chorale('job', 'result', A)
  expect(result).toMatchObject({ code: 5, out: '' })
  expect(result.err).toMatch(/the job failed: the job's code failed in task 17: unlucky\n/)
  expect(result.err).toContain(replay)
  expect(result.err).toContain(`chorale job retry ${A.slice(0, 16)}`)
  const json = JSON.parse((await b.chorale('job', 'result', A, '--json')).out)
  expect(json).toMatchObject({ status: 'failed', failure: { phase: 'map', task: 17, host: HOST } })
  b.host.add(jobView({ state: 'cancelled', reason: 'cancelled by its submitter' }))
  expect((await b.chorale('job', 'show', A)).out).toMatch(/again +chorale job retry/)
})

test('a job that waits shows why, where its tasks are, and what is done of long ones', async () => {
  await using b = await bench()
  const tasks = { total: 100, done: 25, reassigned: 1, queued: 71, running: 4, partly: 2 }
  b.host.add(jobView({ tasks, hosts: [{ peer: HOST, cores: 2, queued: 71, running: 4 }] }))
  const { out } = await b.chorale('job', 'show', A)
  expect(out).toMatch(/now +71 in queues, 4 under way, 50 % of that done\nhost +\.\.\w+ +71 in its queue, 4 given out/)
  expect((await b.chorale('job', 'list')).out).toMatch(/running +27 %/)
})

test('an alarm names tasks, results and hosts', async () => {
  await using b = await bench()
  const attempts = [{ digest: 'ab'.repeat(32), host: HOST }, { digest: 'cd'.repeat(32) }]
  b.host.add(jobView({ alarms: [{ tasks: { first: 16, end: 32 }, attempts }] }))
  const { out } = await b.chorale('job', 'show', A)
  expect(out).toContain(`tasks 16 to 31: abababababababab from ${HOST}, cdcdcdcdcdcdcdcd from an unknown host`)
})

test('plan: tasks, engine, code and places; nothing is submitted', async () => {
  await using b = await bench()
  const { code, out, err } = await b.chorale('job', 'plan', 'builtin:pi', '--samples', '1e9', '--seed', '1')
  expect(code).toBe(0)
  expect(out).toMatch(
    /tasks +239, in 7 groups\nengine +builtin\/1\ncode +in the package\nlent +2 cores by 1 of 2 hosts/,
  )
  expect(out).toMatch(/127\.0\.0\.1:4002 +32 tasks/)
  expect(err).toMatch(/nothing was submitted/)
  const params = { samples: 1_000_000_000, taskSamples: 4_194_304 }
  const request = { module: 'builtin:pi', params: { samples: 1_000_000_000 }, seed: 1 }
  expect(b.host.requests).toEqual([{ request, plan: { name: 'pi', params, tasks: 239, engine: 'builtin/1' } }])
  b.host.placement = { ...b.host.placement, segments: 700, sampled: 256 }
  const dry = await b.chorale('job', 'submit', 'builtin:pi', '--samples', '1e9', '--dry-run', '--json')
  expect(JSON.parse(dry.out)).toMatchObject({ type: 'plan', tasks: { total: 239 }, placement: { sampled: 256 } })
  expect((await b.chorale('job', 'plan', 'builtin:pi', '--samples', '1e9')).out).toMatch(/about 163 tasks\n/)
  expect(b.host.views.size).toBe(0)
})

test('plan: what cannot be', async () => {
  await using b = await bench()
  expect(await b.chorale('job', 'plan', 'builtin:nix')).toMatchObject({
    code: 2,
    err: expect.stringMatching(/no module/),
  })
  expect(await b.chorale('job', 'plan', 'builtin:pi')).toMatchObject({
    code: 2,
    err: expect.stringMatching(/--samples/),
  })
  expect(await b.chorale('job', 'plan', 'nowhere.ts')).toMatchObject({ code: 2 })
  const both = await b.chorale('job', 'submit', 'builtin:pi', '--samples', '9', '--dry-run', '--wait')
  expect(both).toMatchObject({ code: 2, err: expect.stringMatching(/--dry-run/) })
  const alone = await runCli(['job', 'plan', 'builtin:pi', '--samples', '9', '--home', folder()])
  expect(alone).toMatchObject({ code: 3, err: expect.stringMatching(/no node is running at .* chorale up -d/) })
  expect(b.host.requests).toEqual([])
})

test('a result goes into a file whole, and replaces nothing that it was not told to', async () => {
  await using b = await bench()
  b.host.add(jobView({ state: 'succeeded', value: { words: 3, text: '\u00e9' } }))
  const file = join(folder(), 'value.json')
  expect(await b.chorale('job', 'result', A, '-o', file)).toMatchObject({
    code: 0,
    out: '',
    err: `${file}: 24 bytes\n`,
  })
  expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual({ words: 3, text: '\u00e9' })
  writeFileSync(file, 'mine')
  expect(await b.chorale('job', 'result', A, '-o', file)).toMatchObject({
    code: 2,
    err: expect.stringMatching(/--force/),
  })
  expect(readFileSync(file, 'utf8')).toBe('mine')
  const json = await b.chorale('job', 'result', A, '-o', file, '--force', '--json')
  expect(JSON.parse(json.out)).toEqual({ v: 1, type: 'result-file', job: A, path: file, bytes: 24 })
  expect(readFileSync(file, 'utf8')).toMatch(/words/)
  for (const wrong of [['-o', '-'], ['--force'], ['-o', join(folder(), 'no', 'where.json')]]) {
    expect(await b.chorale('job', 'result', A, ...wrong)).toMatchObject({ code: 2, out: '' })
  }
  b.host.add(jobView(failed))
  const none = join(folder(), 'none.json')
  expect(await b.chorale('job', 'result', A, '-o', none)).toMatchObject({ code: 5 })
  expect(existsSync(none)).toBe(false)
  expect(readdirSync(join(none, '..'))).toEqual([])
})

test('retry prints the id of another job', async () => {
  await using b = await bench()
  b.host.add(jobView(failed))
  const { code, out, err } = await b.chorale('job', 'retry', A.slice(0, 12))
  expect({ code, out }).toEqual({ code: 0, out: `${A.slice(0, -1)}q\n` })
  expect(err).toMatch(/chorale job watch/)
  await b.chorale('job', 'retry', A, '--as-own')
  expect(b.host.requests).toEqual([A, { id: A, asOwn: true }])
  expect(JSON.parse((await b.chorale('job', 'retry', A, '--json')).out)).toMatchObject({ type: 'job', retryOf: A })
  expect(await b.chorale('job', 'retry', 'bafyreix')).toMatchObject({ code: 2 })
})

test('replay: the same bytes, other bytes, one task, none', async () => {
  await using b = await bench()
  known(b)
  const first = JSON.parse((await b.chorale('job', 'replay', A, '--json')).out)
  expect(first).toMatchObject({ type: 'replay', job: A, status: 'done', digest: expect.any(String), log: [] })
  known(b, { digest: first.digest })
  expect(await b.chorale('job', 'replay', A)).toMatchObject({ code: 0, err: expect.stringMatching(/same bytes\n$/) })
  known(b, { digest: 'ab'.repeat(32) })
  const other = await b.chorale('job', 'replay', A, '--json')
  expect(other).toMatchObject({ code: 9, err: expect.stringMatching(/not the job's bytes/) })
  expect(JSON.parse(other.out)).toMatchObject({ same: false, digest: first.digest })
  const task = JSON.parse((await b.chorale('job', 'replay', A, '--task', '19', '--json')).out)
  expect(task).toMatchObject({ task: 19, status: 'done', bytes: expect.any(Number) })
  const beyond = await b.chorale('job', 'replay', A, '--task', '20')
  expect(beyond).toMatchObject({ code: 2, err: expect.stringMatching(/20 tasks, from 0 on: there is no task 20/) })
  expect(await b.chorale('job', 'replay', 'bafyreix')).toMatchObject({ code: 2 })
})

test('replay: code of others runs only when the user says so', async () => {
  await using b = await bench()
  const code = 'export default { map: () => 0, reduce: (left) => left, finish: (total) => total }'
  const module = String((await b.host.files.addFile(pieces(code))).cid)
  const plan = { name: 'x', params: {}, tasks: 1, engine: 'js/v8-0.0/none' }
  b.host.specs.set(A, localSpec({ module, params: {}, seed: 1 }, plan))
  b.host.add(jobView({ module, state: 'succeeded' }))
  b.host.own = false
  const inspected = await inspectMachine(undefined)
  const free = inspected.level === 'os' && process.getuid?.() !== 0
  const refused = { code: 4, err: expect.stringMatching(/not submitted through this node.*add --allow-native\n$/) }
  const goesOn = { code: 2, err: expect.stringMatching(/for the engine js\/v8-0.0\/none/) }
  expect(await b.chorale('job', 'replay', A)).toMatchObject(free ? goesOn : refused)
  expect(await b.chorale('job', 'replay', A, '--allow-native')).toMatchObject(goesOn)
  b.host.own = true
  expect(await b.chorale('job', 'replay', A)).toMatchObject(goesOn)
  // What comes with the package is nobody's.
  b.host.own = false
  known(b)
  expect(await b.chorale('job', 'replay', A)).toMatchObject({ code: 0 })
})

test('a job over a stored file is planned, and done again from what the node reads', async () => {
  await using b = await bench()
  const text = 'to be or not to be\n'.repeat(40_000)
  const { cid } = await b.host.files.addFile(pieces(text))
  const input = String(cid)
  const args = ['builtin:wordcount', '--input', input, '--param', 'taskBlocks=1']
  const planned = JSON.parse((await b.chorale('job', 'plan', ...args, '--json')).out)
  expect(planned).toMatchObject({ tasks: { total: 3 }, input })
  const [{ request, plan }] = b.host.requests as [PlannedJob]
  expect(request.input).toBe(input)
  const spec = localSpec(request, plan, { cid: input, bytes: text.length, blocks: 3 })
  b.host.specs.set(A, spec)
  b.host.add(jobView({ module: 'builtin:wordcount', state: 'succeeded' }))
  const whole = await b.chorale('job', 'replay', A, '--json')
  const { digest, value } = JSON.parse(whole.out)
  expect(value).toMatchObject({ words: 4 })
  b.host.add(jobView({ module: 'builtin:wordcount', state: 'succeeded', digest, value }))
  expect(await b.chorale('job', 'replay', A)).toMatchObject({ code: 0, err: expect.stringMatching(/same bytes/) })
  expect(await b.chorale('job', 'replay', A, '--task', '2', '--json')).toMatchObject({ code: 0 })
  // What a keyed job has made goes into a file as it is.
  const made = 'be 80000\n'
  const output = String((await b.host.files.addFile(pieces(made))).cid)
  b.host.add(jobView({ module: 'builtin:wordcount', state: 'succeeded', value: { output } }))
  const file = join(folder(), 'counts.txt')
  expect(await b.chorale('job', 'result', A, '-o', file)).toMatchObject({ code: 0 })
  expect(readFileSync(file, 'utf8')).toBe(made)
})

async function* pieces(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text)
}

test.each(['logs', 'plan', 'retry', 'replay', 'result', 'show'])('job %s --help has examples', async (verb) => {
  const { code, out } = await runCli(['job', verb, '--help'])
  expect(code).toBe(0)
  expect(out).toMatch(new RegExp(`Examples:\n {2}\\$ chorale job ${verb} `))
})
