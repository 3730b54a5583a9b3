/**
 * The Transport port over libp2p (DESIGN 4 and 5): what a host asks and answers, and where it is. Connections are in
 * `libp2p-links.ts`, one stream's frames and deadlines in `rpc-stream.ts`.
 */
import { performance } from 'node:perf_hooks'
import type { TSchema } from 'typebox'
import type { Env } from '../core/env.ts'
import { ChoraleError, errorCode, errorMessage } from '../core/errors.ts'
import { Emitter } from '../core/events.ts'
import { MAX_BULK_REQUESTS, MAX_CONNECTIONS, MAX_REQUESTS } from '../core/limits.ts'
import { type Address, type Contact, contactAt } from './contact.ts'
import { type Counters, newCounters } from './counters.ts'
import { DialBack } from './dial-back.ts'
import { type Endpoint, formatEndpoint, parsePlace, sameEndpoint } from './endpoint.ts'
import { HELLO_VERSION, type HelloFrame, type RequestFrame } from './frame.ts'
import { type Answer, Handlers } from './handlers.ts'
import type { HostKey } from './host-key.ts'
import { canonicalIp, type IpClass, ipClass, isWildcardIp } from './ip.ts'
import { DIAL_TIMEOUT_MS, type Link, Links } from './libp2p-links.ts'
import { interfaceIp, type Libp2pNode, startLibp2p } from './libp2p-node.ts'
import { defineMessage, type MessageKind, type ReplyOf, type RequestOf, record, wireOf } from './message.ts'
import { abortReason } from './pending.ts'
import type { Placement } from './placement.ts'
import { type RpcRequest, withSignal } from './rpc-stream.ts'
import { DEFAULT_RTT, type RttSettings } from './rtt.ts'
import type { Delivery, Handler, RequestOptions, Transport } from './transport.ts'

export interface Libp2pTransportOptions {
  readonly env: Env
  readonly key: HostKey
  /** Port 0: any free one. 0.0.0.0 or ::: every interface. */
  readonly listen: Endpoint
  /** `networkId` of the network's settings. */
  readonly network: string
  /** Of the same settings. Default `ip-port`. */
  readonly placement?: Placement
  /** Greater than that of every earlier run of this host. */
  readonly incarnation: number
  readonly rtt?: RttSettings
  readonly maxConnections?: number
}

export interface ConnectedPeer {
  readonly peer: string
  /** `ip:port`, where confirmed. */
  readonly address: string | undefined
  readonly direction: 'inbound' | 'outbound'
  readonly rttMs: number | undefined
}

/** Is anybody there? Answered by every host. */
const Ping = defineMessage('net.ping', { request: record({}), reply: record({}) })

/** The first requests of a peer wait so long for its dial-back. */
const MAX_HOLD_MS = 300
/** A seed may need a dial of its own before it can answer. */
const DIAL_BACK_TIMEOUT_MS = DIAL_TIMEOUT_MS + 2000
/** Seeds asked before a host believes that it cannot be reached. */
const DIAL_BACK_SEEDS = 3

/** Delivery of a request that came over a link, for handlers of this file. */
interface LinkDelivery extends Delivery {
  readonly link: Link | undefined
}

export async function createLibp2pTransport(options: Libp2pTransportOptions): Promise<Libp2pTransport> {
  const maxConnections = options.maxConnections ?? MAX_CONNECTIONS
  const { node, port } = await startLibp2p(options.key, options.listen, maxConnections)
  const transport = new Libp2pTransport(options, node, { ip: options.listen.ip, port }, maxConnections)
  await transport.open()
  return transport
}

export class Libp2pTransport implements Transport {
  readonly peer: string
  readonly incarnation: number
  readonly placement: Placement
  /** With the port that was really bound. */
  readonly listen: Endpoint
  readonly counters: Counters = newCounters()

  readonly #env: Env
  readonly #links: Links
  readonly #handlers: Handlers
  readonly #events = new Emitter<{ down: string }>()
  #self: Address | undefined
  readonly #own = new Map<number, Contact>()
  #inFlight = 0
  #bulkInFlight = 0
  #stopped = false

