/**
 * The connections of a host, each with its request/response streams: who dials, who may be taken for whom, and who
 * goes when there is no room. A contact is reached only at its own address over a connection authenticated for its peer
 * id (DESIGN 4): one that we dialled there, or one that came from it after a dial-back has shown that it is there.
 */
import { performance } from 'node:perf_hooks'
import type { Connection, Stream } from '@libp2p/interface'
import type { Env } from '../core/env.ts'
import { ChoraleError, errorMessage } from '../core/errors.ts'
import { MAX_CONNECTIONS_PER_PEER, MAX_DIALS, MAX_KNOWN_PEERS } from '../core/limits.ts'
import { CappedMap } from './capped-map.ts'
import type { Address, Contact } from './contact.ts'
import type { Counters } from './counters.ts'
import { DialBacks } from './dial-back.ts'
import { type Endpoint, formatEndpoint, sameEndpoint } from './endpoint.ts'
import { HELLO_VERSION, type HelloFrame, type RequestFrame } from './frame.ts'
import type { Answer } from './handlers.ts'
import { canonicalIp, type IpClass, ipClass } from './ip.ts'
import { BulkLanes } from './libp2p-bulk.ts'
import { describeStranger, endpointOf, isPeerId, type Libp2pNode, multiaddrOf } from './libp2p-node.ts'
import { bytesOf, closedByPeer, listenTo, unreachable } from './libp2p-stream.ts'
import { updateWindowLazily } from './libp2p-tuning.ts'
import { rpcProtocol } from './network-id.ts'
import { PeerLimits } from './peer-limits.ts'
import { type RpcHost, RpcStream, withSignal } from './rpc-stream.ts'
import { RttEstimator, type RttSettings } from './rtt.ts'

/** What the links need of their host. */
export interface LinkHost {
  readonly env: Env
  readonly counters: Counters
  hello(): Omit<HelloFrame, 'type'>
  /** Undefined while a host that listens everywhere does not know its address. */
  ownClass(): IpClass | undefined
  onRequest(link: Link, request: RequestFrame, bulk: boolean): Answer | Promise<Answer>
  /** The last connection of a peer closed, or none could be made. */
  onPeerDown(peer: string): void
}

export interface LinkSettings {
  readonly network: string
  readonly maxConnections: number
  readonly rtt: RttSettings
}

/** For a TCP connection, the handshake and the hello, all at the other end of the world. */
export const DIAL_TIMEOUT_MS = 3000
/** A peer whose deadline for an answer is short gets a shorter one for a connection too, but no less than this. */
const MIN_DIAL_TIMEOUT_MS = 1000
/** A connection that does not speak our protocol by then is closed. */
const HELLO_TIMEOUT_MS = 10_000

/** One connection with its stream of small messages. */
export interface Link {
  readonly peer: string
  readonly connection: Connection
  readonly rpc: RpcStream
  /** The IP at the other end, as we see it. */
  readonly ip: string
  /** Where we dialled to; undefined for one that came in. */
  readonly dialled: Endpoint | undefined
  /** The address in the peer's hello. */
  claim: Address | undefined
  confirmed: boolean
  /** Contacts of the peer's overlay nodes by slot, once confirmed. */
  contacts: Map<number, Contact>
  readonly ready: PromiseWithResolvers<Link>
}

export class Links {
  readonly bulk: BulkLanes<Link>
  readonly #host: LinkHost
  readonly #node: Libp2pNode
  readonly #settings: LinkSettings
  readonly #protocol: string
  readonly #rpcHost: RpcHost
  readonly #limits = new PeerLimits()
  readonly #dialBacks: DialBacks
  readonly #links = new Map<string, Link[]>()
  #count = 0
  readonly #linkOf = new WeakMap<RpcStream, Link>()
  readonly #dials = new Map<string, Promise<Link>>()
  readonly #rtts = new CappedMap<string, RttEstimator>(MAX_KNOWN_PEERS)
  #stopped = false

