/** Two ends of a request/response stream in memory, with a clock and an event loop turned by hand. */
import { ChoraleError } from '../../../src/core/errors.ts'
import { type Counters, newCounters } from '../../../src/net/counters.ts'
import { HELLO_VERSION } from '../../../src/net/frame.ts'
import { Handlers } from '../../../src/net/handlers.ts'
import { BULK_LANE } from '../../../src/net/lane.ts'
import { PeerLimits } from '../../../src/net/peer-limits.ts'
import { type RpcHost, type RpcRequest, RpcStream, type StreamLane } from '../../../src/net/rpc-stream.ts'
import { RttEstimator } from '../../../src/net/rtt.ts'

interface Timer {
  readonly atMs: number
  readonly fire: () => void
}

export class Loop {
  nowMs = 0
  readonly #timers = new Set<Timer>()
  #soon: Array<() => void> = []

  readonly timer = (ms: number, fire: () => void): (() => void) => {
    const timer = { atMs: this.nowMs + ms, fire }
    this.#timers.add(timer)
    return () => this.#timers.delete(timer)
  }

  readonly soon = (run: () => void): void => {
    this.#soon.push(run)
  }

  get timers(): number {
    return this.#timers.size
  }

  /** Runs what was put off, and what that puts off, and lets promises settle. */
  async turn(): Promise<void> {
    for (let i = 0; i < 20; i++) {
      const due = this.#soon
      this.#soon = []
      for (const run of due) run()
      await Promise.resolve()
    }
  }

  /** The timers that are due by now, but not those that they set. */
  fireDue(): void {
    for (const timer of [...this.#timers].filter(({ atMs }) => atMs <= this.nowMs)) {
      this.#timers.delete(timer)
      timer.fire()
    }
  }

  async advance(ms: number): Promise<void> {
    const untilMs = this.nowMs + ms
    for (;;) {
      await this.turn()
      const [next] = [...this.#timers].sort((a, b) => a.atMs - b.atMs)
      if (!next || next.atMs > untilMs) break
      this.nowMs = Math.max(this.nowMs, next.atMs)
      this.#timers.delete(next)
      next.fire()
    }
    this.nowMs = untilMs
  }
}

export class End {
  readonly counters: Counters
  readonly faults: unknown[] = []
  readonly handlers: Handlers
  readonly rtt = new RttEstimator({ minMs: 50, maxMs: 4000, initialMs: 500, marginMs: 10 })
  readonly rpc: RpcStream
  /** Every write that this end made, unless somebody listens. */
  readonly written: Uint8Array[] = []
  onWrite: (bytes: Uint8Array) => void = (bytes) => this.written.push(bytes)
  /** Does the peer read? */
  open = true
  paused = false
  closedWith: ChoraleError | undefined
  polite = false
  aborts = 0

  constructor(
    loop: Loop,
    peer: string,
    counters = newCounters(),
    limits = new PeerLimits(),
    lane: StreamLane | undefined = undefined,
  ) {
    this.counters = counters
    this.handlers = new Handlers(counters, 'ip-port', (_kind, error) => this.faults.push(error))
    const host: RpcHost = {
      counters: this.counters,
      now: () => loop.nowMs,
      timer: loop.timer,
      soon: loop.soon,
      onHello: () => {},
      onRequest: (_rpc, request) =>
        this.handlers.answer(
          request.kind,
          request.body,
          {
            from: { peer, contact: undefined },
            slot: request.toSlot,
          },
          this.rpc.lane.bulk,
        ),
      onClose: (_rpc, error, polite) => {
        this.closedWith = error
        this.polite = polite
      },
    }
    const bytes = {
      send: (data: Uint8Array) => {
        this.onWrite(data)
        return this.open
      },
      pause: () => {
        this.paused = true
      },
      resume: () => {
        this.paused = false
      },
      abort: () => {
        this.aborts++
      },
    }
    this.rpc = new RpcStream(peer, bytes, host, this.rtt, limits.allowance(peer, '127.0.0.1', loop.nowMs), lane)
  }

  hello(): void {
    this.rpc.sendHello({ version: HELLO_VERSION, address: undefined, incarnation: 1 })
  }

  request(kind: string, body: unknown, options: Partial<RpcRequest> = {}): Promise<unknown> {
    return this.rpc.request({
      kind,
      body,
      toSlot: 0,
      fromSlot: 0,
      toIncarnation: 1,
      timeoutMs: undefined,
      signal: undefined,
      ...options,
    })
  }
}

/** What makes an end one of the bulk lane. */
export function bulkLane(): StreamLane {
  return { lane: BULK_LANE, shared: { bytes: 0 } }
}

/** Joined ends that have said hello. */
export async function joined(loop: Loop, lane?: StreamLane): Promise<{ alice: End; bob: End }> {
  const limits = () => new PeerLimits(lane?.lane)
  const alice = new End(loop, 'bob', undefined, limits(), lane)
  const bob = new End(loop, 'alice', undefined, limits(), lane)
  alice.onWrite = (bytes) => bob.rpc.receive(bytes)
  bob.onWrite = (bytes) => alice.rpc.receive(bytes)
  alice.hello()
  bob.hello()
  await loop.turn()
  return { alice, bob }
}

/** The code of a rejection. */
export async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'none',
    (error) => (error instanceof ChoraleError ? error.code : String(error)),
  )
}
