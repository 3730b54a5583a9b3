/**
 * Runs the code of jobs in child processes: one job in a process, never another after it. They are kept while their job
 * is at work and a little longer, since starting one takes a tenth of a second; their number is bounded, and calls wait.
 */
import type { Clock, Logger } from '../../core/env.ts'
import { ChoraleError } from '../../core/errors.ts'
import { TASK_MEMORY_BYTES } from '../../core/limits.ts'
import { Child, type RequestOptions } from './child.ts'
import { commandOf, type Level, type Limits, type RunnerFiles, runnerFiles, whyNoBubblewrap } from './command.ts'
import { idleDataKb } from './idle-data.ts'
import { loadPrelude, type Prelude } from './prelude.ts'

/** Node and the prelude, above what the job's code may have. */
const BASE_MB = 128
const LIMITS: Limits = { heapMb: 256, cpuSeconds: 24 * 3600, dataMb: TASK_MEMORY_BYTES / 2 ** 20 - BASE_MB }
/** A process is ended when it has had nothing to do for so long. */
const IDLE_MS = 4_000
/** Jobs whose processes are kept, idle but for those of one. */
const MOST_JOBS = 4
/** Loading the prelude, and the code, its top level included. */
const INIT_MS = 10_000
/** A process is started ahead for the job to come when nothing has been at work for so long. */
const SPARE_AFTER_MS = 500
/** It is ended when no job has come for so long. */
const SPARE_IDLE_MS = 60_000

/** So many processes at once, at least one. */
export interface ProcessLimits {
  readonly atWork: number
  /** With those that idle. */
  readonly inAll: number
}

/** For so many cores: one process more may be at work, so that folds need not wait for tasks. */
export function processesFor(cores: number): ProcessLimits {
  return { atWork: cores + 1, inAll: (cores + 1) * MOST_JOBS }
}

export interface SandboxOptions {
  readonly clock: Clock
  readonly log: Logger
  /** Cores that are lent. */
  readonly cores: number
  /** As it is now; it may change. Default: `processesFor(cores)`. */
  readonly processes?: (() => ProcessLimits) | undefined
  /** Default: `os` where this machine can, else `process`. */
  readonly level?: Level | undefined
  readonly limits?: Partial<Limits>
  /** Errors tell the line of the job's code; costs a little speed where errors are thrown. */
  readonly stacks?: boolean
}

export interface CallOptions extends RequestOptions {
  /** Errors tell the line of the job's code. Only of the first call of a job. */
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

/** A process with the prelude in it, and no code of a job. */
interface Started {
  readonly child: Child
  readonly ready: Promise<unknown>
}

interface Waiting {
  readonly job: string
  readonly code: Uint8Array
  readonly stacks: boolean
  resolve(seat: Seat): void
  reject(error: ChoraleError): void
}

/** How this machine runs foreign code. */
export interface Machine {
  readonly files: RunnerFiles
  readonly level: Level
  /** Why not `os`. */
  readonly why: string | undefined
}

/**
 * Rejects with `config` when foreign code cannot be run on this machine, or not at the level that is asked for, and with `io`
 * when that could not be found out.
 */
export async function inspectMachine(asked?: Level): Promise<Machine> {
  const files = await runnerFiles()
  const why = asked === 'process' ? undefined : await whyNoBubblewrap(files)
  if (why !== undefined && asked === 'os') {
    throw new ChoraleError('config', `foreign code cannot be run at level os: ${why}`)
  }
  return { files, level: asked ?? (why === undefined ? 'os' : 'process'), why }
}

export class Sandbox {
  readonly #level: Level
  readonly #options: SandboxOptions
  readonly #files: RunnerFiles
  readonly #limits: Limits
  readonly #prelude: Prelude
  #idleKb: number | undefined
  readonly #seats = new Set<Seat>()
  readonly #waiting = new Set<Waiting>()
  #spare: Started | undefined
  #cancelSpare = () => {}
  #stopped = false

  private constructor(options: SandboxOptions, { files, level }: Machine, prelude: Prelude) {
    this.#options = options
    this.#limits = { ...LIMITS, ...options.limits }
    this.#files = files
    this.#prelude = prelude
    this.#level = level
  }

  /** Rejects with `io` when no process can be started. */
  static async open(options: SandboxOptions, machine: Machine): Promise<Sandbox> {
    const prelude = await loadPrelude()
    const sandbox = new Sandbox(options, machine, prelude)
    sandbox.#idleKb = await idleDataKb(machine.files, prelude, options)
    return sandbox
  }

