/** Jobs of strangers on hosts that do not take their code (SANDBOX: test 16): real nodes, on a machine without bubblewrap. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test, vi } from 'vitest'
import { Bench, eventually, type Running } from '../e2e/processes.ts'

const SUM = `
import { defineJob } from 'chorale/job'
export default defineJob({
  name: 'sum',
  split: () => 100,
  map: (task) => task,
  reduce: (left: number, right: number) => left + right,
})`

interface Status {
  readonly lend: { readonly tasksDone: number; readonly sandbox: Record<string, string> }
}

test("16. Without bubblewrap JavaScript of strangers is refused and told so, their WebAssembly and what is one's own runs", async () => {
  vi.stubEnv('PATH', '/nowhere')
  onTestFinished(() => void vi.unstubAllEnvs())
  await using bench = new Bench()
  const home = (name: string) => ['--home', join(bench.root, name)]
  const start = (name: string, lend: string, ...more: string[]): Running =>
    bench.start(
      'up',
      ...home(name),
      '--listen',
      '127.0.0.1:0',
      '--allow-native',
      'no',
      '--lend',
      lend,
      '--json',
      ...more,
    )
  const status = async (name: string) => (await bench.json('status', ...home(name))) as unknown as Status
  const first = await start('mine', '1cpu').line('ready')
  expect(first).toMatchObject({
    sandbox: { level: 'process', why: expect.stringContaining('bubblewrap'), strangers: 'webassembly' },
  })
  const entry = ['--bootstrap', first.address as string]
  await start('theirs', '1cpu', ...entry).line('ready')
  await start('idle', '0', ...entry).line('ready')

  const file = join(bench.root, 'sum.ts')
  writeFileSync(file, SUM)
  const own = await bench.json('job', 'submit', file, '--wait', ...home('mine'))
  expect(own).toMatchObject({ status: 'succeeded', value: 4950 })
  expect((await status('mine')).lend).toMatchObject({ tasksDone: 100, sandbox: { level: 'process' } })
  expect((await status('theirs')).lend.tasksDone).toBe(0)

  // Nobody lends who takes it: it waits, and does not fail.
  const { id } = await bench.json('job', 'submit', file, ...home('idle'))
  const show = () => bench.json('job', 'show', id as string, ...home('theirs'))
  await eventually('the job says why it waits', async () => /--allow-native/.test(String((await show()).reason)))
  expect(await show()).toMatchObject({ state: 'scheduled', tasks: { done: 0 } })

  const wasm = fileURLToPath(new URL('pi-job.wasm', import.meta.url))
  const theirs = await bench.json('job', 'submit', wasm, '--param', 'tasks=3', '--wait', ...home('idle'))
  expect(theirs).toMatchObject({ status: 'succeeded', tasks: { total: 3 } })
  await start('willing', '1cpu', ...entry, '--allow-native').line('ready')
  expect(await bench.json('job', 'result', id as string, '--wait', ...home('mine'))).toMatchObject({ value: 4950 })
})
