/**
 * One request in the simulated network, from the asker to the answer: the events of its arrival, its reply and its
 * deadline.
 */
import { ChoraleError, errorCode, errorMessage } from '../src/core/errors.ts'
import type { Contact } from '../src/net/contact.ts'
import { decodeReply, decodeRequest, encodeReply, encodeRequest, type MessageKind } from '../src/net/message.ts'
import type { RequestOptions } from '../src/net/transport.ts'
import type { Link, SimHost, SimNetwork } from './network.ts'
import { SimEvent } from './schedule.ts'

/** How long a request to a peer that was never spoken to may take: connecting included. */
const CONNECT_TRIPS = 1.5

/** One request and its answer: the event of its arrival, of its reply, and of its deadline, in turn. */
export class Exchange {
  readonly from: SimHost
  readonly to: Contact
  readonly kind: MessageKind
  readonly message: unknown
  readonly #options: RequestOptions | undefined
  readonly #resolve: (reply: never) => void
  readonly #reject: (error: ChoraleError) => void
  #sentAtMs = 0
  #deadlineMs = 0
  /** What connecting took, which is no part of the round trip. */
  #connectMs = 0
  #link: Link | undefined
  #settled = false
  #onAbort: (() => void) | undefined

  constructor(
    from: SimHost,
    to: Contact,
    kind: MessageKind,
    message: unknown,
    options: RequestOptions | undefined,
    resolve: (reply: never) => void,
    reject: (error: ChoraleError) => void,
  ) {
    this.from = from
    this.to = to
    this.kind = kind
    this.message = message
    this.#options = options
    this.#resolve = resolve
    this.#reject = reject
  }

  get slot(): number {
    return this.#options?.slot ?? 0
  }

  get settled(): boolean {
    return this.#settled || !this.from.alive
  }

