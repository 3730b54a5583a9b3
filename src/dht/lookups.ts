/**
 * Lookups. A question is forwarded from node to node over connections that are open anyway, and the answer comes back
 * the same way; it ends only at a node that confirms that it owns the key. Whoever waits for a forwarded
 * question probes the next hop when it stays silent, so that a dead hop costs one time-out and not the whole deadline.
 * Each hop tries several ways before it gives up; the asker starts over until its deadline. (DESIGN 6.) Which way, and
 * what is whose, the overlay says: `Router`.
 */
import type { Env } from '../core/env.ts'
import { ChoraleError, errorCode } from '../core/errors.ts'
import type { Key } from '../core/ids.ts'
import { MAX_LOOKUP_HOPS } from '../core/limits.ts'
import type { Contact } from '../net/contact.ts'
import type { Transport } from '../net/transport.ts'
import { type Asker, isAlive, meansDead, type Phase, sendPing } from './asking.ts'
import type { LookupKind, LookupReply, LookupRequest } from './messages.ts'
import type { LookupOptions, Route } from './overlay.ts'

/** One overlay node, as far as lookups go through it. */
export interface Router extends Asker {
  readonly phase: Phase
  readonly lookupKind: LookupKind
  /** The answer of an owner; undefined: the key is not this node's. */
  confirm(key: Key, group: boolean): LookupReply | undefined
  /** The next node on the way to the key's owner; undefined when this node is where the way ends. Purely local. */
  nextHop(key: Key, avoid: ReadonlySet<Key>, noCache: boolean): Contact | undefined
  /**
   * Will the key be this node's as soon as a neighbour is found dead, of whom we or somebody on the way think so? That
   * neighbour; `soon` when that is known already, and this node is about to own the key; else undefined.
   */
  rival(key: Key, avoid: ReadonlySet<Key>): Contact | 'soon' | undefined
  /** Somebody has confirmed a lookup. */
  learn(owner: Contact, reply: LookupReply): void
  /** It was silent once: no shortcut any more. */
  suspect(contact: Contact): void
}

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
export async function lookup(member: Router, key: Key, options: LookupOptions = {}): Promise<Route> {
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
export function answerLookup(member: Router, request: LookupRequest): LookupReply | Promise<LookupReply> {
  const mine = member.confirm(request.key, request.group)
  if (mine !== undefined) return mine
  const avoid = new Set(request.trail)
  if (member.phase !== 'member' && member.rival(request.key, avoid) !== 'soon')
    throw new ChoraleError('busy', 'not a member yet')
  if (request.ttl === 0 || request.budgetMs === 0) return { hops: 0 }
  return route(member, request, avoid, request.trail)
}

async function route(
  member: Router,
  request: LookupRequest,
  avoid: Set<Key>,
  trail: readonly Key[] | undefined,
  signal?: AbortSignal | undefined,
): Promise<LookupReply> {
  const { clock } = member.env
  const endsAt = clock.now() + request.budgetMs
  for (let way = 0; way < WAYS; way++) {
    let mine = member.confirm(request.key, request.group)
    if (mine === undefined && member.rival(request.key, avoid) !== undefined) {
      mine = await becomeOwner(member, request, avoid, endsAt, signal)
    }
    if (mine !== undefined) return mine
    const next = member.nextHop(request.key, avoid, request.noCache)
    if (next === undefined) break
    const budgetMs = Math.floor(endsAt - clock.now())
    // Whom we found dead the others need not find dead again.
    const onward = [...new Set([...(trail ?? []), member.self.id, ...avoid])]
    if (budgetMs <= 0 || onward.length > MAX_LOOKUP_HOPS) break
    const reply = await forward(member, next, { ...request, ttl: request.ttl - 1, budgetMs, trail: onward }, signal)
    if (signal?.aborted) break
    if (reply?.owner !== undefined) {
      if (reply.owner.id !== member.self.id) member.learn(reply.owner, reply)
      return { ...reply, hops: Math.min(reply.hops + 1, MAX_LOOKUP_HOPS), at: member.vicinity.at }
    }
    if (reply?.retry) return { hops: 0, retry: true }
    // Where the way ended, the asker alone looks for another: if every hop did, the questions would multiply.
    if (reply !== undefined && trail !== undefined) return { hops: 0 }
    avoid.add(next.id)
  }
  return { hops: 0 }
}

/** Looks whether the rival is dead, and holds the question a while until the key is ours; it would only come back. */
async function becomeOwner(
  member: Router,
  { key, group }: LookupRequest,
  avoid: Set<Key>,
  endsAt: number,
  signal: AbortSignal | undefined,
): Promise<LookupReply | undefined> {
  const { clock } = member.env
  const heldUntil = Math.min(endsAt, clock.now() + HOLD_MS)
  for (;;) {
    const rival = member.rival(key, avoid)
    if (rival === undefined) return undefined
    if (rival !== 'soon') {
      if (await isAlive(member, rival)) avoid.delete(rival.id)
    } else if (clock.now() >= heldUntil) return { hops: 0, retry: true }
    else await clock.sleep(HOLD_STEP_MS, { signal })
    const mine = member.confirm(key, group)
    if (mine !== undefined) return mine
  }
}

/**
 * Asks one hop. Undefined: it is dead (and buried), or cannot answer. While it is silent it is probed, so that we know
 * that it is the way behind it that takes long.
 */
export function forward(
  member: Router,
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
      sendPing(member, hop).then(
        () => {
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
    transport.request(hop, member.lookupKind, request, options).then((reply) => {
      if (!done) member.heard(hop)
      member.vicinity.answered(hop.peer, reply.at)
      settle(reply)
    }, failed)
  })
}

/** A leaf's lookup: members take the question. */
export async function forwardLookup(
  env: Env,
  transport: Transport,
  kind: LookupKind,
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
      const reply = await transport.request(member, kind, request, { timeoutMs: budgetMs, signal: options.signal })
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
