/** Other processes of this same program: nodes in the background, and the nodes of a demo. */
import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { ChoraleError, ERROR_CODES } from '../core/errors.ts'
import type { HostStatus } from '../node.ts'

/** What a node prints when it is ready (`up --json`). */
export interface Ready {
  readonly pid: number
  readonly peer: string
  /** ip:port; undefined for a leaf. */
  readonly address: string | undefined
  readonly socket: string
  /** Whether it lends, and why or why not. */
  readonly lend: Pick<HostStatus['lend'], 'state' | 'why'>
  /** How it runs foreign code. */
  readonly sandbox?: HostStatus['lend']['sandbox']
}

export interface NodeProcess {
  readonly child: ChildProcess
  /** Rejects with the node's own error when it ends before it is ready. */
  readonly ready: Promise<Ready>
  /** Exit code, or the name of the signal. */
  readonly ended: Promise<number | string>
}

export interface SpawnOptions {
  /** A file descriptor. */
  readonly log: number
  readonly stdin: 'pipe' | 'ignore'
  /** Directory of compiled code that its nodes share. Default: that of this process, if it has one (bin/chorale.js). */
  readonly cache?: string | undefined
}

/**
 * Starts `chorale up` with the given arguments, in a session of its own so that Ctrl-C at the terminal is not its
 * business.
 */
export function spawnNode(args: readonly string[], options: SpawnOptions): NodeProcess {
  // The compiled package has main.js where the repository has main.ts.
  const main = fileURLToPath(new URL(import.meta.url.endsWith('.ts') ? '../main.ts' : '../main.js', import.meta.url))
  const child = spawn(process.execPath, [...process.execArgv, main, 'up', '--json', ...args], {
    stdio: [options.stdin, 'pipe', options.log],
    detached: true,
    env: options.cache === undefined ? process.env : { ...process.env, NODE_COMPILE_CACHE: options.cache },
  })
  const ended = new Promise<number | string>((resolve) => {
    child.once('error', () => resolve(1)) // told by `ready`
    child.once('exit', (code, signal) => resolve(code ?? signal ?? 1))
  })
  const ready = new Promise<Ready>((resolve, reject) => {
    let rest = ''
    let failure: ChoraleError | undefined
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) {
        const message = parseLine(line)
        if (message.type === 'ready') resolve(message as unknown as Ready)
        if (message.type === 'error') {
          const code = ERROR_CODES.find((known) => known === message.code) ?? 'internal'
          failure = new ChoraleError(code, message.message ?? 'the node failed')
        }
      }
    })
    child.once('error', (error) => reject(new ChoraleError('io', `cannot start a node: ${error.message}`)))
    child.once('close', (code, signal) => {
      reject(
        failure ??
          new ChoraleError('internal', `the node ended before it was ready (${signal ?? `exit code ${code}`})`),
      )
    })
  })
  ready.catch(() => {}) // whoever needs it awaits it
  child.stdin?.on('error', () => {}) // a node that died does not read any more
  return { child, ready, ended }
}

/** Something else may print too, such as a library's warning: not a reason to fail. */
function parseLine(line: string): { type?: string; code?: string; message?: string } {
  try {
    return JSON.parse(line)
  } catch {
    return {}
  }
}
