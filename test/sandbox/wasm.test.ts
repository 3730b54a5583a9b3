/** Jobs in WebAssembly (SANDBOX: test 11): one that a compiler made, and small ones that are not as they should be. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { Bench } from '../e2e/processes.ts'
import { i64, tinyWasm } from '../unit/mapreduce/tiny-wasm.ts'
import { MemoryWatch, noBubblewrap, sandboxed } from './sandboxed.ts'

const PI = new URL('pi-job.wasm', import.meta.url)
const level = noBubblewrap === undefined ? 'os' : 'process'

test('11. a job in WebAssembly, with the values of its kernel in JavaScript', async () => {
  await using bench = new Bench()
  const run = (...args: string[]) => bench.json('job', 'run', '--local', PI.pathname, '--seed', '5', ...args)
  let [hits, points] = [0, 0]
  for (let task = 0; task < 3; task++) {
    let a = (Math.imul(task + 1, 0x9e3779b1) + 5) | 0
    let b = a ^ 0x85ebca6b
    const coordinate = () => {
      const value = Math.imul(a, 0x9e3779bb) * 2 ** -31
      b ^= a
      a = ((a << 26) | (a >>> 6)) ^ b ^ (b << 9)
      b = (b << 13) | (b >>> 19)
      return value
    }
    for (let i = 0; i < 2 ** 22; i++) if (coordinate() ** 2 + coordinate() ** 2 < 1) hits++
    points += 2 ** 22
  }
  expect((await run('--param', 'tasks=3')).value).toEqual([hits, points])
  const wrong = await bench.run('job', 'run', '--local', PI.pathname)
  expect(wrong).toMatchObject({ code: 5, err: expect.stringContaining('split trapped: unreachable') })
})

const grows = [0x03, 0x40, 0x41, 1, 0x40, 0, 0x1a, 0x0c, 0, 0x0b, ...i64(0)] // loop: memory.grow 1
const fills = [
  0x03,
  0x40,
  0x41,
  16,
  0x40,
  0,
  0x1a,
  ...[0x41, 0, 0x41, 7, 0x3f, 0, 0x41, 16, 0x74, 0xfc, 11, 0],
  0x0c,
  0,
  0x0b,
  ...i64(0),
]
/** `v128.const` of zeros. */
const v128 = [0xfd, 12, ...new Array<number>(16).fill(0)]
test.each([
  ['that grows its memory for ever', { map: grows }, /longer than|memory/],
  ['that grows and fills its memory', { map: fills }, /longer than|memory|trapped/],
  ['that loops', { map: [0x03, 0x40, 0x0c, 0, 0x0b, ...i64(0)] }, /longer than/],
  ['that traps', { map: [0x00] }, /map trapped: unreachable/],
  ['whose result is outside its memory', { map: i64(4 * 2 ** 32 + 2 ** 31) }, /failed in task 0/],
  ['whose result is too large', { map: i64(600_000 * 2 ** 32), memory: [0, 16] }, /the most is 524288/],
  ['without finish', { exports: ['alloc', 'split', 'map', 'reduce'] }, /must export the function finish/],
  ['that imports more', { imports: ['env', 'clock'] }, /it imports env.clock/],
  ['with relaxed SIMD', { map: [...v128, ...v128, 0xfd, 0x80, 0x02, 0x1a, ...i64(0)] }, /relaxed SIMD/],
  ['with shared memory', { memory: [3, 1, 4] }, /its memory is shared/],
] as const)('11. a module %s is no job', async (_, options, message) => {
  const memory = new MemoryWatch()
  const { task } = sandboxed(tinyWasm(options as never), { level, taskMs: 1500, heapMb: 64 })
  await expect(task()).rejects.toMatchObject({
    code: expect.stringMatching(/^(user-code|limit)$/),
    message: expect.stringMatching(message),
  })
  expect(memory.end()).toBeLessThan(64 * 2 ** 20)
})

test('11. nothing is left in memory from one task to the next', async () => {
  // Adds one to what is at 0, and gives it.
  const map = [0x41, 0, 0x41, 0, 0x28, 2, 0, 0x41, 1, 0x6a, 0x36, 2, 0, ...i64(4 * 2 ** 32)]
  const { executor, spec } = sandboxed(tinyWasm({ map }), { level })
  const run = async (task: number) => {
    const { partials } = await executor.run(
      { spec: await spec(), segment: 0, mask: 1 << task },
      { signal: new AbortController().signal },
    )
    return partials[0]!.bytes
  }
  expect(await run(1)).toEqual(await run(2))
  expect(readFileSync(PI).length).toBeLessThan(2000)
})
