/**
 * Which tasks of a job each allocation is about, and what their results are: what the overlay does for jobs, without doing it.
 * The result of a task is a hash of its name, so who knows the name may check it.
 */
import { hashKey, type Key } from '../../src/core/ids.ts'
import type { PublicKey } from '../../src/market/ledger/keys.ts'
import type { Allocation } from '../../src/market/ledger/state/allocations/allocation.ts'

export interface Job {
  readonly id: Key
  readonly customer: PublicKey
  readonly tasks: number
  readonly replicas: number
  /** On a host of the simulation. */
  readonly taskMs: number
  /** When its offer is worth nothing any more. */
  readonly expiresMs: number
}

export function rightDigest(job: Key, task: number): Key {
  return hashKey(`result ${job} ${task}`)
}

/** Another for each task, and the same from all who lie about it. */
export function wrongDigest(job: Key, task: number): Key {
  return hashKey(`no result ${job} ${task}`)
}

interface Given {
  /** How often each task was given. */
  readonly times: number[]
  readonly byAccount: Map<PublicKey, Set<number>>
}

export class Dispatch {
  readonly jobs = new Map<Key, Job>()
  readonly #given = new Map<Key, Given>()
  /** Ascending, of each allocation that there was. */
  readonly #tasks = new Map<Key, readonly number[]>()

  add(job: Job): void {
    this.jobs.set(job.id, job)
    this.#given.set(job.id, { times: new Array<number>(job.tasks).fill(0), byAccount: new Map() })
  }

  /** As many tasks as were agreed, those that were given least often first, and none twice to one account. */
  assign(id: Key, { job, supplier, tasks }: Allocation): void {
    const { times, byAccount } = this.#given.get(job)!
    const own = byAccount.get(supplier) ?? new Set()
    byAccount.set(supplier, own)
    const { replicas } = this.jobs.get(job)!
    const free = [...times.keys()].filter((task) => times[task]! < replicas && !own.has(task))
    const mine = free.sort((a, b) => times[a]! - times[b]! || a - b).slice(0, tasks)
    for (const task of mine) {
      times[task]!++
      own.add(task)
    }
    this.#tasks.set(
      id,
      mine.sort((a, b) => a - b),
    )
  }

  /** It is over, and others may do what it was not paid for. */
  takeBack(id: Key, { job, supplier }: Allocation, paid: ReadonlySet<number>): void {
    const { times, byAccount } = this.#given.get(job)!
    for (const task of this.tasksOf(id)) {
      if (paid.has(task)) continue
      times[task]!--
      byAccount.get(supplier)!.delete(task)
    }
  }

  tasksOf(id: Key): readonly number[] {
    return this.#tasks.get(id) ?? []
  }

  taskMs({ job }: Allocation): number {
    return this.jobs.get(job)!.taskMs
  }
}
