/** A cluster of Chord nodes as a recorder sees it. */
import type { Key } from '../../src/core/ids.ts'
import { Lookup, type LookupRequest } from '../../src/dht/chord/messages.ts'
import type { ChordNode } from '../../src/dht/chord/node.ts'
import type { Cluster } from '../cluster.ts'
import type { World } from './recorder.ts'

/** Successors that are drawn: the others lie beside them. */
const SUCCESSORS = 3

export function ringWorld(cluster: Cluster): World {
  const nodes = new Map<Key, ChordNode>(cluster.sorted().map((chord) => [chord.self.id, chord]))
  return {
    shape: 'ring',
    network: cluster.network,
    members: () => nodes.keys(),
    follow: (joined, died) => {
      cluster.events.on('joined', ({ overlay }) => {
        for (const chord of overlay.nodes) {
          nodes.set(chord.self.id, chord)
          joined(chord.self.id)
        }
      })
      cluster.events.on('died', ({ overlay }) => {
        for (const { self } of overlay.nodes) {
          nodes.delete(self.id)
          died(self.id)
        }
      })
    },
    pointOf: (key) => [Number.parseInt(key.slice(0, 13), 16) / 2 ** 52],
    linksOf: (id) => {
      const member = nodes.get(id)?.member
      if (member === undefined) return undefined
      return {
        short: member.state.succ.slice(0, SUCCESSORS).map((contact) => contact.id),
        long: member.fingers.list().map((contact) => contact.id),
      }
    },
    keyOf: (kind, message) => (kind === Lookup.name ? (message as LookupRequest).key : undefined),
  }
}
