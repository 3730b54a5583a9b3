/**
 * Runs the code of jobs in child processes: one job in a process, never another after it. They are kept while their job
 * is at work and a little longer, since starting one takes a tenth of a second; their number is bounded, and calls wait.
 */
import type { Clock, Logger } from '../../core/env.ts'
import { ChoraleError } from '../../core/errors.ts'
import { type CallOptions, Child } from './child.ts'
import { commandOf, type Level, type Limits, type RunnerFiles, runnerFiles, whyNoBubblewrap } from './command.ts'
import { idleDataKb } from './idle-data.ts'
import { loadPrelude, type Prelude } from './prelude.ts'

const LIMITS: Limits = { heapMb: 256, cpuSeconds: 24 * 3600, dataMb: 384 }
/** A process is ended when it has had nothing to do for so long. */
const IDLE_MS = 4_000
/** Jobs whose processes are kept, idle but for those of one. */
const MOST_JOBS = 4
/** Loading the code, top level included. */
const INIT_MS = 10_000

export interface SandboxOptions {
  readonly clock: Clock
  readonly log: Logger
  /** Cores that are lent. One process more may be at work, so that folds need not wait for tasks. */
  readonly cores: number
  /** Default: `os` where this machine can, else `process`. */
  readonly level?: Level | undefined
  readonly limits?: Partial<Limits>
  /** Errors tell the line of the job's code; costs a little speed where errors are thrown. */
  readonly stacks?: boolean
}

interface Seat {
  readonly job: string
  readonly child: Child
  readonly ready: Promise<unknown>
  busy: boolean
  /** Takes back the end that an idle process awaits. */
  keep: () => void
}

interface Waiting {
  readonly job: string
  readonly code: Uint8Array
  resolve(seat: Seat): void
  reject(error: ChoraleError): void
}

export interface SandboxState {
  readonly level: Level
  /** Why not `os`. */
  readonly why?: string
}

export class Sandbox {
  readonly state: SandboxState
  readonly #options: SandboxOptions
  readonly #files: RunnerFiles
  readonly #limits: Limits
  readonly #prelude: Prelude
  #idleKb: number | undefined
  readonly #seats = new Set<Seat>()
  readonly #waiting = new Set<Waiting>()
  #stopped = false

  private constructor(options: SandboxOptions, files: RunnerFiles, prelude: Prelude, state: SandboxState) {
    this.#options = options
    this.#limits = { ...LIMITS, ...options.limits }
    this.#files = files
    this.#prelude = prelude
    this.state = state
  }

  /** Rejects with `config` when foreign code cannot be run on this machine, or not at the level that is asked for. */
  static async open(options: SandboxOptions): Promise<Sandbox> {
    const [files, prelude] = await Promise.all([runnerFiles(), loadPrelude()])
    const { level } = options
    const why = level === 'process' ? undefined : await whyNoBubblewrap(files)
    if (why !== undefined && level === 'os') {
      throw new ChoraleError('config', `foreign code cannot be run at level os: ${why}`)
    }
    const state = { level: level ?? (why === undefined ? 'os' : 'process'), ...(why !== undefined && { why }) } as const
    const sandbox = new Sandbox(options, files, prelude, state)
    sandbox.#idleKb = await idleDataKb(files, prelude, options)
    return sandbox
  }

  /** Its processes, of all jobs. */
  get pids(): number[] {
    return [...this.#seats].flatMap(({ child }) => child.pid ?? [])
  }

  /**
   * Calls one of the prelude's functions in a process of this job. `job`: whatever names it. Rejects with `user-code` or
   * `usage`, as the job's code says or because it broke a bound, with `io` when no process could be started, and with
   * `aborted`.
   */
  async call(
    job: string,
    code: Uint8Array,
    name: string,
    input: Uint8Array,
    options: CallOptions,
  ): Promise<Uint8Array> {
    const seat = await this.#seat(job, code, options.signal)
    try {
      await seat.ready
      return await seat.child.request({ op: 'call', name }, input, options)
    } finally {
      seat.busy = false
      const { clock } = this.#options
      const idle = () => seat.child.kill(new ChoraleError('aborted', 'it was idle'))
      if (!seat.child.hasEnded) seat.keep = clock.timer(IDLE_MS, idle)
      this.#serve()
    }
  }

  #seat(job: string, code: Uint8Array, signal: AbortSignal | undefined): Promise<Seat> {
    return new Promise((resolve, reject) => {
      const onAbort = () => waiting.reject(new ChoraleError('aborted', 'given up'))
      const waiting: Waiting = {
        job,
        code,
        resolve: (seat) => {
          signal?.removeEventListener('abort', onAbort)
          resolve(seat)
        },
        reject: (error) => {
          signal?.removeEventListener('abort', onAbort)
          this.#waiting.delete(waiting)
          reject(error)
        },
      }
      if (this.#stopped || signal?.aborted) return onAbort()
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#waiting.add(waiting)
      this.#serve()
    })
  }

  /** Gives a process to each who waits, first come first served, as far as there are any. */
  #serve(): void {
    let busy = [...this.#seats].filter((seat) => seat.busy).length
    for (const waiting of this.#waiting) {
      if (busy > this.#options.cores) return
      const seat = this.#idle(waiting.job) ?? this.#start(waiting)
      if (!seat) continue
      busy++
      seat.busy = true
      seat.keep()
      this.#waiting.delete(waiting)
      waiting.resolve(seat)
    }
  }

  #idle(job: string): Seat | undefined {
    for (const seat of this.#seats) if (seat.job === job && !seat.busy && !seat.child.hasEnded) return seat
    return undefined
  }

  /** Undefined: there are as many as there may be, of which one that idles for another job now makes room. */
  #start({ job, code }: Waiting): Seat | undefined {
    const { clock, log, cores } = this.#options
    if (this.#seats.size >= (cores + 1) * MOST_JOBS) {
      const other = [...this.#seats].find(({ busy, child }) => !busy && !child.hasEnded)
      other?.child.kill(new ChoraleError('aborted', 'another job needs the room'))
      return undefined
    }
    const child = new Child(commandOf(this.state.level, this.#files, this.#limits, this.#idleKb), clock, log)
    const seat: Seat = { job, child, ready: this.#begin(child, code), busy: true, keep: () => {} }
    seat.ready.catch(() => {}) // whoever waits for it hears of it
    this.#seats.add(seat)
    void child.gone.then(() => {
      seat.keep()
      this.#seats.delete(seat)
      this.#serve()
    })
    return seat
  }

  async #begin(child: Child, code: Uint8Array): Promise<void> {
    const prelude = this.#prelude
    try {
      await child.up
      const head = {
        op: 'init',
        heapMb: this.#limits.heapMb,
        stacks: this.#options.stacks ?? false,
        preludeBytes: prelude.code.length,
      }
      await child.request(head, Buffer.concat([prelude.code, code]), { timeoutMs: INIT_MS })
    } catch (error) {
      child.kill(new ChoraleError('aborted', 'its code could not be loaded'))
      throw error
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true
    for (const waiting of this.#waiting) waiting.reject(new ChoraleError('aborted', 'the host stops'))
    const seats = [...this.#seats]
    for (const { child } of seats) child.kill(new ChoraleError('aborted', 'the host stops'))
    await Promise.all(seats.map(({ child }) => child.gone))
  }
}
