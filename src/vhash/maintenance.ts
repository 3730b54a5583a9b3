/**
 * The procedures that keep the neighbourhoods of VHash: joining, gossip, watching over neighbours, and meeting those who
 * were lost (Benshoof, Rosen et al. 2014-15; the closure of a join as in Lee and Lam 2008, whose nodes ask every new
 * neighbour for the neighbours that both have in common until nobody new is named).
 */
import { MAX_CONNECTIONS } from '../core/limits.ts'
import { answersPing, askTwice, isAlive, meansDead } from '../dht/asking.ts'
import { foundAgain } from '../dht/entry.ts'
import type { Contact } from '../net/contact.ts'
import type { Member } from './member.ts'
import { Gossip, Leave, Lookup } from './messages.ts'

/** Nodes that a joiner asks, and how long it does: liars could name new ones for ever. A member goes on asking, slowly. */
const MAX_ASKED = 512
const MOST_SETTLING_MS = 10_000
/** Connections that are kept open: in five dimensions more are known than a host may have. */
const MOST_OPEN = Math.floor(MAX_CONNECTIONS * 0.75)
/** Who has no time for a joiner is asked so many times, so far apart. */
const BUSY_TRIES = 3
const BUSY_PAUSE_MS = 200

/** Tells a node our view and hears its own. False: it is dead, or too busy. */
export async function exchange(member: Member, contact: Contact, sample = false): Promise<boolean> {
  const { transport, self } = member
  const question = async () => {
    const answer = await transport.request(contact, Gossip, member.view(sample), { slot: self.slot })
    member.vicinity.answered(contact.peer, answer.at)
    return answer
  }
  const reply = await askTwice(member, contact, question)
  if (reply === 'dead' || reply === 'alive' || member.phase === 'left') return false
  if (member.graves.left(contact)) return false // its leave has overtaken its answer
  member.hear([{ contact, short: reply.short }], { more: reply.long })
  return true
}

/** One try to enter through a seed. False: not now; try again. */
export async function joinThrough(member: Member, seed: Contact, signal?: AbortSignal): Promise<boolean> {
  const { transport, self } = member
  const request = { key: self.id, ttl: 64, budgetMs: 3000, trail: [], noCache: false, group: false }
  const found = await transport.request(seed, Lookup, request, { slot: self.slot, timeoutMs: 3000, signal })
  // No owner, or ourselves: others know of an earlier try whose answer was lost. The way from the seed is only longer.
  const first = found.owner === undefined || found.owner.id === self.id ? seed : found.owner
  return await settleBeside(member, [first, seed])
}

/** Founds a network of one. */
export function found(member: Member): void {
  member.phase = 'member'
}

/**
 * Asks all neighbours, and all who would be, for theirs, until nobody new is named. From then on everybody whose keys become
 * ours knows us, and sends on to us whoever asks for them. Who has no time is asked again: it would go on owning them.
 */
async function settleBeside(member: Member, start: readonly Contact[]): Promise<boolean> {
  const { around, env } = member
  const giveUpAtMs = env.clock.now() + MOST_SETTLING_MS
  const tries = new Map<string, number>()
  const ask = async (contact: Contact) => {
    const isDone = await exchange(member, contact)
    if (isDone) member.placed = true
    tries.set(nameOf(contact), isDone ? BUSY_TRIES : triesOf(contact) + 1)
  }
  const triesOf = (contact: Contact) => tries.get(nameOf(contact)) ?? 0
  member.meet(start)
  while (tries.size < MAX_ASKED && member.phase === 'joining' && env.clock.now() < giveUpAtMs) {
    const all = [...around.short.map(({ contact }) => contact), ...around.prospects]
    const open = all.filter((contact) => triesOf(contact) < BUSY_TRIES)
    const unasked = open.filter((contact) => triesOf(contact) === 0)
    if (open.length === 0) break
    if (unasked.length === 0) await env.clock.sleep(BUSY_PAUSE_MS)
    await Promise.all((unasked.length > 0 ? unasked : open).map(ask))
  }
  if (member.phase !== 'joining' || !member.placed || around.short.length === 0) return false
  member.phase = 'member'
  return true
}

/** Of a start of a host at a place. */
export function nameOf({ id, incarnation, peer }: Contact): string {
  return `${id} ${incarnation} ${peer}`
}

/** Tells the neighbours, so that they close up at once instead of finding out. */
export async function leave(member: Member, timeoutMs: number): Promise<void> {
  const { transport, self, around } = member
  member.phase = 'left'
  const { short } = member.view(false)
  await Promise.allSettled(
    around.near.map(({ contact }) => transport.request(contact, Leave, { short }, { slot: self.slot, timeoutMs })),
  )
}

/** Asks a short peer whether it lives; a dead one is buried. */
export async function watch(member: Member, contact: Contact): Promise<void> {
  await isAlive(member, contact)
}

/** Lookups go over open connections to short peers and the nearest long ones: opens one that is missing. */
export function openConnection(member: Member): void {
  const { transport, around } = member
  const nearest = around.known.slice(0, MOST_OPEN)
  const missing = nearest.find(({ contact: { peer } }) => peer !== transport.peer && !transport.connected(peer))
  if (missing !== undefined) void isAlive(member, missing.contact)
}

/** Looks whether somebody who was lost once is back, and meets it. */
export async function seekLost(member: Member, seeds: readonly Contact[]): Promise<void> {
  const lost = await foundAgain(member, seeds)
  if (lost !== undefined) await seek(member, lost)
}

/** The same through somebody known: where many died at once, it may be all that two parts know of each other. */
export async function seekThroughShortcut(member: Member): Promise<void> {
  const shortcut = member.acquaintances.any()
  if (shortcut !== undefined) await seek(member, shortcut)
}

/**
 * Asks a node who is nearest to us in *its* overlay. In one whole overlay that is ourselves. If it is somebody else, that
 * node and we are neighbours who do not know each other: from there on gossip closes up the rest.
 */
export async function seek(member: Member, through: Contact): Promise<void> {
  const { self, transport } = member
  if (member.seeking || member.phase !== 'member') return
  member.seeking = true
  try {
    const request = { key: self.id, ttl: 64, budgetMs: 3000, trail: [], noCache: true, group: false }
    const { owner } = await transport.request(through, Lookup, request, { slot: self.slot, timeoutMs: 3000 })
    if (owner !== undefined && owner.id !== self.id) await exchange(member, owner)
  } catch (error) {
    if (meansDead(error)) member.env.log.debug('could not seek', { through: through.peer })
  } finally {
    member.seeking = false
  }
}

/**
 * Everybody around has died. The node looks for its place again, through whoever it still knows; when none of them
 * answers, it goes on alone, and meets the others later if it was only cut off.
 */
export async function startOver(member: Member, seeds: readonly Contact[]): Promise<void> {
  const { acquaintances, graves, self } = member
  member.deserted = false
  member.phase = 'joining'
  member.placed = false
  const known = [acquaintances.any(), acquaintances.any(), graves.anyLost(), ...seeds]
  const others = new Map(known.flatMap((contact) => (contact && contact.id !== self.id ? [[contact.id, contact]] : [])))
  const answers = await Promise.all([...others.values()].map((contact) => answersPing(member, contact)))
  const alive = [...others.values()].filter((_, i) => answers[i])
  const hopes = alive.length + member.around.prospects.length
  if (hopes > 0 && member.phase === 'joining') await settleBeside(member, alive)
  if (member.phase === 'joining') found(member)
}
