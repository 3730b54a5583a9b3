/**
 * The simulated network: `Transport` over virtual time. Messages are delayed, lost, duplicated, reordered, cut off by
 * partitions and held up by pauses; opening a connection costs a round trip and a half more. They pass as frozen
 * objects, or through the codec when asked to.
 *
 * A request's deadline is an event only where it can matter: when the message or its answer is lost, or the handler does
 * not answer at once. Otherwise it is known in advance that the answer comes in time.
 */
import type { TSchema } from 'typebox'
import type { Env, Random } from '../src/core/env.ts'
import { silentLogger } from '../src/core/env.ts'
import { MAX_CONNECTIONS } from '../src/core/limits.ts'
import { seededRandom } from '../src/core/random.ts'
import { type Address, type Contact, contactAt } from '../src/net/contact.ts'
import type { MessageKind } from '../src/net/message.ts'
import type { Placement } from '../src/net/placement.ts'
import { RttEstimator } from '../src/net/rtt.ts'
import type { Delivery, Handler, RequestOptions, Sender, Transport } from '../src/net/transport.ts'
import { SimClock } from './clock.ts'
import { Exchange } from './exchange.ts'
import { type Latency, uniformLatency } from './latency.ts'
import { Schedule } from './schedule.ts'

export interface NetworkOptions {
  readonly seed: number
  readonly latency?: Latency
  /** Share of messages that are lost, requests and replies alike. */
  readonly loss?: number
  /** Share of requests that arrive twice. */
  readonly duplication?: number
  /** Share of messages that are held up by up to half a second, and so overtaken. */
  readonly reordering?: number
  /** Every message is encoded, checked and decoded, as on a wire. */
  readonly codec?: boolean
  /**
   * Requests to a host that is dead or on another side of a partition end with `unreachable`, as libp2p has it when it
   * cannot connect or gives up a silent connection. Default: with `timeout`, as those to a host that is only silent.
   */
  readonly unreachable?: boolean
  /** Peer ids of new hosts by their number. Default `p0`, `p1`, ... */
  readonly peerName?: (number: number) => string
  /** IPs of new hosts by their number. Default 10.0.0.0, 10.0.0.1, ... */
  readonly ipOf?: (number: number) => string
  /** How ids follow from addresses. Default `ip-port`. */
  readonly placement?: Placement
}

type AnyHandler = (message: never, delivery: Delivery) => unknown

export class SimNetwork {
  readonly schedule = new Schedule()
  readonly random: Random
  readonly options: Required<NetworkOptions>
  readonly hosts = new Map<string, SimHost>()
  /** Messages sent between hosts by kind: requests, and answers as kinds of their own (`jobs/pull reply`). */
  readonly sent = new Map<string, number>()
  /** Sees every message between hosts as it is sent; without a time of arrival it will not get there. */
  onSend: ((exchange: Exchange, arrivesAtMs: number | undefined) => void) | undefined
  #count = 0
  /** Messages pass only between hosts of one side. */
  #side: ((host: SimHost) => number) | undefined

  constructor(options: NetworkOptions) {
    this.options = {
      latency: uniformLatency(10, 80),
      loss: 0,
      duplication: 0,
      reordering: 0,
      codec: false,
      unreachable: false,
      peerName: (number) => `p${number}`,
      ipOf: (number) => `10.${(number >> 16) & 255}.${(number >> 8) & 255}.${number & 255}`,
      placement: 'ip-port',
      ...options,
    }
    this.random = seededRandom(`${options.seed}/network`)
  }

  /** A new host, or an old address with a new incarnation. */
  host(address?: Address): SimHost {
    const number = this.#count++
    const fresh = {
      peer: this.options.peerName(number),
      ip: this.options.ipOf(number),
      port: 4001,
      incarnation: 1,
    }
    const host = new SimHost(this, number, address ?? fresh)
    this.hosts.set(host.self.peer, host)
    return host
  }

  /** Cuts the network into sides; undefined heals it. */
  partition(side: ((host: SimHost) => number) | undefined): void {
    this.#side = side
  }

  get isParted(): boolean {
    return this.#side !== undefined
  }

  parted(a: SimHost, b: SimHost): boolean {
    return this.#side !== undefined && this.#side(a) !== this.#side(b)
  }

