/** The scenarios `balance` and `jobs`, small; at night as large as `npm run sim` has them. */
import { describe, expect, test } from 'vitest'
import { fakeExecutor, waves } from '../../sim/fake-executor.ts'
import { OracleJobs } from '../../sim/oracle-jobs.ts'
import { BALANCE_DEFAULTS, runBalance } from '../../sim/scenarios/balance.ts'
import { JOBS_DEFAULTS, runJobs } from '../../sim/scenarios/jobs.ts'
import { LOCALITY_DEFAULTS, runLocality } from '../../sim/scenarios/locality.ts'
import type { JobModule } from '../../src/mapreduce/types.ts'
import { seeds } from '../nightly.ts'

/** The sizes of `npm run sim`: minutes each. */
const full = test.runIf(process.env.CHORALE_NIGHTLY)

describe('balance', () => {
  full.each([1, 5])('1,000 hosts of 1x to %ix speed', async (fastest) => {
    const { exact, factor } = await runBalance(BALANCE_DEFAULTS, fastest)
    expect(exact).toBe(true)
    expect(factor).toBeLessThan(1.15)
  })

  const small = { ...BALANCE_DEFAULTS, nodes: 60, tasks: 18_000 }

  test.each([1, 5])(
    'hosts of 1x to %ix speed end nearly together, with few messages for each task',
    async (fastest) => {
      const { exact, factor, requestsPerTask } = await runBalance(small, fastest)
      expect(exact).toBe(true)
      // Without balancing, the harmonic number of 60 on equal hosts: 4.7.
      expect(factor).toBeLessThan(1.12)
      expect(requestsPerTask).toBeLessThan(0.6)
    },
  )
})

describe('jobs', () => {
  full('1,000 jobs on 500 hosts', async () => {
    const { jobs, ended, missing, doubled, different } = await runJobs(JOBS_DEFAULTS)
    expect({ ended, missing, doubled, different }).toEqual({ ended: jobs, missing: 0, doubled: 0, different: 0 })
  })

  const small = { ...JOBS_DEFAULTS, nodes: 60, jobs: 30, jobsPerSecond: 1 }

  test.each(seeds(2))('small jobs under churn end, each task counted once: seed %i', async (seed) => {
    const { jobs, ended, missing, doubled, different, killed } = await runJobs({ ...small, seed })
    expect(killed).toBeGreaterThan(0)
    expect({ ended, missing, doubled, different }).toEqual({ ended: jobs, missing: 0, doubled: 0, different: 0 })
  })

  test('the same seed, the same events', async () => {
    const options = { ...small, nodes: 30, jobs: 8 }
    expect((await runJobs(options)).digest).toBe((await runJobs(options)).digest)
  })
})

test('tasks over stored input run where their blocks are, as far as that keeps hosts busy', async () => {
  const { localShare, factor } = await runLocality({ ...LOCALITY_DEFAULTS, nodes: 40, tasks: 2_000 })
  // With no preference for hosts that keep copies it was 0.6, on 100 hosts.
  expect(localShare).toBeGreaterThan(0.78)
  expect(factor).toBeLessThan(1.2)
})

test('small jobs get their share of hosts that are busy with a large one', async () => {
  const jobs = new OracleJobs({ seed: 3 })
  const module = waves as unknown as JobModule
  for (let i = 0; i < 60; i++) jobs.add(fakeExecutor({ module, taskMs: () => 2_000 }))
  const { schedule } = jobs
  await schedule.run(5_000)
  const { jobs: submitter } = jobs.nodes[7]!.service
  const timed = async (tasks: number) => {
    const startMs = schedule.nowMs
    const { id } = await submitter.submit({ module: 'builtin:waves', params: { tasks }, seed: tasks })
    for await (const _ of submitter.watch(id));
    return schedule.nowMs - startMs
  }
  let largeMs = Number.NaN
  void timed(18_000).then((ms) => {
    largeMs = ms
  })
  await schedule.run(schedule.nowMs + 20_000)
  // Alone they take 2 s and 20 s and some for the way. With hosts that did what they were given in turn: 50 s and 504 s.
  expect(await schedule.until(timed(32))).toBeLessThan(20_000)
  expect(await schedule.until(timed(600))).toBeLessThan(100_000)
  await schedule.run(schedule.nowMs + 650_000)
  expect(largeMs).toBeLessThan(720_000)
})
