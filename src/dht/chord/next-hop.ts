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
  // Else one of those that are known before the key.
  const onTheWay = (contact: Contact) => between(self.id, contact.id, key) && usable(contact)
  const known = [...state.succ, ...member.fingers.list()].filter(onTheWay)
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
  const left = (to: Contact) => size * arcShare(to.id, key)
  if (!settings.proximity)
    return bestWay(
      known.map((to) => ({ to, ms: undefined, left: left(to) })),
      0,
    )
  const rtts = known.map(({ peer }) => vicinity.measuredMs(peer))
  const measured = rtts.filter((ms) => ms !== undefined)
  const usualMs = measured.reduce((sum, ms) => sum + ms, 0) / Math.max(1, measured.length)
  const ways = known.map((to, i) => {
    const ms = (rtts[i] ?? usualMs) * (transport.connected(to.peer) ? 1 : CONNECT_TRIPS)
    return { to, ms, left: left(to) }
  })
  return bestWay(ways, usualMs)
}
