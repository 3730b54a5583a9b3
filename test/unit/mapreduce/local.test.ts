/** A whole job without a network folds as the overlay does: with sums that show any other order in their last bits. */
import { expect, test } from 'vitest'
import { expectedWaves, fakeExecutor, waves } from '../../../sim/fake-executor.ts'
import { fakeStore } from '../../../sim/fake-store.ts'
import { silentLogger } from '../../../src/core/env.ts'
import { systemEnv } from '../../../src/core/system.ts'
import { runLocally } from '../../../src/mapreduce/local.ts'

test.each([1, 2, 15, 16, 17, 256, 257, 300])('%i tasks', async (tasks) => {
  const executor = fakeExecutor({ module: waves, taskMs: () => 0, cores: 3 })(systemEnv(silentLogger))
  const seen: number[] = []
  const { value } = await runLocally(
    { executor, store: fakeStore().store },
    { module: 'waves', params: { tasks }, seed: 7 },
    { signal: new AbortController().signal, onProgress: (done) => seen.push(done) },
  )
  expect(value).toEqual(expectedWaves(tasks, 7))
  expect(seen.at(-1)).toBe(tasks)
})
