/**
 * The procedures that keep the ring: join, stabilize, rectify, young gossip, and closing up with rings that were parted.
 * The rules they apply are in `ring.ts`; shortcuts are in `shortcuts.ts`. (Zave 2017; DESIGN 6.)
 */
import { between, type Key } from '../../core/ids.ts'
import { type Contact, sameNode } from '../../net/contact.ts'
import type { ReplyOf } from '../../net/message.ts'
import { askTwice, isAlive, meansDead } from '../asking.ts'
import { foundAgain } from '../entry.ts'
import type { Member } from './member.ts'
import { Exchange, Hint, Join, Leave, Lookup, Stabilize } from './messages.ts'
import {
  adopted,
  founded,
  joined,
  knowsAll,
  matured,
  met,
  predecessorAnswered,
  type RingState,
  rectification,
  ripe,
  successorAnswered,
} from './ring.ts'

// ---------------------------------------------------------------------------------------------------------------------
// Joining and leaving

/** One try to enter through a seed. False: not now (the place is in flux, the seed is busy); try again. */
export async function joinThrough(member: Member, seed: Contact, signal?: AbortSignal): Promise<boolean> {
  const { transport, self } = member
  const options = { slot: self.slot, signal }
  const found = await transport.request(
    seed,
    Lookup,
    { key: self.id, ttl: 64, budgetMs: 5000, trail: [], noCache: false, group: false },
    { ...options, timeoutMs: 5000 },
  )
  // No owner: a young member may have taken us in though its answer was lost; the ring then asks us where we belong.
  const owner = found.owner ?? seed
  // Our place is between the owner's predecessor and the owner; where the owner is alone, or young, it is the same.
  let place = found.prdc ?? owner
  if (place.id === self.id) place = owner
  for (let step = 0; step < 8; step++) {
    let answer: ReplyOf<typeof Join>
    try {
      answer = await transport.request(place, Join, {}, options)
    } catch (error) {
      if (!meansDead(error)) return false
      if (place === owner) return false
      place = owner // its predecessor has died; the owner cannot be the place, but may know a better one by now
      continue
    }
    if (answer.view === undefined) return false
    const theirs = answer.view as RingState<Contact>
    if (member.phase !== 'joining') return false // stopped meanwhile
    const state = joined(self, place, theirs, member.settings.successors)
    if (state !== undefined) {
      member.heard(place)
      member.phase = 'member'
      member.apply(state)
      member.fingers.adopt(answer.fingers ?? [])
      return true
    }
    // Walk: forward along successors, or back when we were sent past our place.
    const head = theirs.succ[0]
    if (head === undefined) return false
    place = between(place.id, head.id, self.id) ? head : (theirs.prdc ?? head)
    if (place.id === self.id) return false
  }
  return false
}

/** Founds a ring of one. */
export function found(member: Member): void {
  member.phase = 'member'
  member.apply(founded())
}

/** Tells the neighbours, so that they close up at once instead of finding out. */
export async function leave(member: Member, timeoutMs: number): Promise<void> {
  const { state, preds, transport, self } = member
  member.phase = 'left'
  const told = new Map<Key, Contact>()
  for (const contact of [...state.succ, ...preds]) told.set(contact.id, contact)
  const message = { succ: state.succ as Contact[], ...(state.prdc !== undefined && { prdc: state.prdc }) }
  await Promise.allSettled(
    [...told.values()].map((contact) => transport.request(contact, Leave, message, { slot: self.slot, timeoutMs })),
  )
}

// ---------------------------------------------------------------------------------------------------------------------
// Ring mode

type Asked = RingState<Contact> | 'busy' | 'dead'

/** Zave's state query, which also tells the other that we take it for our successor. Buries the dead. */
async function ask(member: Member, contact: Contact): Promise<Asked> {
  const { transport, self, settings, vicinity } = member
  const preds = member.state.prdc === undefined ? [] : member.preds.slice(0, settings.replicas - 1)
  const question = async () => {
    const answer = await transport.request(contact, Stabilize, { preds, at: vicinity.at }, { slot: self.slot })
    vicinity.answered(contact.peer, answer.at)
    return answer
  }
  const reply = await askTwice(member, contact, question)
  if (reply === 'dead') return 'dead'
  return reply === 'alive' || reply.view === undefined ? 'busy' : (reply.view as RingState<Contact>)
}

