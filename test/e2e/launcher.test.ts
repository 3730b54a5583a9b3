import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'

/** Makes a Node look like an old one to what it runs; the Node that is started by that does not see it. */
const AS_NODE_20 = [
  '--import',
  `data:text/javascript,Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.20.2' } })`,
]
const launcher = fileURLToPath(new URL('../../bin/chorale.js', import.meta.url))
const bundle = process.platform === 'darwin' && process.arch === 'arm64' ? 'node-bin' : 'node'

let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'chorale-launcher-'))
  mkdirSync(join(folder, 'bin'))
  copyFileSync(launcher, join(folder, 'bin/chorale.js'))
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
})

afterEach(() => rmSync(folder, { recursive: true }))

function installNode(): void {
  const home = join(folder, 'node_modules', `${bundle}-${process.platform}-${process.arch}`)
  mkdirSync(join(home, 'bin'), { recursive: true })
  writeFileSync(join(home, 'package.json'), '{}')
  symlinkSync(process.execPath, join(home, 'bin/node'))
}

function installMain(path: 'src/main.ts' | 'dist/src/main.js', code: string): void {
  mkdirSync(join(folder, path, '..'), { recursive: true })
  writeFileSync(join(folder, path), code)
}

function launch(nodeOptions: readonly string[], args: readonly string[] = [], env = process.env) {
  const child = spawn(process.execPath, [...nodeOptions, join(folder, 'bin/chorale.js'), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env,
    timeout: 30_000,
    killSignal: 'SIGKILL',
  })
  const ended = Promise.all([once(child, 'exit'), text(child.stdout), text(child.stderr)]).then(
    ([[code, signal], out, err]) => ({ code, signal, out, err }),
  )
  return { child, ended }
}

const SHOW = 'console.log(JSON.stringify([process.versions.node, process.argv.slice(2)])); process.exitCode = 7'
const shown = `${JSON.stringify([process.versions.node, ['up', '--listen', 'a b']])}\n`

test('a Node that is new enough runs what was compiled', async () => {
  installMain('dist/src/main.js', SHOW)
  expect(await launch([], ['up', '--listen', 'a b']).ended).toEqual({ code: 7, signal: null, out: shown, err: '' })
})

test('a clone runs its sources, whatever was compiled earlier', async () => {
  installMain('dist/src/main.js', 'throw new Error("stale")')
  installMain('src/main.ts', `const code: string = 'types'; ${SHOW}; if (code) {}`)
  expect(await launch([], ['up', '--listen', 'a b']).ended).toEqual({ code: 7, signal: null, out: shown, err: '' })
})

test('a node keeps its compiled code, and other commands use it, but make no place for it', async () => {
  installMain('dist/src/main.js', `import { getCompileCacheDir } from 'node:module'; console.log(getCompileCacheDir())`)
  const { NODE_COMPILE_CACHE: _, XDG_CACHE_HOME: __, ...env } = process.env
  const place = async (command: string) => (await launch([], [command], { ...env, HOME: folder }).ended).out.trim()
  expect(await place('status')).toBe('undefined')
  expect(readdirSync(folder).sort()).toEqual(['bin', 'dist', 'package.json'])
  const made = await place('up')
  expect(made.startsWith(folder)).toBe(true)
  expect(await place('status')).toBe(made)
})

test('an old Node hands over to the one that came along: same arguments, same exit code', async () => {
  installNode()
  installMain('dist/src/main.js', SHOW)
  const ended = await launch(AS_NODE_20, ['up', '--listen', 'a b']).ended
  expect(ended).toEqual({ code: 7, signal: null, out: shown, err: '' })
})

test('an old Node alone says in one line what to do', async () => {
  installMain('dist/src/main.js', SHOW)
  const { code, out, err } = await launch(AS_NODE_20).ended
  expect({ code, out }).toEqual({ code: 1, out: '' })
  expect(err).toMatch(/^chorale: needs Node 24\.12 or newer, this is 20\.20\.2, .*install Node 24.*\n$/)
})

test.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)('%s reaches the Node that was handed over to', async (signal) => {
  installNode()
  const code = `process.on('${signal}', () => process.exit(42)); setInterval(() => {}, 1000); console.log('ready')`
  installMain('dist/src/main.js', code)
  const { child, ended } = launch(AS_NODE_20)
  await once(child.stdout, 'data')
  child.kill(signal)
  expect(await ended).toMatchObject({ code: 42 })
})

function installSources(): void {
  symlinkSync(fileURLToPath(new URL('../../src', import.meta.url)), join(folder, 'src'))
}

/** Signal 0 only asks. */
function lives(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

test('a node ends with its launcher, also when that is killed', async () => {
  installNode()
  installSources()
  const args = ['up', '--json', '--home', join(folder, 'home'), '--network', 'launcher', '--lend', '0']
  const { child, ended } = launch(AS_NODE_20, args)
  const [ready] = await once(child.stdout, 'data')
  const { pid } = JSON.parse(String(ready)) as { pid: number }
  expect(pid).not.toBe(child.pid)
  expect(lives(pid)).toBe(true)
  child.kill('SIGKILL')
  try {
    await expect.poll(() => lives(pid), { timeout: 15_000, interval: 50 }).toBe(false)
    expect((await ended).out).toContain('"type":"left"') // politely, as after SIGTERM
  } finally {
    if (lives(pid)) process.kill(pid, 'SIGKILL')
  }
}, 60_000)

test('a node in the background outlives its launcher', async () => {
  installNode()
  installSources()
  const args = ['up', '-d', '--json', '--home', join(folder, 'home'), '--network', 'launcher', '--lend', '0']
  const { code, out } = await launch(AS_NODE_20, args).ended
  const { pid } = JSON.parse(out) as { pid: number }
  try {
    expect(code).toBe(0)
    await new Promise((resolve) => setTimeout(resolve, 1000))
    expect(lives(pid)).toBe(true)
  } finally {
    process.kill(pid, 'SIGKILL')
    await expect.poll(() => lives(pid), { timeout: 10_000, interval: 50 }).toBe(false)
  }
}, 60_000)

test('death by a signal is passed on', async () => {
  installNode()
  installMain('dist/src/main.js', `process.kill(process.pid, 'SIGTERM'); setInterval(() => {}, 1000)`)
  expect(await launch(AS_NODE_20).ended).toMatchObject({ code: null, signal: 'SIGTERM' })
})

test('the launcher looks for what package.json brings along', () => {
  const code = readFileSync(launcher, 'utf8')
  const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    engines: { node: string }
    optionalDependencies: Record<string, string>
  }
  const named = [...code.matchAll(/'(node-[\w-]+)'/g)].map(([, name]) => name)
  expect(named.sort()).toEqual(Object.keys(manifest.optionalDependencies).sort())
  expect(code).toContain(`const NEEDED = [${manifest.engines.node.replace('>=', '').replace('.', ', ')}]`)
})
