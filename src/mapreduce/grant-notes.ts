/** What the code of one grant has said: how far it is, and the last lines of its log, should it fail. */
import { type Failure, failureOf } from './failure.ts'
import { FAILED_IN_REDUCE, failedTask } from './module-runner.ts'
import type { RunNotes } from './ports.ts'

const KEPT_LINES = 16

export class GrantNotes implements RunNotes {
  readonly #shares = new Map<number, number>()
  readonly #lines: { task: number; text: string }[] = []
  readonly #onLine: (task: number, text: string) => void

  constructor(onLine: (task: number, text: string) => void) {
    this.#onLine = onLine
  }

  log(task: number, text: string): void {
    this.#lines.push({ task, text })
    if (this.#lines.length > KEPT_LINES) this.#lines.shift()
    this.#onLine(task, text)
  }

  progress(task: number, share: number): void {
    this.#shares.set(task, share)
  }

  /** What is done of it, in tasks; undefined when its code does not tell. */
  get share(): number | undefined {
    return this.#shares.size === 0 ? undefined : [...this.#shares.values()].reduce((sum, share) => sum + share)
  }

  /** Why these tasks of the grant could not be done. `reduces`: they are partitions of a keyed job. */
  failure(tasks: readonly number[], host: string, message: string, reduces: boolean): Failure {
    const named = failedTask(message)
    const task = tasks.length === 1 ? tasks[0] : tasks.find((one) => one === named)
    const lines = this.#lines.filter((line) => task === undefined || line.task === task)
    // Folding the results of a whole segment is part of its run.
    const folds = message.startsWith(FAILED_IN_REDUCE)
    const log = lines.map(({ text }) => text)
    return failureOf(folds || reduces ? 'reduce' : 'map', host, message, folds ? {} : { task, log })
  }
}