/**
 * StabilizeFromSuccessor, and StabilizeFromPredecessor where it applies. False: somebody was busy; try again soon. While
 * it runs this node answers `busy` itself (Zave's model has atomic steps; PAPERS 1).
 */
export async function stabilize(member: Member): Promise<boolean> {
  const { self } = member
  const r = member.settings.successors
  member.operating = true
  try {
    for (;;) {
      const head = member.state.succ[0]
      if (head === undefined) return true
      const answer = await ask(member, head)
      if (answer === 'busy') return false
      // Buried, or it said meanwhile that it leaves: the list has shifted, and its answer is no news.
      if (answer === 'dead' || member.state.succ[0] !== head) continue
      const { state, candidate } = successorAnswered(self, member.state, head, answer, r)
      member.apply(state)
      if (candidate === undefined || state.mode === 'young') return true
      return await fromPredecessor(member, candidate)
    }
  } finally {
    member.operating = false
  }
}

/** StabilizeFromPredecessor. The one that it passes over is told to its new successor, which may not know it yet. */
async function fromPredecessor(member: Member, x: Contact): Promise<boolean> {
  const now = member.env.clock.now()
  if (member.graves.holds(x, now, member.settings.periodMs)) return true
  const answer = await ask(member, x)
  if (answer === 'busy') return false
  if (answer === 'dead') return true
  const before = member.state
  if (before.mode === 'young') member.meet([x])
  else member.apply(predecessorAnswered(member.self, before, x, answer, member.settings.successors))
  const passed = before.succ[0]
  if (passed !== undefined && member.state.succ[0] === x && !answer.succ.some((entry) => entry.id === passed.id)) {
    hint(member, x, passed, false)
  }
  return true
}

function hint(member: Member, to: Contact, contact: Contact, elsewhere: boolean): void {
  member.transport.request(to, Hint, { contact, elsewhere }, { slot: member.self.slot }).catch((error: unknown) => {
    if (meansDead(error)) member.env.log.debug('hint not taken', { to: to.peer })
  })
}

/** A live node that may lie between us and our successor. */
export async function consider(member: Member, contact: Contact): Promise<void> {
  const { self, state } = member
  if (member.phase !== 'member' || contact.id === self.id) return
  if (state.mode === 'young') {
    if (!state.succ.some((entry) => sameNode(entry, contact))) await exchange(member, contact)
    return
  }
  const head = state.succ[0]
  if (member.operating || (head !== undefined && !between(self.id, contact.id, head.id))) return
  member.operating = true
  try {
    await fromPredecessor(member, contact)
  } finally {
    member.operating = false
  }
}

/** Rectify: p takes us for its successor. */
export function rectify(member: Member, p: Contact): void {
  if (member.state.mode === 'young') {
    member.meet([p])
    return
  }
  const verdict = rectification(member.self, member.state, p)
  if (verdict === 'adopt') member.apply(adopted(member.state, p))
  else if (verdict === 'check')
    void checkPredecessor(member, 0).then(() => {
      if (rectification(member.self, member.state, p) === 'adopt') member.apply(adopted(member.state, p))
    })
}

/**
 * Pings the predecessor unless it was heard from within `silentMs`; drops it when it is dead, because an arc whose
 * predecessor is dead has nobody who may confirm lookups.
 */
export async function checkPredecessor(member: Member, silentMs: number): Promise<void> {
  const { prdc, mode } = member.state
  if (prdc === undefined || mode === 'young') return
  if (member.env.clock.now() - member.prdcHeardAtMs < silentMs) return
  await isAlive(member, prdc)
}

// ---------------------------------------------------------------------------------------------------------------------
// Young mode

/**
 * Unites views with every member in turn. A round in which everybody knew all of our view, and we know r + 2 members or
 * more, makes us mature. (`ring.ts`; a member that is in ring mode already counts as knowing.)
 */
export async function gossip(member: Member): Promise<void> {
  const r = member.settings.successors
  let allKnow = true
  let next = 0
  // A view that changes starts the round anew; what does not settle in a few turns goes on in the next round.
  for (let left = 3 * member.state.succ.length + 3; left > 0; left--) {
    const before = member.state
    const contact = before.succ[next]
    if (before.mode !== 'young' || contact === undefined || member.phase !== 'member') return
    const knew = await exchange(member, contact)
    if (member.state !== before) {
      next = 0
      allKnow = true
      continue
    }
    // Who still does not know all knows somebody to be dead whom we list: we find out when we get there.
    if (!knew) allKnow = false
    next++
    if (allKnow && next === before.succ.length && ripe(before, r)) member.apply(matured(before, r))
  }
}

