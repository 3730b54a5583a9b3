/**
 * All overlay nodes of one host, presented as one overlay: the host owns what any of its nodes owns. Messages carry the
 * slot of the node that they are for. A host without nodes is a leaf: it looks keys up through a member.
 */
import type { Env } from '../core/env.ts'
import { ChoraleError } from '../core/errors.ts'
import type { Key } from '../core/ids.ts'
import { type Contact, contactAt } from '../net/contact.ts'
import type { Delivery, Transport } from '../net/transport.ts'
import { forwardLookup } from './lookups.ts'
import type { LookupKind } from './messages.ts'
import type { JoinOptions, LookupOptions, Overlay, Regions, Route } from './overlay.ts'
import { Vicinity } from './vicinity.ts'

/** One of them. */
export interface OverlayNode extends Overlay {
  readonly self: Contact
  /** Somebody may live whom we have lost sight of: their overlay and ours become one. */
  meet(contact: Contact): Promise<void>
  /** Without a word, as a crash. */
  stop(): void
  /** A connection to this peer closed. */
  peerDown(peer: string): void
}

export interface SlotsOptions<N> {
  readonly env: Env
  readonly transport: Transport
  /** Overlay nodes on this host; 0 for a leaf. */
  readonly slots: number
  /** Names the streams of random numbers of its nodes. */
  readonly name: string
  readonly lookupKind: LookupKind
  readonly node: (env: Env, self: Contact, vicinity: Vicinity) => N
  /** Is the way to the key shorter from b than from a? */
  readonly isCloser: (a: N, b: N, key: Key) => boolean
}

export class SlotsHost<N extends OverlayNode> implements Overlay {
  readonly nodes: readonly N[]
  readonly #options: SlotsOptions<N>
  readonly #changeHandlers = new Set<() => void>()
  #seeds: readonly Contact[] = []

  constructor(options: SlotsOptions<N>) {
    this.#options = options
    const { env, transport, slots, name } = options
    const address = transport.self
    if (address === undefined && slots > 0) throw new ChoraleError('internal', 'a leaf has no overlay nodes')
    const vicinity = new Vicinity(transport, env.random.fork('vicinity'))
    this.nodes = Array.from({ length: slots }, (_, slot) => {
      const nodeEnv = { ...env, random: env.random.fork(`${name} ${slot}`) }
      return options.node(nodeEnv, contactAt(address!, slot, transport.placement), vicinity)
    })
    for (const node of this.nodes) node.onChange(() => this.#changed())
    transport.onPeerDown((peer) => {
      for (const node of this.nodes) node.peerDown(peer)
    })
  }

  /** The node that a message is for. */
  protected at({ slot }: Delivery): N {
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

  async meet(contact: Contact): Promise<void> {
    await this.nodes[0]?.meet(contact)
  }

  async leave(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.leave()))
  }

  stop(): void {
    for (const node of this.nodes) node.stop()
  }

  lookup(key: Key, options?: LookupOptions): Promise<Route> {
    const node = this.#nearest(key)
    if (node !== undefined) return node.lookup(key, options)
    const { env, transport, lookupKind } = this.#options
    return forwardLookup(env, transport, lookupKind, this.#seeds, key, options)
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
  #nearest(key: Key): N | undefined {
    const owner = this.nodes.find((node) => node.owns(key))
    if (owner !== undefined) return owner
    const holders = this.nodes.filter((node) => node.holdsReplica(key))
    const [first, ...others] = holders.length > 0 ? holders : this.nodes
    return others.reduce((best, node) => (best && this.#options.isCloser(best, node, key) ? node : best), first)
  }
}
