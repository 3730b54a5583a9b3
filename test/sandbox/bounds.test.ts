/** What code may take of time and memory, and what of its results is none (SANDBOX: tests 7, 9 and 10). */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { encode } from '../../src/core/cbor.ts'
import { silentLogger } from '../../src/core/env.ts'
import { systemClock } from '../../src/core/system.ts'
import { Child } from '../../src/mapreduce/sandbox/child.ts'
import { commandOf, runnerFiles } from '../../src/mapreduce/sandbox/command.ts'
import { inspectMachine, Sandbox } from '../../src/mapreduce/sandbox/sandbox.ts'
import { levels, moduleOf, noBubblewrap, sandboxed } from './sandboxed.ts'

const level = noBubblewrap === undefined ? 'os' : 'process'
const signal = new AbortController().signal
/** Of a task; some 150 ms. */
const WORK = 'let x = 1; for (let i = 0; i < 3e7; i++) x = (x * 3) | 1; '

test('9. the time is that of one task, not of a run, and the error names the task', async () => {
  const { executor, spec } = sandboxed(moduleOf(`${WORK} if (context.seed === 8 && task === 5) for (;;); return 1`), {
    level,
    taskMs: 1500,
  })
  const run = { spec: await spec(), segment: 0, mask: 0xffff }
  const { tookMs, partials } = await executor.run(run, { signal })
  expect(partials).toHaveLength(1)
  expect(tookMs).toBeGreaterThan(1500)
  const bad = executor.run({ ...run, spec: { ...run.spec, seed: 8 } }, { signal })
  await expect(bad).rejects.toMatchObject({
    code: 'user-code',
    message: "the job's code failed in task 5: it took longer than 1.5 s",
  })
})

test('9. a process that claims steps that there are not is ended', async () => {
  for (const step of [0, 3, -1, 1.5e9]) {
    const child = await hostile(`say({ op: 'at', id: 1, step: ${step} })`)
    const answer = child.request({ op: 'call' }, new Uint8Array(0), { timeoutMs: 10_000, steps: ['one', 'two'] })
    await expect(answer).rejects.toMatchObject({ message: expect.stringContaining('broke the protocol') })
  }
})

/** A child whose runner is the attacker's: does as `code` says when it is asked for something. */
async function hostile(code: string, maxBytes?: number, of = level): Promise<Child> {
  const folder = mkdtempSync(join(tmpdir(), 'chorale-hostile-'))
  const runner = join(folder, 'runner.mjs')
  writeFileSync(
    runner,
    `import { writeSync } from 'node:fs'
    function say(head) {
      const text = Buffer.from(JSON.stringify(head))
      const frame = Buffer.alloc(8)
      frame.writeUInt32LE(4 + text.length, 0); frame.writeUInt32LE(text.length, 4)
      writeSync(1, Buffer.concat([frame, text]))
    }
    say({ op: 'up' })
    process.stdin.once('data', () => { ${code}; setInterval(() => {}, 1e6) })`,
  )
  const files = await runnerFiles()
  const limits = { heapMb: 512, cpuSeconds: 60, dataMb: 0 }
  // Without RLIMIT_DATA: here it is the other wall that is tried.
  const command = commandOf(of as 'os', { ...files, runner, files: [runner] }, limits, undefined)
  const child = new Child(command, systemClock, silentLogger, maxBytes)
  onTestFinished(async () => {
    child.kill(new Error('the test is over') as never)
    await child.gone
    rmSync(folder, { recursive: true })
  })
  await child.up
  return child
}

test.each(levels.filter((one) => one === 'process' || noBubblewrap === undefined))(
  '10. the memory of a process is watched, whatever owns it: level %s',
  async (of) => {
    const grow = 'const all = []; setInterval(() => { all.push(Buffer.alloc(2 ** 24, 1)) }, 10)'
    const child = await hostile(grow, 256 * 2 ** 20, of)
    const answer = child.request({ op: 'call' }, new Uint8Array(0), { timeoutMs: 30_000 })
    await expect(answer).rejects.toMatchObject({ message: 'the job needs more memory than it may have' })
    await child.gone
  },
)

