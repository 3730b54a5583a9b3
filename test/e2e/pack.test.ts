import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { engineName } from '../../src/mapreduce/sandbox/executor.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
let folder: string

/** In the folder where the package is installed; `npm test` must not tell the npm inside that it is somewhere else. */
async function run(command: string, args: readonly string[], cwd = folder): Promise<string> {
  const { npm_config_local_prefix: _, ...env } = process.env
  const { stdout } = await promisify(execFile)(command, args, { cwd, env, timeout: 100_000, killSignal: 'SIGKILL' })
  return stdout
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'chorale-pack-'))
  await run('npm', ['pack', '--silent', '--pack-destination', folder], root)
  writeFileSync(join(folder, 'package.json'), '{ "name": "elsewhere", "private": true, "type": "module" }')
  await run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', `./chorale-${version}.tgz`])
}, 180_000)

afterAll(() => rmSync(folder, { recursive: true, force: true }))

test('the command starts', async () => {
  expect(await run('npx', ['--no-install', 'chorale', '--version'])).toBe(`${version}\n`)
  expect(await run('npx', ['--no-install', 'chorale', '--help'])).toContain('chorale demo')
})

test('the library has its types', async () => {
  writeFileSync(
    join(folder, 'embed.ts'),
    `import { ChoraleError, type Host, type HostOptions, startHost } from 'chorale'
    export const start: (options: HostOptions) => Promise<Host> = startHost
    // @ts-expect-error a host does not start from nothing
    export const wrong = startHost()
    export const code: string = new ChoraleError('usage', 'why').code`,
  )
  const tsc = join(root, 'node_modules/.bin/tsc')
  await run(tsc, ['--noEmit', '--strict', '--skipLibCheck', '--module', 'nodenext', '--types', '', 'embed.ts'])
})

test('the library runs where it is embedded', async () => {
  const code = `import { ChoraleError, startHost } from 'chorale'
    console.log(typeof startHost, new ChoraleError('usage', 'why').code)`
  writeFileSync(join(folder, 'embed.js'), code)
  expect(await run(process.execPath, ['embed.js'])).toBe('function usage\n')
})

test('the demo runs', async () => {
  const out = await run('npx', ['--no-install', 'chorale', 'demo', '--nodes', '2', '--samples', '1e6', '--json'])
  const result = JSON.parse(out.trimEnd().split('\n').at(-1) ?? '') as Record<string, unknown>
  expect(result).toMatchObject({ v: 1, type: 'result', status: 'succeeded', samples: 1_000_000, nodes: 2 })
})

test('a job of its user runs, on the same engine as from the sources', async () => {
  writeFileSync(
    join(folder, 'job.ts'),
    `import { defineJob } from 'chorale/job'
    export default defineJob({
      name: 'sum',
      params: { tasks: 20 },
      split: ({ tasks }) => tasks,
      map: (task: number, { seed }) => task + seed,
      reduce: (left: number, right: number) => left + right,
    })`,
  )
  const tsc = join(root, 'node_modules/.bin/tsc')
  await run(tsc, ['--noEmit', '--strict', '--skipLibCheck', '--module', 'nodenext', '--types', '', 'job.ts'])
  const out = await run('npx', ['--no-install', 'chorale', 'job', 'run', '--local', 'job.ts', '--seed', '1', '--json'])
  expect(JSON.parse(out)).toMatchObject({ status: 'succeeded', value: 210, tasks: { total: 20 } })
  const inside = join(folder, 'node_modules/chorale/dist/src/mapreduce/sandbox/executor.js')
  const code = `import(${JSON.stringify(inside)}).then(async ({ engineName }) => console.log(await engineName('js')))`
  expect(await run(process.execPath, ['--eval', code])).toBe(`${await engineName('js')}\n`)
})
