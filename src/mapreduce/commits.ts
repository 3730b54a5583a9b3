/**
 * Commits (DESIGN 7): (segment, partial) in the segment's replica group. The first one stands; a second one with another
 * digest is a conflict. A new owner asks the group before it says 'absent'.
 *
 * Commits are not copied to groups that change later. What is lost with a whole group is computed again: a result
 * depends on nothing but the job and the task number.
 */
import { ChoraleError } from '../core/errors.ts'
import type { Contact } from '../net/contact.ts'
import { type Attempt, attemptOf } from './alarm.ts'
import { Courier } from './courier.ts'
import type { JobsHost } from './host.ts'
import { type LiveJob, placeKey, placeName, type Segment } from './job-table.ts'
import { type Commit, JobCommit, JobRecall, MAX_ITEMS, MAX_ITEMS_BYTES, type Place } from './messages.ts'
import { hasMany, hasSegment, parentIndex, tasksOf } from './segments.ts'

export interface CommitEvents {
  /** A segment of this host has been committed, or tasks of it, by another owner. */
  committed(segment: Segment): void
  conflict(segment: Segment, level: number, index: number, other: Attempt): void
}

export class Commits {
  readonly #host: JobsHost
  readonly #events: CommitEvents
  readonly #courier: Courier<Commit>

  constructor(host: JobsHost, events: CommitEvents) {
    this.#host = host
    this.#events = events
    this.#courier = new Courier(
      (to, job, items) => this.#send(to, job, items),
      (item) => 48 + item.bytes.length,
    )
  }

  start(): void {
    const host = this.#host
    const { table } = host
    host.handle(JobCommit, (message) => {
      const job = table.open(message.job, message.spec)
      if (job === 'need') return { need: true as const, conflicts: [] }
      if (job === 'ended') return { ended: true as const, conflicts: [] }
      const conflicts: Place[] = []
      for (const { level, index, bytes } of message.commits) {
        if (!hasSegment(job.tree, level, index)) throw new ChoraleError('bad-message', 'no such segment')
        const outcome = table.commit(job, level, index, bytes)
        if (outcome === 'conflict') conflicts.push([level, index])
        const segment = job.segments.get(homeOf(job, level, index))
        if (segment && outcome === 'new') this.#events.committed(segment)
      }
      return { conflicts }
    })
    host.handle(JobRecall, (message) => {
      const job = table.open(message.job, undefined)
      return typeof job === 'string' ? { commits: [], more: false } : kept(job, message.places)
    })
  }

  /**
   * Commits in the replica group; resolves when a majority of it has them, or all have answered or failed. Where a level
   * has many segments they stay here: a whole one is soon with the owner of its parent too, and of the others little is
   * lost with a host.
   */
  replicate(segment: Segment, all: readonly Commit[]): Promise<void> {
    const commits = all.filter(({ level }) => !hasMany(segment.job.tree, Math.max(1, level)))
    const others = this.#host.overlay.replicas(segment.key).filter((contact) => !this.#host.isSelf(contact))
    const needed = Math.floor((others.length + 1) / 2)
    if (commits.length === 0 || needed === 0) return Promise.resolve()
    return new Promise((resolve) => {
      let delivered = 0
      let settled = 0
      for (const to of others) {
        void Promise.all(commits.map((commit) => this.#courier.send(to, segment.job, commit))).then((arrived) => {
          if (arrived.every(Boolean)) delivered++
          if (++settled === others.length || delivered === needed) resolve()
        })
      }
    })
  }

  /** Asks the replica groups of segments what they have, and keeps it. */
  async recall(job: LiveJob, level: number, indices: readonly number[]): Promise<void> {
    const groups = new Map<string, { to: Contact; places: Place[] }>()
    for (const index of indices) {
      for (const to of this.#host.overlay.replicas(placeKey(job, level, index))) {
        if (this.#host.isSelf(to)) continue
        const group = groups.get(to.id)
        if (group) group.places.push([level, index])
        else groups.set(to.id, { to, places: [[level, index]] })
      }
    }
    await Promise.all(
      [...groups.values()].map(async ({ to, places }) => {
        try {
          for (let rest = places; rest.length > 0; ) {
            const part = rest.slice(0, MAX_ITEMS)
            const reply = await this.#host.ask(to, JobRecall, { job: job.id, places: part })
            for (const { level, index, bytes } of reply.commits) {
              if (hasSegment(job.tree, level, index) && !job.ended.signal.aborted) {
                this.#host.table.commit(job, level, index, bytes)
              }
            }
            // What did not fit is asked for again, as long as something comes.
            const missing = part.filter(([level, index]) => !job.commits.has(placeName(level, index)))
            rest =
              reply.more && missing.length < part.length
                ? [...missing, ...rest.slice(part.length)]
                : rest.slice(part.length)
          }
        } catch {
          // A replica that does not answer knows no more than one that was lost.
        }
      }),
    )
  }

  async #send(to: Contact, job: LiveJob, commits: Commit[]): Promise<undefined> {
    const { conflicts } = await this.#host.askAbout(job, to, JobCommit, { job: job.id, commits })
    for (const [level, index] of conflicts) {
      const segment = job.segments.get(homeOf(job, level, index))
      if (segment) this.#events.conflict(segment, level, index, attemptOf(undefined, to.peer))
    }
  }
}

/** The segment whose owner commits it: tasks are committed by the owner of their level-1 segment. */
function homeOf(job: LiveJob, level: number, index: number): string {
  return level === 0 ? placeName(1, parentIndex(job.tree, 0, index)) : placeName(level, index)
}

/** What is committed here for segments; for one of level 1 that is not, its tasks'. */
function kept(job: LiveJob, places: readonly Place[]): { commits: Commit[]; more: boolean } {
  const commits: Commit[] = []
  let bytes = 0
  for (const [level, index] of places) {
    const names: Place[] = [[level, index]]
    if (level === 1) {
      const { first, end } = tasksOf(job.tree, 1, index)
      for (let task = first; task < end; task++) names.push([0, task])
    }
    for (const [l, j] of names) {
      const commit = job.commits.get(placeName(l, j))
      if (!commit) continue
      bytes += 48 + commit.bytes.length
      if (commits.length > 0 && (bytes > MAX_ITEMS_BYTES || commits.length >= MAX_ITEMS)) return { commits, more: true }
      commits.push({ level: l, index: j, bytes: commit.bytes })
    }
  }
  return { commits, more: false }
}
