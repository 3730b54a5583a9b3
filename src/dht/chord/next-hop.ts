/**
 * Which way a lookup goes on the ring: over successors where the owner is in sight, else over the shortcut through which
 * it is reached soonest.
 */
import { arcShare, between, inArc, type Key } from '../../core/ids.ts'
import type { Contact } from '../../net/contact.ts'
import { bestWay } from '../proximity.ts'
import type { Member } from './member.ts'

/** The next node on the way to the key's owner, or undefined when this node is where the way ends. Purely local. */
export function nextHop(
  member: Member,
  key: Key,
  avoid: ReadonlySet<Key> | undefined,
  noCache: boolean,
): Contact | undefined {
  const { self, state } = member
  const usable = (contact: Contact) => contact.id !== self.id && avoid?.has(contact.id) !== true
  if (member.owns(key)) return undefined
  // Within the successor list the owner is in sight.
  let before = self.id
  for (const contact of state.succ) {
    if (inArc(before, key, contact.id)) {
      if (usable(contact)) return contact
      continue // it is dead: its arc falls to the next
    }
    before = contact.id
  }
  // So it is among the predecessors.
  const preds = member.preds
  for (let i = 0; i + 1 < preds.length; i++) {
    if (inArc(preds[i + 1]!.id, key, preds[i]!.id) && usable(preds[i]!)) return preds[i]
  }
  const now = member.env.clock.now()
  if (!noCache) {
    const owner = member.cache.ownerOf(key, now)
    if (owner !== undefined && usable(owner)) return owner
  }
  // Else one of those that are known before the key: of the successors the farthest, for the others are small steps.
  const onTheWay = (contact: Contact) => between(self.id, contact.id, key) && usable(contact)
  const known = member.fingers.list().filter(onTheWay)
  const farthest = state.succ.findLast(onTheWay)
  if (farthest !== undefined) known.push(farthest)
  if (!noCache) {
    const cached = member.cache.before(key, now, (c) => onTheWay(c) && member.transport.connected(c.peer))
    if (cached !== undefined) known.push(cached)
  }
  return quickest(member, key, known)
}

/** A request over a new connection takes so many round trips. */
const CONNECT_TRIPS = 2.5

/** Of nodes on the way to a key, the one through which its owner is reached soonest, as far as can be told. */
function quickest(member: Member, key: Key, known: readonly Contact[]): Contact | undefined {
  if (known.length < 2) return known[0]
  const { transport, vicinity, settings } = member
  const size = member.sizeEstimate()
  const leftOf = (to: Contact) => size * arcShare(to.id, key)
  if (!settings.proximity) return bestWay(known, () => undefined, leftOf, 0)
  const usualMs = vicinity.usualMs
  const latencyOf = ({ peer }: Contact) => {
    const ms = vicinity.measuredMs(peer)
    return transport.connected(peer) ? ms : CONNECT_TRIPS * (ms ?? usualMs)
  }
  return bestWay(known, latencyOf, leftOf, usualMs)
}
