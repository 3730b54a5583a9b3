/**
 * The command line of a child process that runs foreign code, at two levels of isolation (SANDBOX: Design).
 *
 * `process`: limits of the operating system (CPU, memory, no core files, no files at all), and Node's own permissions, which
 * are a seat belt. `os`: the same inside bubblewrap, with every namespace of its own: no network, no other process, and of
 * files only what Node itself needs, to read.
 */
import { execFile, spawn } from 'node:child_process'
import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { delimiter, dirname, isAbsolute, join } from 'node:path'
import type { Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { ChoraleError, errorMessage } from '../../core/errors.ts'
import { seccompFilter } from './seccomp.ts'

export type Level = 'os' | 'process'

export interface Limits {
  /** Of the isolate's heap. */
  readonly heapMb: number
  /** Of processor time, in the life of the process. */
  readonly cpuSeconds: number
  /** Heap, array buffers and WebAssembly memory together, above what an idle runner has (RLIMIT_DATA). */
  readonly dataMb: number
}

export interface Command {
  readonly file: string
  readonly args: readonly string[]
  /** What it reads from file descriptor 3 before anything else: bubblewrap, the filter of system calls. */
  readonly filter?: Uint8Array | undefined
}

/** Where this installation has what a runner needs. */
export interface RunnerFiles {
  readonly node: string
  readonly runner: string
  /** All that the runner reads, itself included. */
  readonly files: readonly string[]
  /** isolated-vm for this machine. */
  readonly addon: string
  /** What the dynamic linker loads for Node and the addon, itself included; empty where it cannot be asked. */
  readonly libraries: readonly string[]
  /** bubblewrap, as it is found now: the process that starts it later has no PATH. */
  readonly bwrap: string
}

const run = promisify(execFile)

/** Rejects with `config` when isolated-vm has no build for this machine. */
export async function runnerFiles(): Promise<RunnerFiles> {
  // The same extension as this file's: .ts from the sources, .js from the package.
  const beside = (name: string) => fileURLToPath(new URL(import.meta.url.replace(/command\.(\w+)$/, `${name}.$1`)))
  const runner = beside('runner')
  const node = process.execPath
  const addon = addonFile()
  const libraries = await Promise.all([node, addon].map(librariesOf))
  const bwrap = (await found('bwrap')) ?? 'bwrap'
  return { node, runner, files: [runner, beside('frames')], addon, libraries: [...new Set(libraries.flat())], bwrap }
}

/** Where a program is on the PATH. */
async function found(program: string): Promise<string | undefined> {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const file = join(folder, program)
    if (isAbsolute(file) && (await access(file, constants.X_OK).then(yes, no))) return file
  }
  return undefined
}

const yes = () => true
const no = () => false

function addonFile(): string {
  try {
    const require = createRequire(import.meta.url)
    const { path } = require('node-gyp-build') as { path(folder: string): string }
    return path(dirname(require.resolve('isolated-vm')))
  } catch (error) {
    const why = 'the sandbox (isolated-vm) is not installed, or has no build for this machine'
    throw new ChoraleError('config', why, { cause: error })
  }
}

/** Kilobytes of data that an idle runner has; undefined where it is not measured, and then not limited. */
export function commandOf(level: Level, files: RunnerFiles, limits: Limits, idleDataKb: number | undefined): Command {
  const ulimits = ['-c 0', '-f 0', '-n 64', `-t ${limits.cpuSeconds}`]
  if (idleDataKb !== undefined) ulimits.push(`-d ${idleDataKb + limits.dataMb * 1024}`)
  const script = `${ulimits.map((limit) => `ulimit ${limit}`).join(' && ')} && exec "$@"`
  const inside = level === 'os' ? bubblewrap(files) : []
  const args = ['-c', script, 'sh', ...inside, files.node, ...nodeArguments(files, limits)]
  return { file: '/bin/sh', args, filter: level === 'os' ? seccompFilter() : undefined }
}

function nodeArguments({ runner, files, addon }: RunnerFiles, limits: Limits): string[] {
  return [
    '--permission',
    '--allow-addons',
    ...[...files, addon].map((file) => `--allow-fs-read=${file}`),
    '--no-node-snapshot',
    '--no-experimental-sqlite',
    '--no-experimental-websocket',
    '--disable-sigusr1',
    '--disable-proto=delete',
    '--no-warnings',
    `--max-old-space-size=${limits.heapMb}`,
    // At once: V8 would begin with 1 MB and stay there with tasks that leave nothing behind, and clear it all the time.
    '--min-semi-space-size=4',
    '--max-semi-space-size=4',
    `--wasm-max-mem-pages=${limits.heapMb * 16}`,
    runner,
    addon,
  ]
}

function bubblewrap({ node, files, addon, libraries, bwrap }: RunnerFiles): string[] {
  const visible = [node, ...files, addon, ...libraries]
  return [
    bwrap,
    '--unshare-all',
    '--die-with-parent',
    '--new-session',
    '--cap-drop',
    'ALL',
    '--uid',
    '65534',
    '--gid',
    '65534',
    '--hostname',
    'job',
    '--clearenv',
    '--chdir',
    '/',
    ...(seccompFilter() ? ['--seccomp', '3'] : []),
    ...visible.flatMap((file) => ['--ro-bind', file, file]),
    '--remount-ro',
    '/',
    '--',
  ]
}

async function librariesOf(file: string): Promise<string[]> {
  if (process.platform !== 'linux') return []
  const { stdout } = await run('ldd', [file]).catch(() => ({ stdout: '' }))
  return stdout.split('\n').flatMap((line) => /(?:=> )?(\/\S+) \(0x/.exec(line)?.[1] ?? [])
}

/** A busy machine is no reason to take the lower level. */
const PROBE_MS = 30_000

/** Why this machine cannot give the level `os`; undefined: it can. Rejects with `io` when that could not be found out. */
export async function whyNoBubblewrap(files: RunnerFiles): Promise<string | undefined> {
  if (process.platform !== 'linux') return 'bubblewrap is for Linux only'
  const [file, ...args] = bubblewrap(files) as [string, ...string[]]
  const child = spawn(file, [...args, files.node, '--eval', '0'], {
    cwd: '/',
    env: {},
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
    timeout: PROBE_MS,
    killSignal: 'SIGKILL',
  })
  const filter = child.stdio?.[3] as Writable | undefined
  filter?.on('error', () => {}) // it did not start, which is told below
  filter?.end(seccompFilter())
  let complaint = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(0, 1000)
  })
  return new Promise((resolve, reject) => {
    child.once('error', (error: Error & { code?: string }) => {
      const missing = error.code === 'ENOENT'
      resolve(missing ? 'bubblewrap is not installed (apt-get install bubblewrap)' : errorMessage(error))
    })
    child.once('close', (code, signal) => {
      if (signal === 'SIGKILL') return reject(new ChoraleError('io', 'bubblewrap could not be tried in time'))
      const reason = complaint.trim().split('\n')[0] || `it ended with ${signal ?? `exit code ${code}`}`
      resolve(code === 0 ? undefined : `bubblewrap does not work here: ${reason}`)
    })
  })
}
