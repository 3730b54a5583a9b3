/**
 * Lookups. A question is forwarded from node to node over connections that are open anyway, and the answer comes back
 * the same way; it ends only at a node that confirms that the key lies in (prdc, self]. Whoever waits for a forwarded
 * question probes the next hop when it stays silent, so that a dead hop costs one time-out and not the whole deadline.
 * Each hop tries several ways before it gives up; the asker starts over until its deadline. (DESIGN 6.)
 */
import type { Env } from '../../core/env.ts'
import { ChoraleError, errorCode } from '../../core/errors.ts'
import { arcShare, between, inArc, type Key } from '../../core/ids.ts'
import { MAX_LOOKUP_HOPS } from '../../core/limits.ts'
import type { Contact } from '../../net/contact.ts'
import type { Transport } from '../../net/transport.ts'
import type { LookupOptions, Route } from '../overlay.ts'
import { bestWay } from '../proximity.ts'
import { isAlive, type Member, meansDead } from './member.ts'
import { Lookup, type LookupReply, type LookupRequest, Ping } from './messages.ts'

const DEADLINE_MS = 5000
/** One attempt: a question or an answer that got lost costs no more. */
const ATTEMPT_MS = 2000
const TTL = 64
/** Ways that one node tries for one question. */
const WAYS = 4
/** Round-trip times that a hop may be silent before it is probed, and the bounds of that. */
const PROBE_RTTS = 3
const MIN_PROBE_MS = 100
const MAX_PROBE_MS = 400
/** So long a node holds a question about a key that it expects to own soon. Steps of looking again. */
const HOLD_MS = 1500
const HOLD_STEP_MS = 60
/** Pause before a question is asked again, on average. */
const RETRY_MS = 120
/**
 * An answer that took longer has become old on its way back, and at high churn the owner may be another by now. The
 * asker then asks the owner itself, whom it will talk to next anyway.
 */
const STALE_MS = 150

/** Finds the owner of a key. Rejects with `no-route` at the deadline, or `aborted`. */
export async function lookup(member: Member, key: Key, options: LookupOptions = {}): Promise<Route> {
  const { clock, random } = member.env
  const endsAt = clock.now() + (options.deadlineMs ?? DEADLINE_MS)
  const avoid = new Set<Key>()
  const noCache = options.noCache ?? false
  const group = options.group ?? false
  for (;;) {
    if (options.signal?.aborted) throw new ChoraleError('aborted', 'the lookup was given up')
    const budgetMs = Math.min(ATTEMPT_MS, Math.floor(endsAt - clock.now()))
    if (budgetMs <= 0 || member.phase === 'left') {
      throw new ChoraleError('no-route', `no owner of ${key.slice(0, 8)}… confirmed in time`)
    }
    const request: LookupRequest = { key, ttl: TTL, budgetMs, trail: [], noCache, group }
    const askedAtMs = clock.now()
    let reply = await route(member, request, avoid, undefined, options.signal)
    if (reply.owner !== undefined && clock.now() - askedAtMs > STALE_MS && reply.owner.id !== member.self.id) {
      const left = Math.max(0, Math.floor(endsAt - clock.now()))
      const confirmed = await forward(member, reply.owner, { ...request, budgetMs: left, ttl: 1 }, options.signal)
      reply = confirmed === undefined ? { hops: 0 } : { ...confirmed, hops: reply.hops + 1 }
    }
    if (reply.owner !== undefined) {
      return { owner: reply.owner, replicas: reply.replicas ?? [reply.owner], hops: reply.hops }
    }
    // Not: why there was no way is mostly that somebody near the key has just died, and passes.
    if (!reply.retry) avoid.clear()
    await clock.sleep(RETRY_MS * (0.5 + random.next()), { signal: options.signal })
  }
}

/** Answers a question that somebody forwarded to us. */
export function answerLookup(member: Member, request: LookupRequest): LookupReply | Promise<LookupReply> {
  const mine = confirm(member, request.key, request.group)
  if (mine !== undefined) return mine
  if (member.phase !== 'member') throw new ChoraleError('busy', 'not a member yet')
  if (request.ttl === 0 || request.budgetMs === 0) return { hops: 0 }
  return route(member, request, new Set(request.trail), request.trail)
}

/** The answer of an owner. */
function confirm(member: Member, key: Key, group: boolean): LookupReply | undefined {
  if (!member.owns(key)) return undefined
  const reply: LookupReply = { owner: member.self, hops: 0, at: member.vicinity.at }
  if (member.state.prdc !== undefined) reply.prdc = member.state.prdc
  if (group) reply.replicas = member.replicas(key) as Contact[]
  return reply
}

