/** What lending asks of the sandbox: no more processes than the lent memory has room for, and how fast the machine is. */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { decode, encode } from '../../src/core/cbor.ts'
import { silentLogger } from '../../src/core/env.ts'
import { systemClock } from '../../src/core/system.ts'
import {
  REFERENCE_OPERATIONS,
  REFERENCE_PROGRAM,
  REFERENCE_RESULT,
  runBenchmark,
} from '../../src/mapreduce/sandbox/benchmark.ts'
import { inspectMachine, type ProcessLimits, Sandbox } from '../../src/mapreduce/sandbox/sandbox.ts'

const CODE = new TextEncoder().encode(`export default {
  name: 'x',
  plan() { let x = 0; for (let i = 0; i < 3e7; i++) x ^= i; return { params: {}, tasks: 1 + (x & 0) } },
  map() {}, reduce() {}, finish() {}
}`)

async function open(limits: { now: ProcessLimits }): Promise<Sandbox> {
  const options = { cores: 4, processes: () => limits.now, clock: systemClock, log: silentLogger }
  const sandbox = await Sandbox.open(options, await inspectMachine('process'))
  onTestFinished(() => sandbox.stop())
  return sandbox
}

const plan = (sandbox: Sandbox, job: string) =>
  sandbox.call(job, CODE, 'plan', encode({ params: {} }), { timeoutMs: 60_000 })

test('there are no more processes than there may be, idle ones and the spare included, and every call is answered', async () => {
  const limits = { now: { atWork: 2, inAll: 2 } }
  const sandbox = await open(limits)
  let most = 0
  const timer = setInterval(() => {
    most = Math.max(most, sandbox.pids.length)
  }, 5)
  onTestFinished(() => clearInterval(timer))
  const jobs = ['a', 'b', 'c', 'a', 'd', 'b']
  const answers = await Promise.all(jobs.map((job) => plan(sandbox, job)))
  expect(answers.map((bytes) => decode(bytes))).toEqual(jobs.map(() => expect.objectContaining({ tasks: 1 })))
  expect(most).toBe(2)

  // One process does folds also where nothing is lent; the spare takes its room too.
  limits.now = { atWork: 1, inAll: 1 }
  await sleep(4_500) // until those that idle are gone
  most = 0
  await Promise.all(['e', 'f'].map((job) => plan(sandbox, job)))
  await sleep(1_000)
  await plan(sandbox, 'g')
  expect(most).toBe(1)
})

test('the reference program gives what it must here too, and is fast enough to be measured', async () => {
  const module = (await import(`data:text/javascript,${encodeURIComponent(REFERENCE_PROGRAM)}`)) as {
    default: { map(): number }
  }
  expect(module.default.map()).toBe(REFERENCE_RESULT)
  const { tookMs, operations, engine, level } = await runBenchmark(
    { clock: systemClock, log: silentLogger },
    { signal: new AbortController().signal },
  )
  expect(operations).toBe(REFERENCE_OPERATIONS)
  expect(tookMs).toHaveLength(7)
  expect(Math.min(...tookMs)).toBeGreaterThan(0)
  expect(engine).toMatch(/^js\/v8-/)
  expect(['os', 'process']).toContain(level)
  const given = new AbortController()
  const stopped = runBenchmark({ clock: systemClock, log: silentLogger }, { signal: given.signal })
  given.abort()
  await expect(stopped).rejects.toMatchObject({ code: 'aborted' })
})
