/** Which way a lookup goes in a space: over one of those nearer to the key, through which its owner is reached soonest. */
import type { Key } from '../core/ids.ts'
import { bestWay } from '../dht/proximity.ts'
import type { Contact } from '../net/contact.ts'
import type { Member } from './member.ts'
import type { Peer } from './peer.ts'
import { nearer } from './route.ts'

/** A request over a new connection takes so many round trips. */
const CONNECT_TRIPS = 2.5

/** Undefined: nobody that is known and may be used is nearer to the key than this node. */
export function nextHop(
  member: Member,
  key: Key,
  avoid: ReadonlySet<Key> | undefined,
  noCache: boolean,
): Contact | undefined {
  const { transport, vicinity, acquaintances, place } = member
  const { space, dimensions } = member.settings.space
  const target = space.pointOf(key)
  const usable = (id: Key) => avoid?.has(id) !== true && !member.isSuspect(id)
  const peers = member.around.known.filter((peer) => usable(peer.id))
  if (!noCache) {
    const isOpen = ({ id, peer }: Contact) => usable(id) && transport.connected(peer)
    const shortcut = acquaintances.nearestTo(target, member.env.clock.now(), isOpen)
    if (shortcut !== undefined) peers.push(shortcut)
  }
  const onTheWay = peers.filter((peer) => nearer(space, target, peer, place))
  if (onTheWay.length < 2) return onTheWay[0]?.contact
  const rtts = onTheWay.map(({ contact }) => vicinity.measuredMs(contact.peer))
  const measured = rtts.filter((ms) => ms !== undefined)
  const usualMs = measured.reduce((sum, ms) => sum + ms, 0) / Math.max(1, measured.length)
  const density = member.density()
  const ways = onTheWay.map((to: Peer, i) => ({
    to,
    ms: (rtts[i] ?? usualMs) * (transport.connected(to.contact.peer) ? 1 : CONNECT_TRIPS),
    left: density * ballVolume(dimensions, space.distance(target, to.point)),
  }))
  return bestWay(ways, usualMs)?.contact
}

/** Of the Euclidean ball. */
export function ballVolume(dimensions: number, radius: number): number {
  if (dimensions < 2) return dimensions === 0 ? 1 : 2 * radius
  return (ballVolume(dimensions - 2, radius) * 2 * Math.PI * radius * radius) / dimensions
}