  constructor(options: Libp2pTransportOptions, node: Libp2pNode, listen: Endpoint, maxConnections: number) {
    const { env, key, incarnation, network, placement = 'ip-port', rtt = DEFAULT_RTT } = options
    this.peer = key.peer
    this.placement = placement
    this.incarnation = incarnation
    this.listen = listen
    this.#env = env
    this.#handlers = new Handlers(this.counters, placement, (kind, error) => {
      env.log.error('a handler failed', { kind, error: errorMessage(error) })
    })
    this.#links = new Links(
      {
        env,
        counters: this.counters,
        hello: () => this.#hello(),
        ownClass: () => this.#ownClass(),
        onRequest: (link, request, bulk) => this.#onRequest(link, request, bulk),
        onPeerDown: (peer) => this.#events.emit('down', peer),
      },
      node,
      { network, maxConnections, rtt },
    )
    this.handle(Ping, () => ({}))
    this.handle(DialBack, (message, delivery) => this.#onDialBack(message.port, delivery as LinkDelivery))
  }

  /** Begins to accept; called once, by `createLibp2pTransport`. */
  open(): Promise<void> {
    return this.#links.open()
  }

  /** Says goodbye and closes everything. */
  async stop(): Promise<void> {
    if (this.#stopped) return
    this.#stopped = true
    await this.#links.stop()
  }

  get self(): Address | undefined {
    return this.#self
  }

  /**
   * Learns this host's own address. Without seeds it founds a network: the address is where it listens. With seeds,
   * they are asked to dial back; undefined: they cannot, so this host is a leaf. Rejects when no seed answers.
   */
  async confirmAddress(
    seeds: readonly Contact[],
    options: { signal?: AbortSignal | undefined } = {},
  ): Promise<Address | undefined> {
    if (seeds.length === 0) return this.#setSelf(isWildcardIp(this.listen.ip) ? interfaceIp() : this.listen.ip)
    let failure: unknown
    let answered = false
    for (const seed of seeds.slice(0, DIAL_BACK_SEEDS)) {
      this.#checkClass(seed.ip, 'config')
      try {
        const { port } = this.listen
        const reply = await this.request(seed, DialBack, { port }, { ...options, timeoutMs: DIAL_BACK_TIMEOUT_MS })
        answered = true
        const ip = canonicalIp(reply.ip)
        if (reply.reachable && ip && ipClass(ip) === ipClass(seed.ip)) return this.#setSelf(ip)
      } catch (error) {
        failure = error
      }
    }
    if (!answered) throw failure
    return undefined
  }

  /**
   * Connects to `ip:port` (or a multiaddr) without knowing who is there. Returns the contact of the first overlay node
   * of whoever authenticates. Rejects with `usage`, `config` (mixed classes), `unreachable` or `wrong-network`.
   */
  async resolve(place: string, options: { signal?: AbortSignal | undefined } = {}): Promise<Contact> {
    const endpoint = parsePlace(place)
    this.#checkClass(endpoint.ip, 'config')
    const open = this.#links.all().find((link) => sameEndpoint(link.dialled, endpoint))
    const link = open ?? (await withSignal(this.#links.connect(endpoint, undefined), options.signal))
    const { incarnation } = link.rpc.hello as HelloFrame
    if (link.claim) this.#checkClass(link.claim.ip, 'config')
    return contactAt(link.claim ?? { peer: link.peer, ...endpoint, incarnation }, 0, this.placement)
  }

  /** Round-trip time of one small question, in ms. */
  async ping(to: Contact, options: { signal?: AbortSignal | undefined } = {}): Promise<number> {
    const startMs = performance.now()
    await this.request(to, Ping, {}, options)
    return performance.now() - startMs
  }

  request<Q extends TSchema, R extends TSchema>(
    to: Contact,
    kind: MessageKind<Q, R>,
    message: RequestOf<MessageKind<Q, R>>,
    options: RequestOptions = {},
  ): Promise<ReplyOf<MessageKind<Q, R>>> {
    if (options.signal?.aborted) return Promise.reject(abortReason(options.signal))
    if (this.#stopped) return Promise.reject(new ChoraleError('aborted', 'this host stops'))
    if (to.peer === this.peer) return this.#requestSelf(to, kind, message, options)
    if (this.#inFlight >= MAX_REQUESTS) {
      this.counters.busyRequests++
      return Promise.reject(new ChoraleError('busy', `${MAX_REQUESTS} requests are in flight`))
    }
    if (kind.bulk && this.#bulkInFlight >= MAX_BULK_REQUESTS) {
      this.counters.busyRequests++
      return Promise.reject(new ChoraleError('busy', `${MAX_BULK_REQUESTS} requests for blocks are in flight`))
    }
    const link = this.#links.to(to)
    return link ? this.#ask(link, to, kind, message, options) : this.#askFirst(to, kind, message, options)
  }

  handle<Q extends TSchema, R extends TSchema>(kind: MessageKind<Q, R>, handler: Handler<Q, R>): void {
    this.#handlers.set(kind, handler)
  }

  rtt(peer: string): number | undefined {
    return this.#links.rtt(peer)
  }

  connected(peer: string): boolean {
    return this.#links.connected(peer)
  }

  onPeerDown(handler: (peer: string) => void): () => void {
    return this.#events.on('down', handler)
  }

  peers(): ConnectedPeer[] {
    return this.#links.all().map((link) => {
      const at = link.confirmed ? link.claim : link.dialled
      return {
        peer: link.peer,
        address: at && formatEndpoint(at),
        direction: link.dialled ? 'outbound' : 'inbound',
        rttMs: this.rtt(link.peer),
      }
    })
  }

  // ---- asking

  #ask<K extends MessageKind>(
    link: Link,
    to: Contact,
    kind: K,
    message: RequestOf<K>,
    options: RequestOptions,
    again = false,
  ): Promise<ReplyOf<K>> {
    const { signal, timeoutMs, slot } = options
    if (link.rpc.hello?.incarnation !== to.incarnation) {
      return Promise.reject(new ChoraleError('gone', `${formatEndpoint(to)} is another incarnation`))
    }
    let body: unknown
    try {
      body = wireOf(kind).request.toWire(message)
    } catch (error) {
      return Promise.reject(error)
    }
    this.#count(kind, 1)
    this.counters.requestsOut++
    const { slot: toSlot, incarnation: toIncarnation } = to
    const request = { kind: kind.name, body, toSlot, fromSlot: slot ?? 0, toIncarnation, timeoutMs, signal }
    return this.#send(link, kind, request).then(
      (reply) => {
        this.#count(kind, -1)
        try {
          return wireOf(kind).reply.fromWire(reply, this.placement)
        } catch (error) {
          this.counters.schemaErrors++
          throw error
        }
      },
      (error) => {
        this.#count(kind, -1)
        // The peer made room while the request was on its way, so nobody has seen it: a new connection, once.
        if (link.rpc.polite && !again && errorCode(error) === 'unreachable') {
          return this.#askFirst(to, kind, message, options, true)
        }
        throw error
      },
    )
  }

  #send(link: Link, { bulk }: MessageKind, request: RpcRequest): Promise<unknown> {
    if (!bulk) return link.rpc.request(request)
    const stream = this.#links.bulk.of(link)
    if (!(stream instanceof Promise)) return stream.request(request)
    return withSignal(stream, request.signal).then((opened) => opened.request(request))
  }

  #count({ bulk }: MessageKind, requests: 1 | -1): void {
    this.#inFlight += requests
    if (bulk) this.#bulkInFlight += requests
  }

  async #askFirst<K extends MessageKind>(
    to: Contact,
    kind: K,
    message: RequestOf<K>,
    options: RequestOptions,
    again = false,
  ): Promise<ReplyOf<K>> {
    this.#checkClass(to.ip, 'unreachable')
    this.#count(kind, 1)
    let link: Link
    try {
      link = await withSignal(this.#links.reach(to), options.signal)
    } finally {
      this.#count(kind, -1)
    }
    return this.#ask(link, to, kind, message, options, again)
  }

  async #requestSelf<K extends MessageKind>(
    to: Contact,
    kind: K,
    message: RequestOf<K>,
    { slot = 0, signal, timeoutMs }: RequestOptions,
  ): Promise<ReplyOf<K>> {
    if (!this.#self || to.incarnation !== this.incarnation || !sameEndpoint(to, this.#self)) {
      throw new ChoraleError('gone', 'this host, in another life or at another place')
    }
    const contact = this.#own.get(slot) ?? contactAt(this.#self, slot, this.placement)
    this.#own.set(slot, contact)
    const delivery: LinkDelivery = { from: { peer: this.peer, contact }, slot: to.slot, link: undefined }
    const answer = this.#handlers.call(kind, message, delivery)
    if (timeoutMs === undefined) return (await withSignal(answer, signal)) as ReplyOf<K>
    using deadline = this.#env.clock.deadline(timeoutMs, signal)
    return (await withSignal(answer, deadline.signal)) as ReplyOf<K>
  }

  // ---- answering

  #onRequest(link: Link, request: RequestFrame, bulk: boolean): Answer | Promise<Answer> {
    if (request.toIncarnation !== this.incarnation) {
      this.counters.wrongIncarnations++
      return { ok: false, code: 'gone', message: 'another incarnation lives here' }
    }
    if (!link.confirmed && link.claim) {
      const confirmed = this.#links.confirm(link)
      // The first requests of a peer wait for its dial-back, so that handlers know who asks.
      if (confirmed instanceof Promise)
        return this.#atMost(MAX_HOLD_MS, confirmed, () => this.#deliver(link, request, bulk))
    }
    return this.#deliver(link, request, bulk)
  }

  #deliver(link: Link, { kind, body, toSlot, fromSlot }: RequestFrame, bulk: boolean): Answer | Promise<Answer> {
    const contact = link.confirmed ? this.#contactOf(link, fromSlot) : undefined
    const delivery: LinkDelivery = { from: { peer: link.peer, contact }, slot: toSlot, link }
    return this.#handlers.answer(kind, body, delivery, bulk)
  }

  #atMost<T>(ms: number, event: Promise<unknown>, then: () => T | Promise<T>): Promise<T> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const cancel = this.#env.clock.timer(ms, resolve)
    void event.then(() => {
      cancel()
      resolve()
    })
    return promise.then(then)
  }

  #contactOf(link: Link, slot: number): Contact {
    let contact = link.contacts.get(slot)
    if (!contact) link.contacts.set(slot, (contact = contactAt(link.claim as Address, slot, this.placement)))
    return contact
  }

  async #onDialBack(port: number, { link }: LinkDelivery): Promise<{ ip: string; reachable: boolean }> {
    if (!link) return { ip: this.listen.ip, reachable: true }
    const { incarnation } = link.rpc.hello as HelloFrame
    const reachable = await this.#links.confirmPlace({ peer: link.peer, ip: link.ip, port, incarnation })
    return { ip: link.ip, reachable }
  }

  // ---- addresses

  #setSelf(ip: string): Address {
    const self = { peer: this.peer, ip, port: this.listen.port, incarnation: this.incarnation }
    this.#self = self
    this.#own.clear()
    this.#links.announce()
    return self
  }

  #hello(): Omit<HelloFrame, 'type'> {
    const address = this.#self && { ip: this.#self.ip, port: this.#self.port }
    return { version: HELLO_VERSION, address, incarnation: this.incarnation }
  }

  #ownClass(): IpClass | undefined {
    if (this.#self) return ipClass(this.#self.ip)
    return isWildcardIp(this.listen.ip) ? undefined : ipClass(this.listen.ip)
  }

  #checkClass(ip: string, code: 'config' | 'unreachable'): void {
    const own = this.#ownClass()
    const theirs = ipClass(ip)
    if (own === undefined || own === theirs) return
    const where = `this node is at ${this.#self?.ip ?? this.listen.ip} (${own}) and the other at ${ip} (${theirs})`
    const remedy = `start both with --listen on ${theirs} addresses, or this one with --listen 0.0.0.0:${this.listen.port}`
    throw new ChoraleError(code, `${where}; a ring mixes no loopback, private and public addresses: ${remedy}`)
  }
}