  constructor(host: LinkHost, node: Libp2pNode, settings: LinkSettings) {
    this.#host = host
    this.#node = node
    this.#settings = settings
    this.#protocol = rpcProtocol(settings.network)
    const { counters } = host
    const now = () => performance.now()
    this.#dialBacks = new DialBacks({ dial: (address) => this.#dialBack(address), now, counters })
    this.#rpcHost = {
      counters,
      now,
      timer: host.env.clock.timer,
      soon: (run) => setImmediate(run),
      onHello: (rpc, hello) => this.#onHello(rpc, hello),
      onRequest: (rpc, request) => host.onRequest(this.#linkOf.get(rpc) as Link, request, false),
      onClose: (rpc, error, polite) => this.#onClose(rpc, error, polite),
    }
    const bulkHost = {
      env: host.env,
      counters,
      now,
      hello: () => host.hello(),
      ownerOf: (connection: Connection) => this.#linkOver(connection),
      onRequest: (link: Link, request: RequestFrame) => host.onRequest(link, request, true),
    }
    this.bulk = new BulkLanes(bulkHost, node, settings.network)
  }

  /** Begins to accept. */
  async open(): Promise<void> {
    this.#node.addEventListener('connection:open', ({ detail }) => this.#onConnection(detail))
    this.#node.addEventListener('connection:close', ({ detail }) => this.#onDisconnection(detail))
    await this.#node.handle(this.#protocol, (stream, connection) => this.#accept(stream, connection), {
      maxInboundStreams: 1,
      maxOutboundStreams: 1,
    })
    await this.bulk.open()
  }

  /** Says goodbye and closes everything. */
  async stop(): Promise<void> {
    this.#stopped = true
    for (const link of this.all()) link.rpc.sendBye(true)
    try {
      await this.#node.stop()
    } catch (error) {
      this.#host.env.log.debug('while stopping', { error: errorMessage(error) })
    }
    for (const link of this.all()) link.rpc.close(new ChoraleError('aborted', 'this host stops'))
  }

  /** Those that have said hello. */
  all(): Link[] {
    return [...this.#links.values()].flat().filter((link) => link.rpc.hello)
  }

  connected(peer: string): boolean {
    return this.#links.get(peer)?.some((link) => link.rpc.hello && !link.rpc.closed) ?? false
  }

  rtt(peer: string): number | undefined {
    return this.#rtts.get(peer)?.smoothed()
  }

  /** Our address has changed. Those whose own hello is still on its way have had ours already, without it. */
  announce(): void {
    for (const link of [...this.#links.values()].flat()) link.rpc.sendHello(this.#host.hello())
  }

  /** An open link over which the contact may be asked. */
  to(to: Contact): Link | undefined {
    const links = this.#links.get(to.peer)
    if (!links) return undefined
    for (const link of links) {
      if (link.rpc.closed || link.rpc.polite || !link.rpc.hello) continue
      if (sameEndpoint(link.dialled, to) || (link.confirmed && sameEndpoint(link.claim, to))) return link
    }
    return undefined
  }

  /** A connection that came in from the contact is as good as a dial once its address is confirmed. */
  async reach(to: Contact): Promise<Link> {
    for (const link of this.#links.get(to.peer) ?? []) {
      if (link.rpc.closed || link.rpc.polite || !sameEndpoint(link.claim, to)) continue
      if (await this.confirm(link)) return link
    }
    return this.connect(to, to.peer)
  }

  /** Dials, or joins the dial that is under way. */
  connect(to: Endpoint, peer: string | undefined): Promise<Link> {
    const name = `${peer ?? ''} ${to.ip} ${to.port}`
    let dial = this.#dials.get(name)
    if (!dial) {
      if (this.#dials.size >= MAX_DIALS) {
        this.#host.counters.busyRequests++
        return Promise.reject(new ChoraleError('busy', `${MAX_DIALS} connections are being made`))
      }
      dial = this.#dialLink(to, peer).finally(() => this.#dials.delete(name))
      this.#dials.set(name, dial)
    }
    return dial
  }

  /** Is the peer where it claims to be? Tries to find out, at most once at a time. */
  confirm(link: Link): boolean | Promise<boolean> {
    const { claim } = link
    if (link.confirmed || !claim) return link.confirmed
    const own = this.#host.ownClass()
    if (own !== undefined && ipClass(claim.ip) !== own) {
      this.#host.counters.mixedClasses++
      return false
    }
    if (claim.ip !== link.ip) return false
    const outcome = this.#dialBacks.confirm(claim)
    const settle = (confirmed: boolean) => {
      if (link.claim === claim) link.confirmed = confirmed
      return confirmed
    }
    return outcome instanceof Promise ? outcome.then(settle) : settle(outcome)
  }

  /** Can a peer be dialled at a place that is not in its hello? */
  confirmPlace(address: Address): boolean | Promise<boolean> {
    return this.#dialBacks.confirm(address)
  }

  /** A connection that is made only to see who answers. */
  async #dialBack(address: Address): Promise<void> {
    const connection = await this.#dial(address, address.peer)
    await connection.close().catch(() => connection.abort(new Error('closed')))
  }

  async #dialLink(to: Endpoint, peer: string | undefined): Promise<Link> {
    if (!this.#makeRoom()) {
      this.#host.counters.busyRequests++
      throw new ChoraleError('busy', `all ${this.#settings.maxConnections} connections are in use`)
    }
    let connection: Connection | undefined
    try {
      connection = await this.#dial(to, peer)
      return await this.#openLink(connection, to)
    } catch (error) {
      this.#host.counters.failedDials++
      connection?.abort(error as Error)
      if (peer !== undefined && !this.connected(peer) && !this.#stopped) this.#host.onPeerDown(peer)
      throw unreachable(to, error)
    }
  }

  async #dial(to: Endpoint, peer: string | undefined): Promise<Connection> {
    if (peer !== undefined && !isPeerId(peer)) throw new ChoraleError('unreachable', `not a peer id: ${peer}`)
    const expectedMs = peer === undefined ? DIAL_TIMEOUT_MS : 8 * this.#rttOf(peer).timeoutMs()
    const timeoutMs = Math.min(Math.max(expectedMs, MIN_DIAL_TIMEOUT_MS), DIAL_TIMEOUT_MS)
    using deadline = this.#host.env.clock.deadline(timeoutMs)
    try {
      // Our own maps say what is open; libp2p would hand out a connection that came in from who knows where.
      return await this.#node.dial(multiaddrOf(to, peer), { signal: deadline.signal, force: true })
    } catch (error) {
      if (errorMessage(error).includes('dial self')) {
        throw new ChoraleError('usage', `${formatEndpoint(to)} is this node itself`, { cause: error })
      }
      throw unreachable(to, deadline.signal.aborted ? deadline.signal.reason : error)
    }
  }

  async #openLink(connection: Connection, dialled: Endpoint): Promise<Link> {
    using deadline = this.#host.env.clock.deadline(DIAL_TIMEOUT_MS)
    const { signal } = deadline
    let stream: Stream
    try {
      stream = await connection.newStream(this.#protocol, { signal })
    } catch (error) {
      if ((error as Error).name !== 'UnsupportedProtocolError') throw error
      this.#host.counters.wrongNetworks++
      const what = await describeStranger(this.#node, connection, this.#protocol, signal)
      throw new ChoraleError('wrong-network', `the node at ${formatEndpoint(dialled)} ${what}`)
    }
    const link = this.#addLink(stream, connection, dialled)
    await withSignal(link.ready.promise, signal)
    return link
  }

  #accept(stream: Stream, connection: Connection): void {
    if (this.#stopped || connection.direction === 'outbound') {
      stream.abort(new Error('only the dialler opens the stream'))
    } else if (this.#makeRoom()) {
      this.#addLink(stream, connection, undefined)
    } else {
      this.#host.counters.extraConnections++
      connection.abort(new Error('no room'))
    }
  }

  #addLink(stream: Stream, connection: Connection, dialled: Endpoint | undefined): Link {
    updateWindowLazily(stream)
    const peer = connection.remotePeer.toString()
    const ip = canonicalIp(endpointOf(connection.remoteAddr).ip) ?? ''
    const bytes = bytesOf(stream, (error) => connection.abort(error))
    const allowance = this.#limits.allowance(peer, ip, this.#rpcHost.now())
    const rpc = new RpcStream(peer, bytes, this.#rpcHost, this.#rttOf(peer), allowance)
    const ready = Promise.withResolvers<Link>()
    ready.promise.catch(() => {}) // who waits for it hears of it; nobody has to
    const link: Link = {
      peer,
      connection,
      rpc,
      ip,
      dialled,
      claim: undefined,
      confirmed: false,
      contacts: new Map(),
      ready,
    }
    this.#linkOf.set(rpc, link)
    this.#count++
    const links = this.#links.get(peer)
    if (links) links.push(link)
    else this.#links.set(peer, [link])
    listenTo(stream, rpc, () => this.#drop(link, closedByPeer()))
    rpc.sendHello(this.#host.hello())
    return link
  }

  #onHello(rpc: RpcStream, hello: HelloFrame): void {
    const link = this.#linkOf.get(rpc) as Link
    if (hello.version !== HELLO_VERSION) {
      this.#host.counters.wrongNetworks++
      const text = `the peer speaks version ${hello.version} of the hello, this node ${HELLO_VERSION}`
      this.#drop(link, new ChoraleError('wrong-network', text))
      return
    }
    for (const other of this.#links.get(link.peer) ?? []) {
      // A host that was restarted without a word: nobody is left at the other end of its earlier connections.
      if ((other.rpc.hello?.incarnation ?? hello.incarnation) < hello.incarnation) this.#drop(other, closedByPeer())
    }
    link.claim = hello.address && { peer: link.peer, ...hello.address, incarnation: hello.incarnation }
    link.contacts = new Map()
    link.confirmed = false
    if (link.claim) {
      if (sameEndpoint(link.dialled, link.claim)) this.#dialBacks.mark(link.claim)
      link.confirmed = this.#dialBacks.confirmed(link.claim)
    }
    link.ready.resolve(link)
  }

  #rttOf(peer: string): RttEstimator {
    let rtt = this.#rtts.get(peer)
    if (!rtt) this.#rtts.set(peer, (rtt = new RttEstimator(this.#settings.rtt)))
    return rtt
  }

  #drop(link: Link, error: ChoraleError): void {
    link.rpc.close(error)
    link.connection.abort(error)
  }

  #onClose(rpc: RpcStream, error: ChoraleError, polite: boolean): void {
    const link = this.#linkOf.get(rpc) as Link
    this.bulk.close(link, error)
    this.#count--
    const rest = (this.#links.get(link.peer) ?? []).filter((other) => other !== link)
    if (rest.length > 0) this.#links.set(link.peer, rest)
    else this.#links.delete(link.peer)
    const wasReady = rpc.hello !== undefined
    link.ready.reject(closedByPeer())
    if (wasReady && rest.length === 0 && !polite && !this.#stopped) this.#host.onPeerDown(link.peer)
  }

  /** A connection counts once it has our stream; until then it may be a dial-back, and has not long to live. */
  #onConnection(connection: Connection): void {
    if (connection.direction === 'outbound') return
    const peer = connection.remotePeer
    if (this.#node.getConnections(peer).length > MAX_CONNECTIONS_PER_PEER) {
      this.#host.counters.extraConnections++
      connection.abort(new Error('too many connections of one peer'))
      return
    }
    const cancel = this.#host.env.clock.timer(HELLO_TIMEOUT_MS, () => {
      if (this.#linkOver(connection)?.rpc.hello) return
      this.#host.counters.helloTimeouts++
      connection.abort(new Error('no hello'))
    })
    connection.addEventListener('close', cancel)
  }

  #onDisconnection(connection: Connection): void {
    const peer = connection.remotePeer
    this.#linkOver(connection)?.rpc.close(closedByPeer())
    // libp2p's own memory of peers has no cap, and we have no use for it.
    const known = this.#node.getConnections(peer).some((other) => other !== connection)
    if (!known && !this.#stopped) void this.#node.peerStore.delete(peer).catch(() => {})
  }

  #linkOver(connection: Connection): Link | undefined {
    return this.#links.get(connection.remotePeer.toString())?.find((link) => link.connection === connection)
  }

  /** Is there room for one more connection? If need be, closes the idle one that was used least lately. */
  #makeRoom(): boolean {
    if (this.#count + this.#dials.size < this.#settings.maxConnections) return true
    let victim: Link | undefined
    for (const link of this.all()) {
      if (link.rpc.inFlight + this.bulk.inFlight(link) > 0) continue
      if (!victim || link.rpc.usedMs < victim.rpc.usedMs) victim = link
    }
    if (!victim) return false
    const { connection, rpc } = victim
    this.#host.counters.evictedConnections++
    rpc.sendBye(false)
    rpc.close(new ChoraleError('unreachable', 'closed to make room'))
    void connection.close().catch((error) => connection.abort(error))
    return true
  }
}
