/** A cluster of real overlay nodes over the simulated network, with an oracle that knows who is alive. */
import type { Random } from '../src/core/env.ts'
import type { Key } from '../src/core/ids.ts'
import { seededRandom } from '../src/core/random.ts'
import type { Overlay } from '../src/dht/overlay.ts'
import type { OverlayNode } from '../src/dht/slots.ts'
import type { Contact } from '../src/net/contact.ts'
import { type NetworkOptions, type SimHost, SimNetwork } from './network.ts'

/** A host, and what runs on it. */
export interface ClusterNode<N extends OverlayNode = OverlayNode> {
  readonly host: SimHost
  readonly overlay: Overlay & { readonly nodes: readonly N[]; stop(): void }
}

export interface OverlayClusterOptions extends NetworkOptions {
  /** Overlay nodes per host. Default 1. */
  readonly slots?: number
}

export abstract class OverlayCluster<N extends OverlayNode, S extends ClusterNode<N> = ClusterNode<N>> {
  readonly network: SimNetwork
  readonly random: Random
  /** Live hosts that have joined, in no order; removal swaps. */
  readonly nodes: S[] = []
  readonly #index = new Map<S, number>()
  readonly #joining = new Set<S>()
  readonly #equips: ((node: S) => void)[] = []
  readonly #tells: ((node: S, isMember: boolean) => void)[] = []
  /** Live overlay nodes by id. */
  readonly #sorted: N[] = []

  constructor(options: NetworkOptions) {
    this.network = new SimNetwork(options)
    this.random = seededRandom(`${options.seed}/cluster`)
  }

  /** Puts more on every host, before it joins. */
  onSpawn(equip: (node: S) => void): void {
    this.#equips.push(equip)
  }

  /** Tells of hosts that come to count as alive, and of those that no longer do. */
  onMember(tell: (node: S, isMember: boolean) => void): void {
    this.#tells.push(tell)
  }

  /** Builds what runs on a host. */
  protected abstract build(host: SimHost): S

  /** The true owner of a key now. */
  abstract ownerOf(key: Key): N

  /** Puts a whole overlay in place at once, everything that nodes know of each other right, instead of joining one by one. */
  abstract start(size: number): void

  get schedule() {
    return this.network.schedule
  }

  /** A host that has not joined yet; with an address: the same one again, started anew. */
  spawn(again?: S): S {
    const address = again && { ...again.host.self, incarnation: again.host.self.incarnation + 1 }
    const node = this.build(this.network.host(address))
    for (const equip of this.#equips) equip(node)
    return node
  }

  /** Counts the node as alive from now on. */
  admit(node: S): void {
    this.#index.set(node, this.nodes.push(node) - 1)
    for (const each of node.overlay.nodes) this.#sorted.splice(this.placeOf(each.self.id), 0, each)
    for (const tell of this.#tells) tell(node, true)
  }

  /** Starts a node and joins it through seeds (default: three live nodes); resolves when it is a member. */
  async join(again?: S, seeds?: readonly Contact[]): Promise<S> {
    const node = this.spawn(again)
    const through = seeds ?? [this.pick(), this.pick(), this.pick()].flatMap((n) => n?.overlay.self ?? [])
    this.#joining.add(node)
    try {
      await node.overlay.join(through)
      if (node.host.alive) this.admit(node)
    } finally {
      this.#joining.delete(node)
    }
    return node
  }

  /** Kills the hosts that are not in yet. */
  stopJoins(): void {
    for (const node of this.#joining) this.kill(node)
    this.#joining.clear()
  }

  kill(node: S): void {
    node.host.kill()
    node.overlay.stop()
    const at = this.#index.get(node)
    if (at === undefined) return
    const last = this.nodes.pop()!
    if (last !== node) {
      this.nodes[at] = last
      this.#index.set(last, at)
    }
    this.#index.delete(node)
    for (const each of node.overlay.nodes) this.#sorted.splice(this.placeOf(each.self.id), 1)
    for (const tell of this.#tells) tell(node, false)
  }

  pick(random: Random = this.random): S | undefined {
    return this.nodes[random.int(this.nodes.length)]
  }

  /** Live overlay nodes, sorted by id. */
  sorted(): readonly N[] {
    return this.#sorted
  }

  /** Index of the first live overlay node at or after a key; their number when there is none. */
  protected placeOf(key: Key): number {
    let low = 0
    let high = this.#sorted.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#sorted[middle]!.self.id < key) low = middle + 1
      else high = middle
    }
    return low
  }
}
