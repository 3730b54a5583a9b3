/**
 * The parent's side of a child process that runs foreign code. It alone enforces time, caps what comes back, and kills
 * the process and all that it started when a bound or the protocol is broken. What it gives back is bytes or an error.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import type { Writable } from 'node:stream'
import type { Clock, Logger } from '../../core/env.ts'
import { ChoraleError, errorMessage } from '../../core/errors.ts'
import { MAX_KEYED_BYTES, MAX_RESULT_BYTES } from '../../core/limits.ts'
import { FAN_IN } from '../spec.ts'
import type { Command } from './command.ts'
import { encodeFrame, type Frame, FrameReader } from './frames.ts'
import { residentBytes } from './resident.ts'

/** Answers of one call: sixteen results, or what a keyed task emits, and what is around them. */
export const MAX_ANSWER_BYTES = Math.max(FAN_IN * MAX_RESULT_BYTES, MAX_KEYED_BYTES) + 64 * 1024
/** Notes of one call: of 16 tasks 21 lines and 101 percents each, and some more. */
const MAX_NOTES = 2048
const MAX_STDERR = 2000
const MAX_MESSAGE = 2000
const START_MS = 10_000

/** How often its memory is looked at while it works. */
const WATCH_MS = 100
/** What a system and V8 say when memory ends, of which the process then dies. */
const OUT_OF_MEMORY = /out of memory|heap limit|allocation fail|last few gcs|bad_alloc/i
const NO_MEMORY = 'the job needs more memory than it may have'

/** Hears what a call says before its answer. Throws when that is not what it may say, which ends the process. */
export type OnNote = (task: unknown, said: unknown) => void

interface Pending {
  readonly id: number
  /** It has begun the next steps, so many in all. Throws when it cannot be so. */
  at(step: number): void
  readonly onNote: OnNote | undefined
  notes: number
  resolve(body: Uint8Array): void
  reject(error: ChoraleError): void
}

export interface RequestOptions {
  /** Of the whole, or of each step. */
  readonly timeoutMs: number
  /** What it does one after the other, for the message when one takes too long. */
  readonly steps?: readonly string[] | undefined
  readonly signal?: AbortSignal | undefined
  readonly onNote?: OnNote | undefined
}

export class Child {
  /** Resolves when it listens; rejects when it ends before that. */
  readonly up: Promise<void>
  /** Resolves when the process is gone. */
  readonly gone: Promise<void>
  readonly #process: ChildProcess
  readonly #maxBytes: number
  readonly #clock: Clock
  readonly #log: Logger
  #pending: Pending | undefined
  #nextId = 1
  #stderr = ''
  /** Why it was ended, as those hear who ask it for something. */
  #end: ChoraleError | undefined

