/** What a simulated supplier does: its work, and what it makes the ledger believe of it. */
import type { Key } from '../../src/core/ids.ts'
import { secretOf } from '../../src/market/allocation/secrets.ts'
import { supplierStep, windowName, workableTasks } from '../../src/market/allocation/steps.ts'
import type { KeyPair } from '../../src/market/ledger/keys.ts'
import type { Allocation } from '../../src/market/ledger/state/allocations/allocation.ts'
import { claimableOf } from '../../src/market/ledger/state/allocations/claims.ts'
import { type Range, type Ranges, tasksIn } from '../../src/market/ledger/state/allocations/ranges.ts'
import type { Action } from '../../src/market/ledger/state/operation.ts'
import type { State } from '../../src/market/ledger/state/state.ts'
import { commitTo, type Opening } from '../../src/market/verification/commitment.ts'
import type { Conduct } from './cast.ts'
import { type Dispatch, rightDigest, wrongDigest } from './dispatch.ts'

export class Supplying {
  readonly #keys: KeyPair
  readonly #conduct: Conduct
  readonly #dispatch: Dispatch
  /** When each task of an allocation was done, in their order, and what is done of the next one, in ms. On disk. */
  readonly #done = new Map<Key, { atMs: number[]; begunMs: number }>()

  constructor(keys: KeyPair, conduct: Conduct, dispatch: Dispatch) {
    this.#keys = keys
    this.#conduct = conduct
    this.#dispatch = dispatch
  }

  /** Tasks that it has really worked for. */
  worked(id: Key): number {
    const { atMs } = this.#done.get(id) ?? { atMs: [] }
    return this.#dispatch
      .tasksOf(id)
      .slice(0, atMs.length)
      .filter((task) => this.isRight(task)).length
  }

  /** Does it do this task? */
  isRight(task: number): boolean {
    if (this.#conduct === 'skip') return task % 2 === 0
    return this.#conduct !== 'guess' && this.#conduct !== 'withhold'
  }

  /** One core, first for what must be done first. */
  work(allocations: ReadonlyMap<Key, Allocation>, ms: number, nowMs: number): void {
    const running = [...allocations].filter(([, { shownNonce, secretAnchor }]) => shownNonce && secretAnchor)
    running.sort(([, a], [, b]) => a.untilMs - b.untilMs)
    let leftMs = ms
    for (const [id, allocation] of running) {
      const taskMs = this.#dispatch.taskMs(allocation)
      const done = this.#done.get(id) ?? { atMs: [], begunMs: 0 }
      this.#done.set(id, done)
      const workable = this.#conduct === 'abandon' ? allocation.windowTasks : workableTasks(allocation)
      const most = Math.min(this.#dispatch.tasksOf(id).length, workable)
      while (done.atMs.length < most && leftMs > 0) {
        const stepMs = Math.min(leftMs, taskMs - done.begunMs)
        done.begunMs += stepMs
        leftMs -= stepMs
        if (done.begunMs < taskMs) break
        done.begunMs = 0
        done.atMs.push(nowMs - leftMs)
      }
    }
  }

  #digest(job: Key, task: number): Key {
    return this.isRight(task) ? rightDigest(job, task) : wrongDigest(job, task)
  }

  step(id: Key, allocation: Allocation, state: State, blockTimeMs: number): Action | undefined {
    const { phase, job, windows } = allocation
    if (this.#conduct === 'abandon' && windows > 0 && phase.name === 'running') return undefined
    const tasks = this.#dispatch.tasksOf(id)
    const { atMs } = this.#done.get(id) ?? { atMs: [] }
    const unclaimed = claimableOf(state, allocation, rangesOf(tasks.slice(0, atMs.length)))
    const oldest = unclaimed[0]?.[0]
    const waitedMs = oldest === undefined ? 0 : blockTimeMs - atMs[tasks.indexOf(oldest)]!
    const isOver = atMs.length === tasks.length
    const work = { digest: (task: number) => this.#digest(job, task), unclaimed, waitedMs, isOver }
    const action = supplierStep({ id, allocation, keys: this.#keys, blockTimeMs }, work)
    if (action?.kind === 'show' && this.#conduct === 'withhold') return undefined
    return action?.kind === 'sign' && this.#conduct === 'no-sign' ? undefined : action
  }

  /** To the customer, off the ledger. Undefined: it gives none. */
  openings(id: Key, allocation: Allocation, positions: readonly number[]): readonly Opening[] | undefined {
    const { phase, job } = allocation
    if (this.#conduct === 'withhold' || !('window' in phase)) return undefined
    const digests = [...tasksIn(phase.window.tasks)].map((task) => this.#digest(job, task))
    const commitment = commitTo(windowName(id, allocation), digests, secretOf(this.#keys, id, 'salts'))
    return positions.map((position) => commitment.open(position))
  }
}

/** Of numbers in ascending order. */
function rangesOf(tasks: readonly number[]): Ranges {
  const ranges: [number, number][] = []
  for (const task of tasks) {
    const last = ranges.at(-1)
    if (last && last[1] === task) last[1] = task + 1
    else ranges.push([task, task + 1])
  }
  return ranges satisfies Range[]
}