async function route(
  member: Member,
  request: LookupRequest,
  avoid: Set<Key>,
  trail: readonly Key[] | undefined,
  signal?: AbortSignal | undefined,
): Promise<LookupReply> {
  const { clock } = member.env
  const endsAt = clock.now() + request.budgetMs
  for (let way = 0; way < WAYS; way++) {
    let mine = confirm(member, request.key, request.group)
    if (mine === undefined && expectsToOwn(member, request.key, avoid)) {
      mine = await becomeOwner(member, request, avoid, endsAt, signal)
    }
    if (mine !== undefined) return mine
    const next = nextHop(member, request.key, avoid, request.noCache)
    if (next === undefined) break
    const budgetMs = Math.floor(endsAt - clock.now())
    // Whom we found dead the others need not find dead again.
    const onward = [...new Set([...(trail ?? []), member.self.id, ...avoid])]
    if (budgetMs <= 0 || onward.length > MAX_LOOKUP_HOPS) break
    const reply = await forward(member, next, { ...request, ttl: request.ttl - 1, budgetMs, trail: onward }, signal)
    if (signal?.aborted) break
    if (reply?.owner !== undefined) {
      if (!member.graves.holds(reply.owner, clock.now()) && reply.owner.id !== member.self.id) {
        member.cache.heard(reply.owner, clock.now(), reply.prdc?.id)
      }
      return { ...reply, hops: Math.min(reply.hops + 1, MAX_LOOKUP_HOPS), at: member.vicinity.at }
    }
    if (reply?.retry) return { hops: 0, retry: true }
    // Where the way ended, the asker alone looks for another: if every hop did, the questions would multiply.
    if (reply !== undefined && trail !== undefined) return { hops: 0 }
    avoid.add(next.id)
  }
  return { hops: 0 }
}

/**
 * Will the key be ours as soon as a new predecessor comes forward? Ours has died, or somebody on the way found it dead.
 */
function expectsToOwn(member: Member, key: Key, avoid: ReadonlySet<Key>): boolean {
  const before = member.preds.find((p) => !avoid.has(p.id))
  return before !== undefined && before !== member.state.prdc && inArc(before.id, key, member.self.id)
}

/** Looks whether the predecessor is dead, and holds the question a while until there is another; it would only come back. */
async function becomeOwner(
  member: Member,
  { key, group }: LookupRequest,
  avoid: Set<Key>,
  endsAt: number,
  signal: AbortSignal | undefined,
): Promise<LookupReply | undefined> {
  const { clock } = member.env
  const heldUntil = Math.min(endsAt, clock.now() + HOLD_MS)
  for (;;) {
    const { prdc } = member.state
    if (!expectsToOwn(member, key, avoid)) return undefined
    if (prdc !== undefined && (await isAlive(member, prdc))) avoid.delete(prdc.id)
    else if (clock.now() >= heldUntil) return { hops: 0, retry: true }
    else await clock.sleep(HOLD_STEP_MS, { signal })
    const mine = confirm(member, key, group)
    if (mine !== undefined) return mine
  }
}

/**
 * Asks one hop. Undefined: it is dead (and buried), or cannot answer. While it is silent it is probed, so that we know
 * that it is the way behind it that takes long.
 */
export function forward(
  member: Member,
  hop: Contact,
  request: LookupRequest,
  signal?: AbortSignal | undefined,
): Promise<LookupReply | undefined> {
  const { clock } = member.env
  const { transport, self } = member
  return new Promise((resolve, reject) => {
    let done = false
    let cancelProbe = () => {}
    const settle = (reply: LookupReply | undefined) => {
      if (done) return
      done = true
      cancelProbe()
      resolve(reply)
    }
    const failed = (error: unknown) => {
      if (done) return
      try {
        // Our own patience ending says nothing about the hop: the probes did not find it dead.
        if (meansDead(error) && errorCode(error) !== 'timeout') member.bury(hop)
        settle(undefined)
      } catch (bug) {
        done = true
        cancelProbe()
        reject(bug)
      }
    }
    const rtt = transport.rtt(hop.peer)
    const silenceMs =
      rtt === undefined ? MAX_PROBE_MS : Math.min(Math.max(PROBE_RTTS * rtt, MIN_PROBE_MS), MAX_PROBE_MS)
    const probe = () => {
      transport.request(hop, Ping, {}, { slot: self.slot }).then(
        ({ at }) => {
          member.vicinity.answered(hop.peer, at)
          if (!done) cancelProbe = clock.timer(silenceMs, probe)
        },
        (error: unknown) => {
          if (done || errorCode(error) !== 'timeout') failed(error)
          else {
            member.suspect(hop)
            settle(undefined)
          }
        },
      )
    }
    cancelProbe = clock.timer(silenceMs, probe)
    const options = { slot: self.slot, timeoutMs: request.budgetMs, signal }
    transport.request(hop, Lookup, request, options).then((reply) => {
      if (!done) member.heard(hop)
      member.vicinity.answered(hop.peer, reply.at)
      settle(reply)
    }, failed)
  })
}

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

/** A leaf's lookup: members take the question. */
export async function forwardLookup(
  env: Env,
  transport: Transport,
  members: readonly Contact[],
  key: Key,
  options: LookupOptions = {},
): Promise<Route> {
  const { clock, random } = env
  const endsAt = clock.now() + (options.deadlineMs ?? DEADLINE_MS)
  for (let i = 0; ; i++) {
    const budgetMs = Math.min(ATTEMPT_MS, Math.floor(endsAt - clock.now()))
    const member = members[i % members.length]
    if (budgetMs <= 0 || member === undefined) throw new ChoraleError('no-route', 'no member answers')
    const request: LookupRequest = {
      key,
      ttl: TTL,
      budgetMs,
      trail: [],
      noCache: options.noCache ?? false,
      group: options.group ?? false,
    }
    try {
      const reply = await transport.request(member, Lookup, request, { timeoutMs: budgetMs, signal: options.signal })
      if (reply.owner !== undefined) {
        return { owner: reply.owner, replicas: reply.replicas ?? [reply.owner], hops: reply.hops + 1 }
      }
    } catch (error) {
      if (errorCode(error) === 'aborted') throw error
      meansDead(error) // throws our own bugs; the dead are passed over
    }
    await clock.sleep(RETRY_MS * (0.5 + random.next()), { signal: options.signal })
  }
}