  /** Its processes, of all jobs. */
  get pids(): number[] {
    return this.#children().flatMap(({ pid }) => pid ?? [])
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
    const seat = await this.#seat(job, code, options)
    try {
      await seat.ready
      return await seat.child.request({ op: 'call', name }, input, options)
    } finally {
      seat.busy = false
      const { clock } = this.#options
      const idle = () => seat.child.kill(new ChoraleError('aborted', 'it was idle'))
      if (!seat.child.hasEnded) seat.keep = clock.timer(IDLE_MS, idle)
      this.#serve()
      this.#planSpare()
    }
  }

  #seat(job: string, code: Uint8Array, { signal, stacks = false }: CallOptions): Promise<Seat> {
    return new Promise((resolve, reject) => {
      const onAbort = () => waiting.reject(new ChoraleError('aborted', 'given up'))
      const waiting: Waiting = {
        job,
        code,
        stacks,
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
      if (busy >= this.#most.atWork) return
      const seat = this.#idle(waiting.job) ?? this.#start(waiting)
      if (!seat) continue
      busy++
      seat.busy = true
      seat.keep()
      this.#waiting.delete(waiting)
      waiting.resolve(seat)
    }
  }

  get #most(): ProcessLimits {
    const { cores, processes } = this.#options
    return processes?.() ?? processesFor(cores)
  }

  /** There are as many processes as there may be. */
  get #isFull(): boolean {
    return this.#children().length >= this.#most.inAll
  }

  #idle(job: string): Seat | undefined {
    for (const seat of this.#seats) if (seat.job === job && !seat.busy && !seat.child.hasEnded) return seat
    return undefined
  }

  /** Undefined: there are as many as there may be, of which one that idles for another job now makes room. */
  #start({ job, code, stacks }: Waiting): Seat | undefined {
    const spare = this.#takeSpare()
    if (!spare && this.#isFull) {
      const other = [...this.#seats].find(({ busy, child }) => !busy && !child.hasEnded)
      other?.child.kill(new ChoraleError('aborted', 'another job needs the room'))
      return undefined
    }
    const started = spare ?? this.#startChild()
    const { child } = started
    const ready = this.#load(started, code, stacks || (this.#options.stacks ?? false))
    const seat: Seat = { job, child, ready, busy: true, keep: () => {} }
    ready.catch(() => {}) // whoever waits for it hears of it
    this.#seats.add(seat)
    void child.gone.then(() => {
      seat.keep()
      this.#seats.delete(seat)
      this.#serve()
    })
    return seat
  }

  #startChild(): Started {
    const { clock, log } = this.#options
    const { heapMb, dataMb } = this.#limits
    const command = commandOf(this.#level, this.#files, this.#limits, this.#idleKb)
    const child = new Child(command, clock, log, (dataMb + BASE_MB) * 2 ** 20)
    const start = { op: 'start', heapMb }
    const ready = child.up.then(() => child.request(start, this.#prelude.code, { timeoutMs: INIT_MS }))
    ready.catch(() => child.kill(new ChoraleError('aborted', 'it did not start')))
    return { child, ready }
  }

  async #load({ child, ready }: Started, code: Uint8Array, stacks: boolean): Promise<void> {
    try {
      await ready
      await child.request({ op: 'load', stacks }, code, { timeoutMs: INIT_MS })
    } catch (error) {
      child.kill(new ChoraleError('aborted', 'its code could not be loaded'))
      throw error
    }
  }

  /** Jobs come one after the other: the next need not wait for a process. Each is used for one job and no other. */
  #planSpare(): void {
    const { clock } = this.#options
    this.#cancelSpare()
    if (this.#stopped) return
    this.#cancelSpare = clock.timer(SPARE_AFTER_MS, () => {
      if (this.#isFull || [...this.#seats].some(({ busy }) => busy)) return // its end plans again
      if (!this.#spare || this.#spare.child.hasEnded) this.#spare = this.#startChild()
      this.#cancelSpare = clock.timer(SPARE_IDLE_MS, () => {
        this.#takeSpare()?.child.kill(new ChoraleError('aborted', 'no job has come'))
      })
    })
  }

  #takeSpare(): Started | undefined {
    const spare = this.#spare
    this.#spare = undefined
    return spare?.child.hasEnded ? undefined : spare
  }

  #children(): Child[] {
    const children = [...this.#seats].map(({ child }) => child)
    if (this.#spare) children.push(this.#spare.child)
    return children
  }

  async stop(): Promise<void> {
    this.#stopped = true
    for (const waiting of this.#waiting) waiting.reject(new ChoraleError('aborted', 'the host stops'))
    this.#cancelSpare()
    const children = this.#children()
    for (const child of children) child.kill(new ChoraleError('aborted', 'the host stops'))
    await Promise.all(children.map(({ gone }) => gone))
  }
}
