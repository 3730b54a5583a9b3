/**
 * Hosts of jobs on a ring that is given, over virtual time: an Overlay, a Transport and Registers that know everything
 * at once and are as unreliable as a test wants. The real ring and the real registers have their tests in the simulator.
 */

import { fakeSigner } from '../../../sim/fake-signer.ts'
import { fakeStore } from '../../../sim/fake-store.ts'
import { encode } from '../../../src/core/cbor.ts'
import { type Checker, checker } from '../../../src/core/codec.ts'
import type { Env, Logger } from '../../../src/core/env.ts'
import { silentLogger } from '../../../src/core/env.ts'
import { ChoraleError } from '../../../src/core/errors.ts'
import { inArc, type Key, plusPowerOfTwo } from '../../../src/core/ids.ts'
import { MAX_FRAME_BYTES } from '../../../src/core/limits.ts'
import { seededRandom } from '../../../src/core/random.ts'
import type { Overlay } from '../../../src/dht/overlay.ts'
import type { RegisterKind, Registers } from '../../../src/dht/registers.ts'
import type { Admission, Executor } from '../../../src/mapreduce/ports.ts'
import { createJobsService, type JobsService } from '../../../src/mapreduce/service.ts'
import { type Contact, contactAt } from '../../../src/net/contact.ts'
import type { MessageKind } from '../../../src/net/message.ts'
import type { Handler, Transport } from '../../../src/net/transport.ts'
import { VirtualTime } from './virtual-time.ts'

export interface FakeOptions {
  readonly seed: number
  readonly replicas?: number
  readonly latencyMs?: readonly [number, number]
  readonly loss?: number
  readonly duplication?: number
  /** How long the overlay takes to see a death. */
  readonly detectionMs?: number
  readonly log?: Logger
}

export interface FakeHost {
  readonly contact: Contact
  readonly leaf: boolean
  readonly service: JobsService
  readonly transport: Transport
  readonly executor: Executor
  alive: boolean
  deadAtMs: number
  readonly handlers: Map<string, Handler<never, never>>
  readonly peerDown: Set<(peer: string) => void>
  readonly changed: Set<() => void>
  readonly stored: Map<string, Map<Key, unknown>>
  readonly updated: Map<string, Set<(key: Key, value: unknown) => void>>
  /** Counters of messages sent, by kind. */
  readonly sent: Map<string, number>
}

const checkers = new Map<string, { request: Checker<unknown>; reply: Checker<unknown> }>()

export class FakeNetwork {
  readonly time = new VirtualTime()
  readonly hosts: FakeHost[] = []
  readonly random
  readonly #options: Required<Omit<FakeOptions, 'log'>> & { log: Logger }
  /** Of all hosts. */
  readonly stored = fakeStore()
  readonly #kinds = new Map<string, RegisterKind<unknown>>()
  #ring: FakeHost[] = []

