/**
 * All Chord nodes of one host, presented as one overlay: the host owns what any of its nodes owns. Messages carry the
 * slot of the node that they are for. A host without nodes is a leaf: it looks keys up through a member.
 */

import type { Env } from '../../core/env.ts'
import { ChoraleError } from '../../core/errors.ts'
import { between, type Key } from '../../core/ids.ts'
import { type Contact, contactAt } from '../../net/contact.ts'
import type { Delivery, Transport } from '../../net/transport.ts'
import type { JoinOptions, LookupOptions, Overlay, Regions, Route } from '../overlay.ts'
import { Vicinity } from '../vicinity.ts'
import { forwardLookup } from './lookup.ts'
import type { ChordSettings } from './member.ts'
import { Exchange, Hint, Join, Leave, Lookup, Ping, Stabilize } from './messages.ts'
import { ChordNode } from './node.ts'

export interface ChordHostOptions {
  readonly env: Env
  readonly transport: Transport
  /** Overlay nodes on this host; 0 for a leaf. Default 1. */
  readonly slots?: number | undefined
  readonly settings?: Partial<ChordSettings> | undefined
}

export class ChordHost implements Overlay {
  readonly nodes: readonly ChordNode[]
  readonly #env: Env
  readonly #transport: Transport
  readonly #changeHandlers = new Set<() => void>()
  #seeds: readonly Contact[] = []

  constructor({ env, transport, slots = 1, settings }: ChordHostOptions) {
    this.#env = env
    this.#transport = transport
    const address = transport.self
    if (address === undefined && slots > 0) throw new ChoraleError('internal', 'a leaf has no overlay nodes')
    const vicinity = new Vicinity(transport, env.random.fork('vicinity'))
    this.nodes = Array.from({ length: slots }, (_, slot) => {
      const nodeEnv = { ...env, random: env.random.fork(`chord ${slot}`) }
      return new ChordNode(nodeEnv, transport, contactAt(address!, slot), vicinity, settings)
    })
    for (const node of this.nodes) node.onChange(() => this.#changed())
    transport.handle(Stabilize, (message, to) => this.#node(to).onStabilize(message, to.from))
    transport.handle(Exchange, (message, to) => this.#node(to).onExchange(message, to.from))
    transport.handle(Join, (_message, to) => this.#node(to).onJoin(to.from))
    transport.handle(Ping, (_message, to) => this.#node(to).onPing(to.from))
    transport.handle(Leave, (message, to) => this.#node(to).onLeave(message, to.from))
    transport.handle(Hint, (message, to) => this.#node(to).onHint(message, to.from))
    transport.handle(Lookup, (message, to) => this.#node(to).onLookup(message, to.from))
    transport.onPeerDown((peer) => {
      for (const node of this.nodes) node.peerDown(peer)
    })
  }

  #node({ slot }: Delivery): ChordNode {
    const node = this.nodes[slot]
    if (node === undefined) throw new ChoraleError('gone', `no overlay node in slot ${slot}`)
    return node
  }

  #changed(): void {
    for (const handler of [...this.#changeHandlers]) handler()
  }

  get self(): Contact | undefined {
    return this.nodes[0]?.self
  }

  /** Nodes enter one after the other, the later ones through the first. */
  async join(seeds: readonly Contact[], options: JoinOptions = {}): Promise<void> {
    this.#seeds = seeds
    const [first, ...others] = this.nodes
    if (!first) return
    await first.join(seeds, options)
    for (const node of others) await node.join([first.self], { signal: options.signal })
  }

  /** Somebody may live whom we have lost sight of: their ring and ours close up. */
  async meet(contact: Contact): Promise<void> {
    await this.nodes[0]?.meet(contact)
  }

  async leave(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.leave()))
  }

  /** Without a word, as a crash. */
  stop(): void {
    for (const node of this.nodes) node.stop()
  }

  lookup(key: Key, options?: LookupOptions): Promise<Route> {
    const node = this.#nearest(key)
    if (node !== undefined) return node.lookup(key, options)
    return forwardLookup(this.#env, this.#transport, this.#seeds, key, options)
  }

  owns(key: Key): boolean {
    return this.nodes.some((node) => node.owns(key))
  }

  replicas(key: Key): readonly Contact[] {
    return this.#nearest(key)?.replicas(key) ?? []
  }

  holdsReplica(key: Key): boolean {
    return this.nodes.some((node) => node.holdsReplica(key))
  }

  nextHop(key: Key, avoid?: ReadonlySet<Key>): Contact | undefined {
    const node = this.#nearest(key)
    return node === undefined ? this.#seeds.find(({ id }) => !avoid?.has(id)) : node.nextHop(key, avoid)
  }

  regions(): Regions {
    const all = this.nodes.map((node) => node.regions())
    return { owned: all.map(({ owned }) => owned).join(), kept: all.map(({ kept }) => kept).join() }
  }

  neighbours(): readonly Contact[] {
    if (this.nodes.length === 0) return this.#seeds
    const out = new Map<Key, Contact>()
    for (const node of this.nodes) for (const contact of node.neighbours()) out.set(contact.id, contact)
    for (const node of this.nodes) out.delete(node.self.id)
    return [...out.values()]
  }

  onChange(handler: () => void): () => void {
    this.#changeHandlers.add(handler)
    return () => this.#changeHandlers.delete(handler)
  }

  /** The node that owns the key, else one of its replica group, else the one from which the way is shortest. */
  #nearest(key: Key): ChordNode | undefined {
    let best: ChordNode | undefined
    for (const node of this.nodes) {
      if (node.owns(key)) return node
      if (node.holdsReplica(key)) best = node
      else if (best === undefined) best = node
      else if (!best.holdsReplica(key) && between(best.self.id, node.self.id, key)) best = node
    }
    return best
  }
}
