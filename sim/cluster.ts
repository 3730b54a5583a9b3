/** A cluster of real Chord nodes over the simulated network, with an oracle that knows who is alive. */

import type { Random } from '../src/core/env.ts'
import type { Key } from '../src/core/ids.ts'
import { seededRandom } from '../src/core/random.ts'
import { ChordHost } from '../src/dht/chord/host.ts'
import type { ChordSettings } from '../src/dht/chord/member.ts'
import type { ChordNode } from '../src/dht/chord/node.ts'
import type { Contact } from '../src/net/contact.ts'
import { type NetworkOptions, type SimHost, SimNetwork } from './network.ts'

export interface SimNode {
  readonly host: SimHost
  readonly overlay: ChordHost
  /** The first overlay node of the host. */
  readonly chord: ChordNode
}

export interface ClusterOptions extends NetworkOptions {
  readonly settings?: Partial<ChordSettings>
  /** Overlay nodes per host. Default 1. */
  readonly slots?: number
}

export class Cluster {
  readonly network: SimNetwork
  readonly random: Random
  readonly #options: ClusterOptions
  /** Live hosts that have joined, in no order; removal swaps. */
  readonly nodes: SimNode[] = []
  readonly #index = new Map<SimNode, number>()
  readonly #joining = new Set<SimNode>()
  readonly #tells: ((node: SimNode, isMember: boolean) => void)[] = []
  /** Live overlay nodes by id. */
  readonly #sorted: ChordNode[] = []

  constructor(options: ClusterOptions) {
    this.network = new SimNetwork(options)
    this.random = seededRandom(`${options.seed}/cluster`)
    this.#options = options
  }

  get schedule() {
    return this.network.schedule
  }

  /** Tells of hosts that come to count as alive, and of those that no longer do. */
  onMember(tell: (node: SimNode, isMember: boolean) => void): void {
    this.#tells.push(tell)
  }

  /** A host that has not joined yet; with an address: the same one again, started anew. */
  spawn(again?: SimNode): SimNode {
    const address = again && { ...again.host.self, incarnation: again.host.self.incarnation + 1 }
    const host = this.network.host(address)
    const overlay = new ChordHost({
      env: host.env,
      transport: host,
      slots: this.#options.slots,
      settings: this.#options.settings,
    })
    return { host, overlay, chord: overlay.nodes[0]! }
  }

  /** Counts the node as alive from now on. */
  admit(node: SimNode): void {
    this.#index.set(node, this.nodes.push(node) - 1)
    for (const chord of node.overlay.nodes) this.#sorted.splice(this.#placeOf(chord.self.id), 0, chord)
    for (const tell of this.#tells) tell(node, true)
  }

  /** Starts a node and joins it through seeds (default: three live nodes); resolves when it is a member. */
  async join(again?: SimNode, seeds?: readonly Contact[]): Promise<SimNode> {
    const node = this.spawn(again)
    const through = seeds ?? [this.pick(), this.pick(), this.pick()].flatMap((n) => (n ? [n.chord.self] : []))
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

  kill(node: SimNode): void {
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
    for (const chord of node.overlay.nodes) this.#sorted.splice(this.#placeOf(chord.self.id), 1)
    for (const tell of this.#tells) tell(node, false)
  }

  pick(random: Random = this.random): SimNode | undefined {
    return this.nodes[random.int(this.nodes.length)]
  }

  /** Live overlay nodes, sorted by id. */
  sorted(): readonly ChordNode[] {
    return this.#sorted
  }

  /** Index of the first live overlay node at or after a key; their number when there is none. */
  #placeOf(key: Key): number {
    let low = 0
    let high = this.#sorted.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#sorted[middle]!.self.id < key) low = middle + 1
      else high = middle
    }
    return low
  }

  /** The true owner of a key now: the first live member at or after it. */
  ownerOf(key: Key): ChordNode {
    return this.#sorted[this.#placeOf(key) % this.#sorted.length]!
  }

  /** Puts a whole ring in place at once, every list and finger right, instead of joining one by one. */
  start(size: number): void {
    const fresh = Array.from({ length: size }, () => this.spawn())
    for (const node of fresh) {
      for (const chord of node.overlay.nodes) chord.member.phase = 'member'
      this.admit(node)
    }
    const sorted = this.sorted()
    const n = sorted.length
    for (let i = 0; i < n; i++) {
      const chord = sorted[i]!
      const r = chord.member.settings.successors
      const whole = n <= r + 1
      const succ = Array.from({ length: whole ? n - 1 : r }, (_, k) => sorted[(i + 1 + k) % n]!.self)
      const preds = Array.from({ length: Math.min(4, n - 1) }, (_, k) => sorted[(i + n - 1 - k) % n]!.self)
      chord.place({ mode: whole ? 'young' : 'ring', succ, prdc: preds[0] }, preds)
    }
    for (const chord of sorted) this.#finger(chord)
  }

  #finger(chord: ChordNode): void {
    const { fingers, state } = chord.member
    const last = state.succ[state.succ.length - 1]
    if (state.mode === 'young' || last === undefined) return
    for (let exponent = fingers.nextExponent(last.id), first = exponent, once = false; ; ) {
      if (exponent === first && once) break
      once = true
      const owner = this.ownerOf(fingers.target(exponent))
      if (owner !== chord) fingers.set(exponent, owner.self)
      exponent = fingers.nextExponent(last.id)
    }
  }
}
