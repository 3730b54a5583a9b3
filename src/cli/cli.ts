/**
 * What every command gets: the global flags, the streams, and the way to a running node. Data goes to stdout, progress
 * and logs to stderr; with `--json` data is one object per line, each with `v` and `type` (DESIGN 11).
 */
import { resolve } from 'node:path'
import { inspect } from 'node:util'
import type { RemoteHost } from '../api/client.ts'
import type { Logger } from '../core/env.ts'
import { ChoraleError, errorCode, errorMessage } from '../core/errors.ts'
import { defaultHome, findSocket } from '../home.ts'
import { createLogger, type Level } from './log.ts'

/** Whoever read our output has what it wanted (`chorale cat CID | head`): no failure, and nothing to say. */
export const CLOSED_PIPE = new ChoraleError('interrupted', 'nobody reads the output any more')

/** The process, as far as commands touch it; tests have their own. */
export interface Terminal {
  readonly out: (text: string) => void
  readonly err: (text: string) => void
  /** Bytes to stdout; resolves when they are taken. Rejects with `CLOSED_PIPE`, or `io`. */
  readonly write: (bytes: Uint8Array) => Promise<void>
  /** Stdin. */
  readonly input: () => AsyncIterable<Uint8Array>
  /** Is stderr, where progress goes, a terminal? */
  readonly live: boolean
  /** Is stdout, where data goes, a terminal? */
  readonly tty: boolean
  readonly width: () => number
  readonly variables: Readonly<Record<string, string | undefined>>
  /** Aborts at the first Ctrl-C, SIGTERM, SIGHUP or broken pipe, with code `interrupted`. */
  readonly signal: AbortSignal
}

export interface Flags {
  readonly json: boolean
  readonly quiet: boolean
  readonly verbose: number
  readonly color: boolean
  readonly home: string
  readonly api: string | undefined
}

export class Cli {
  readonly terminal: Terminal
  flags: Flags
  /** Set by the command that ran. */
  exitCode = 0

  constructor(terminal: Terminal) {
    this.terminal = terminal
    this.flags = { json: false, quiet: false, verbose: 0, color: false, home: '', api: undefined }
  }

  /** Takes over what commander found for the global flags. */
  useFlags(given: Readonly<Record<string, unknown>>): void {
    const { variables, live, tty } = this.terminal
    const text = (name: string): string | undefined => {
      const value = given[name]
      if (value === '') throw new ChoraleError('usage', `--${name} needs a path: try --${name} ./node1`)
      return typeof value === 'string' ? resolve(value) : undefined
    }
    this.flags = {
      json: given.json === true,
      quiet: given.quiet === true,
      verbose: typeof given.verbose === 'number' ? given.verbose : 0,
      // https://no-color.org: set and not empty
      color: given.color !== false && !variables.NO_COLOR && variables.TERM !== 'dumb' && (live || tty),
      home: text('home') ?? defaultHome(variables),
      api: text('api') ?? (variables.CHORALE_API ? resolve(variables.CHORALE_API) : undefined),
    }
  }

  get signal(): AbortSignal {
    return this.terminal.signal
  }

  /** What brings a command that is printed here to the same node: empty for the usual home. */
  get at(): string {
    const { home, api } = this.flags
    return api || home === '' || home === defaultHome(this.terminal.variables) ? '' : ` --home ${home}`
  }

  /** Draw and redraw progress? */
  get live(): boolean {
    return this.terminal.live && !this.flags.json && !this.flags.quiet
  }

  /** The answer of a command: as an object for programs, else as text for people. */
  print(type: string, fields: object, text: string): void {
    if (this.flags.json) this.emit(type, fields)
    else if (text) this.terminal.out(`${text}\n`)
  }

  /** One line of `--json`. */
  emit(type: string, fields: object): void {
    this.terminal.out(`${JSON.stringify({ v: 1, type, ...fields })}\n`)
  }

  /** For people, beside the data: not with `-q` or `--json`. */
  note(text: string): void {
    if (!this.flags.quiet && !this.flags.json) this.terminal.err(`${text}\n`)
  }

  /** One line on stderr in any case; with `--json` an object on stdout too, so that a program that reads it knows. */
  fail(error: unknown): void {
    // A stranger's job may have written it: nothing in it may move the cursor.
    const line = errorMessage(error)
      .replace(/\s*\n\s*/g, ' ')
      .replace(/[\p{Cc}\p{Cf}]/gu, '\ufffd')
    // api/ knows a socket, not whose home it is in.
    const message = line.replace(/: start one with chorale up -d$/, (remedy) => `${remedy}${this.at}`)
    this.terminal.err(`${this.paint('red', 'chorale:')} ${message}\n`)
    if (this.flags.json) this.emit('error', { code: errorCode(error), message })
    // With its causes, for who mends chorale: elsewhere the line says what to do.
    const dumpFrom = errorCode(error) === 'internal' ? 1 : 2
    if (this.flags.verbose >= dumpFrom) this.terminal.err(`${inspect(error)}\n`)
  }

  paint(style: 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan', text: string): string {
    if (!this.flags.color) return text
    const code = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 }[style]
    return `\u001b[${code}m${text}\u001b[0m`
  }

  logger(level: Level = 'warn'): Logger {
    const { quiet, verbose, json } = this.flags
    const chosen = quiet ? 'error' : verbose > 1 ? 'debug' : verbose === 1 ? 'info' : level
    return createLogger({ level: chosen, json, write: this.terminal.err, now: Date.now })
  }

  /** The node of this home. Says `no-node` at the first call if there is none. */
  async connect(): Promise<RemoteHost> {
    const { connectHost } = await import('../api/client.ts')
    return connectHost(this.flags.api ?? findSocket(this.flags.home))
  }

  /** Wraps a command's work for commander; a number is the exit code. */
  action<Args extends unknown[]>(
    work: (...args: Args) => Promise<number | undefined>,
  ): (...args: Args) => Promise<void> {
    return async (...args) => {
      this.exitCode = (await work(...args)) ?? 0
    }
  }
}
