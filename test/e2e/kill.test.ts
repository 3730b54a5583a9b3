import { expect, test } from 'vitest'
import { killPlan, runDisturbed } from '../../bench/kill/disturbed.ts'
import { piWorkload } from '../../bench/kill/workloads.ts'
import { seededRandom } from '../../src/core/random.ts'

test('kills are spread over the job, in order', () => {
  const plan = killPlan(100, seededRandom('plan'))
  expect(plan).toEqual(plan.toSorted((a, b) => a - b))
  expect(plan[0]).toBeLessThan(0.1)
  expect(plan.at(-1)).toBeGreaterThan(0.85)
  expect(plan.at(-1)).toBeLessThan(0.95)
})

const TIMEOUT_MS = 180_000

test.for(['ring', 'torus2'])(
  'half of the nodes are killed during a job on %s: the value is the same to the last bit',
  { timeout: TIMEOUT_MS },
  async (space, { signal }) => {
    const random = seededRandom('kill')
    const run = await runDisturbed({ nodes: 6, kill: 3, workload: piWorkload(1.2e9, 7), space, random, signal })
    expect(run.killedAtMs).toHaveLength(3)
    expect(run.lost).toBe(0)
    expect(run.disturbed.value).toEqual(run.undisturbed.value)
    expect(run.disturbed.value).toMatchObject({ pi: expect.closeTo(Math.PI, 3) })
  },
)
