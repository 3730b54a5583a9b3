/**
 * A supplier's side: what this host has done of its contracts, on disk, and what it does of its own accord. Where each task is
 * done by several suppliers, the job itself has it done only once: the others do it by `Redo`.
 */
import type { Env } from '../../core/env.ts'
import { errorCode, errorMessage } from '../../core/errors.ts'
import type { Key } from '../../core/ids.ts'
import type { Redo } from '../../mapreduce/ports.ts'
import { type JobSpec, jobKeyOf, rootSpec } from '../../mapreduce/spec.ts'
import { claimableOf, type Work } from '../allocation/steps.ts'
import { type Allocation, claimId } from '../ledger/state/allocations/allocation.ts'
import { common, countOf, type Ranges, united, without } from '../ledger/state/allocations/ranges.ts'
import type { State } from '../ledger/state/state.ts'
import { rangesOf, type WorkLog, type WorkLogs } from './work-log.ts'

/** A file of a contract of which the ledger knows nothing is kept for so long: this host's copy of the ledger may lag. */
const KEEP_MS = 24 * 3_600_000
/** When nothing of a contract was done for so long, its tasks are done a further time. */
const IDLE_MS = 5_000
const NONE: Ranges = []

export interface SupplyingPorts {
  readonly env: Env
  readonly redo: Redo
  /** That are lent now. */
  cores(): number
  readonly logs: WorkLogs
  readonly signal: AbortSignal
  state(): Pick<State, 'claims'>
  /** Allocations of the contract on this host that both sides have signed. */
  mine(contract: Key): readonly (readonly [Key, Allocation])[]
  specOf(id: Key, allocation: Allocation, signal: AbortSignal): Promise<JobSpec>
  /** A task of it more is done. */
  done(contract: Key): void
  hasRoom(contract: Key): boolean
}

export class Supplying {
  readonly #ports: SupplyingPorts
  /** Since when there is something to commit to, and in which window. */
  readonly #waiting = new Map<Key, { readonly window: number; readonly sinceMs: number }>()
  readonly #dirty = new Set<WorkLog>()
  readonly #lastMs = new Map<Key, number>()
  readonly #jobs = new WeakMap<JobSpec, Key>()
  #beginning: Promise<unknown> = Promise.resolve()
  /** By contract: tasks that are done a further time now. */
  readonly #copying = new Map<Key, Set<number>>()
  readonly #copies = new Set<Promise<void>>()

  constructor(ports: SupplyingPorts) {
    this.#ports = ports
  }

  log(contract: Key): WorkLog | undefined {
    return this.#ports.logs.get(contract)
  }

  /** Of one that `witnessed` tells of. */
  witnessed(spec: JobSpec, task: number, digest: Key): void {
    const { contract, stage } = spec
    // Tasks of later passes have the same numbers.
    if (contract === undefined || stage) return
    const [first] = this.#ports.mine(contract)
    // Anybody may write any contract into a spec.
    if (!first || this.#jobOf(spec) !== first[1].job) return
    this.#lastMs.set(contract, this.#ports.env.clock.now())
    const log = this.log(contract)
    if (log) this.#add(contract, log, task, digest)
    else this.#beginning = Promise.all([this.#beginning, this.#begin(contract, spec, task, digest)])
  }

  #jobOf(spec: JobSpec): Key {
    const job = this.#jobs.get(spec) ?? jobKeyOf(spec)
    this.#jobs.set(spec, job)
    return job
  }

