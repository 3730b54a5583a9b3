/**
 * Registers on real nodes of both overlays in the simulator: churn, duplicates, reordering, and every message through the codec. No
 * loss: a connection loses nothing while it stands, and loss makes the ring take live neighbours for dead.
 */
import { expect, test } from 'vitest'
import { type AnyCluster, type AnyNode, clusterIn } from '../../sim/any-cluster.ts'
import type { NetworkOptions } from '../../sim/network.ts'
import { hashKey, type Key } from '../../src/core/ids.ts'
import { createRegisters, DEFAULT_REPLICAS, type RegisterStore } from '../../src/dht/store/registers.ts'
import { keysOf, words, wordsKind } from '../fakes/registers.ts'
import { seeds } from '../nightly.ts'

type Where = Pick<NetworkOptions, 'placement' | 'ipOf'>

/** Under placement `ip-prefix`: hosts of one block of addresses, who are one party; or of many, some of which share arcs. */
const oneParty: Where = { placement: 'ip-prefix', ipOf: (n) => `10.0.0.${n & 255}` }
const parties: Where = { placement: 'ip-prefix', ipOf: (n) => `${11 + (n % 80)}.${(7 * n) & 255}.${(n * n) & 255}.9` }

class RegisterCluster {
  readonly cluster: AnyCluster
  readonly #stores = new Map<AnyNode, RegisterStore>()

  constructor(seed: number, size: number, slots = 1, space = 'ring', where: Where = {}) {
    const faults = { duplication: 0.005, reordering: 0.005, codec: true }
    this.cluster = clusterIn({ space, seed, slots, replicas: DEFAULT_REPLICAS, ...where, ...faults })
    this.cluster.start(size)
    for (const node of this.cluster.nodes) this.equip(node)
  }

  equip(node: AnyNode): void {
    const { env } = node.host
    const store = createRegisters({ env, transport: node.host, overlay: node.overlay })
    store.define(wordsKind)
    store.start()
    this.#stores.set(node, store)
  }

  /** Joins a new host, or a dead one that comes back with nothing. */
  async join(again?: AnyNode): Promise<void> {
    const through = [this.cluster.pick(), this.cluster.pick(), this.cluster.pick()]
    const node = this.cluster.spawn(again)
    this.equip(node)
    try {
      await node.overlay.join(through.flatMap((other) => other?.overlay.self ?? []))
      this.cluster.admit(node)
    } catch {
      this.cluster.kill(node) // a host whose seeds died before they let it in gives up
    }
  }

  store(node: AnyNode): RegisterStore {
    return this.#stores.get(node) as RegisterStore
  }

  run(ms: number): Promise<void> {
    return this.cluster.schedule.run(this.cluster.schedule.nowMs + ms)
  }

  /** Live hosts that hold all of these words of a key. */
  holders(key: Key, ...list: string[]): AnyNode[] {
    return this.cluster.nodes.filter((node) => {
      const value = this.store(node).local(wordsKind, key)
      return value !== undefined && list.every((word) => value.words.includes(word))
    })
  }

  /**
   * The live hosts that should hold a key: the group as its true owner sees it. Whether the owner sees the ring rightly
   * is for the tests of the ring.
   */
  group(key: Key): AnyNode[] {
    const peers = this.cluster
      .ownerOf(key)
      .replicas(key)
      .map((contact) => contact.peer)
    return this.cluster.nodes.filter((node) => peers.includes(node.host.peer))
  }
}

const names = (nodes: readonly AnyNode[]) => nodes.map(({ host }) => host.peer).sort()

/** Overlays of the usual kind, with two places per host, and so small that rings turn young and back. */
const shape = (seed: number) => ({ seed, size: [6, 40, 16][seed % 3] as number, slots: seed % 3 === 2 ? 2 : 1 })
interface Case extends ReturnType<typeof shape> {
  readonly space: string
  readonly where?: Where
}

const cases: Case[] = [
  ...seeds(3).map((seed) => ({ space: 'ring', ...shape(seed) })),
  ...seeds(2).map((seed) => ({ space: 'torus2', ...shape(seed + 1) })),
  { space: 'ring', ...shape(1), where: parties },
  { space: 'ring', ...shape(1), where: oneParty },
  { space: 'torus2', seed: 2, size: 12, slots: 1, where: parties },
]

test.each(cases)(
  'what was acknowledged survives churn while one holder lives: %o',
  async ({ space, seed, size, slots, where }: Case) => {
    const sim = new RegisterCluster(seed, size, slots, space, where)
    const { cluster } = sim
    const random = cluster.random.fork('registers')
    const keys = keysOf(40)
    const acknowledged = new Map<Key, string[]>(keys.map((key) => [key, []]))
    const gone: AnyNode[] = []
    let asked = 0
    let updated = 0
    await sim.run(5_000)

    const update = async (step: number) => {
      const key = keys[random.int(keys.length)] as Key
      const node = cluster.pick(random) as AnyNode
      asked++
      try {
        await sim.store(node).update(wordsKind, key, words(`step ${step}`), { deadlineMs: 20_000 })
      } catch {
        return // not acknowledged, so nothing is promised
      }
      updated++
      acknowledged.get(key)?.push(`step ${step}`)
    }
    const spared = (node: AnyNode) =>
      [...acknowledged].some(([key, list]) =>
        list.some((word) => sim.holders(key, word).every((holder) => holder === node)),
      )

    for (let step = 0; step < 150; step++) {
      void update(step)
      await sim.run(500)
      void update(step + 1000)
      await sim.run(500)
      if (step % 3 !== 0) continue
      const victim = cluster.pick(random)
      if (victim && cluster.nodes.length > size / 2 && !spared(victim)) {
        cluster.kill(victim)
        gone.push(victim)
        void sim.join(random.next() < 0.5 ? gone.shift() : undefined)
      }
    }
    // Quiet: late messages make neighbours look dead for a moment, and the next node then gets a copy.
    Object.assign(cluster.network.options, { duplication: 0, reordering: 0 })
    await sim.run(60_000)

    expect(gone.length).toBeGreaterThan(0)
    expect(updated / asked).toBeGreaterThan(0.9)
    const reader = sim.store(cluster.pick(random) as AnyNode)
    for (const [key, list] of acknowledged) {
      const value = await cluster.schedule.until(reader.read(wordsKind, key))
      expect(value?.words ?? []).toEqual(expect.arrayContaining(list))
      if (value) expect(names(sim.holders(key))).toEqual(names(sim.group(key)))
    }
  },
)

test('the same seed twice gives the same run', async () => {
  const digest = async () => {
    const sim = new RegisterCluster(5, 12)
    await sim.run(3_000)
    const node = sim.cluster.nodes[0] as AnyNode
    const key = hashKey('a key')
    await sim.cluster.schedule.until(sim.store(node).update(wordsKind, key, words('a')))
    sim.cluster.kill(sim.group(key)[0] as AnyNode)
    await sim.run(30_000)
    return sim.cluster.schedule.digest
  }
  expect(await digest()).toBe(await digest())
})
