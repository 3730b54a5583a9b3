/**
 * What a host was given to do and has not brought yet, in the order in which it came. Of large jobs a host is given so
 * much at once that it need not ask often; what it has not begun it passes on to who asks next, so that nothing lies where
 * it is done last (work stealing, by halves: Blumofe and Leiserson 1999, Hendler and Shavit 2002). Synchronous; knows no
 * messages.
 */
import type { Contact } from '../net/contact.ts'
import type { GrantNotes } from './grant-notes.ts'
import type { Takes } from './job-queue.ts'
import { type LiveJob, needsFile } from './job-table.ts'
import type { Grant } from './messages.ts'
import type { RunResult } from './ports.ts'
import { countBits, hasMany, highestBits, lowestBits } from './segments.ts'

/** A run of short tasks lasts about so long, so that what follows it can still be passed on. */
const PIECE_MS = 200

/** A grant, or what is left of one. */
export interface Work {
  readonly grant: Grant
  readonly job: LiveJob
  /** Whose tasks they are; undefined: this host's own queue's. */
  readonly root: Contact | undefined
  readonly takenAtMs: number
  renewAtMs: number
  /** Tasks that are not begun. */
  todo: number
  /** The tasks that run, by what their code says. */
  readonly running: Map<GrantNotes, number>
  /** Tasks that were run, and whose results are not on their way yet. */
  done: number
  results: RunResult['partials'][number][]
  tookMs: number
  /** Since when the first of them waits. */
  doneAtMs: number
}

/** Tasks that are run in one go. */
export interface Piece {
  readonly work: Work
  readonly mask: number
}

export class Held {
  #works: Work[] = []
  #meanMs: number | undefined

  /** How long a task took here lately, ms. */
  get meanMs(): number | undefined {
    return this.#meanMs
  }

  /** Tasks that could be passed on. */
  get passable(): number {
    return this.waiting(canPass)
  }

  /** What is held already of the same grant is not held twice. */
  add(work: Work): void {
    const part = this.#works.find((other) => isSame(other, work))
    if (!part) {
      this.#works.push(work)
      return
    }
    let begun = part.done
    for (const mask of part.running.values()) begun |= mask
    part.todo |= work.todo & ~begun
  }

  all(): readonly Work[] {
    return this.#works
  }

  /** Tasks that are not begun, of the jobs that `takes` says. */
  waiting(takes: Takes = () => true): number {
    return this.#works.reduce((sum, { job, todo }) => (takes(job) ? sum + countBits(todo) : sum), 0)
  }

  /** How long it will take to do what could be passed on, ms. */
  restMs(cores: number): number {
    const tasks = this.passable
    return tasks === 0 ? 0 : Math.ceil((tasks * (this.#meanMs ?? PIECE_MS)) / Math.max(1, cores))
  }

  /** Jobs of which there are tasks that are not begun. */
  jobs(): Set<LiveJob> {
    this.#works = this.#works.filter(({ job }) => !job.ended.signal.aborted)
    return new Set(this.#works.flatMap(({ job, todo }) => (todo !== 0 ? job : [])))
  }

  /** Those of this job that are to be done next. */
  next(job: LiveJob): Piece | undefined {
    const work = this.#works.find((other) => other.job === job && other.todo !== 0)
    if (!work) return undefined
    const mask = lowestBits(work.todo, this.#most(work))
    work.todo &= ~mask
    return { work, mask }
  }

  /** Those of small jobs go in one go: they were given as what keeps a core busy for a while. */
  #most({ job, todo }: Work): number {
    if (!hasMany(job.tree, 1)) return countBits(todo)
    return this.#meanMs === undefined ? 1 : Math.max(1, Math.floor(PIECE_MS / Math.max(0.01, this.#meanMs)))
  }

  /** So many tasks were run. */
  took(tookMs: number, tasks: number): void {
    const eachMs = tookMs / tasks
    this.#meanMs = this.#meanMs === undefined ? eachMs : this.#meanMs + (eachMs - this.#meanMs) / 8
  }

  /** So many tasks that are not begun, of the job that came last, for another host; whole pieces if that is about as many. */
  pass(tasks: number, most: number, takes: Takes): Piece[] {
    const last = this.#works.findLast(({ job, todo }) => todo !== 0 && canPass(job) && takes(job))
    let left = last ? tasks : 0
    const pieces: Piece[] = []
    for (const work of this.#works.toReversed()) {
      if (4 * left <= tasks || pieces.length >= most) break
      if (work.job !== last?.job || work.todo === 0) continue
      const mask = highestBits(work.todo, Math.max(left, 4 * (countBits(work.todo) - left) <= tasks ? 16 : 0))
      work.todo &= ~mask
      left -= countBits(mask)
      pieces.push({ work, mask })
      this.#settle(work)
    }
    return pieces
  }

  /** Some of its tasks have ended, were passed on or given up: without any it is held no longer. */
  #settle(work: Work): void {
    if (work.todo === 0 && work.done === 0 && work.running.size === 0) {
      this.#works = this.#works.filter((other) => other !== work)
    }
  }

  /** These tasks have been run, or have failed. */
  ended(work: Work, mask: number, { partials, tookMs }: RunResult, nowMs: number): void {
    if (work.done === 0) work.doneAtMs = nowMs
    work.done |= mask
    work.results.push(...partials)
    work.tookMs += tookMs
  }

  /** What has ended leaves. */
  take(work: Work): { mask: number; result: RunResult } {
    const { done: mask, results: partials, tookMs } = work
    work.done = 0
    work.results = []
    work.tookMs = 0
    this.#settle(work)
    return { mask, result: { partials, tookMs } }
  }

  /** What is not done of it, and these, which ran, will not be done here. Returns them. */
  drop(work: Work, begun = 0): number {
    const mask = work.todo | begun
    work.todo = 0
    this.#settle(work)
    return mask
  }

  /** What is not begun, of a job that is not run here after all, or of all jobs. */
  dropAll(job?: LiveJob): Piece[] {
    const all = this.#works.filter((work) => (job === undefined || work.job === job) && work.todo !== 0)
    return all.map((work) => ({ work, mask: this.drop(work) }))
  }

  dropJob(job: LiveJob): void {
    this.#works = this.#works.filter((work) => work.job !== job)
  }
}

function isSame(a: Work, b: Work): boolean {
  if (a.grant.id !== b.grant.id || a.job !== b.job || a.grant.segment !== b.grant.segment) return false
  return a.root?.peer === b.root?.peer
}

/** Tasks over stored input are best done where they were given. */
function canPass(job: LiveJob): boolean {
  return hasMany(job.tree, 1) && !needsFile(job.spec)
}

/** Of the tasks that are held, how much is done, in tasks: what is done, and what the code of others tells. */
export function shareOf({ done, running }: Work): number | undefined {
  const told = [...running.keys()].flatMap(({ share }) => share ?? [])
  if (done === 0 && told.length === 0) return undefined
  return told.reduce((sum, share) => sum + share, countBits(done))
}
