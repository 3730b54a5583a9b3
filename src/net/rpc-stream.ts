/**
 * One request/response stream (DESIGN 5): either side asks, replies are matched by number, frames of one turn of the
 * event loop leave in one write. It knows bytes, frames and deadlines; connections are the adapter's (`libp2p.ts`), and
 * tests drive it in memory.
 *
 * Nothing that comes in throws past `receive`: it is counted, answered, or ends the stream.
 */
import { ChoraleError, ERROR_CODES, type ErrorCode, errorCode, errorMessage } from '../core/errors.ts'
import { MAX_HELLOS, MAX_REQUESTS_PER_PEER, MAX_WRITE_BUFFER_BYTES } from '../core/limits.ts'
import type { Counters } from './counters.ts'
import { decodeFrame, encodeFrame, type Frame, FrameReader, type HelloFrame, type RequestFrame } from './frame.ts'
import type { Answer } from './handlers.ts'
import type { Allowance } from './peer-limits.ts'
import type { RttEstimator } from './rtt.ts'

/** What the stream needs below it. */
export interface ByteStream {
  /** False: wait for the drain before the next one. May throw when closed. */
  send(bytes: Uint8Array): boolean
  pause(): void
  resume(): void
  /** At once; what was not sent is lost. */
  abort(error: Error): void
}

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

interface Pending {
  readonly sentMs: number
  readonly deadlineMs: number
  /** Does this request's time say something about the peer's round-trip time? */
  readonly timed: boolean
  readonly resolve: (body: unknown) => void
  readonly reject: (error: ChoraleError) => void
  readonly signal: AbortSignal | undefined
  readonly onAbort: (() => void) | undefined
}

/**
 * Before a deadline counts as passed, the event loop gets this long to read what came while it was busy. Otherwise a
 * stall of our own would look like the death of all peers at once.
 */
const GRACE_MS = 10
/** After so many time-outs in a row without a frame, the connection is taken for dead: TCP may need minutes to see it. */
const MAX_SILENT_TIMEOUTS = 4

export class RpcStream {
  readonly peer: string
  /** What the peer said of itself; undefined until its first frame. */
  hello: HelloFrame | undefined
  /** When the last request was asked or answered, either way. */
  usedMs: number
  closed = false
  /** One side makes room: no new requests of ours, and the close that follows is no death. */
  polite = false

  readonly #bytes: ByteStream
  readonly #host: RpcHost
  readonly #rtt: RttEstimator
  readonly #allowance: Allowance
  readonly #reader = new FrameReader()
  readonly #pending = new Map<number, Pending>()
  #nextNumber = 1
  #handling = 0
  #hellos = 0
  #silentTimeouts = 0
  /** When the last time-out was counted. */
  #timedOutMs = 0

  #outbox: Uint8Array[] = []
  #outboxBytes = 0
  #flushing = false
  #blocked = false

  #cancelDeadline: (() => void) | undefined
  #deadlineMs = Number.POSITIVE_INFINITY
  #cancelResume: (() => void) | undefined

  readonly #onFrame = (payload: Uint8Array) => this.#frame(payload)
  readonly #flush = () => this.#flushNow()

  constructor(peer: string, bytes: ByteStream, host: RpcHost, rtt: RttEstimator, allowance: Allowance) {
    this.peer = peer
    this.#bytes = bytes
    this.#host = host
    this.#rtt = rtt
    this.#allowance = allowance
    this.usedMs = host.now()
  }

  /** Requests in flight, either way: 0 means that closing hurts nobody. */
  get inFlight(): number {
    return this.#pending.size + this.#handling
  }

  /** Bytes held for the peer and from it. */
  get buffered(): number {
    return this.#outboxBytes + this.#reader.buffered
  }

  sendHello(hello: Omit<HelloFrame, 'type'>): void {
    this.#write({ type: 'hello', ...hello })
  }

