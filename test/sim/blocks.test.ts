/** Blocks on real nodes of both overlays in the simulator: churn, duplicates, reordering, and every message through the codec. */
import { expect, test } from 'vitest'
import { type AnyCluster, type AnyNode, clusterIn } from '../../sim/any-cluster.ts'
import type { Key } from '../../src/core/ids.ts'
import { type BlockService, createBlocks } from '../../src/dht/store/blocks/service.ts'
import { MemoryBlocks } from '../../src/dht/store/memory-blocks.ts'
import { groupHosts } from '../../src/dht/store/reconcile.ts'
import { blocksOf, type TestBlock } from '../fakes/blocks.ts'
import { seeds } from '../nightly.ts'

const REPLICAS = 3

class BlockCluster {
  readonly cluster: AnyCluster
  readonly #kept = new Map<AnyNode, { blocks: BlockService; store: MemoryBlocks }>()

  constructor(seed: number, size: number, slots = 1, faults = true, space = 'ring') {
    const rate = faults ? 0.005 : 0
    const common = { seed, slots, replicas: REPLICAS, duplication: rate, reordering: rate, codec: faults }
    this.cluster = clusterIn({ space, ...common })
    this.cluster.start(size)
    for (const node of this.cluster.nodes) this.equip(node)
  }

  /** With a store: a host that comes back with its disk. */
  equip(node: AnyNode, store = new MemoryBlocks(1e9)): void {
    const { env } = node.host
    const blocks = createBlocks({ env, transport: node.host, overlay: node.overlay, store, repairPeriodMs: 10_000 })
    blocks.start()
    this.#kept.set(node, { blocks, store })
  }

  async join(again?: AnyNode, store?: MemoryBlocks): Promise<void> {
    const through = [this.cluster.pick(), this.cluster.pick(), this.cluster.pick()]
    const node = this.cluster.spawn(again)
    this.equip(node, store)
    try {
      await node.overlay.join(through.flatMap((other) => other?.overlay.self ?? []))
      this.cluster.admit(node)
    } catch {
      this.cluster.kill(node) // a host whose seeds died before they let it in gives up
    }
  }

  blocks(node: AnyNode): BlockService {
    return this.#kept.get(node)!.blocks
  }

  store(node: AnyNode): MemoryBlocks {
    return this.#kept.get(node)!.store
  }

  run(ms: number): Promise<void> {
    return this.cluster.schedule.run(this.cluster.schedule.nowMs + ms)
  }

  holders(key: Key): AnyNode[] {
    return this.cluster.nodes.filter((node) => this.store(node).meta(key))
  }

  counters(node: AnyNode): Readonly<Record<string, number>> {
    return this.blocks(node).stats.counters
  }
}

const shape = (seed: number) => ({ seed, size: [6, 40, 16][seed % 3] as number, slots: seed % 3 === 2 ? 2 : 1 })
const cases = [
  ...seeds(3).map((seed) => ({ space: 'ring', ...shape(seed) })),
  ...seeds(2).map((seed) => ({ space: 'torus2', ...shape(seed + 1) })),
]

test.each(cases)('acknowledged puts survive churn, and reads do not fail: %o', async ({ space, seed, size, slots }) => {
  const sim = new BlockCluster(seed, size, slots, true, space)
  const { cluster } = sim
  const random = cluster.random.fork('blocks')
  const all = blocksOf(400, 200, `churn ${seed}`)
  const acknowledged: TestBlock[] = []
  const gone: { node: AnyNode; store: MemoryBlocks }[] = []
  let [asked, read, failed] = [0, 0, 0]
  await sim.run(5_000)

  const put = async () => {
    const block = all[asked++]
    const node = cluster.pick(random)
    if (!block || !node) return
    try {
      await sim.blocks(node).put(block.cid, block.bytes)
      acknowledged.push(block)
    } catch {
      // not acknowledged, so nothing is promised
    }
  }
  const get = async () => {
    const block = acknowledged[random.int(acknowledged.length)]
    const node = cluster.pick(random)
    if (!block || !node) return
    try {
      expect(await sim.blocks(node).get(block.cid)).toEqual(block.bytes)
      read++
    } catch {
      if (node.host.alive) failed++
    }
  }
  // A minority of a group: at least one more holder lives.
  const spared = (node: AnyNode) => acknowledged.some(({ key }) => sim.holders(key).every((holder) => holder === node))

  for (let step = 0; step < 200; step++) {
    void put()
    void get()
    await sim.run(500)
    void get()
    await sim.run(500)
    if (step % 4 !== 0) continue
    const victim = cluster.pick(random)
    if (victim && cluster.nodes.length > size / 2 && !spared(victim)) {
      gone.push({ node: victim, store: sim.store(victim) })
      cluster.kill(victim)
      const back = random.next() < 0.5 ? gone.shift() : undefined
      void sim.join(back?.node, back && random.next() < 0.5 ? back.store : undefined)
    }
  }
  Object.assign(cluster.network.options, { duplication: 0, reordering: 0, codec: false })
  await sim.run(300_000)

  expect(gone.length).toBeGreaterThan(10)
  expect(acknowledged.length / 200).toBeGreaterThan(0.9)
  expect(read).toBeGreaterThan(300)
  expect(failed).toBeLessThanOrEqual(read * 0.005)
  const reader = sim.blocks(cluster.pick(random) as AnyNode)
  for (const { cid, key, bytes } of acknowledged) {
    expect(await cluster.schedule.until(reader.get(cid))).toEqual(bytes)
    // Two places of one host are one copy.
    const group = groupHosts(cluster.ownerOf(key).replicas(key), REPLICAS)
    expect(sim.holders(key).length).toBeGreaterThanOrEqual(group.length)
  }
})

test('a hot block: a thousand hosts read it at once, and its holders serve a bounded share', async () => {
  const sim = new BlockCluster(3, 1000, 1, false)
  const { cluster } = sim
  const [block] = blocksOf(1, 1000) as [TestBlock]
  await sim.run(2_000)
  await cluster.schedule.until(sim.blocks(cluster.pick() as AnyNode).put(block.cid, block.bytes))
  const holders = sim.holders(block.key)
  const startedAtMs = cluster.schedule.nowMs
  const reads = cluster.nodes.map((node) => sim.blocks(node).get(block.cid))
  expect((await cluster.schedule.until(Promise.all(reads))).every((bytes) => bytes.length === 1000)).toBe(true)
  expect(cluster.schedule.nowMs - startedAtMs).toBeLessThan(10_000)
  const served = cluster.nodes.map((node) => sim.counters(node).served ?? 0)
  expect(holders.length).toBe(REPLICAS)
  for (const holder of holders) expect(sim.counters(holder).served).toBeLessThanOrEqual(50)
  expect(Math.max(...served)).toBeLessThanOrEqual(50)
  expect(served.reduce((sum, each) => sum + each)).toBeLessThan(1300)
})

test('the same seed twice gives the same run', async () => {
  const digest = async () => {
    const sim = new BlockCluster(5, 12)
    await sim.run(3_000)
    const [block] = blocksOf(1) as [TestBlock]
    await sim.cluster.schedule.until(sim.blocks(sim.cluster.nodes[0] as AnyNode).put(block.cid, block.bytes))
    sim.cluster.kill(sim.holders(block.key)[0] as AnyNode)
    await sim.run(120_000)
    return sim.cluster.schedule.digest
  }
  expect(await digest()).toBe(await digest())
})
