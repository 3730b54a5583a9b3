/** Which way a lookup goes in a space: over one of those nearer to the key, through which its owner is reached soonest. */
import type { Key } from '../core/ids.ts'
import { bestWay } from '../dht/proximity.ts'
import type { Contact } from '../net/contact.ts'
import type { Member } from './member.ts'
import type { Peer } from './peer.ts'
import { nearer } from './route.ts'

/** A request over a new connection takes so many round trips. */
const CONNECT_TRIPS = 2.5

/** Undefined: nobody that is known and not to be avoided is nearer to the key than this node. */
export function nextHop(
  member: Member,
  key: Key,
  avoid: ReadonlySet<Key> | undefined,
  noCache: boolean,
): Contact | undefined {
  const { transport, vicinity, acquaintances, place } = member
  const { space, dimensions } = member.settings.space
  const target = space.pointOf(key)
  const mayBe = (id: Key) => avoid?.has(id) !== true
  const usable = (id: Key) => mayBe(id) && !member.isSuspect(id)
  const peers = member.around.known.filter((peer) => usable(peer.id))
  if (!noCache) {
    const isOpen = ({ id, peer }: Contact) => usable(id) && transport.connected(peer)
    const shortcut = acquaintances.nearestTo(target, member.env.clock.now(), isOpen)
    if (shortcut !== undefined) peers.push(shortcut)
  }
  const isOnTheWay = (peer: Peer) => nearer(space, target, peer, place)
  const onTheWay = peers.filter(isOnTheWay)
  // One who is late may live: as long as it is not known to be dead, the key is not ours.
  if (onTheWay.length === 0) return member.around.known.find((peer) => mayBe(peer.id) && isOnTheWay(peer))?.contact
  if (onTheWay.length === 1) return onTheWay[0]!.contact
  const { usualMs } = vicinity
  const latencyOf = ({ contact: { peer } }: Peer) => {
    const ms = vicinity.measuredMs(peer)
    return transport.connected(peer) ? ms : CONNECT_TRIPS * (ms ?? usualMs)
  }
  const density = member.density()
  const leftOf = ({ point }: Peer) => density * ballVolume(dimensions, space.distance(target, point))
  return bestWay(onTheWay, latencyOf, leftOf, usualMs)?.contact
}

/** Of the Euclidean ball. */
export function ballVolume(dimensions: number, radius: number): number {
  if (dimensions < 2) return dimensions === 0 ? 1 : 2 * radius
  return (ballVolume(dimensions - 2, radius) * 2 * Math.PI * radius * radius) / dimensions
}
