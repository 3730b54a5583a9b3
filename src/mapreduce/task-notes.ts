/**
 * What a task says while it runs, with `log` and `progress` of its context: within bounds, and no part of its result.
 * It is counted here, where the task runs, so that a task that never stops talking costs nobody else anything.
 */
import type { RunNotes } from './ports.ts'

export const MAX_LINE_CHARS = 400
/** The first lines of a task go out at once. Of what follows the last ones are kept, and go out when the task ends. */
const FIRST = { lines: 12, chars: 1200 }
const LAST = { lines: 8, chars: 800 }
/** Of one call, however many lines it has. */
const MAX_CALL_CHARS = 8192

export class TaskNotes {
  readonly #notes: RunNotes | undefined
  #task = 0
  #sent = { lines: 0, chars: 0 }
  #last: string[] = []
  #lastChars = 0
  #dropped = 0
  #percent = -1

  constructor(notes: RunNotes | undefined) {
    this.#notes = notes
  }

  begin(task: number): void {
    this.#task = task
    this.#sent = { lines: 0, chars: 0 }
    this.#percent = -1
  }

  /** Of the context. Never throws, and says nothing about what became of it. */
  readonly log = (...values: unknown[]): void => {
    if (!this.#notes) return
    const text = values.map(textOf).join(' ').slice(0, MAX_CALL_CHARS)
    for (const line of text.split('\n')) this.#take(line.slice(0, MAX_LINE_CHARS))
  }

  /** Of the context. Only whole percents that have not been told go out. */
  readonly progress = (share: number): void => {
    const percent = Math.floor(Math.min(1, Math.max(0, share)) * 100)
    if (!(percent > this.#percent)) return
    this.#percent = percent
    this.#notes?.progress(this.#task, percent / 100)
  }

  /** The task has ended, well or not. */
  end(): void {
    if (this.#percent >= 0) this.progress(1)
    if (this.#dropped > 0) this.#notes?.log(this.#task, `(${this.#dropped} lines left out)`)
    for (const line of this.#last) this.#notes?.log(this.#task, line)
    this.#last = []
    this.#lastChars = 0
    this.#dropped = 0
  }

  #take(line: string): void {
    const { lines, chars } = this.#sent
    if (this.#last.length === 0 && lines < FIRST.lines && chars + line.length <= FIRST.chars) {
      this.#sent = { lines: lines + 1, chars: chars + line.length }
      this.#notes?.log(this.#task, line)
      return
    }
    this.#last.push(line)
    this.#lastChars += line.length
    while (this.#last.length > LAST.lines || this.#lastChars > LAST.chars) {
      this.#lastChars -= this.#last.shift()!.length
      this.#dropped++
    }
  }
}

/** A note as it comes from where the code runs: text is a line of the log, a number the task's progress. */
export function hear(notes: RunNotes | undefined, task: number, said: string | number): void {
  if (typeof said === 'string') notes?.log(task, said)
  else notes?.progress(task, said)
}

function textOf(value: unknown): string {
  if (typeof value === 'string') return value
  try {
    return (value instanceof Error ? undefined : JSON.stringify(value)) ?? String(value)
  } catch {
    try {
      return String(value)
    } catch {
      return '(cannot be shown)'
    }
  }
}