  constructor(options: FakeOptions) {
    this.#options = {
      replicas: 4,
      latencyMs: [1, 20],
      loss: 0,
      duplication: 0,
      detectionMs: 1_000,
      log: silentLogger,
      ...options,
    }
    this.random = seededRandom(options.seed).fork('network')
  }

  /** A new host, in the ring at once. `executor` is made by the test. */
  add(executor: (env: Env) => Executor, options: { leaf?: boolean; admission?: Admission } = {}): FakeHost {
    const number = this.hosts.length + 1
    const address = { peer: `peer-${number}`, ip: '127.0.0.1', port: 10_000 + number, incarnation: 1 }
    const contact = contactAt(address, 0)
    const env: Env = {
      clock: this.time,
      random: seededRandom(this.#options.seed).fork(contact.id),
      log: this.#options.log.child(address.peer),
    }
    const made = executor(env)
    const host: Omit<FakeHost, 'service' | 'transport'> & { service?: JobsService; transport?: Transport } = {
      contact,
      leaf: options.leaf === true,
      executor: made,
      alive: true,
      deadAtMs: Number.POSITIVE_INFINITY,
      handlers: new Map(),
      peerDown: new Set(),
      changed: new Set(),
      stored: new Map(),
      updated: new Map(),
      sent: new Map(),
    }
    const full = host as FakeHost
    const transport = this.#transport(full)
    host.transport = transport
    host.service = createJobsService({
      env,
      transport,
      overlay: this.#overlay(full),
      registers: this.#registers(full),
      executor: made,
      store: this.stored.store,
      signer: fakeSigner(address.peer),
      ...(options.admission && { admission: options.admission }),
    })
    host.service.start()
    this.hosts.push(full)
    this.#reorder()
    this.#membersChanged()
    return full
  }

  /** As `kill -9` does. */
  kill(host: FakeHost): void {
    host.alive = false
    host.deadAtMs = this.time.now()
    void host.service.stop().catch(() => {}) // its timers; what it sends goes nowhere
    this.time.timer(50, () => {
      for (const other of this.hosts) {
        if (other.alive && this.random.next() < 0.7) for (const handler of other.peerDown) handler(host.contact.peer)
      }
    })
    this.time.timer(this.#options.detectionMs, () => {
      this.#reorder()
      this.#membersChanged()
    })
  }

  /** Stops as a user would stop it. */
  async leave(host: FakeHost): Promise<void> {
    await host.service.stop()
    host.alive = false
    host.deadAtMs = 0
    this.#reorder()
    this.#membersChanged()
  }

  /** Who owns the key, of those that live. */
  owner(key: Key): FakeHost {
    return this.#group(key)[0] as FakeHost
  }

  #reorder(): void {
    const now = this.time.now()
    this.#ring = this.hosts
      .filter((host) => !host.leaf && (host.alive || now - host.deadAtMs < this.#options.detectionMs))
      .sort((a, b) => (a.contact.id < b.contact.id ? -1 : 1))
  }

  /** After a while every register is where it belongs. */
  #membersChanged(): void {
    for (const host of this.hosts) if (host.alive) for (const handler of host.changed) handler()
    this.time.timer(300, () => {
      for (const [name, kind] of this.#kinds) {
        const all = new Map<Key, unknown>()
        for (const host of this.hosts) {
          if (!host.alive) continue
          for (const [key, value] of host.stored.get(name) ?? []) {
            const known = all.get(key)
            all.set(key, known === undefined ? value : kind.merge(known, value))
          }
        }
        for (const [key, value] of all) for (const host of this.#group(key)) this.#store(host, kind, key, value)
      }
    })
  }

  #store(host: FakeHost, kind: RegisterKind<unknown>, key: Key, value: unknown): unknown {
    if (!host.alive) return value
    if (kind.admit && !kind.admit(key, value)) throw new Error(`register ${kind.name} was not admitted`)
    const values = host.stored.get(kind.name) ?? new Map<Key, unknown>()
    host.stored.set(kind.name, values)
    const known = values.get(key)
    const merged = known === undefined ? value : kind.merge(known, value)
    if (known !== undefined && Buffer.compare(encode(known), encode(merged)) === 0) return merged
    values.set(key, Object.freeze(merged))
    for (const handler of host.updated.get(kind.name) ?? []) handler(key, merged)
    return merged
  }

  #group(key: Key): FakeHost[] {
    const ring = this.#ring
    let at = ring.findIndex((host) => host.contact.id >= key)
    if (at < 0) at = 0
    return Array.from(
      { length: Math.min(this.#options.replicas, ring.length) },
      (_, i) => ring[(at + i) % ring.length] as FakeHost,
    )
  }

  #overlay(host: FakeHost): Overlay {
    const { contact } = host
    const owns = (key: Key) => !host.leaf && this.#group(key)[0] === host
    const fingers = () => {
      const out = new Map<Key, Contact>()
      const self = this.#ring.indexOf(host)
      for (let i = 1; i <= 3; i++) {
        const next = this.#ring[(self + i) % this.#ring.length]
        if (next && next !== host) out.set(next.contact.id, next.contact)
      }
      for (let bit = 255; bit > 245; bit--) {
        const finger = this.#group(plusPowerOfTwo(contact.id, bit))[0]
        if (finger && finger !== host) out.set(finger.contact.id, finger.contact)
      }
      return [...out.values()]
    }
    return {
      self: host.leaf ? undefined : contact,
      join: async () => {},
      leave: async () => {},
      owns,
      lookup: async (key) => {
        await this.time.sleep(this.#latency() * 2)
        if (this.random.next() < this.#options.loss) throw new ChoraleError('timeout', 'a lookup got lost')
        const group = this.#group(key)
        const owner = group[0]
        if (!owner?.alive) throw new ChoraleError('no-route', 'the owner is dead')
        return { owner: owner.contact, replicas: group.map((one) => one.contact), hops: owner === host ? 0 : 2 }
      },
      replicas: (key) => this.#group(key).map((one) => one.contact),
      holdsReplica: (key) => this.#group(key).includes(host),
      nextHop: (key, avoid) => {
        if (owns(key)) return undefined
        // The owner when it is a neighbour, else the finger that comes closest before the key.
        const known = fingers().filter((one) => !avoid?.has(one.id))
        const owner = this.#group(key)[0]?.contact
        if (owner && known.some((one) => one.id === owner.id)) return owner
        let best: Contact | undefined
        for (const one of known) {
          if (inArc(contact.id, one.id, key) && (!best || inArc(best.id, one.id, key))) best = one
        }
        return best ?? known[0]
      },
      regions: () => {
        const all = this.#ring.map((one) => one.contact.id).join()
        return { owned: all, kept: all }
      },
      neighbours: () => (host.leaf ? this.#ring.slice(0, 2).map((one) => one.contact) : fingers()),
      onChange: (handler) => {
        host.changed.add(handler)
        return () => host.changed.delete(handler)
      },
    }
  }

  #latency(): number {
    const [low, high] = this.#options.latencyMs
    return low + this.random.next() * (high - low)
  }

  #transport(host: FakeHost): Transport {
    const { contact, handlers } = host
    const byPeer = (peer: string) => this.hosts.find((one) => one.contact.peer === peer)
    return {
      self: host.leaf ? undefined : contact,
      peer: contact.peer,
      placement: 'ip-port',
      handle: (kind, handler) => {
        handlers.set(kind.name, handler as unknown as Handler<never, never>)
      },
      rtt: () => 20,
      connected: () => true,
      onPeerDown: (handler) => {
        host.peerDown.add(handler)
        return () => host.peerDown.delete(handler)
      },
      request: (to, kind, message, options = {}) =>
        new Promise((resolve, reject) => {
          check(kind, 'request', message)
          host.sent.set(kind.name, (host.sent.get(kind.name) ?? 0) + 1)
          const { signal } = options
          let over = false
          /** Once: a signal of a whole life would gather a listener for every request. */
          const settle = (how: () => void) => {
            if (over) return
            over = true
            signal?.removeEventListener('abort', onAbort)
            how()
          }
          const fail = (code: 'timeout' | 'unreachable' | 'aborted') =>
            settle(() => reject(new ChoraleError(code, `${kind.name}: ${code}`)))
          const onAbort = () => fail('aborted')
          if (signal?.aborted) return fail('aborted')
          signal?.addEventListener('abort', onAbort, { once: true })
          this.time.timer(options.timeoutMs ?? 1_000, () => fail('timeout'))
          const target = byPeer(to.peer)
          const deliver = () => {
            if (!host.alive) return
            if (!target?.alive) {
              if (this.random.next() < 0.5) fail('unreachable')
              return
            }
            const handler = target.handlers.get(kind.name)
            if (!handler) return settle(() => reject(new ChoraleError('unsupported', kind.name)))
            const from = { peer: contact.peer, contact: host.leaf ? undefined : contact }
            const answer = async () =>
              (handler as (m: unknown, d: unknown) => unknown)(frozen(message), { from, slot: to.slot })
            answer().then(
              (reply) => {
                check(kind, 'reply', reply)
                if (!target.alive || this.random.next() < this.#options.loss) return
                this.time.timer(this.#latency(), () => settle(() => resolve(frozen(reply) as never)))
              },
              (error) => {
                if (!(error instanceof ChoraleError)) throw error
                if (target.alive) this.time.timer(this.#latency(), () => settle(() => reject(error)))
              },
            )
          }
          if (this.random.next() >= this.#options.loss) this.time.timer(this.#latency(), deliver)
          if (this.random.next() < this.#options.duplication) this.time.timer(this.#latency() * 5, deliver)
        }),
    }
  }

  #registers(host: FakeHost): Registers {
    const known = <T>(kind: RegisterKind<T>) => kind as unknown as RegisterKind<unknown>
    return {
      define: (kind) => {
        if (!this.#kinds.has(kind.name)) this.#kinds.set(kind.name, known(kind))
      },
      update: async (kind, key, value) => {
        await this.time.sleep(this.#latency() * 2)
        const owner = this.#group(key)[0]
        if (!host.alive || !owner?.alive) throw new ChoraleError('timeout', 'the owner is dead')
        check(
          { name: `register ${kind.name}`, request: kind.schema, reply: kind.schema, bulk: false },
          'request',
          value,
        )
        const merged = this.#store(owner, known(kind), key, value)
        await this.time.sleep(this.#latency() * 2)
        for (const one of this.#group(key)) if (one !== owner) this.#store(one, known(kind), key, merged)
        return merged as never
      },
      read: async (kind, key) => {
        await this.time.sleep(this.#latency() * 2)
        for (const one of this.#group(key)) {
          const value = one.alive ? one.stored.get(kind.name)?.get(key) : undefined
          if (value !== undefined) return value as never
        }
        return undefined
      },
      local: (kind, key) => host.stored.get(kind.name)?.get(key) as never,
      entries: (kind) => [...(host.stored.get(kind.name) ?? [])] as never,
      onUpdate: (kind, handler) => {
        const handlers = host.updated.get(kind.name) ?? new Set()
        host.updated.set(kind.name, handlers)
        handlers.add(handler as (key: Key, value: unknown) => void)
        return () => handlers.delete(handler as (key: Key, value: unknown) => void)
      },
    }
  }
}

/** Everything that is sent must be what its kind says; contacts are objects in memory and are not looked into. */
function check(kind: MessageKind, side: 'request' | 'reply', value: unknown): void {
  // No undefined, no functions, and it fits a frame.
  if (encode(value).length > MAX_FRAME_BYTES - 512) throw new Error(`${kind.name} does not fit a frame`)
  if (/^jobs\/(loads|pull|up|results|errand)$/.test(kind.name)) return
  let both = checkers.get(kind.name)
  if (!both) checkers.set(kind.name, (both = { request: checker(kind.request), reply: checker(kind.reply) }))
  both[side].parse(value)
}

function frozen<T>(value: T): T {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value
  for (const part of Object.values(value)) frozen(part)
  return Object.freeze(value)
}
