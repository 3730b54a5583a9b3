import fc from 'fast-check'
import { expect, test } from 'vitest'
import { fakeExecutor, waves } from '../../../../sim/fake-executor.ts'
import { silentLogger } from '../../../../src/core/env.ts'
import { hashKey, type Key } from '../../../../src/core/ids.ts'
import { seededRandom } from '../../../../src/core/random.ts'
import { fullMask, tasksOfMask } from '../../../../src/mapreduce/segments.ts'
import { localSpec } from '../../../../src/mapreduce/spec.ts'
import type { JobModule } from '../../../../src/mapreduce/types.ts'
import { witnessed } from '../../../../src/market/allocation/witness.ts'
import { VirtualTime } from '../../mapreduce/virtual-time.ts'

const contract = hashKey('contract')

function parts(tasks: number) {
  const time = new VirtualTime()
  const env = { clock: time, random: seededRandom(1), log: silentLogger }
  const module = waves as unknown as JobModule
  const plain = fakeExecutor({ module, taskMs: () => 10 })(env)
  const seen = new Map<number, Key>()
  const witness = witnessed(plain, (of, task, digest) => {
    expect(of.contract).toBe(contract)
    expect(seen.get(task) ?? digest, 'always the same').toBe(digest)
    seen.set(task, digest)
  })
  const plan = { name: 'waves', params: { tasks }, tasks, engine: 'fake/1' }
  const spec = (paid: boolean) => ({
    ...localSpec({ module: 'builtin:waves', params: { tasks }, seed: 7 }, plan),
    ...(paid && { contract }),
  })
  const { signal } = new AbortController()
  const until = <T>(promise: Promise<T>) => time.until(promise, 100_000)
  return { plain, witness, seen, spec, signal, until }
}

test('runs of any tasks give the same bytes and times, and the digest of each task, whatever was run together', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 40 }), fc.nat(2), fc.nat(0xffff), async (tasks, at, some) => {
      const { plain, witness, seen, spec, signal, until } = parts(tasks)
      const segment = at % Math.ceil(tasks / 16)
      const full = fullMask(spec(true), 1, segment)
      for (const mask of [full, some & full, full & -full]) {
        if (mask === 0) continue
        const run = { spec: spec(true), segment, mask }
        const expected = await until(plain.run(run, { signal }))
        expect(await until(witness.run(run, { signal }))).toEqual(expected)
        for (const task of tasksOfMask(run.spec, segment, mask)) expect(seen.has(task), `task ${task}`).toBe(true)
      }
      expect(seen.size).toBe(tasksOfMask(spec(true), segment, full).length)
    }),
    { numRuns: 60 },
  )
})

test('of a job that is free nothing is told', async () => {
  const { witness, seen, spec, signal, until } = parts(20)
  await until(witness.run({ spec: spec(false), segment: 0, mask: 0xffff }, { signal }))
  expect(seen.size).toBe(0)
})
