/** A ring in the simulator, and what its tests do with it. */
import { expect } from 'vitest'
import { disputedArcs, outOfOrder } from '../../sim/checkers.ts'
import { Cluster, type ClusterOptions, type SimNode } from '../../sim/cluster.ts'
import { hashKey } from '../../src/core/ids.ts'
import { sameNode } from '../../src/net/contact.ts'
import { seeds } from '../nightly.ts'

export const PERIOD_MS = 1000

/** A cluster, and steps over virtual time. */
export class Ring {
  readonly cluster: Cluster

  constructor(options: ClusterOptions, size: number) {
    this.cluster = new Cluster(options)
    this.cluster.start(size)
  }

  get nowMs(): number {
    return this.cluster.schedule.nowMs
  }

  run(ms: number): Promise<void> {
    return this.cluster.schedule.run(this.nowMs + ms)
  }

  until<T>(promise: Promise<T>): Promise<T> {
    return this.cluster.schedule.until(promise)
  }

  /** Waits until every view is right, and checks that it stays so. */
  async rest(maxPeriods = 30): Promise<void> {
    let periods = 0
    for (; outOfOrder(this.cluster) > 0 && periods < maxPeriods; periods++) await this.run(PERIOD_MS)
    expect({ outOfOrder: outOfOrder(this.cluster), members: this.cluster.sorted().length }).toMatchObject({
      outOfOrder: 0,
    })
    await this.run(2 * PERIOD_MS)
    expect(outOfOrder(this.cluster)).toBe(0)
    expect(disputedArcs(this.cluster)).toBe(0)
  }

  /** The share of lookups, from everywhere, that end at the true owner. */
  async rightShare(count: number, askers: readonly SimNode[] = this.cluster.nodes): Promise<number> {
    const { random } = this.cluster
    const asked = Array.from({ length: count }, async (_, i) => {
      const key = hashKey(`${random.next()}`)
      const route = await askers[i % askers.length]!.overlay.lookup(key, { group: true })
      const owner = this.cluster.ownerOf(key)
      const group = owner.replicas(key)
      return sameNode(route.owner, owner.self) && route.replicas.every((c, k) => sameNode(c, group[k]!))
    })
    const results = await this.until(Promise.allSettled(asked))
    return results.filter((result) => result.status === 'fulfilled' && result.value).length / count
  }

  /** The error code that a request ends with. */
  async codeOf(promise: Promise<unknown>): Promise<string | undefined> {
    const outcome = await this.until(
      promise.then(
        () => undefined,
        (error: { code: string }) => error,
      ),
    )
    return outcome?.code
  }

  kill(node = this.cluster.pick()!): SimNode {
    this.cluster.kill(node)
    return node
  }
}

export const settings = (successors: number) => ({ successors, periodMs: PERIOD_MS })
/** Both lengths of lists that the end-to-end tests use too. */
export const lengths = seeds(2).flatMap((seed) => [2, 4].map((r) => ({ r, seed })))