/** Does the other know all of our view now? */
async function exchange(member: Member, contact: Contact): Promise<boolean> {
  const { transport, self } = member
  const succ = member.state.succ as Contact[]
  const ask = () => transport.request(contact, Exchange, { succ }, { slot: self.slot })
  const reply = await askTwice(member, contact, ask)
  if (reply === 'dead' || reply === 'alive' || member.state.mode !== 'young') return false
  const theirs = reply.view as RingState<Contact>
  // What a ring member lists is news as long as we know too few to mature; then the ring goes on growing without us.
  const enough = theirs.mode === 'ring' && ripe(member.state, member.settings.successors)
  member.meet(enough ? [contact] : [contact, ...theirs.succ, theirs.prdc])
  return theirs.mode === 'ring' || knowsAll(member.state, contact, theirs)
}

/** Answers an exchange. */
export function answerExchange(member: Member, from: Contact, succ: readonly Contact[]): void {
  member.heard(from)
  if (member.state.mode === 'young') member.meet([from, ...succ])
  else if (rectification(member.self, member.state, from) === 'adopt') member.apply(adopted(member.state, from))
}

// ---------------------------------------------------------------------------------------------------------------------
// Parted rings

/** Looks whether somebody who was lost once is back, and meets it. */
export async function seekLost(member: Member, seeds: readonly Contact[]): Promise<void> {
  const lost = await foundAgain(member, seeds)
  if (lost !== undefined) await seek(member, lost, true)
}

/** The same through a shortcut: where many died at once, it may be all that two parts of a ring know of each other. */
export async function seekThroughShortcut(member: Member): Promise<void> {
  const shortcuts = member.fingers.list()
  const shortcut = shortcuts[member.env.random.int(shortcuts.length)] ?? member.cache.any()
  if (shortcut !== undefined) await seek(member, shortcut, false)
}

/**
 * Asks a node who comes after us in *its* ring. In one whole ring that is our successor. If it is news, the rings are
 * closing up, and with `spread` our fingers are told to do the same through the node that we found: so the news crosses
 * the ring in logarithmic time (after Shafaat, Ghodsi and Haridi 2009) and dies out where it is none.
 */
export async function seek(member: Member, through: Contact, spread: boolean): Promise<void> {
  const { self, transport, state } = member
  if (state.succ.some((entry) => entry.id === through.id) || member.seeking) return
  member.seeking = true
  try {
    const key = member.fingers.target(0)
    const request = { key, ttl: 64, budgetMs: 3000, trail: [self.id], noCache: true, group: false }
    const { owner } = await transport.request(through, Lookup, request, { slot: self.slot, timeoutMs: 3000 })
    if (member.state.mode === 'young') await consider(member, through)
    if (owner === undefined) return
    await consider(member, owner)
    if (!spread || member.state.succ[0] !== owner || state.succ[0] === owner) return
    for (const finger of member.fingers.list()) hint(member, finger, owner, true)
  } catch (error) {
    if (meansDead(error)) member.env.log.debug('could not seek', { through: through.peer })
  } finally {
    member.seeking = false
  }
}

/**
 * All successors are gone, more than the rules assume. The node starts over as a young one, among whoever it still
 * knows: their views bring it back to its place. When none of them answers, it goes on alone, as a restart would; should
 * they only be cut off, the two rings meet as those of a partition do. False: it is alone.
 */
export async function startOver(member: Member, seeds: readonly Contact[]): Promise<boolean> {
  const { state, preds, fingers, cache, graves } = member
  const known = [state.prdc, ...preds, ...fingers.list(), cache.any(), graves.anyLost(), ...seeds]
  member.phase = 'joining'
  for (const contact of known) {
    if (contact === undefined || contact.id === member.self.id || !(await isAlive(member, contact))) continue
    if (member.phase !== 'joining') return false // stopped meanwhile
    member.apply(met(member.self, founded(), [contact]))
    break
  }
  if (member.phase !== 'joining') return false
  if (member.state.succ.length === 0) member.apply(founded())
  member.phase = 'member'
  return member.state.succ.length > 0
}
