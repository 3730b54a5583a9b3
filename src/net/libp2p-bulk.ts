/**
 * The bulk lanes of a host's connections: a stream of its own per connection, opened by whoever asks first, on which
 * both ask. When both open one at the same moment, either asks on the one that it finds first. What goes wrong on the
 * lane ends the lane; the connection and its small messages stay.
 */
import type { Connection, Stream } from '@libp2p/interface'
import type { Env } from '../core/env.ts'
import { ChoraleError, errorMessage } from '../core/errors.ts'
import { MAX_BULK_READ_BUFFER_BYTES, MAX_STREAMS_PER_PROTOCOL } from '../core/limits.ts'
import type { Counters } from './counters.ts'
import type { HelloFrame, RequestFrame } from './frame.ts'
import type { Answer } from './handlers.ts'
import { BULK_LANE, BULK_RTT } from './lane.ts'
import type { Libp2pNode } from './libp2p-node.ts'
import { bytesOf, closedByPeer, listenTo } from './libp2p-stream.ts'
import { updateWindowLazily, widenWindow } from './libp2p-tuning.ts'
import { blockProtocol } from './network-id.ts'
import type { SharedBytes } from './outbox.ts'
import { PeerLimits } from './peer-limits.ts'
import { type RpcHost, RpcStream } from './rpc-stream.ts'
import { RttEstimator } from './rtt.ts'

/** What a lane belongs to. */
export interface BulkOwner {
  readonly peer: string
  readonly ip: string
  readonly connection: Connection
  /** Its small messages. */
  readonly rpc: RpcStream
}

/** What the lanes need of their host. */
export interface BulkHost<Owner extends BulkOwner> {
  readonly env: Env
  readonly counters: Counters
  /** Monotone milliseconds. */
  now(): number
  hello(): Omit<HelloFrame, 'type'>
  /** Undefined: no stream of small messages is open, or not yet. Its hello may still be on the way behind this stream. */
  ownerOf(connection: Connection): Owner | undefined
  onRequest(owner: Owner, request: RequestFrame): Answer | Promise<Answer>
}

/** For a stream over an open connection, at the other end of the world, behind a window full of blocks. */
const OPEN_TIMEOUT_MS = 5000

interface OwnLanes {
  /** Usually one; two where both sides opened one at the same moment. */
  readonly streams: RpcStream[]
  readonly rtt: RttEstimator
  opening: Promise<RpcStream> | undefined
  /** Has the peer one open that it opened? */
  inbound: boolean
}

export class BulkLanes<Owner extends BulkOwner> {
  readonly #host: BulkHost<Owner>
  readonly #node: Libp2pNode
  readonly #protocol: string
  readonly #limits = new PeerLimits(BULK_LANE)
  readonly #shared: SharedBytes = { bytes: 0 }
  readonly #lanes = new WeakMap<Owner, OwnLanes>()

  constructor(host: BulkHost<Owner>, node: Libp2pNode, network: string) {
    this.#host = host
    this.#node = node
    this.#protocol = blockProtocol(network)
  }

  /** Begins to accept. */
  open(): Promise<void> {
    return this.#node.handle(this.#protocol, (stream, connection) => this.#accept(stream, connection), {
      maxInboundStreams: MAX_STREAMS_PER_PROTOCOL,
      maxOutboundStreams: MAX_STREAMS_PER_PROTOCOL,
    })
  }

  /** The stream to ask on, at once where it is open. Rejects with `unreachable`. */
  of(owner: Owner): RpcStream | Promise<RpcStream> {
    const lanes = this.#lanesOf(owner)
    const [stream] = lanes.streams
    if (stream) return stream
    lanes.opening ??= this.#open(owner).finally(() => {
      lanes.opening = undefined
    })
    return lanes.opening
  }

  /** Requests in flight, either way. */
  inFlight(owner: Owner): number {
    return this.#lanes.get(owner)?.streams.reduce((sum, { inFlight }) => sum + inFlight, 0) ?? 0
  }

  /** The connection goes. */
  close(owner: Owner, error: ChoraleError): void {
    for (const stream of [...(this.#lanes.get(owner)?.streams ?? [])]) stream.close(error)
  }

  #lanesOf(owner: Owner): OwnLanes {
    let lanes = this.#lanes.get(owner)
    if (!lanes) {
      lanes = { streams: [], rtt: new RttEstimator(BULK_RTT), opening: undefined, inbound: false }
      this.#lanes.set(owner, lanes)
    }
    return lanes
  }

  async #open(owner: Owner): Promise<RpcStream> {
    using deadline = this.#host.env.clock.deadline(OPEN_TIMEOUT_MS)
    try {
      const stream = await owner.connection.newStream(this.#protocol, { signal: deadline.signal })
      if (stream.status !== 'open') throw new Error('the peer refused it')
      if (this.#host.ownerOf(owner.connection) === owner) return this.#add(stream, owner, () => {})
      stream.abort(new Error('too late'))
      throw new Error('the connection was closed')
    } catch (error) {
      throw new ChoraleError('unreachable', `no stream for blocks: ${errorMessage(error)}`, { cause: error })
    }
  }

  #accept(stream: Stream, connection: Connection): void {
    const owner = this.#host.ownerOf(connection)
    const lanes = owner && this.#lanesOf(owner)
    if (!lanes || lanes.inbound) {
      this.#host.counters.extraStreams++
      stream.abort(new Error('one stream for blocks, after that of small messages'))
      return
    }
    lanes.inbound = true
    this.#add(stream, owner, () => {
      lanes.inbound = false
    })
  }

  #add(stream: Stream, owner: Owner, onClose: () => void): RpcStream {
    const { counters, env, now } = this.#host
    const { streams, rtt } = this.#lanesOf(owner)
    widenWindow(stream, MAX_BULK_READ_BUFFER_BYTES)
    updateWindowLazily(stream)
    const host: RpcHost = {
      counters,
      now,
      timer: env.clock.timer,
      soon: (run) => setImmediate(run),
      onHello: () => {}, // who the peer is, its connection's first stream has said
      onRequest: (_rpc, request) => this.#host.onRequest(owner, request),
      onClose: (rpc) => {
        streams.splice(streams.indexOf(rpc), 1)
        onClose()
      },
    }
    const bytes = bytesOf(stream, (error) => stream.abort(error))
    const allowance = this.#limits.allowance(owner.peer, owner.ip, now())
    const rpc = new RpcStream(owner.peer, bytes, host, rtt, allowance, { lane: BULK_LANE, shared: this.#shared })
    streams.push(rpc)
    stream.addEventListener('message', () => owner.rpc.lives())
    stream.addEventListener('drain', () => owner.rpc.lives())
    listenTo(stream, rpc, () => {
      const error = closedByPeer()
      rpc.close(error)
      stream.abort(error)
    })
    rpc.sendHello(this.#host.hello())
    return rpc
  }
}