describe('10. an allocation that failed is no result, though it is caught:', () => {
  test.each([
    'new Uint8Array(2 ** 20).fill(1)',
    'new ArrayBuffer(2 ** 20)',
    'large.slice()',
    'large.buffer.slice(0)',
    'large.map((x) => x)',
    'Float64Array.from(large)',
    'large.toReversed()',
    'new (class Mine extends Uint8Array {})(2 ** 20)',
  ])('%s', async (expression) => {
    const { task } = sandboxed(
      moduleOf(`const all = []; const large = new Float64Array(2 ** 18)
        try { for (;;) all.push(${expression}) } catch { return 'caught' }`),
      { level, heapMb: 64 },
    )
    await expect(task()).rejects.toMatchObject({ message: 'the job needs more memory than it may have' })
  })

  test('arrays are what they were', async () => {
    const { task } = sandboxed(
      moduleOf(`class Mine extends Uint8Array {}
      const mine = new Mine([1, 2, 3])
      return [mine instanceof Mine, mine instanceof Uint8Array, mine.slice(1) instanceof Mine, [...mine.toReversed()],
        Uint8Array.of(7).constructor === Uint8Array, new Uint8Array(2).buffer.constructor === ArrayBuffer,
        Uint8Array.name, Uint8Array.length, Object.prototype.toString.call(mine), Float64Array.BYTES_PER_ELEMENT]`),
      { level },
    )
    expect(await task()).toEqual([true, true, true, [3, 2, 1], true, true, 'Uint8Array', 3, '[object Uint8Array]', 8])
  })
})

test('7. what cannot be kept is told with its place, and its task', async () => {
  const values: [string, string][] = [
    ['undefined', 'it gave undefined: a result is what JSON can hold'],
    ['{ a: [1, undefined] }', 'it gave, at .a[1], undefined'],
    ['{ f() {} }', 'it gave, at .f, a function'],
    ['[{ x: 0 / 0 }]', 'it gave, at [0].x, NaN: no result holds NaN or Infinity'],
    ['new Set([1])', 'it gave a Set'],
    ['(async () => 1)()', 'it gave a promise: the functions of a job must not be async'],
    ['2n ** 80n', 'it gave a bigint'],
    ['((a) => (a.a = a))({})', 'it gave, at .a, an object that holds itself'],
  ]
  const { task } = sandboxed(moduleOf(`return [${values.map(([value]) => `() => (${value})`)}][task]()`), { level })
  for (const [i, [value, message]] of values.entries()) {
    await expect(task(i), value).rejects.toMatchObject({
      code: 'user-code',
      message: expect.stringContaining(`the job's code failed in task ${i}: ${message}`),
    })
  }
})

test('7. a result that is too large is told with its task, its size and the limit', async () => {
  await expect(sandboxed(moduleOf(`return 'x'.repeat(600_000)`), { level }).task(3)).rejects.toMatchObject({
    message: "the job's code failed in task 3: a result has 600005 bytes, the most is 524288: reduce it further in map",
  })
})

test('7. a NaN has the same bits, whatever it was', async () => {
  const { task } = sandboxed(
    moduleOf(`const odd = new Float64Array(1), odd32 = new Float32Array(1)
      new BigUint64Array(odd.buffer)[0] = 0xfff8000000000123n
      new Uint32Array(odd32.buffer)[0] = 0xffc00123
      const view = new DataView(new ArrayBuffer(12))
      view.setFloat64(0, odd[0]); view.setFloat32(8, odd32[0], true)
      return [odd, odd32, { inside: odd }, new Uint8Array(view.buffer)].map((all) => all instanceof Uint8Array ? all : { all })`),
    { level },
  )
  const nan = [0, 0, 0, 0, 0, 0, 0xf8, 0x7f]
  const seen = JSON.parse(JSON.stringify(await task())) as Array<
    { all: Record<string, unknown> } & Record<string, number>
  >
  expect(Object.values(seen[0]!.all)).toEqual(nan)
  expect(Object.values(seen[1]!.all)).toEqual([0, 0, 0xc0, 0x7f])
  expect(Object.values(seen[2]!.all.inside as object)).toEqual(nan)
  expect(Object.values(seen[3]!)).toEqual([...nan.toReversed(), 0, 0, 0xc0, 0x7f])
})

test('a process is ready for the next job, has no code in it, and goes when the host stops', async () => {
  const options = { cores: 1, clock: systemClock, log: silentLogger }
  const sandbox = await Sandbox.open(options, await inspectMachine(level))
  onTestFinished(() => sandbox.stop())
  const code = new TextEncoder().encode(moduleOf('return 1', 'let calls = 0').replace('tasks: 16', 'tasks: ++calls'))
  const plan = (job: string) => sandbox.call(job, code, 'plan', encode({ params: {} }), { timeoutMs: 10_000 })
  const first = await plan('one')
  const [one] = sandbox.pids
  await vi.waitFor(() => expect(sandbox.pids).toHaveLength(2), { timeout: 5000 })
  const spare = sandbox.pids.find((pid) => pid !== one)
  expect(await plan('two')).toEqual(first) // it starts from nothing too
  expect(sandbox.pids).toEqual([one, spare])
  expect(await plan('two')).not.toEqual(first)
  await sandbox.stop()
  expect(sandbox.pids).toEqual([])
})
