/** What a mediator does: it does the disputed task twice, and says what it found. */
import type { Env } from '../../core/env.ts'
import { errorMessage } from '../../core/errors.ts'
import type { Key } from '../../core/ids.ts'
import type { JobSpec } from '../../mapreduce/spec.ts'
import type { Allocation, Finding } from '../ledger/state/allocations/allocation.ts'
import { tasksIn } from '../ledger/state/allocations/ranges.ts'
import type { Redoing } from './redoing.ts'

const RETRY_MS = 5_000

export interface MediatingPorts {
  readonly env: Env
  readonly redoing: Redoing
  /** Rejects when nobody tells it. */
  specOf(id: Key, allocation: Allocation, signal: AbortSignal): Promise<JobSpec>
  /** Something was found. */
  found(): void
}

interface Case {
  readonly stop: AbortController
  finding: Finding | undefined
  done: Promise<void>
}

export class Mediating {
  readonly #ports: MediatingPorts
  readonly #cases = new Map<Key, Case>()

  constructor(ports: MediatingPorts) {
    this.#ports = ports
  }

  /** Undefined: not yet. The first time this begins. */
  finding(id: Key, allocation: Allocation): Finding | undefined {
    const { phase } = allocation
    if (phase.name !== 'sealing' && phase.name !== 'unsealing') return undefined
    let known = this.#cases.get(id)
    if (!known) {
      known = { stop: new AbortController(), finding: undefined, done: Promise.resolve() }
      this.#cases.set(id, known)
      const task = [...tasksIn(phase.window.tasks)][phase.position]!
      known.done = this.#find(known, id, allocation, task)
    }
    return known.finding
  }

  async #find(known: Case, id: Key, allocation: Allocation, task: number): Promise<void> {
    const { env, redoing, specOf, found } = this.#ports
    const { signal } = known.stop
    while (!signal.aborted) {
      try {
        const spec = await specOf(id, allocation, signal)
        known.finding = await redoing.twice(spec, task, { signal })
        return found()
      } catch (error) {
        env.log.debug('a disputed task was not done again', { task, reason: errorMessage(error) })
        await env.clock.sleep(RETRY_MS, { signal }).catch(() => {})
      }
    }
  }

  forget(id: Key): void {
    this.#cases.get(id)?.stop.abort()
    this.#cases.delete(id)
  }

  async stop(): Promise<void> {
    const running = [...this.#cases.values()].map(({ done }) => done)
    for (const id of [...this.#cases.keys()]) this.forget(id)
    await Promise.all(running)
  }
}
