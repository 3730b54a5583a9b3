/**
 * The members that a leaf goes through (DESIGN 1). Others cannot dial it, so it has no place in the ring and nobody
 * tells it who comes and goes: it asks, now and then, and whenever one of its members is gone. It needs no more of them
 * than a member has neighbours.
 */
import type { Env } from './core/env.ts'
import { errorMessage } from './core/errors.ts'
import { type Key, keyFromBytes } from './core/ids.ts'
import type { LookupOptions, Route } from './dht/overlay.ts'
import type { Contact } from './net/contact.ts'

const MAX_MEMBERS = 8
/** Addresses to try again when all members are gone: they may come back as other incarnations. */
const MAX_PLACES = 32
const LOOK_AGAIN_MS = 10_000
/** A member that lives answers sooner. Then all addresses are tried: users wait. */
const LOOK_DEADLINE_MS = 1_500
const FIRST_RETRY_MS = 200
const MAX_RETRY_MS = 2_000

export interface LeafPorts {
  readonly env: Env
  readonly transport: {
    resolve(place: string, options: { signal: AbortSignal }): Promise<Contact>
    onPeerDown(handler: (peer: string) => void): () => void
  }
  readonly overlay: {
    join(members: readonly Contact[]): Promise<void>
    lookup(key: Key, options: LookupOptions): Promise<Route>
  }
  /** Where those who answered at the start are. */
  readonly members: readonly Contact[]
  /** `ip:port` of all that were given or remembered. */
  readonly places: readonly string[]
  readonly placeOf: (contact: Contact) => string
  /** Where the members are, after each change: for the next start. */
  readonly onChange: (places: readonly string[]) => void
}

/** Learns of more members, then keeps them fresh. Returns the end of it. */
export async function keepMembers(ports: LeafPorts): Promise<() => void> {
  const { env, transport, overlay, placeOf } = ports
  const stopped = new AbortController()
  const { signal } = stopped
  const places = new Set(ports.places)
  let members = ports.members
  let retryMs = FIRST_RETRY_MS
  let looking = false
  /** Somebody went while we looked, so what was found may be old already. */
  let stale = false
  let cancel = () => {}

  function use(next: readonly Contact[]): void {
    members = next
    for (const place of members.map(placeOf)) {
      places.delete(place)
      places.add(place) // the latest last
    }
    for (const place of places) if (places.size > MAX_PLACES) places.delete(place)
    void overlay.join(members)
    ports.onChange(members.map(placeOf))
  }

  async function look(): Promise<void> {
    looking = true
    stale = false
    try {
      const key = keyFromBytes(env.random.bytes(32))
      // The owner has just answered, and knows best who else is alive. What is not among them may be dead.
      const { replicas } = await overlay.lookup(key, { group: true, deadlineMs: LOOK_DEADLINE_MS, signal })
      const found = new Map(replicas.map((contact) => [contact.peer, contact]))
      use([...found.values()].slice(0, MAX_MEMBERS))
      retryMs = FIRST_RETRY_MS
      lookIn(stale ? FIRST_RETRY_MS : LOOK_AGAIN_MS)
    } catch (error) {
      if (signal.aborted) return
      env.log.debug('no member answers', { reason: errorMessage(error) })
      await tryPlaces()
      lookIn(retryMs)
      retryMs = Math.min(MAX_RETRY_MS, retryMs * 2)
    } finally {
      looking = false
    }
  }

  /** Whoever was asked first has its turn last: it may be silent for long, and those who come back are as good. */
  async function tryPlaces(): Promise<void> {
    // A host that is just starting takes a connection and says nothing yet.
    using deadline = env.clock.deadline(LOOK_DEADLINE_MS, signal)
    const resolve = (place: string) => transport.resolve(place, { signal: deadline.signal })
    const answers = await Promise.allSettled([...places].map(resolve))
    if (signal.aborted) return
    const [silent, ...others] = members
    const order = new Map(others.map((contact) => [contact.peer, contact]))
    for (const answer of answers) if (answer.status === 'fulfilled') order.set(answer.value.peer, answer.value)
    const last = silent && (order.get(silent.peer) ?? silent)
    if (last) order.delete(last.peer)
    use([...order.values()].slice(0, MAX_MEMBERS - 1).concat(last ?? []))
  }

  function lookIn(ms: number): void {
    cancel()
    if (!signal.aborted) cancel = env.clock.timer(ms * (0.5 + env.random.next()), () => void look())
  }

  const forget = transport.onPeerDown((peer) => {
    const others = members.filter((contact) => contact.peer !== peer)
    if (others.length === members.length) return
    if (others.length > 0) use(others)
    stale = true
    if (!looking) lookIn(FIRST_RETRY_MS)
  })
  await look()
  return () => {
    stopped.abort()
    forget()
    cancel()
  }
}
