/** Jobs that this host has submitted and pays for: what they are, and how their suppliers are tested. Kept on disk. */
import type { Env } from '../../core/env.ts'
import { ChoraleError } from '../../core/errors.ts'
import type { Key } from '../../core/ids.ts'
import { MAX_OFFER_LIFE_MS, MAX_REMEMBERED_JOBS } from '../../core/limits.ts'
import { type JobSpec, jobKeyOf, rootSpec } from '../../mapreduce/spec.ts'
import type { VerifyPolicy } from '../verification/policy.ts'

/** What was offered may be matched a little later than it was taken back. */
const KEEP_MS = 3_600_000

export interface RememberedJob {
  readonly spec: JobSpec
  readonly policy: VerifyPolicy
  readonly sinceMs: number
  /** From then on nothing is to be done for it. */
  readonly releasedMs?: number
}

interface Files {
  readonly kept: readonly RememberedJob[]
  keep(job: RememberedJob): void
  forget(job: Key): void
}

export class Remembering {
  readonly #env: Env
  readonly #files: Files
  readonly #jobs = new Map<Key, RememberedJob>()

  constructor(env: Env, files: Files) {
    this.#env = env
    this.#files = files
    for (const job of files.kept) this.#jobs.set(jobKeyOf(job.spec), job)
  }

  get(job: Key): RememberedJob | undefined {
    return this.#jobs.get(job)
  }

  remember(spec: JobSpec, policy: VerifyPolicy): void {
    const key = jobKeyOf(spec)
    if (this.#jobs.has(key)) return
    if (this.#jobs.size >= MAX_REMEMBERED_JOBS) {
      throw new ChoraleError('limit', `${MAX_REMEMBERED_JOBS} paid jobs are under way: wait for some of them to end`)
    }
    this.#keep(key, { spec: rootSpec(spec), policy, sinceMs: this.#nowMs() })
  }

  release(job: Key): void {
    const known = this.#jobs.get(job)
    if (known && known.releasedMs === undefined) this.#keep(job, { ...known, releasedMs: this.#nowMs() })
  }

  #keep(key: Key, job: RememberedJob): void {
    this.#files.keep(job)
    this.#jobs.set(key, job)
  }

  /** Forgets those of which nothing is left to do. */
  over(isOpen: (job: Key) => boolean): Key[] {
    const nowMs = this.#nowMs()
    const gone = [...this.#jobs].filter(([key, { sinceMs, releasedMs }]) => {
      const endMs = releasedMs === undefined ? sinceMs + MAX_OFFER_LIFE_MS : releasedMs
      return nowMs > endMs + KEEP_MS && !isOpen(key)
    })
    for (const [key] of gone) {
      this.#files.forget(key)
      this.#jobs.delete(key)
    }
    return gone.map(([key]) => key)
  }

  #nowMs(): number {
    return Math.floor(this.#env.clock.now())
  }
}
