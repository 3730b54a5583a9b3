/** The command line as real processes: run one to its end, or keep one going and stop it by its id. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { connectHost } from '../../src/api/client.ts'

export const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url))
const NO_INBOUND = new URL('no-inbound.ts', import.meta.url).href
const CHEAT = new URL('cheat.ts', import.meta.url).href

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly out: string
  readonly err: string
}

export interface Running {
  readonly child: ChildProcess
  readonly pid: number
  readonly ended: Promise<Ended>
  /** The first line of JSON on stdout that has this type. */
  line(type: string): Promise<Record<string, unknown>>
}

/** Processes and files of one test; whatever is left is ended and removed when it is disposed. */
export class Bench implements AsyncDisposable {
  /** Also the temporary directory of all its processes. */
  readonly root = mkdtempSync(join(tmpdir(), 'chorale-e2e-'))
  readonly #running: Running[] = []

  start(...args: string[]): Running {
    return this.#spawn([MAIN, ...args])
  }

  /** To its end, in this bench's directory. */
  runHere(...args: string[]): Promise<Ended> {
    return this.#spawn([MAIN, ...args], this.root).ended
  }

  /** As `start`, but nobody can connect to the process over TCP. */
  startUndialable(...args: string[]): Running {
    return this.#spawn(['--import', NO_INBOUND, MAIN, ...args])
  }

  /** As `start`, but what others pay this process for is made up. */
  startCheating(...args: string[]): Running {
    return this.#spawn(['--import', CHEAT, MAIN, ...args])
  }

  #spawn(args: readonly string[], cwd = process.cwd()): Running {
    const child = spawn(process.execPath, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      cwd,
      env: {
        ...process.env,
        TMPDIR: this.root,
        CHORALE_HOME: join(this.root, 'home'),
        XDG_CONFIG_HOME: this.root,
        // All nodes of a test are one user's, who may be root.
        CHORALE_ALLOW_NATIVE: 'yes',
        CHORALE_LEND_AS_ROOT: 'yes',
        NO_COLOR: '1',
      },
    })
    let out = ''
    let err = ''
    const waiting: Array<() => void> = []
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      out += text
      for (const look of waiting) look()
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      err += text
    })
    const ended = new Promise<Ended>((resolve) => {
      child.once('close', (code, signal) => resolve({ code, signal, out, err }))
    })
    const line = (type: string) =>
      new Promise<Record<string, unknown>>((resolve, reject) => {
        const look = () => {
          const lines = out.split('\n').slice(0, -1)
          const found = lines.map((text) => JSON.parse(text)).find((value) => value.type === type)
          if (found) resolve(found)
        }
        waiting.push(look)
        look()
        void ended.then(() => reject(new Error(`no line of type ${type}: ${out}${err}`)))
      })
    const running = { child, pid: child.pid ?? 0, ended, line }
    this.#running.push(running)
    return running
  }

  run(...args: string[]): Promise<Ended> {
    return this.start(...args).ended
  }

  async json(...args: string[]): Promise<Record<string, unknown>> {
    const { out, err, code } = await this.run(...args, '--json')
    if (code !== 0) throw new Error(`${args.join(' ')} ended with ${code}: ${err}`)
    return JSON.parse(out.trimEnd().split('\n').at(-1) as string)
  }

  /** Each line of JSON. */
  async lines(...args: string[]): Promise<Array<Record<string, unknown>>> {
    const { out, err, code } = await this.run(...args, '--json')
    if (code !== 0) throw new Error(`${args.join(' ')} ended with ${code}: ${err}`)
    return linesOf(out)
  }

  /** Processes that name this bench's directory, other than those in `except`. */
  leftovers(): number[] {
    return processes()
      .filter(({ command }) => command.includes(this.root))
      .map(({ pid }) => pid)
  }

  /** Files in the temporary directory. */
  files(): string[] {
    return readdirSync(this.root)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { child } of this.#running) child.kill('SIGKILL')
    await Promise.all(this.#running.map(({ ended }) => ended))
    for (const pid of this.leftovers()) process.kill(pid, 'SIGKILL')
    rmSync(this.root, { recursive: true, force: true, maxRetries: 5 })
  }
}

/** Of a program's output. */
export function linesOf(out: string): Array<Record<string, unknown>> {
  return out
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line))
}

function processes(): Array<{ pid: number; command: string }> {
  if (existsSync('/proc/self/cmdline')) {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .flatMap((name) => {
        try {
          return [{ pid: Number(name), command: readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ') }]
        } catch {
          return [] // it has ended meanwhile
        }
      })
  }
  const { stdout } = spawnSync('ps', ['-Ao', 'pid=,args='], { encoding: 'utf8' })
  return stdout.split('\n').flatMap((line) => {
    const match = /^\s*(\d+)\s+(.*)$/.exec(line)
    return match ? [{ pid: Number(match[1]), command: match[2] as string }] : []
  })
}

/** Do the nodes of these `ready` lines each count so many members? Asked without a process per look. */
export async function allSee(count: number, ready: ReadonlyArray<Record<string, unknown>>): Promise<boolean> {
  const views = await Promise.all(ready.map(({ socket }) => connectHost(socket as string).status()))
  return views.every(({ ring }) => ring.nodes[0]?.sizeEstimate === count)
}

/** Looks again until it is true. */
export async function eventually(
  what: string,
  check: () => boolean | Promise<boolean>,
  patienceMs = 15_000,
): Promise<void> {
  const giveUpAtMs = performance.now() + patienceMs
  while (!(await check())) {
    if (performance.now() > giveUpAtMs) throw new Error(`not within ${patienceMs} ms: ${what}`)
    await sleep(50)
  }
}
