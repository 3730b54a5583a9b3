/**
 * Whose turn it is on one host among several jobs: the one on which it has spent the least time. Who comes, or comes back, is
 * as far as the others, and owed nothing of what they had before (start-time fair queueing, Goyal et al. 1996).
 */
export class Turns<Job extends object> {
  readonly #servedMs = new WeakMap<Job, number>()
  /** Those that had something to be done at the last turn. */
  #before: ReadonlySet<Job> = new Set()
  /** How far the one was whose turn it was then: who was away begins there. */
  #clockMs = 0

  /** Of these, that have something to be done. The first of those that are as far. */
  next(jobs: Iterable<Job>): Job | undefined {
    const all = new Set(jobs)
    const servedMs = (job: Job) => this.#servedMs.get(job) ?? 0
    for (const job of all) {
      if (!this.#before.has(job)) this.#servedMs.set(job, Math.max(servedMs(job), this.#clockMs))
    }
    this.#before = all
    let next: Job | undefined
    for (const job of all) if (!next || servedMs(job) < servedMs(next)) next = job
    if (next) this.#clockMs = servedMs(next)
    return next
  }

  took(job: Job, ms: number): void {
    this.#servedMs.set(job, (this.#servedMs.get(job) ?? 0) + ms)
  }
}
