/** What one host has to do: how long that is enough for, whose turn it is, and whether it should be shared with others. */
import { type Asker, Evening } from './evening.ts'
import type { Held } from './held.ts'
import type { JobsHost } from './host.ts'
import type { Takes } from './job-queue.ts'
import type { LiveJob } from './job-table.ts'
import type { Roots } from './roots.ts'
import { hasMany } from './segments.ts'
import { Turns } from './turns.ts'

export class Workload {
  readonly #host: JobsHost
  readonly #roots: Roots
  readonly #held: Held
  readonly #evening = new Evening()
  readonly #turns = new Turns<LiveJob>()
  readonly worksOn = (job: LiveJob) => this.#host.worksOn(job)

  constructor(host: JobsHost, roots: Roots, held: Held) {
    this.#host = host
    this.#roots = roots
    this.#held = held
  }

  /** How long this host has enough to do, in its queue of jobs that `takes` says, and how fast it is. */
  asker(takes: Takes = this.worksOn): Asker {
    const { meanMs } = this.#held
    const { cores } = this.#host.executor
    const restMs = this.#roots.restMs(cores, takes) + this.#held.restMs(cores)
    return { cores, restMs, ...(meanMs !== undefined && { taskMs: meanMs }) }
  }

  /** The job of which a task is begun next. What was given comes first among those that are as far. */
  next(): LiveJob | undefined {
    return this.#turns.next(new Set([...this.#held.jobs(), ...this.#roots.waitingJobs()].filter(this.worksOn)))
  }

  /** So much time was spent on it. */
  took(job: LiveJob, ms: number): void {
    this.#turns.took(job, ms)
  }

  /** Does it make even with others what there is to do? Small jobs go round in small grants, tasks over blocks stay there. */
  get evens(): boolean {
    const { executor, table } = this.#host
    return executor.cores > 0 && table.isThrifty && !table.isBound
  }

  /** Is it time for that? */
  isUneven(): boolean {
    const { table } = this.#host
    const { meanMs } = this.#held
    if (!this.evens || meanMs === undefined) return false
    const now = this.#host.now()
    const ageMs = now - Math.min(now, ...table.live.values().map(({ openedAtMs }) => openedAtMs))
    return this.#evening.isDue(now, ageMs, this.asker().restMs, meanMs)
  }

  /** Is all that this host has to do of large jobs, and none of this one? Then the tasks of this one are done in between. */
  helps(job: string): boolean {
    const { executor, table } = this.#host
    if (executor.cores === 0 || table.live.get(job)?.refusal !== undefined) return false
    const jobs = [...this.#held.jobs(), ...this.#roots.waitingJobs()]
    return jobs.length > 0 && jobs.every(({ id, tree }) => id !== job && hasMany(tree, 1))
  }
}
