/**
 * The requests of one stream that wait for their answers, and their deadlines. A deadline follows the peer's round-trip
 * times. It moves on while blocks do: on the bulk lane up to what the slowest bearable line would need for all that is
 * asked, on the small lane for a little while. Who is slow is waited for, who is dead is not.
 */
import { ChoraleError } from '../core/errors.ts'
import type { Lane } from './lane.ts'
import type { RttEstimator } from './rtt.ts'

export interface Pending {
  readonly sentMs: number
  /** Of its frame; 0: not written yet. */
  bytes: number
  deadlineMs: number
  /** Nothing moves the deadline beyond this. */
  readonly latestMs: number
  /** How long after the last sign of life it may wait. */
  readonly patienceMs: number
  /** Does this request's time say something about the peer's round-trip time? */
  readonly timed: boolean
  readonly resolve: (body: unknown) => void
  readonly reject: (error: ChoraleError) => void
  readonly signal: AbortSignal | undefined
  readonly onAbort: (() => void) | undefined
}

/** What is needed around it. */
export interface PendingHost {
  readonly counters: { strayReplies: number; silentPeers: number }
  /** Monotone milliseconds. */
  now(): number
  timer(ms: number, fire: () => void): () => void
}

export interface Waiter {
  readonly resolve: (body: unknown) => void
  readonly reject: (error: ChoraleError) => void
  /** Instead of the deadline that follows the round-trip times. */
  readonly timeoutMs: number | undefined
  readonly signal: AbortSignal | undefined
}

/**
 * Before a deadline counts as passed, the event loop gets this long to read what came while it was busy. Otherwise a
 * stall of our own would look like the death of all peers at once.
 */
const GRACE_MS = 10
/** After so many time-outs in a row without a frame, the connection is taken for dead: TCP may need minutes to see it. */
const MAX_SILENT_TIMEOUTS = 4

export class PendingRequests {
  readonly #lane: Lane
  readonly #host: PendingHost
  readonly #rtt: RttEstimator
  readonly #onFree: () => void
  readonly #onSilent: (error: ChoraleError) => void
  readonly #pending = new Map<number, Pending>()
  #nextNumber = 1
  #askedBytes = 0
  #silentTimeouts = 0
  /** When the last time-out was counted. */
  #timedOutMs = 0
  #movedMs = Number.NEGATIVE_INFINITY
  #cancelDeadline: (() => void) | undefined
  #deadlineMs = Number.POSITIVE_INFINITY

  /** `onFree`: what was written waits no more. `onSilent`: too many time-outs in a row. */
  constructor(
    lane: Lane,
    host: PendingHost,
    rtt: RttEstimator,
    onFree: () => void,
    onSilent: (error: ChoraleError) => void,
  ) {
    this.#lane = lane
    this.#host = host
    this.#rtt = rtt
    this.#onFree = onFree
    this.#onSilent = onSilent
  }

  get size(): number {
    return this.#pending.size
  }

  /** Written, and not answered. */
  get askedBytes(): number {
    return this.#askedBytes
  }

  has(number: number): boolean {
    return this.#pending.has(number)
  }

  nextNumber(): number {
    return this.#nextNumber++
  }

  add(number: number, { resolve, reject, timeoutMs, signal }: Waiter, sentMs: number): void {
    const { maxFrameBytes, floorBytesPerSecond, besideMs } = this.#lane
    const timed = timeoutMs === undefined
    const patienceMs = timeoutMs ?? this.#rtt.timeoutMs()
    const deadlineMs = sentMs + patienceMs
    // All that was asked before, and this, in whichever direction it is long.
    const aheadBytes = (this.#pending.size + 1) * maxFrameBytes
    const latestMs = deadlineMs + (timed ? (aheadBytes / floorBytesPerSecond) * 1000 + besideMs : 0)
    const onAbort = signal && (() => this.settle(number)?.reject(abortReason(signal)))
    signal?.addEventListener('abort', onAbort as () => void)
    this.#pending.set(number, {
      sentMs,
      bytes: 0,
      deadlineMs,
      latestMs,
      patienceMs,
      timed,
      resolve,
      reject,
      signal,
      onAbort,
    })
    if (deadlineMs < this.#deadlineMs) this.#armDeadline(deadlineMs, sentMs)
  }

  wrote(number: number, bytes: number): void {
    const pending = this.#pending.get(number)
    if (!pending) return
    pending.bytes = bytes
    this.#askedBytes += bytes
  }

  /** Takes a request out; undefined: it has been answered, given up, or never asked. */
  settle(number: number): Pending | undefined {
    const pending = this.#pending.get(number)
    if (!pending) return undefined
    this.#pending.delete(number)
    this.#askedBytes -= pending.bytes
    if (pending.bytes > 0) this.#onFree()
    if (pending.onAbort) pending.signal?.removeEventListener('abort', pending.onAbort)
    return pending
  }

  /** The request that a reply is for, with its time taken. */
  answered(number: number): Pending | undefined {
    const pending = this.settle(number)
    if (!pending) {
      this.#host.counters.strayReplies++
      return undefined
    }
    if (pending.timed) this.#rtt.sample(this.#host.now() - pending.sentMs)
    return pending
  }

  /** A frame came. */
  heard(): void {
    this.#silentTimeouts = 0
  }

  /** The peer took or sent bytes, if only a part of a frame, or on the other lane. */
  moved(nowMs: number): void {
    this.#movedMs = nowMs
  }

  close(error: ChoraleError): void {
    this.#cancelDeadline?.()
    for (const number of [...this.#pending.keys()]) this.settle(number)?.reject(error)
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
      if (pending.deadlineMs <= judgedMs) {
        pending.deadlineMs = Math.max(
          pending.deadlineMs,
          Math.min(this.#movedMs + pending.patienceMs, pending.latestMs),
        )
      }
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
      this.settle(number)?.reject(new ChoraleError('timeout', `no answer within ${waitedMs} ms`))
    }
    if (this.#silentTimeouts >= MAX_SILENT_TIMEOUTS) {
      this.#host.counters.silentPeers++
      this.#onSilent(new ChoraleError('unreachable', `no answer to ${MAX_SILENT_TIMEOUTS} requests in a row`))
    }
  }
}

/** What an aborted signal says, as one of our errors. */
export function abortReason(signal: AbortSignal): ChoraleError {
  return signal.reason instanceof ChoraleError ? signal.reason : new ChoraleError('aborted', 'given up')
}
