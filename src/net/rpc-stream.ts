/**
 * One request/response stream (DESIGN 5): either side asks, replies are matched by number, frames of one turn of the
 * event loop leave in one write. It knows bytes, frames and deadlines; connections are the adapter's (`libp2p.ts`), and
 * tests drive it in memory.
 *
 * Nothing that comes in throws past `receive`: it is counted, answered, or ends the stream.
 */
import { ChoraleError, errorCode, errorMessage, knownCode } from '../core/errors.ts'
import { MAX_HELLOS } from '../core/limits.ts'
import type { Counters } from './counters.ts'
import { decodeFrame, encodeFrameParts, type Frame, FrameReader, type HelloFrame, type RequestFrame } from './frame.ts'
import type { Answer } from './handlers.ts'
import { type Lane, SMALL_LANE } from './lane.ts'
import { type ByteStream, Outbox, type SharedBytes } from './outbox.ts'
import type { Allowance } from './peer-limits.ts'
import { abortReason, PendingRequests, type Waiter } from './pending.ts'
import type { RttEstimator } from './rtt.ts'

/** What the stream needs around it. */
export interface RpcHost {
  readonly counters: Counters
  /** Monotone milliseconds. */
  now(): number
  timer(ms: number, fire: () => void): () => void
  /** Runs once this turn's work is done: frames are gathered until then. */
  soon(run: () => void): void
  onHello(stream: RpcStream, hello: HelloFrame): void
  onRequest(stream: RpcStream, request: RequestFrame): Answer | Promise<Answer>
  /** Once. `polite`: the peer said goodbye because it makes room, and lives on. */
  onClose(stream: RpcStream, error: ChoraleError, polite: boolean): void
}

export interface RpcRequest {
  readonly kind: string
  readonly body: unknown
  readonly toSlot: number
  readonly fromSlot: number
  readonly toIncarnation: number
  /** Instead of the deadline that follows the peer's round-trip times. */
  readonly timeoutMs: number | undefined
  readonly signal: AbortSignal | undefined
}

/** What makes a stream one of the bulk lane. */
export interface StreamLane {
  readonly lane: Lane
  /** Of all streams of the lane. */
  readonly shared: SharedBytes
}

interface Held {
  readonly request: RequestFrame
  readonly bytes: number
}

export class RpcStream {
  readonly peer: string
  /** What the peer said of itself; undefined until its first frame. */
  hello: HelloFrame | undefined
  /** When the last request was asked or answered, either way. */
  usedMs: number
  closed = false
  /** One side makes room: no new requests of ours, and the close that follows is no death. */
  polite = false

  readonly lane: Lane
  readonly #bytes: ByteStream
  readonly #host: RpcHost
  readonly #allowance: Allowance
  readonly #shared: SharedBytes
  readonly #reader: FrameReader
  readonly #outbox: Outbox
  readonly #pending: PendingRequests
  /** Requests of ours that wait until there is room to write them. */
  readonly #unsent: Array<RequestFrame> = []
  /** Requests of the peer's that wait until there is room for their answers. */
  readonly #held: Held[] = []
  #heldBytes = 0
  #handling = 0
  #hellos = 0
  #cancelResume: (() => void) | undefined

  readonly #onFrame = (payload: Uint8Array) => this.#frame(payload)

  constructor(
    peer: string,
    bytes: ByteStream,
    host: RpcHost,
    rtt: RttEstimator,
    allowance: Allowance,
    { lane, shared }: StreamLane = { lane: SMALL_LANE, shared: { bytes: 0 } },
  ) {
    this.peer = peer
    this.lane = lane
    this.#bytes = bytes
    this.#host = host
    this.#allowance = allowance
    this.#shared = shared
    this.#reader = new FrameReader(lane.maxFrameBytes)
    const goOn = () => this.#goOn()
    const fail = (error: ChoraleError) => this.#fail(error)
    this.#outbox = new Outbox(lane, bytes, host, shared, goOn, fail)
    this.#pending = new PendingRequests(lane, host, rtt, goOn, fail)
    this.usedMs = host.now()
  }

  /** Requests in flight, either way: 0 means that closing hurts nobody. */
  get inFlight(): number {
    return this.#pending.size + this.#handling + this.#held.length
  }

  /** Bytes held for the peer and from it. */
  get buffered(): number {
    return this.#outbox.bytes + this.#heldBytes + this.#reader.buffered
  }