  async #begin(contract: Key, spec: JobSpec, task: number, digest: Key): Promise<void> {
    const { env, logs } = this.#ports
    try {
      const log = await logs.begin(contract, rootSpec(spec), Math.floor(env.clock.now()))
      if (log) this.#add(contract, log, task, digest)
      else env.log.warn('there are too many contracts: what is done for one more is not paid', { contract })
    } catch (error) {
      env.log.warn('what was done for money is not on the disk', { contract, reason: errorMessage(error) })
    }
  }

  #add(contract: Key, log: WorkLog, task: number, digest: Key): void {
    if (!log.add(task, digest)) return
    this.#dirty.add(log)
    this.#ports.done(contract)
  }

  async flush(): Promise<void> {
    const logs = [...this.#dirty]
    this.#dirty.clear()
    for (const log of logs) {
      await log.sync().catch((error) => {
        this.#dirty.add(log)
        this.#ports.env.log.warn('what was done for money is not on the disk', { reason: errorMessage(error) })
      })
    }
  }

  work(id: Key, contract: Key, allocation: Allocation): Work {
    const log = this.log(contract)
    const state = this.#ports.state()
    const done = log?.done ?? NONE
    const unclaimed = claimableOf(state, allocation, done)
    const all = claimableOf(state, allocation, [[0, allocation.jobTasks]])
    return {
      digest: (task) => log?.digest(task),
      unclaimed,
      waitedMs: this.#waitedMs(id, allocation.windows, unclaimed.length > 0),
      isAway: this.#ports.cores() === 0,
      isOver: allocation.isEnding || countOf(without(all, done)) === 0,
    }
  }

  #waitedMs(id: Key, window: number, waits: boolean): number {
    const known = this.#waiting.get(id)
    if (!waits) this.#waiting.delete(id)
    else if (known?.window !== window) this.#waiting.set(id, { window, sinceMs: this.#ports.env.clock.now() })
    else return this.#ports.env.clock.now() - known.sinceMs
    return 0
  }

  forget(id: Key): void {
    this.#waiting.delete(id)
  }

  /** Does tasks of the contract that others have done, or will, when it has nothing else to do for it: one on each core. */
  copy(contract: Key): void {
    const { env, hasRoom, mine, cores } = this.#ports
    const [first] = mine(contract)
    if (!first || first[1].replicas === 1 || !hasRoom(contract)) return
    if (env.clock.now() - (this.#lastMs.get(contract) ?? 0) < IDLE_MS) return
    while (this.#copies.size < cores()) {
      const made = this.#copy(contract, first).finally(() => this.#copies.delete(made))
      this.#copies.add(made)
    }
  }

  async #copy(contract: Key, [id, allocation]: readonly [Key, Allocation]): Promise<void> {
    const { env, redo, specOf, signal, hasRoom, state, logs, cores } = this.#ports
    const doing = this.#copying.get(contract) ?? new Set()
    this.#copying.set(contract, doing)
    try {
      const spec = this.log(contract)?.spec ?? (await specOf(id, allocation, signal))
      const log = await logs.begin(contract, spec, Math.floor(env.clock.now()))
      while (log && hasRoom(contract) && this.#copies.size <= cores() && !signal.aborted) {
        const task = this.#another(state(), allocation, united(log.done, rangesOf([...doing])))
        if (task === undefined) return
        doing.add(task)
        const { digest } = await redo.digest(spec, task, { signal }).finally(() => doing.delete(task))
        this.#add(contract, log, task, digest)
      }
    } catch (error) {
      if (!signal.aborted) {
        env.log.debug('no task was done a further time', { code: errorCode(error), reason: errorMessage(error) })
      }
      this.#lastMs.set(contract, env.clock.now()) // and so it is tried again after a pause
    }
  }

  /** One that somebody has claimed already, if there is any: of the others the job's own dispatch takes care. */
  #another(state: Pick<State, 'claims'>, allocation: Allocation, done: Ranges): number | undefined {
    const open = without(claimableOf(state, allocation, [[0, allocation.jobTasks]]), done)
    const claimed = common(open, state.claims.get(claimId(allocation))?.layers[0] ?? NONE)
    const choice = claimed.length > 0 ? claimed : open
    const count = countOf(choice)
    if (count === 0) return undefined
    let at = this.#ports.env.random.int(count)
    for (const [from, to] of choice) {
      if (at < to - from) return from + at
      at -= to - from
    }
    return undefined
  }

  /** Removes what nobody can ask for any more. `isOpen`: undefined when the ledger knows no such contract. */
  async clean(isOpen: (contract: Key) => boolean | undefined): Promise<void> {
    const { env, logs } = this.#ports
    for (const [contract, log] of [...logs.entries()]) {
      const open = isOpen(contract)
      if (open || (open === undefined && env.clock.now() < log.madeMs + KEEP_MS)) continue
      this.#dirty.delete(log)
      this.#lastMs.delete(contract)
      this.#copying.delete(contract)
      await logs.remove(contract).catch((error) => env.log.debug('a work log stays', { reason: errorMessage(error) }))
    }
  }

  async stop(): Promise<void> {
    await Promise.all([this.#beginning, ...this.#copies])
    await this.#ports.logs.close()
  }
}
