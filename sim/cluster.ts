/** A cluster of real Chord nodes: a ring. */
import type { Key } from '../src/core/ids.ts'
import { ChordHost } from '../src/dht/chord/host.ts'
import type { ChordSettings } from '../src/dht/chord/member.ts'
import type { ChordNode } from '../src/dht/chord/node.ts'
import type { SimHost } from './network.ts'
import { type ClusterNode, OverlayCluster, type OverlayClusterOptions } from './overlay-cluster.ts'

export interface SimNode extends ClusterNode<ChordNode> {
  readonly overlay: ChordHost
  /** The first overlay node of the host. */
  readonly chord: ChordNode
}

export interface ClusterOptions extends OverlayClusterOptions {
  readonly settings?: Partial<ChordSettings>
}

export class Cluster extends OverlayCluster<ChordNode, SimNode> {
  readonly #options: ClusterOptions

  constructor(options: ClusterOptions) {
    super(options)
    this.#options = options
  }

  protected override build(host: SimHost): SimNode {
    const { slots, settings } = this.#options
    const overlay = new ChordHost({ env: host.env, transport: host, slots, settings })
    return { host, overlay, chord: overlay.nodes[0]! }
  }

  /** The first live member at or after the key. */
  override ownerOf(key: Key): ChordNode {
    return this.sorted()[this.placeOf(key) % this.sorted().length]!
  }

  /** Puts a whole ring in place at once, every list and finger right, instead of joining one by one. */
  override start(size: number): void {
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
