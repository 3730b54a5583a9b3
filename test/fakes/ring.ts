/**
 * A small overlay network in virtual time, for tests of what stands above the overlay. Every host's view of the
 * sorted ring is given to it (late, if the test says so), so that no ring maintenance is involved. Messages pass
 * through the codec. For the real ring there is `sim/`.
 */
import type { Clock, Env } from '../../src/core/env.ts'
import { silentLogger } from '../../src/core/env.ts'
import { ChoraleError } from '../../src/core/errors.ts'
import { between, type Key } from '../../src/core/ids.ts'
import { MAX_FRAME_BYTES } from '../../src/core/limits.ts'
import { seededRandom } from '../../src/core/random.ts'
import type { LookupOptions, Overlay, Route } from '../../src/dht/overlay.ts'
import { type Contact, contactAt } from '../../src/net/contact.ts'
import { decodeReply, decodeRequest, encodeReply, encodeRequest, type MessageKind } from '../../src/net/message.ts'
import type { Handler, RequestOptions, Transport } from '../../src/net/transport.ts'

export interface FakeRingOptions {
  readonly seed: number
  /** Size of replica groups. Default 4. */
  readonly replicas?: number
  /** From a change of the membership until the hosts see it; each host draws anew. Default 0. */
  readonly viewLagMs?: number
  /** Share of messages that get lost. Default 0. */
  readonly loss?: number
}

const MIN_LATENCY_MS = 2
const MAX_LATENCY_MS = 12
const TIMEOUT_MS = 400

type AnyHandler = Handler<never, never>

export class FakeHost {
  readonly contact: Contact
  readonly env: Env
  readonly transport: Transport
  readonly overlay: Overlay
  readonly handlers = new Map<string, AnyHandler>()
  readonly changeHandlers = new Set<() => void>()
  readonly downHandlers = new Set<(peer: string) => void>()
  /** Members as this host sees them, sorted by id. */
  view: readonly Contact[] = []
  alive = true
  member = false

  constructor(ring: FakeRing, index: number) {
    this.contact = contactAt(
      { peer: `peer-${index}`, ip: `10.0.${index >> 8}.${index & 255}`, port: 4000, incarnation: 1 },
      0,
    )
    this.env = { clock: ring.clockOf(this), random: seededRandom(`${ring.seed}/${index}`), log: silentLogger }
    this.transport = ring.transportOf(this)
    this.overlay = ring.overlayOf(this)
  }
}

export class FakeRing {
  readonly seed: number
  readonly hosts: FakeHost[] = []
  /** Delivered requests by kind. */
  readonly delivered = new Map<string, number>()
  deliveredBytes = 0
  loss: number
  readonly #random
  readonly #replicas: number
  readonly #viewLagMs: number
  readonly #queue: { atMs: number; sequence: number; fire: () => void }[] = []
  #sequence = 0
  #nowMs = 1_000_000

  constructor({ seed, replicas = 4, viewLagMs = 0, loss = 0 }: FakeRingOptions) {
    this.seed = seed
    this.loss = loss
    this.#random = seededRandom(`ring ${seed}`)
    this.#replicas = replicas
    this.#viewLagMs = viewLagMs
  }

  /** A host that is not a member yet. */
  add(): FakeHost {
    const host = new FakeHost(this, this.hosts.length)
    this.hosts.push(host)
    host.view = this.#members()
    return host
  }

  join(host: FakeHost): void {
    host.member = true
    this.#see(host)
    this.#tell()
  }

  /** Stops being a member, but still answers. */
  leave(host: FakeHost): void {
    host.member = false
    this.#see(host)
    this.#tell()
  }