  send(): void {
    const { from, to } = this
    const { network } = from
    const { schedule } = network
    if (!from.alive) return // the dead wait for ever
    const signal = this.#options?.signal
    if (signal) {
      this.#onAbort = () => this.#fail(new ChoraleError('aborted', 'given up'))
      if (signal.aborted) {
        this.#onAbort()
        return
      }
      signal.addEventListener('abort', this.#onAbort, { once: true })
    }
    const target = network.hosts.get(to.peer)
    this.#sentAtMs = schedule.nowMs
    if (target === undefined) {
      network.onSend?.(this, undefined)
      this.#deadlineMs = schedule.nowMs + (this.#options?.timeoutMs ?? UNKNOWN_TIMEOUT_MS)
      this.#awaitDeadline()
      return
    }
    if (target === from) this.#deadlineMs = schedule.nowMs + (this.#options?.timeoutMs ?? UNKNOWN_TIMEOUT_MS)
    else {
      this.#link = from.link(target)
      if (this.#link === undefined) {
        this.#connectMs = CONNECT_TRIPS * 2 * network.delay(from, target)
        this.#link = from.openLink(target)
      }
      this.#link.usedAtMs = schedule.nowMs
      network.count(this.kind.name)
      this.#deadlineMs = schedule.nowMs + this.#connectMs + (this.#options?.timeoutMs ?? this.#link.rtt.timeoutMs())
      if (network.drops() || network.parted(from, target)) {
        network.onSend?.(this, undefined)
        this.#awaitDeadline()
        return
      }
    }
    const message = network.options.codec
      ? decodeRequest(this.kind, encodeRequest(this.kind, this.message as never), network.options.placement)
      : Object.freeze(this.message)
    const delay = target === from ? 0 : this.#connectMs + network.delay(from, target)
    if (target !== from) network.onSend?.(this, schedule.nowMs + delay)
    schedule.add(new Arrival(this, target, message, true), schedule.nowMs + delay)
    if (network.options.duplication > 0 && network.random.next() < network.options.duplication) {
      schedule.add(new Arrival(this, target, message, false), schedule.nowMs + network.delay(from, target))
    }
  }

  /** The message has arrived. `answered`: this copy's answer is the one that counts. */
  arrive(target: SimHost, message: unknown, answered: boolean): void {
    const { network } = this.from
    if (!target.alive || network.parted(this.from, target)) {
      if (answered) this.#awaitDeadline()
      return
    }
    if (target.self.incarnation !== this.to.incarnation) {
      if (answered) this.#reply(target, undefined, new ChoraleError('gone', 'another incarnation'))
      return
    }
    const handler = target.handlers.get(this.kind.name)
    let result: unknown
    try {
      if (!handler) throw new ChoraleError('unsupported', `no handler for ${this.kind.name}`)
      if (target.link(this.from) === undefined && target !== this.from) target.openLink(this.from)
      result = handler(message as never, { from: this.from.sender(this.#options?.slot ?? 0), slot: this.to.slot })
    } catch (error) {
      if (answered) this.#reply(target, undefined, remote(network, error))
      return
    }
    if (result instanceof Promise) {
      if (answered) this.#awaitDeadline()
      result.then(
        (reply) => answered && this.#reply(target, reply, undefined),
        (error: unknown) => answered && this.#reply(target, undefined, remote(network, error)),
      )
    } else if (answered) this.#reply(target, result, undefined)
  }

  #reply(target: SimHost, reply: unknown, error: ChoraleError | undefined): void {
    const { network } = this.from
    if (!target.alive || this.settled) return
    if (target !== this.from) network.count(`${this.kind.name} reply`)
    const lost = target !== this.from && (network.drops() || network.parted(this.from, target))
    const delay = target === this.from ? 0 : network.delay(target, this.from)
    const at = network.schedule.nowMs + delay
    if (lost || at > this.#deadlineMs) this.#awaitDeadline()
    if (lost) return
    let body = reply
    if (network.options.codec && error === undefined)
      body = decodeReply(this.kind, encodeReply(this.kind, reply as never), network.options.placement)
    else if (error === undefined) Object.freeze(reply)
    network.schedule.add(new Reply(this, target, body, error), at)
  }

  /** Is that known to the asker, and not only that no answer comes? */
  get #isUnreachable(): boolean {
    const { network } = this.from
    const target = network.hosts.get(this.to.peer)
    return network.options.unreachable && (target === undefined || network.parted(this.from, target))
  }

  #awaitDeadline(): void {
    if (this.#isUnreachable) this.#deadlineMs = Math.min(this.#deadlineMs, this.#sentAtMs + DIAL_TIMEOUT_MS)
    this.from.network.schedule.add(new Expiry(this), this.#deadlineMs)
  }

  replied(reply: unknown, error: ChoraleError | undefined): void {
    // An answer that others had to be asked for says nothing about the way to this peer.
    if (this.#options?.timeoutMs === undefined)
      this.#link?.rtt.sample(this.from.network.schedule.nowMs - this.#sentAtMs - this.#connectMs)
    if (error) this.#fail(error)
    else {
      this.#settle()
      this.#resolve(reply as never)
    }
  }

  expired(): void {
    this.#link?.rtt.timedOut()
    if (this.#options?.timeoutMs === undefined) {
      const target = this.from.network.hosts.get(this.to.peer)
      if (target) this.from.links.delete(target)
    }
    const code = this.#isUnreachable ? 'unreachable' : 'timeout'
    this.#fail(new ChoraleError(code, `${this.to.peer} did not answer`))
  }

  #fail(error: ChoraleError): void {
    if (this.#settled) return
    this.#settle()
    this.#reject(error)
  }

  #settle(): void {
    this.#settled = true
    if (this.#onAbort) this.#options?.signal?.removeEventListener('abort', this.#onAbort)
  }
}

const UNKNOWN_TIMEOUT_MS = 750
/** Who cannot be reached is known to be so after that. */
const DIAL_TIMEOUT_MS = 3000

/** What a handler's error is to the asker. Our own bugs stop the run. */
function remote(network: SimNetwork, error: unknown): ChoraleError {
  if (!(error instanceof ChoraleError)) network.schedule.fail(error)
  return new ChoraleError(errorCode(error), errorMessage(error))
}

function markOf(kind: string, from: number, to: number): number {
  return Math.imul(kind.charCodeAt(kind.length - 1) + kind.length * 131, 0x9e3779b1) ^ Math.imul(from, 65_537) ^ to
}

class Arrival extends SimEvent {
  readonly exchange: Exchange
  readonly target: SimHost
  readonly message: unknown
  readonly answered: boolean

  constructor(exchange: Exchange, target: SimHost, message: unknown, answered: boolean) {
    super()
    this.exchange = exchange
    this.target = target
    this.message = message
    this.answered = answered
  }

  live(): boolean {
    return true
  }

  fire(): void {
    const { target } = this
    const { schedule } = target.network
    if (target.pausedUntilMs > schedule.nowMs) {
      schedule.add(new Arrival(this.exchange, target, this.message, this.answered), target.pausedUntilMs)
    } else this.exchange.arrive(target, this.message, this.answered)
  }

  mark(): number {
    return markOf(this.exchange.kind.name, this.exchange.from.number, this.target.number)
  }
}

/** An answer on its way back. Public for checkers: logically it is applied already. */
export class Reply extends SimEvent {
  readonly exchange: Exchange
  readonly target: SimHost
  readonly body: unknown
  readonly error: ChoraleError | undefined

  constructor(exchange: Exchange, target: SimHost, body: unknown, error: ChoraleError | undefined) {
    super()
    this.exchange = exchange
    this.target = target
    this.body = body
    this.error = error
  }

  live(): boolean {
    return !this.exchange.settled
  }

  fire(): void {
    const { from } = this.exchange
    const { schedule } = from.network
    if (from.pausedUntilMs > schedule.nowMs) {
      schedule.add(new Reply(this.exchange, this.target, this.body, this.error), from.pausedUntilMs)
    } else this.exchange.replied(this.body, this.error)
  }

  mark(): number {
    return ~markOf(this.exchange.kind.name, this.target.number, this.exchange.from.number)
  }
}

class Expiry extends SimEvent {
  readonly exchange: Exchange

  constructor(exchange: Exchange) {
    super()
    this.exchange = exchange
  }

  live(): boolean {
    return !this.exchange.settled
  }

  fire(): void {
    this.exchange.expired()
  }

  mark(): number {
    return Math.imul(this.exchange.from.number, 40_503)
  }
}
