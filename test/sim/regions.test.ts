/** `regions()` stands for what a node owns and keeps replicas of: while its texts stay, so does every answer. */
import { expect, test } from 'vitest'
import { type AnyNode, clusterIn } from '../../sim/any-cluster.ts'
import { hashKey } from '../../src/core/ids.ts'
import { seeds } from '../nightly.ts'

const keys = Array.from({ length: 40 }, (_, i) => hashKey(`region ${i}`))

function seen({ overlay }: AnyNode) {
  const owned = keys.map((key) => overlay.owns(key))
  const kept = keys.map((key) => {
    if (!overlay.holdsReplica(key)) return null
    const owner = overlay.replicas(key)[0]
    return owner && { id: owner.id, incarnation: owner.incarnation }
  })
  return { regions: overlay.regions(), owned, kept }
}

const sizes = [3, 6, 12, 40]
const cases = [
  ...seeds(4).map((seed) => ({ space: 'ring', seed, size: sizes[seed % 4] as number, slots: 1 + (seed % 2) })),
  ...seeds(2).map((seed) => ({ space: 'torus2', seed, size: sizes[seed % 4] as number, slots: 1 + (seed % 2) })),
]

test.each(cases)(
  'what a node owns and keeps changes only with its regions: %o',
  async ({ space, seed, size, slots }) => {
    const cluster = clusterIn({ space, seed, slots })
    cluster.start(size)
    const before = new Map<AnyNode, ReturnType<typeof seen>>()
    let [same, changed] = [0, 0]
    for (let step = 0; step < 400; step++) {
      await cluster.schedule.run(cluster.schedule.nowMs + 250)
      if (step % 16 === 0 && cluster.nodes.length > 2) cluster.kill(cluster.pick() as AnyNode)
      if (step % 16 === 8) cluster.join().catch(() => {})
      for (const node of cluster.nodes) {
        const now = seen(node)
        const last = before.get(node)
        before.set(node, now)
        if (!last) continue
        if (last.regions.owned === now.regions.owned) expect(now.owned).toEqual(last.owned)
        if (last.regions.kept === now.regions.kept) {
          expect(now.kept).toEqual(last.kept)
          same++
        } else changed++
      }
    }
    expect(changed).toBeGreaterThan(20)
    expect(same).toBeGreaterThan(changed)
  },
)
