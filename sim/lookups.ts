/** Lookups in a cluster, from outside. */
import { ChoraleError } from '../src/core/errors.ts'
import { hashKey } from '../src/core/ids.ts'
import type { AnyCluster } from './any-cluster.ts'
import { Call } from './churn.ts'
import type { Recorder } from './watch/recorder.ts'

export const LOOKUP_DEADLINE_MS = 5000

/** Lookups of random keys from random members, judged by the oracle when their answers arrive. */
export class Lookups {
  readonly #cluster: AnyCluster
  readonly #recorder: Recorder | undefined
  readonly latenciesMs: number[] = []
  done = 0
  wrong = 0
  failed = 0
  hops = 0

  constructor(cluster: AnyCluster, recorder?: Recorder) {
    this.#cluster = cluster
    this.#recorder = recorder
  }

  every(ms: number, untilMs: number): void {
    const { schedule } = this.#cluster
    const step = () => {
      if (schedule.nowMs > untilMs) return
      void this.#one()
      schedule.add(new Call(step), schedule.nowMs + ms)
    }
    schedule.add(new Call(step), schedule.nowMs + ms)
  }

  async #one(): Promise<void> {
    const cluster = this.#cluster
    const { random, schedule } = cluster
    const asker = cluster.pick()
    if (asker === undefined || cluster.network.isParted) return // two rings: no oracle says who is right
    const key = hashKey(`${random.next()}`)
    const startMs = schedule.nowMs
    this.#recorder?.asked(key, asker.overlay.nodes[0]!.self.id)
    try {
      const route = await asker.overlay.lookup(key, { deadlineMs: LOOKUP_DEADLINE_MS })
      if (!asker.host.alive) return
      this.done++
      this.hops += route.hops
      this.latenciesMs.push(schedule.nowMs - startMs)
      const right = route.owner.id === cluster.ownerOf(key).self.id
      if (!right) this.wrong++
      this.#recorder?.answered(key, right ? 'right' : 'wrong')
      schedule.fold(right ? 3 : 5)
    } catch (error) {
      if (!(error instanceof ChoraleError)) throw error
      if (!asker.host.alive) return
      this.done++
      this.failed++
      this.#recorder?.answered(key, 'failed')
      schedule.fold(7)
    }
  }
}
