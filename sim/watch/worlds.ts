/** Clusters of each overlay as a recorder sees them. */
import type { Key } from '../../src/core/ids.ts'
import type { ChordNode } from '../../src/dht/chord/node.ts'
import type { Contact } from '../../src/net/contact.ts'
import type { VHashNode } from '../../src/vhash/node.ts'
import type { Cluster } from '../cluster.ts'
import type { SimNetwork } from '../network.ts'
import type { VHashCluster } from '../vhash-cluster.ts'
import type { World } from './recorder.ts'

/** A cluster of hosts, each with overlay nodes `N`. */
interface Watched<N> {
  readonly network: SimNetwork
  sorted(): readonly N[]
  onMember(tell: (host: { overlay: { nodes: readonly N[] } }, isMember: boolean) => void): void
}

/** What differs from overlay to overlay. */
interface Drawing<N> extends Pick<World, 'shape' | 'dimensions' | 'pointOf'> {
  short(node: N): readonly Contact[]
  long(node: N): readonly Contact[]
}

function worldOf<N extends { readonly self: Contact }>(cluster: Watched<N>, drawing: Drawing<N>): World {
  const { shape, dimensions, pointOf, short, long } = drawing
  const nodes = new Map<Key, N>(cluster.sorted().map((node) => [node.self.id, node]))
  const ids = (contacts: readonly Contact[]) => contacts.map(({ id }) => id)
  return {
    shape,
    dimensions,
    pointOf,
    network: cluster.network,
    members: () => nodes.keys(),
    follow: (joined, died) => {
      cluster.onMember(({ overlay }, isMember) => {
        for (const node of overlay.nodes) {
          if (isMember) nodes.set(node.self.id, node)
          else nodes.delete(node.self.id)
          ;(isMember ? joined : died)(node.self.id)
        }
      })
    },
    linksOf: (id) => {
      const node = nodes.get(id)
      return node && { short: ids(short(node)), long: ids(long(node)) }
    },
    // Every overlay has a message of this kind.
    keyOf: (kind, message) => (kind.endsWith('.lookup') ? (message as { key: Key }).key : undefined),
  }
}

/** Successors that are drawn: the others lie beside them. */
const SUCCESSORS = 3

export function ringWorld(cluster: Cluster): World {
  return worldOf<ChordNode>(cluster, {
    shape: 'ring',
    dimensions: 1,
    pointOf: (key) => [Number.parseInt(key.slice(0, 13), 16) / 2 ** 52],
    short: ({ member }) => member.state.succ.slice(0, SUCCESSORS),
    long: ({ member }) => member.fingers.list(),
  })
}

export function vhashWorld(cluster: VHashCluster): World {
  const { name, dimensions, space } = cluster.named
  return worldOf<VHashNode>(cluster, {
    shape: name.startsWith('torus') ? 'torus' : 'cube',
    dimensions,
    pointOf: (key) => space.pointOf(key).slice(0, 2),
    short: ({ member }) => member.around.short.map(({ contact }) => contact),
    long: ({ member }) => member.around.known.slice(member.around.near.length).map(({ contact }) => contact),
  })
}
