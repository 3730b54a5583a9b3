/** A job of others that is done again here: their code runs on their user's machine no more freely than on a node. */
import { describe, expect, test } from 'vitest'
import { type Replay, replayJob, replayTask } from '../../src/job-replay.ts'
import type { Level } from '../../src/mapreduce/sandbox/command.ts'
import { levels, moduleOf, noBubblewrap, sandboxed } from './sandboxed.ts'

const CODE = moduleOf('return task')
const signal = new AbortController().signal
const isRoot = process.getuid?.() === 0

async function replay(level: Level, change: Partial<Replay>): Promise<Replay> {
  const { spec } = sandboxed(CODE, { level })
  const store = {
    async *cat() {
      yield new TextEncoder().encode(CODE)
    },
    async *leaves() {},
  }
  return { spec: await spec(), store, cores: 1, level, own: false, allowNative: false, ...change }
}

describe.each(levels)('at level %s', (level) => {
  const skip = level === 'os' && noBubblewrap !== undefined

  test.skipIf(skip || (level === 'os' && !isRoot))(
    'code of others does not run, and it is said what to do',
    async () => {
      const refused = {
        code: 'auth',
        message: expect.stringMatching(/not submitted .* (level process|as root).*--allow-native$/),
      }
      const run = await replay(level, {})
      await expect(replayTask(run, 3, { signal })).rejects.toMatchObject(refused)
      await expect(replayJob(run, { signal })).rejects.toMatchObject(refused)
    },
  )

  test.skipIf(skip).each([{ allowNative: true }, { own: true }])('it does with %o', async (change) => {
    expect(await replayTask(await replay(level, change), 3, { signal })).toMatchObject({ value: 3 })
  })
})