  sendHello(hello: Omit<HelloFrame, 'type'>): void {
    this.#write({ type: 'hello', ...hello })
  }

  /** Says that the close which follows is meant: the host leaves, or it only makes room. */
  sendBye(leaving: boolean): void {
    if (!leaving) this.polite = true
    this.#write({ type: 'bye', leaving })
    this.#outbox.flush()
  }

  /** Rejects with `busy`, `limit`, `aborted`, `timeout`, `unreachable`, `bad-message`, or the peer's code. */
  request(request: RpcRequest): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.closed || this.polite) return reject(new ChoraleError('unreachable', 'the connection is closed'))
      const { maxRequests } = this.lane
      if (this.#pending.size >= maxRequests) {
        this.#host.counters.busyRequests++
        return reject(new ChoraleError('busy', `${maxRequests} requests wait for the peer`))
      }
      const number = this.#pending.nextNumber()
      const { kind, toSlot, fromSlot, toIncarnation, body, timeoutMs, signal } = request
      const frame: RequestFrame = { type: 'request', number, kind, toSlot, fromSlot, toIncarnation, body }
      let bytes = 0
      if (this.#unsent.length > 0 || this.#full() || this.#askedEnough()) this.#unsent.push(frame)
      else {
        try {
          bytes = this.#write(frame)
        } catch (error) {
          return reject(asChoraleError(error))
        }
        if (this.closed) return reject(new ChoraleError('unreachable', 'the connection is closed'))
      }
      this.usedMs = this.#host.now()
      const waiter: Waiter = { resolve, reject, timeoutMs, signal }
      this.#pending.add(number, waiter, this.usedMs)
      this.#pending.wrote(number, bytes)
    })
  }

  /** Bytes from the peer. Never throws. */
  receive(chunk: Uint8Array): void {
    if (this.closed) return
    const { counters } = this.#host
    counters.bytesIn += chunk.length
    const nowMs = this.#host.now()
    if (this.lane.bulk) this.#pending.moved(nowMs)
    const waitMs = this.#allowance.received(chunk.length, nowMs)
    try {
      this.#reader.push(chunk, this.#onFrame)
    } catch (error) {
      counters.oversizeFrames++
      this.#fail(new ChoraleError('bad-message', errorMessage(error)))
      return
    }
    if (waitMs > 0 && !this.closed && !this.#cancelResume) {
      counters.throttledReads++
      this.#bytes.pause()
      this.#cancelResume = this.#host.timer(waitMs, () => {
        this.#cancelResume = undefined
        this.#bytes.resume()
      })
    }
  }

  /** The peer shows on the other lane that it lives. */
  lives(): void {
    this.#pending.moved(this.#host.now())
  }

  /** The peer took what was sent. */
  drained(): void {
    if (this.lane.bulk) this.#pending.moved(this.#host.now())
    this.#outbox.drained()
  }

  /** Ends the stream from below or above: everything that waits is rejected. Harmless to call twice. */
  close(error: ChoraleError): void {
    if (this.closed) return
    this.closed = true
    this.#cancelResume?.()
    this.#outbox.close()
    this.#unsent.length = 0
    this.#held.length = 0
    this.#hold(-this.#heldBytes)
    this.#pending.close(error)
    this.#host.onClose(this, error, this.polite)
  }

  /** Our own verdict on the peer: what is below goes with the stream. */
  #fail(error: ChoraleError): void {
    if (this.closed) return
    this.#bytes.abort(error)
    this.close(error)
  }

  #frame(payload: Uint8Array): void {
    if (this.closed) return
    this.#host.counters.framesIn++
    this.#pending.heard()
    let frame: Frame
    try {
      frame = decodeFrame(payload)
    } catch (error) {
      this.#host.counters.malformedFrames++
      this.#fail(error as ChoraleError)
      return
    }
    if (!this.hello && frame.type !== 'hello') {
      this.#host.counters.earlyFrames++
      this.#fail(new ChoraleError('bad-message', 'the first frame is not a hello'))
      return
    }
    switch (frame.type) {
      case 'hello':
        if (++this.#hellos > MAX_HELLOS) {
          this.#host.counters.malformedFrames++
          this.#fail(new ChoraleError('bad-message', `more than ${MAX_HELLOS} hellos`))
          break
        }
        this.hello = frame
        this.#host.onHello(this, frame)
        break
      case 'request':
        this.#requested(frame, payload.length)
        break
      case 'reply':
        this.#pending.answered(frame.number)?.resolve(frame.body)
        break
      case 'failure':
        this.#pending.answered(frame.number)?.reject(new ChoraleError(knownCode(frame.code), frame.message))
        break
      case 'bye':
        this.polite = !frame.leaving
        break
    }
  }

  /** Room for no more frames: what would make some waits. The peer's reading makes room, and it always reads. */
  #full(): boolean {
    const { fullBytes, maxSharedBytes } = this.lane
    const { bytes } = this.#outbox
    return bytes >= fullBytes || (bytes > 0 && this.#shared.bytes >= maxSharedBytes)
  }

  /** As much as the peer would hold: more of it could only be refused. */
  #askedEnough(): boolean {
    const { maxAskedBytes, maxFrameBytes } = this.lane
    return this.#pending.askedBytes + maxFrameBytes > maxAskedBytes
  }

  /** What had to wait, as far as there is room: requests of either side in turn. */
  #goOn(): void {
    if (this.#unsent.length === 0 && this.#held.length === 0) return
    while (!this.closed && !this.#full()) {
      const frame = this.#askedEnough() ? undefined : this.#unsent.shift()
      if (frame) this.#sendLate(frame)
      const held = this.#full() || this.#allowance.busy ? undefined : this.#held.shift()
      if (held) {
        this.#hold(-held.bytes)
        this.#answer(held.request)
      }
      if (!frame && !held) break
    }
  }

  #sendLate(frame: RequestFrame): void {
    if (!this.#pending.has(frame.number)) return // given up meanwhile
    try {
      this.#pending.wrote(frame.number, this.#write(frame))
    } catch (error) {
      this.#pending.settle(frame.number)?.reject(asChoraleError(error))
    }
  }

  #hold(bytes: number): void {
    this.#heldBytes += bytes
    this.#shared.bytes += bytes
  }

  #requested(request: RequestFrame, bytes: number): void {
    this.#host.counters.requestsIn++
    this.usedMs = this.#host.now()
    if (this.#held.length === 0 && !this.#full() && !this.#allowance.busy) this.#answer(request)
    else if (this.#mayHold(bytes)) {
      this.#held.push({ request, bytes })
      this.#hold(bytes)
    } else this.#refuse(request)
  }

  #mayHold(bytes: number): boolean {
    const { maxHeldBytes, maxRequests, maxSharedBytes } = this.lane
    if (this.#held.length >= maxRequests || this.#heldBytes + bytes > maxHeldBytes) return false
    return this.#held.length === 0 || this.#shared.bytes + bytes <= maxSharedBytes
  }

  #refuse({ number }: RequestFrame): void {
    this.#host.counters.busyHandling++
    this.#sendAnswer(number, { ok: false, code: 'busy', message: 'too many requests' })
  }

  #answer(request: RequestFrame): void {
    const startMs = this.#host.now()
    if (!this.#allowance.enter(startMs)) {
      this.#refuse(request)
      return
    }
    this.#handling++
    const answer = this.#host.onRequest(this, request)
    const endMs = this.#host.now()
    this.#allowance.spent(endMs - startMs, endMs)
    if (answer instanceof Promise) void answer.then((value) => this.#finish(request.number, value))
    else this.#finish(request.number, answer)
  }

  #finish(number: number, answer: Answer): void {
    this.#handling--
    this.#allowance.leave()
    this.#sendAnswer(number, answer)
    this.#goOn()
  }

  #sendAnswer(number: number, answer: Answer): void {
    if (this.closed) return
    try {
      this.#write(answer.ok ? { type: 'reply', number, body: answer.body } : { type: 'failure', number, ...answer })
    } catch (error) {
      // A reply of ours that does not fit a frame: the asker should know rather than wait.
      this.#write({ type: 'failure', number, code: errorCode(error), message: errorMessage(error) })
    }
  }

  /** Returns the length of the frame. */
  #write(frame: Frame): number {
    if (this.closed) return 0
    const parts = encodeFrameParts(frame, this.lane.maxFrameBytes)
    this.#outbox.push(parts)
    return parts.reduce((sum, { length }) => sum + length, 0)
  }
}

function asChoraleError(error: unknown): ChoraleError {
  return error instanceof ChoraleError ? error : new ChoraleError('internal', errorMessage(error))
}

/** The promise, or the signal if that is first. What the promise stands for goes on: others may wait for it too. */
export function withSignal<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(abortReason(signal))
    if (signal.aborted) onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}
