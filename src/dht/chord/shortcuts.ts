/**
 * Shortcuts: fingers that are kept fresh, connected, and as near as their arcs allow. Any node in a finger's arc is right
 * (`fingers.ts`), so a node asks its finger whom *it* knows there that is near, and takes the one that predictions praise
 * most once a round trip of its own has borne them out. (PNS; after Dabek et al., NSDI 2004, who sample successors.)
 */
import type { Key } from '../../core/ids.ts'
import { MAX_NEAR_CONTACTS } from '../../core/limits.ts'
import { type Contact, sameNode } from '../../net/contact.ts'
import { isAlive, meansDead } from '../asking.ts'
import { predictedMs, understood } from '../coordinates.ts'
import { answerLookup, forward } from '../lookups.ts'
import type { LookupRequest, Near } from '../messages.ts'
import { nearest, nearestFew } from '../proximity.ts'
import type { Member } from './member.ts'

/** Refreshes one finger: asks the node that holds the place for a nearer one. */
export async function refreshFinger(member: Member): Promise<void> {
  const { fingers, state, settings, vicinity } = member
  const last = state.succ[state.succ.length - 1]
  if (last === undefined || state.mode === 'young') return
  const exponent = fingers.nextExponent(last.id)
  const target = fingers.target(exponent)
  const held = fingers.at(exponent)
  const request = { key: target, ttl: 64, budgetMs: 3000, trail: [member.self.id], noCache: true, group: false }
  if (settings.proximity && held !== undefined && fingers.fits(exponent, held.id)) {
    const near = { from: target, to: fingers.end(exponent), at: vicinity.at }
    const reply = await forward(member, held, { ...request, key: held.id, ttl: 0, near })
    if (reply !== undefined) await takeNearer(member, exponent, held, reply.near ?? [])
    // One that did not answer is dead, and was dropped, or it is busy: then it stays.
    if (fingers.at(exponent) !== undefined) return
  }
  // Mostly the node that held the place is the owner still.
  let owner = held && (await forward(member, held, { ...request, ttl: 8 }))?.owner
  if (owner === undefined) {
    const answer = await Promise.try(() => answerLookup(member, { ...request, trail: [] })).catch((error: unknown) => {
      meansDead(error) // throws our own bugs
      return undefined
    })
    owner = answer?.owner
  }
  if (owner !== undefined && owner.id !== member.self.id) fingers.set(exponent, owner)
}

/** Puts the nearest of those that are known in a finger's arc in its place, if it is nearer when measured too. */
async function takeNearer(member: Member, exponent: number, held: Contact, theirs: readonly Near[]): Promise<void> {
  const { fingers, vicinity, graves, env } = member
  const now = env.clock.now()
  const mine = knownWithin(member, fingers.target(exponent), fingers.end(exponent))
  const others = [...mine, ...theirs].filter(([contact]) => {
    return fingers.fits(exponent, contact.id) && !sameNode(contact, held) && !graves.holds(contact, now)
  })
  const heldMs = vicinity.measuredMs(held.peer)
  const expectedMs = ([{ peer }, at]: Near) => vicinity.measuredMs(peer) ?? vicinity.predictedMs(at)
  const [chosen] = nearest(others, expectedMs, heldMs) ?? []
  if (chosen === undefined || !(await isAlive(member, chosen))) return
  if (fingers.at(exponent) !== held) return // it died meanwhile
  const borneOut = nearest([chosen], ({ peer }) => vicinity.measuredMs(peer), vicinity.measuredMs(held.peer))
  if (borneOut !== undefined) fingers.set(exponent, borneOut)
}

/** Members in [from, to) that told us their coordinates. */
function knownWithin(member: Member, from: Key, to: Key): Near[] {
  const { cache, vicinity, self, env } = member
  return cache.within(from, to, env.clock.now()).flatMap((contact): Near[] => {
    const at = contact.id === self.id ? undefined : vicinity.coordinateOf(contact.peer)
    return at === undefined ? [] : [[contact, at]]
  })
}

/** Answers who is near a coordinate. */
export function tellNear(member: Member, { from, to, at }: NonNullable<LookupRequest['near']>): Near[] {
  const asker = understood(at)
  const known = knownWithin(member, from, to)
  return nearestFew(known, ([, there]) => predictedMs(asker, understood(there)), MAX_NEAR_CONTACTS)
}

/** Of the successors, so many are kept connected: lookups seldom end at later ones. */
const CONNECTED_SUCCESSORS = 4

/** Lookups go over open connections to short and long peers: opens one of each that is missing. */
export function openConnections(member: Member): void {
  const { state, fingers } = member
  openOne(member, state.succ, CONNECTED_SUCCESSORS)
  openOne(member, fingers.list(), Number.POSITIVE_INFINITY)
}

function openOne(member: Member, contacts: readonly Contact[], most: number): void {
  for (let i = 0; i < contacts.length && i < most; i++) {
    const contact = contacts[i]!
    if (member.transport.connected(contact.peer)) continue
    void isAlive(member, contact)
    return
  }
}