  /** Says that the close which follows is meant: the host leaves, or it only makes room. */
  sendBye(leaving: boolean): void {
    if (!leaving) this.polite = true
    this.#write({ type: 'bye', leaving })
    this.#flushNow()
  }

  /** Rejects with `busy`, `limit`, `aborted`, `timeout`, `unreachable`, `bad-message`, or the peer's code. */
  request(request: RpcRequest): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const { signal } = request
      if (this.closed || this.polite) return reject(new ChoraleError('unreachable', 'the connection is closed'))
      if (this.#pending.size >= MAX_REQUESTS_PER_PEER) {
        this.#host.counters.busyRequests++
        return reject(new ChoraleError('busy', `${MAX_REQUESTS_PER_PEER} requests wait for the peer`))
      }
      const number = this.#nextNumber++
      const { kind, toSlot, fromSlot, toIncarnation, body } = request
      try {
        this.#write({ type: 'request', number, kind, toSlot, fromSlot, toIncarnation, body })
      } catch (error) {
        return reject(error instanceof ChoraleError ? error : new ChoraleError('internal', errorMessage(error)))
      }
      if (this.closed) return reject(new ChoraleError('unreachable', 'the connection is closed'))
      const sentMs = this.#host.now()
      this.usedMs = sentMs
      const deadlineMs = sentMs + (request.timeoutMs ?? this.#rtt.timeoutMs())
      const onAbort = signal && (() => this.#settle(number)?.reject(abortReason(signal)))
      signal?.addEventListener('abort', onAbort as () => void)
      const timed = request.timeoutMs === undefined
      this.#pending.set(number, { sentMs, deadlineMs, timed, resolve, reject, signal, onAbort })
      if (deadlineMs < this.#deadlineMs) this.#armDeadline(deadlineMs, sentMs)
    })
  }

  /** Bytes from the peer. Never throws. */
  receive(chunk: Uint8Array): void {
    if (this.closed) return
    const { counters } = this.#host
    counters.bytesIn += chunk.length
    const waitMs = this.#allowance.received(chunk.length, this.#host.now())
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

  /** The peer took what was sent. */
  drained(): void {
    this.#blocked = false
    if (this.#outbox.length > 0) this.#flushNow()
  }

  /** Ends the stream from below or above: everything that waits is rejected. Harmless to call twice. */
  close(error: ChoraleError): void {
    if (this.closed) return
    this.closed = true
    this.#cancelDeadline?.()
    this.#cancelResume?.()
    this.#outbox = []
    this.#outboxBytes = 0
    for (const number of [...this.#pending.keys()]) this.#settle(number)?.reject(error)
    this.#host.onClose(this, error, this.polite)
  }

  /** Our own verdict on the peer: the connection goes with the stream. */
  #fail(error: ChoraleError): void {
    if (this.closed) return
    this.#bytes.abort(error)
    this.close(error)
  }

  #frame(payload: Uint8Array): void {
    if (this.closed) return
    this.#host.counters.framesIn++
    this.#silentTimeouts = 0
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
        this.#answer(frame)
        break
      case 'reply':
        this.#answered(frame.number)?.resolve(frame.body)
        break
      case 'failure':
        this.#answered(frame.number)?.reject(new ChoraleError(knownCode(frame.code), frame.message))
        break
      case 'bye':
        this.polite = !frame.leaving
        break
    }
  }

  #answer(request: RequestFrame): void {
    const { counters } = this.#host
    counters.requestsIn++
    const startMs = this.#host.now()
    this.usedMs = startMs
    if (!this.#allowance.enter(startMs)) {
      counters.busyHandling++
      this.#sendAnswer(request.number, { ok: false, code: 'busy', message: 'too many requests' })
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

  /** The request that a reply is for, with its time taken. */
  #answered(number: number): Pending | undefined {
    const pending = this.#settle(number)
    if (!pending) {
      this.#host.counters.strayReplies++
      return undefined
    }
    if (pending.timed) this.#rtt.sample(this.#host.now() - pending.sentMs)
    return pending
  }

  #settle(number: number): Pending | undefined {
    const pending = this.#pending.get(number)
    if (!pending) return undefined
    this.#pending.delete(number)
    if (pending.onAbort) pending.signal?.removeEventListener('abort', pending.onAbort)
    return pending
  }