  /** As by SIGKILL: timers, requests and answers end here, and everybody sees the connection break. */
  kill(host: FakeHost): void {
    host.alive = false
    host.member = false
    this.#tell()
    for (const other of this.hosts) {
      this.#after(this.#latency(), () => {
        if (other.alive) for (const handler of [...other.downHandlers]) handler(host.contact.peer)
      })
    }
  }

  /** The true replica group of a key. */
  group(key: Key): FakeHost[] {
    const contacts = groupIn(this.#members(), key, this.#replicas)
    return contacts.map((contact) => this.hosts.find((host) => host.contact === contact) as FakeHost)
  }

  /** Lets virtual time pass. */
  async run(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms
    await drained()
    for (;;) {
      const next = this.#pop(untilMs)
      if (!next) break
      this.#nowMs = next.atMs
      next.fire()
      await drained()
    }
    this.#nowMs = untilMs
  }

  /** Lets time pass until the promise is settled; a minute at most. */
  async until<T>(promise: Promise<T>): Promise<T> {
    let settled = false
    const mark = () => {
      settled = true
    }
    promise.then(mark, mark)
    await drained()
    for (let ms = 0; !settled && ms < 60_000; ms += 5) await this.run(5)
    if (!settled) throw new Error('not settled within a minute')
    return promise
  }

  clockOf(host: FakeHost): Clock {
    const timer = (ms: number, fire: () => void) => this.#after(ms, () => host.alive && fire())
    return {
      now: () => this.#nowMs,
      timer,
      sleep(ms, options) {
        const signal = options?.signal
        return new Promise((resolve, reject) => {
          if (signal?.aborted) return reject(signal.reason)
          const cancel = timer(ms, () => {
            signal?.removeEventListener('abort', onAbort)
            resolve()
          })
          const onAbort = () => {
            cancel()
            reject(signal?.reason)
          }
          signal?.addEventListener('abort', onAbort, { once: true })
        })
      },
      deadline(ms, parent) {
        const controller = new AbortController()
        const onParent = () => controller.abort(parent?.reason)
        const cancel = timer(ms, () => controller.abort(new ChoraleError('timeout', `no answer within ${ms} ms`)))
        if (parent?.aborted) onParent()
        else parent?.addEventListener('abort', onParent, { once: true })
        return {
          signal: controller.signal,
          [Symbol.dispose]() {
            cancel()
            parent?.removeEventListener('abort', onParent)
          },
        }
      },
    }
  }

  transportOf(host: FakeHost): Transport {
    return {
      self: host.contact,
      peer: host.contact.peer,
      placement: 'ip-port',
      request: (to, kind, message, options) => this.#request(host, to, kind, message, options) as never,
      handle: (kind, handler) => void host.handlers.set(kind.name, handler as unknown as AnyHandler),
      rtt: () => 2 * MIN_LATENCY_MS,
      connected: () => true,
      onPeerDown(handler) {
        host.downHandlers.add(handler)
        return () => host.downHandlers.delete(handler)
      },
    }
  }

  overlayOf(host: FakeHost): Overlay {
    const self = host.contact
    const owns = (key: Key) => host.member && groupIn(host.view, key, 1)[0] === self
    return {
      get self() {
        return host.member ? self : undefined
      },
      join: async () => this.join(host),
      leave: async () => this.leave(host),
      lookup: (key, options) => this.#lookup(host, key, options),
      owns,
      replicas: (key) => groupIn(host.view, key, this.#replicas),
      holdsReplica: (key) => groupIn(host.view, key, this.#replicas).includes(self),
      nextHop: (key, avoid) =>
        owns(key) ? undefined : groupIn(host.view, key, 4).find((node) => !avoid?.has(node.id)),
      regions: () => {
        const all = `${host.member} ${host.view.map(({ id, incarnation }) => `${id} ${incarnation}`).join()}`
        return { owned: all, kept: all }
      },
      neighbours: () => host.view.filter((contact) => contact !== self),
      onChange(handler) {
        host.changeHandlers.add(handler)
        return () => host.changeHandlers.delete(handler)
      },
    }
  }

  async #lookup(host: FakeHost, key: Key, options?: LookupOptions): Promise<Route> {
    await host.env.clock.sleep(this.#latency(), { signal: options?.signal })
    const contact = groupIn(host.view, key, 1)[0]
    const owner = this.hosts.find((other) => other.contact === contact)
    await host.env.clock.sleep(this.#latency(), { signal: options?.signal })
    if (!owner?.alive || !owner.overlay.owns(key)) throw new ChoraleError('no-route', 'the owner did not confirm')
    return { owner: owner.contact, replicas: owner.overlay.replicas(key), hops: owner === host ? 0 : 1 }
  }

  #request(
    from: FakeHost,
    to: Contact,
    kind: MessageKind,
    message: unknown,
    options?: RequestOptions,
  ): Promise<unknown> {
    const body = encodeRequest(kind, message)
    if (body.byteLength > MAX_FRAME_BYTES) throw new Error(`a ${kind.name} of ${body.byteLength} bytes`)
    const target = this.hosts.find((host) => host.contact.id === to.id)
    const signal = options?.signal
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      let open = true
      const settle = (finish: () => void) => {
        if (!open || !from.alive) return
        open = false
        cancelTimeout()
        signal?.removeEventListener('abort', onAbort)
        finish()
      }
      const fail = (code: 'timeout' | 'unreachable', text: string) => settle(() => reject(new ChoraleError(code, text)))
      const onAbort = () => settle(() => reject(signal?.reason))
      const cancelTimeout = this.#after(options?.timeoutMs ?? TIMEOUT_MS, () => fail('timeout', 'no answer'))
      signal?.addEventListener('abort', onAbort, { once: true })
      const carry = (deliver: () => void) => {
        if (this.#random.next() >= this.loss) this.#after(this.#latency(), deliver)
      }
      carry(async () => {
        if (!target?.alive) return fail('unreachable', `${to.peer} is dead`)
        this.delivered.set(kind.name, (this.delivered.get(kind.name) ?? 0) + 1)
        this.deliveredBytes += body.byteLength
        try {
          const handler = target.handlers.get(kind.name)
          if (!handler) throw new ChoraleError('unsupported', `no handler for ${kind.name}`)
          const sender = { peer: from.contact.peer, contact: from.contact }
          const reply = await handler(decodeRequest(kind, body) as never, { from: sender, slot: to.slot })
          const answer = encodeReply(kind, reply)
          if (answer.byteLength > MAX_FRAME_BYTES) throw new Error(`a ${kind.name} reply of ${answer.byteLength} bytes`)
          this.deliveredBytes += answer.byteLength
          if (target.alive) carry(() => settle(() => resolve(decodeReply(kind, answer))))
        } catch (error) {
          const known = error instanceof ChoraleError ? error : new ChoraleError('internal', String(error))
          if (target.alive) carry(() => settle(() => reject(known)))
        }
      })
    })
  }

  #members(): readonly Contact[] {
    const members = this.hosts.filter((host) => host.member && host.alive).map((host) => host.contact)
    return members.sort((a, b) => (a.id < b.id ? -1 : 1))
  }

  #see(host: FakeHost): void {
    if (!host.alive) return
    host.view = this.#members()
    for (const handler of [...host.changeHandlers]) handler()
  }

  #tell(): void {
    for (const host of this.hosts) this.#after(this.#viewLagMs * (0.5 + this.#random.next()), () => this.#see(host))
  }

  #latency(): number {
    return MIN_LATENCY_MS + this.#random.next() * (MAX_LATENCY_MS - MIN_LATENCY_MS)
  }

  #after(ms: number, fire: () => void): () => void {
    const event = { atMs: this.#nowMs + ms, sequence: this.#sequence++, fire }
    this.#queue.push(event)
    let up = this.#queue.length - 1
    while (up > 0 && earlier(event, this.#queue[(up - 1) >> 1] as typeof event)) {
      this.#queue[up] = this.#queue[(up - 1) >> 1] as typeof event
      up = (up - 1) >> 1
    }
    this.#queue[up] = event
    return () => {
      event.fire = () => {}
    }
  }

  #pop(untilMs: number): { atMs: number; fire: () => void } | undefined {
    const top = this.#queue[0]
    if (!top || top.atMs > untilMs) return undefined
    const last = this.#queue.pop() as typeof top
    if (this.#queue.length === 0) return top
    let down = 0
    for (;;) {
      let child = 2 * down + 1
      if (child >= this.#queue.length) break
      const right = this.#queue[child + 1]
      if (right && earlier(right, this.#queue[child] as typeof top)) child++
      if (!earlier(this.#queue[child] as typeof top, last)) break
      this.#queue[down] = this.#queue[child] as typeof top
      down = child
    }
    this.#queue[down] = last
    return top
  }
}

function earlier(a: { atMs: number; sequence: number }, b: { atMs: number; sequence: number }): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.sequence < b.sequence)
}

/** The first `count` members at or after the key. */
function groupIn(members: readonly Contact[], key: Key, count: number): Contact[] {
  const first = members.findIndex((member, index) => {
    const before = members.at(index - 1) as Contact
    return member.id === key || members.length === 1 || between(before.id, key, member.id)
  })
  if (first < 0) return []
  const group = [...members.slice(first), ...members.slice(0, first)]
  return group.slice(0, count)
}

/** Every microtask has run. */
function drained(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
