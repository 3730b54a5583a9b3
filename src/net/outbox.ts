/**
 * What a stream has to send: frames of one turn of the event loop leave together, and wait while the peer does not read.
 * On the bulk lane they leave in pieces, so that no more than one is out of our hands and in nobody's count.
 */
import { ChoraleError, errorMessage } from '../core/errors.ts'
import type { Lane } from './lane.ts'

/** What a stream needs below it. */
export interface ByteStream {
  /** False: wait for the drain before the next one. May throw when closed. */
  send(bytes: Uint8Array): boolean
  pause(): void
  resume(): void
  /** At once; what was not sent is lost. */
  abort(error: Error): void
}

/** What the outbox needs around it. */
export interface OutboxHost {
  readonly counters: { bytesOut: number; droppedWriters: number }
  timer(ms: number, fire: () => void): () => void
  /** Runs once this turn's work is done: frames are gathered until then. */
  soon(run: () => void): void
}

/** Bytes that all streams of a lane hold together. */
export interface SharedBytes {
  bytes: number
}

export class Outbox {
  readonly #lane: Lane
  readonly #stream: ByteStream
  readonly #host: OutboxHost
  readonly #shared: SharedBytes
  readonly #onRoom: () => void
  readonly #onFail: (error: ChoraleError) => void
  readonly #flush = () => this.flush()
  #parts: Uint8Array[] = []
  /** Of the first part, already sent. */
  #offset = 0
  #bytes = 0
  #flushing = false
  #blocked = false
  #closed = false
  #cancelStall: (() => void) | undefined

  /** `onRoom`: some frames have left. `onFail`: the peer stopped reading, or the stream below is closed. */
  constructor(
    lane: Lane,
    stream: ByteStream,
    host: OutboxHost,
    shared: SharedBytes,
    onRoom: () => void,
    onFail: (error: ChoraleError) => void,
  ) {
    this.#lane = lane
    this.#stream = stream
    this.#host = host
    this.#shared = shared
    this.#onRoom = onRoom
    this.#onFail = onFail
  }

  /** Not sent yet. */
  get bytes(): number {
    return this.#bytes
  }

  /** In parts, which are not changed any more. */
  push(frame: readonly Uint8Array[]): void {
    if (this.#closed) return
    for (const part of frame) {
      this.#parts.push(part)
      this.#count(part.length)
    }
    if (this.#bytes > this.#lane.maxUnsentBytes) this.#stopped()
    else if (!this.#flushing && !this.#blocked) {
      this.#flushing = true
      this.#host.soon(this.#flush)
    }
  }

  flush(): void {
    this.#flushing = false
    while (!this.#closed && !this.#blocked && this.#parts.length > 0) {
      const bytes = this.#next()
      this.#host.counters.bytesOut += bytes.length
      try {
        if (!this.#stream.send(bytes)) this.#block()
      } catch (error) {
        this.#onFail(new ChoraleError('unreachable', errorMessage(error), { cause: error }))
      }
    }
    this.#onRoom()
  }

  /** The peer took what was sent. */
  drained(): void {
    this.#blocked = false
    this.#cancelStall?.()
    this.#cancelStall = undefined
    this.flush()
  }

  close(): void {
    this.#closed = true
    this.#cancelStall?.()
    this.#count(-this.#bytes)
    this.#parts = []
  }

  /** As many frames as fit a piece, the last perhaps cut. */
  #next(): Uint8Array {
    let room = this.#lane.pieceBytes
    const gathered: Uint8Array[] = []
    let count = 0
    for (; room > 0 && count < this.#parts.length; count++) {
      const part = this.#parts[count] as Uint8Array
      const end = Math.min(part.length, this.#offset + room)
      gathered.push(this.#offset === 0 && end === part.length ? part : part.subarray(this.#offset, end))
      room -= end - this.#offset
      this.#offset = end
      if (end < part.length) break
      this.#offset = 0
    }
    this.#parts.splice(0, count)
    const bytes = gathered.length === 1 ? (gathered[0] as Uint8Array) : Buffer.concat(gathered)
    this.#count(-bytes.length)
    return bytes
  }

  #block(): void {
    this.#blocked = true
    const { stallMs } = this.#lane
    if (stallMs < Number.POSITIVE_INFINITY) this.#cancelStall = this.#host.timer(stallMs, () => this.#stopped())
  }

  #stopped(): void {
    this.#host.counters.droppedWriters++
    this.#onFail(new ChoraleError('unreachable', 'the peer stopped reading'))
  }

  #count(bytes: number): void {
    this.#bytes += bytes
    this.#shared.bytes += bytes
  }
}