  /** One-way delay of one message now. */
  delay(from: SimHost, to: SimHost): number {
    const { options, random } = this
    let ms = options.latency(from.number, to.number, random)
    if (options.reordering > 0 && random.next() < options.reordering) ms += 500 * random.next()
    return ms
  }

  count(kind: string): void {
    this.sent.set(kind, (this.sent.get(kind) ?? 0) + 1)
  }

  drops(): boolean {
    return this.options.loss > 0 && this.random.next() < this.options.loss
  }
}

/** What a host keeps of a peer that it is connected to. */
export interface Link {
  readonly rtt: RttEstimator
  usedAtMs: number
  /** When eviction passed it over. */
  sparedAtMs: number
}

/** A host's end of the network, and its clock: both stop when it dies. */
export class SimHost implements Transport {
  readonly network: SimNetwork
  readonly number: number
  readonly self: Address
  readonly env: Env
  readonly handlers = new Map<string, AnyHandler>()
  readonly links = new Map<SimHost, Link>()
  readonly #contacts: Sender[] = []
  readonly #downHandlers: ((peer: string) => void)[] = []
  alive = true
  /** Frozen until then: messages and timers wait. */
  pausedUntilMs = 0

  constructor(network: SimNetwork, number: number, self: Address) {
    this.network = network
    this.number = number
    this.self = self
    const random = seededRandom(`${network.options.seed}/${self.peer}/${self.incarnation}`)
    this.env = { clock: new SimClock(this), random, log: silentLogger }
  }

  get peer(): string {
    return this.self.peer
  }

  get placement(): Placement {
    return this.network.options.placement
  }

  contact(slot = 0): Contact {
    return this.#sender(slot).contact!
  }

  #sender(slot: number): Sender {
    return (this.#contacts[slot] ??= Object.freeze({
      peer: this.self.peer,
      contact: Object.freeze(contactAt(this.self, slot, this.placement)),
    }))
  }

  /** SIGKILL: silent, as a machine that loses power. */
  kill(): void {
    this.alive = false
    this.links.clear()
    this.handlers.clear() // others may hold on to the dead host, but not to what ran on it
    this.#downHandlers.length = 0
    if (this.network.hosts.get(this.peer) === this) this.network.hosts.delete(this.peer)
  }

  pause(ms: number): void {
    this.pausedUntilMs = this.network.schedule.nowMs + ms
  }

  link(to: SimHost): Link | undefined {
    return this.links.get(to)
  }

  openLink(to: SimHost): Link {
    const { nowMs } = this.network.schedule
    if (this.links.size >= MAX_CONNECTIONS) this.#closeOne()
    const link = { rtt: new RttEstimator(), usedAtMs: nowMs, sparedAtMs: nowMs }
    this.links.set(to, link)
    return link
  }

  /** One that was not used since the last look (second chance), which is about the one not used for longest. */
  #closeOne(): void {
    for (const [host, link] of this.links) {
      this.links.delete(host)
      if (link.usedAtMs <= link.sparedAtMs) return
      link.sparedAtMs = link.usedAtMs
      this.links.set(host, link)
    }
  }

  request<Q extends TSchema, R extends TSchema>(
    to: Contact,
    kind: MessageKind<Q, R>,
    message: unknown,
    options?: RequestOptions,
  ): Promise<never> {
    return new Promise((resolve, reject) => {
      const exchange = new Exchange(this, to, kind, message, options, resolve, reject)
      exchange.send()
    })
  }

  sender(slot: number): Sender {
    return this.#sender(slot)
  }

  handle<Q extends TSchema, R extends TSchema>(kind: MessageKind<Q, R>, handler: Handler<Q, R>): void {
    this.handlers.set(kind.name, handler as AnyHandler)
  }

  rtt(peer: string): number | undefined {
    const host = this.network.hosts.get(peer)
    return host && this.links.get(host)?.rtt.smoothed()
  }

  connected(peer: string): boolean {
    const host = this.network.hosts.get(peer)
    return host !== undefined && this.links.has(host)
  }

  onPeerDown(handler: (peer: string) => void): () => void {
    this.#downHandlers.push(handler)
    return () => {
      this.#downHandlers.splice(this.#downHandlers.indexOf(handler), 1)
    }
  }

  peerDown(peer: string): void {
    for (const handler of this.#downHandlers) handler(peer)
  }
}
