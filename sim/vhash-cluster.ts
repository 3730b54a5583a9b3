/** A cluster of real VHash nodes. */
import type { Key } from '../src/core/ids.ts'
import { VHashHost, type VHashHostOptions } from '../src/vhash/host.ts'
import type { VHashNode } from '../src/vhash/node.ts'
import type { Peer } from '../src/vhash/peer.ts'
import { shortPeers } from '../src/vhash/peers.ts'
import { closest, nearest } from '../src/vhash/route.ts'
import type { SimHost } from './network.ts'
import { type ClusterNode, OverlayCluster, type OverlayClusterOptions } from './overlay-cluster.ts'

export interface VHashClusterOptions extends OverlayClusterOptions {
  readonly settings: VHashHostOptions['settings']
}

/** As many of the nearest are certain to hold all neighbours of a node at the start, and quick to choose from. */
const START_CANDIDATES = 400

export class VHashCluster extends OverlayCluster<VHashNode> {
  readonly #options: VHashClusterOptions

  constructor(options: VHashClusterOptions) {
    super(options)
    this.#options = options
  }

  get named() {
    return this.#options.settings.space
  }

  protected override build(host: SimHost): ClusterNode<VHashNode> {
    const { slots, settings } = this.#options
    return { host, overlay: new VHashHost({ env: host.env, transport: host, slots, settings }) }
  }

  places(): Peer[] {
    return this.sorted().map(({ member }) => member.place)
  }

  /** The nearest live member. */
  override ownerOf(key: Key): VHashNode {
    return this.nearestTo(key, 1)[0]!
  }

  /** The true replica group of a key, owner first. */
  nearestTo(key: Key, count: number): VHashNode[] {
    const { space } = this.named
    const target = space.pointOf(key)
    const owners = this.sorted().map((node) => ({ id: node.self.id, point: node.member.place.point, node }))
    if (count === 1) return [closest(space, target, owners)!.node]
    return nearest(space, target, owners, count).map(({ node }) => node)
  }

  override start(size: number): void {
    for (let i = 0; i < size; i++) this.admit(this.spawn())
    const places = this.places()
    const short = new Map(places.map((place) => [place.id, this.neighboursAmong(place, places)]))
    const tell = ({ id, contact }: Peer) => ({ contact, short: short.get(id)!.map((peer) => peer.contact) })
    for (const node of this.sorted()) node.stand(short.get(node.self.id)!.map(tell))
  }

  /** The true short peers of a node. */
  neighboursAmong(place: Peer, places: readonly Peer[]): readonly Peer[] {
    const { space } = this.named
    const others = places.filter(({ id }) => id !== place.id)
    const near = others.length > START_CANDIDATES ? nearest(space, place.point, others, START_CANDIDATES) : others
    return shortPeers(this.named, place, near, 'exact').peers
  }
}