  #write(frame: Frame): void {
    if (this.closed) return
    const bytes = encodeFrame(frame)
    this.#outbox.push(bytes)
    this.#outboxBytes += bytes.length
    if (this.#outboxBytes > MAX_WRITE_BUFFER_BYTES) {
      this.#host.counters.droppedWriters++
      this.#fail(new ChoraleError('unreachable', 'the peer stopped reading'))
    } else if (!this.#flushing && !this.#blocked) {
      this.#flushing = true
      this.#host.soon(this.#flush)
    }
  }

  #flushNow(): void {
    this.#flushing = false
    if (this.closed || this.#blocked || this.#outbox.length === 0) return
    const bytes = this.#outbox.length === 1 ? (this.#outbox[0] as Uint8Array) : Buffer.concat(this.#outbox)
    this.#outbox = []
    this.#outboxBytes = 0
    this.#host.counters.bytesOut += bytes.length
    try {
      this.#blocked = !this.#bytes.send(bytes)
    } catch (error) {
      this.#fail(new ChoraleError('unreachable', errorMessage(error), { cause: error }))
    }
  }

  /** One timer per stream, for the earliest deadline; requests that were answered meanwhile leave it as it is. */
  #armDeadline(deadlineMs: number, nowMs: number): void {
    this.#cancelDeadline?.()
    this.#deadlineMs = deadlineMs
    this.#cancelDeadline = this.#host.timer(Math.max(0, Math.ceil(deadlineMs - nowMs)) + GRACE_MS, () => {
      this.#cancelDeadline = this.#host.timer(0, () => this.#expire(deadlineMs))
    })
  }

  /** `judgedMs`: deadlines up to then have had their grace. */
  #expire(judgedMs: number): void {
    this.#cancelDeadline = undefined
    this.#deadlineMs = Number.POSITIVE_INFINITY
    let earliestMs = Number.POSITIVE_INFINITY
    const expired: Array<[number, Pending]> = []
    for (const [number, pending] of this.#pending) {
      if (pending.deadlineMs <= judgedMs) expired.push([number, pending])
      else if (pending.deadlineMs < earliestMs) earliestMs = pending.deadlineMs
    }
    if (earliestMs < Number.POSITIVE_INFINITY) this.#armDeadline(earliestMs, this.#host.now())
    if (expired.length === 0) return
    // Requests that were under way during one silence are one sign, not many.
    if (expired.some(([, pending]) => pending.timed && pending.sentMs >= this.#timedOutMs)) {
      this.#timedOutMs = this.#host.now()
      this.#rtt.timedOut()
      this.#silentTimeouts++
    }
    for (const [number, { sentMs, deadlineMs }] of expired) {
      const waitedMs = Math.round(deadlineMs - sentMs)
      this.#settle(number)?.reject(new ChoraleError('timeout', `no answer within ${waitedMs} ms`))
    }
    if (this.#silentTimeouts >= MAX_SILENT_TIMEOUTS) {
      this.#host.counters.silentPeers++
      this.#fail(new ChoraleError('unreachable', `no answer to ${MAX_SILENT_TIMEOUTS} requests in a row`))
    }
  }
}

/** What an aborted signal says, as one of our errors. */
export function abortReason(signal: AbortSignal): ChoraleError {
  return signal.reason instanceof ChoraleError ? signal.reason : new ChoraleError('aborted', 'given up')
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

const KNOWN_CODES: ReadonlySet<string> = new Set(ERROR_CODES)

function knownCode(code: string): ErrorCode {
  return KNOWN_CODES.has(code) ? (code as ErrorCode) : 'internal'
}
