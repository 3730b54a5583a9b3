/**
 * Whose turn it is on one host among several jobs: the one on which it has spent the least time. A newcomer is as far as the
 * one that was served least, and owed nothing of what others had before.
 */
export class Turns<Job extends object> {
  readonly #servedMs = new WeakMap<Job, number>()

  /** Of these, that have something to be done. The first of those that are as far. */
  next(jobs: Iterable<Job>): Job | undefined {
    const all = [...jobs]
    const leastMs = Math.min(...all.map((job) => this.#servedMs.get(job) ?? Number.POSITIVE_INFINITY))
    const from = Number.isFinite(leastMs) ? leastMs : 0
    for (const job of all) if (!this.#servedMs.has(job)) this.#servedMs.set(job, from)
    return all.find((job) => this.#servedMs.get(job) === from)
  }

  took(job: Job, ms: number): void {
    this.#servedMs.set(job, (this.#servedMs.get(job) ?? 0) + ms)
  }
}
