/** `regions()` stands for what a node owns and keeps replicas of: while its texts stay, so does every answer. */
import { expect, test } from 'vitest'
import { Cluster, type SimNode } from '../../sim/cluster.ts'
import { hashKey } from '../../src/core/ids.ts'
import { seeds } from '../nightly.ts'

const keys = Array.from({ length: 40 }, (_, i) => hashKey(`region ${i}`))

function seen({ overlay }: SimNode) {
  const owned = keys.map((key) => overlay.owns(key))
  const kept = keys.map((key) => {
    if (!overlay.holdsReplica(key)) return null
    const owner = overlay.replicas(key)[0]
    return owner && { id: owner.id, incarnation: owner.incarnation }
  })
  return { regions: overlay.regions(), owned, kept }
}

const cases = seeds(4).map((seed) => ({ seed, size: [3, 6, 12, 40][seed % 4] as number, slots: 1 + (seed % 2) }))

test.each(cases)('what a node owns and keeps changes only with its regions: %o', async ({ seed, size, slots }) => {
  const cluster = new Cluster({ seed, slots, settings: { successors: 4, replicas: 3 } })
  cluster.start(size)
  const before = new Map<SimNode, ReturnType<typeof seen>>()
  let [same, changed] = [0, 0]
  for (let step = 0; step < 400; step++) {
    await cluster.schedule.run(cluster.schedule.nowMs + 250)
    if (step % 16 === 0 && cluster.nodes.length > 2) cluster.kill(cluster.pick() as SimNode)
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
})