  /** `maxBytes`: that it may keep in memory, with all below it. */
  constructor({ file, args, filter }: Command, clock: Clock, log: Logger, maxBytes = Number.POSITIVE_INFINITY) {
    this.#maxBytes = maxBytes
    this.#clock = clock
    this.#log = log
    const stdio = ['pipe', 'pipe', 'pipe', ...(filter ? (['pipe'] as const) : [])] as const
    const child = spawn(file, args, { cwd: '/', env: {}, detached: true, stdio: [...stdio] })
    // Where no more files can be opened, there is an event `error` and no streams at all.
    const inputs = [child.stdin, child.stdio?.[3] as Writable | undefined]
    for (const input of inputs) input?.on('error', () => {}) // `close` tells
    if (filter) inputs[1]?.end(filter)
    this.#process = child
    let up = false
    const reader = new FrameReader(MAX_ANSWER_BYTES)
    let isUp = () => {}
    let isNotUp = (_: ChoraleError) => {}
    this.up = new Promise((resolve, reject) => {
      isUp = resolve
      isNotUp = reject
    })
    this.up.catch(() => {})
    child.stdout?.on('data', (piece: Buffer) => {
      try {
        for (const frame of reader.push(piece)) {
          if (up || frame.head.op !== 'up') this.#onAnswer(frame)
          else isUp()
          up = true
        }
      } catch (error) {
        this.kill(new ChoraleError('user-code', `the job's process broke the protocol: ${errorMessage(error)}`))
      }
    })
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(0, MAX_STDERR)
    })
    const cancel = clock.timer(START_MS, () => this.kill(new ChoraleError('io', 'the sandbox did not start in time')))
    this.up.then(cancel, cancel)
    this.gone = new Promise((resolve) => {
      const onEnd = (reason: string) => {
        const why = reason === 'exit code 137' || reason === 'SIGKILL' ? ': it may have needed too much memory' : ''
        const message = OUT_OF_MEMORY.test(this.#stderr)
          ? NO_MEMORY
          : `the job's process ended by itself (${reason})${why}`
        this.#end ??= new ChoraleError('user-code', message)
        if (this.#stderr) this.#log.debug('what a sandbox wrote', { text: this.#stderr })
        isNotUp(new ChoraleError('io', `cannot start a sandbox: ${this.#stderr.split('\n')[0] || this.#end.message}`))
        this.#settle()?.reject(this.#end)
        resolve()
      }
      child.once('error', (error) => onEnd(error.message))
      child.once('close', (code, signal) => onEnd(signal ?? `exit code ${code}`))
    })
  }

  get pid(): number | undefined {
    return this.#process.pid
  }

  get hasEnded(): boolean {
    return this.#end !== undefined
  }

  /**
   * One at a time. Rejects with `user-code`: the code failed, or broke a bound and is gone with its process; `aborted`.
   */
  async request(
    head: Frame['head'],
    body: Uint8Array,
    { timeoutMs, steps = [], signal, onNote }: RequestOptions,
  ): Promise<Uint8Array> {
    if (this.#end) throw this.#end
    if (this.#pending) throw new ChoraleError('internal', 'a sandbox does one thing at a time')
    if (signal?.aborted) throw new ChoraleError('aborted', 'given up')
    const id = this.#nextId++
    let step = 0
    const onLate = () => {
      const what = steps[step - 1] ?? "the job's code"
      this.kill(new ChoraleError('user-code', `${what} took longer than ${timeoutMs / 1000} s`))
    }
    let cancel = this.#clock.timer(timeoutMs, onLate)
    const at = (next: number) => {
      if (!(next > step && next <= steps.length)) throw new Error('a step that there is not')
      step = next
      cancel()
      cancel = this.#clock.timer(timeoutMs, onLate)
    }
    const answer = new Promise<Uint8Array>((resolve, reject) => {
      this.#pending = { id, at, onNote, notes: 0, resolve, reject }
    })
    const onAbort = () => this.kill(new ChoraleError('aborted', 'given up'))
    signal?.addEventListener('abort', onAbort, { once: true })
    const unwatch = this.#watchMemory()
    this.#process.stdin?.write(encodeFrame({ ...head, id }, body))
    try {
      return await answer
    } finally {
      cancel()
      unwatch()
      signal?.removeEventListener('abort', onAbort)
    }
  }

  /** RLIMIT_DATA is one wall, this is another: it counts what is kept in memory, whatever it is. */
  #watchMemory(): () => void {
    let over = false
    let cancel = () => {}
    const look = async () => {
      const bytes = await residentBytes(this.#process.pid as number)
      if (over) return
      if (bytes !== undefined && bytes > this.#maxBytes) this.kill(new ChoraleError('user-code', NO_MEMORY))
      else cancel = this.#clock.timer(WATCH_MS, () => void look())
    }
    if (this.#process.pid !== undefined) cancel = this.#clock.timer(WATCH_MS, () => void look())
    return () => {
      over = true
      cancel()
    }
  }

  /** The process and all that it started. */
  kill(reason: ChoraleError): void {
    if (this.#end) return
    this.#end = reason
    this.#settle()?.reject(reason)
    try {
      if (this.#process.pid !== undefined) process.kill(-this.#process.pid, 'SIGKILL')
    } catch {} // it is gone already
  }

  #settle(): Pending | undefined {
    const pending = this.#pending
    this.#pending = undefined
    return pending
  }

  #onAnswer({ head, body }: Frame): void {
    if (!this.#pending || head.id !== this.#pending.id) throw new Error('an answer to nothing')
    if (head.op === 'at' && typeof head.step === 'number') this.#pending.at(head.step)
    else if (head.op === 'note') {
      if (++this.#pending.notes > MAX_NOTES) throw new Error('it says too much')
      this.#pending.onNote?.(head.task, head.said)
    } else if (head.op === 'done') this.#settle()?.resolve(body)
    else if (head.op === 'failed' && typeof head.message === 'string') {
      const code = head.kind === 'usage' ? 'usage' : 'user-code'
      if (head.kind !== 'memory') this.#settle()?.reject(new ChoraleError(code, head.message.slice(0, MAX_MESSAGE)))
      else this.kill(new ChoraleError('user-code', NO_MEMORY))
    } else throw new Error('an answer of no kind')
  }
}
