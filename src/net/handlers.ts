/**
 * The handlers of a host by kind of message, and what an answer is: a value, or a code and a message. Requests of other
 * hosts come with a body to check; those of overlay nodes on this host come as objects.
 */
import type { TSchema } from 'typebox'
import { ChoraleError, type ErrorCode, errorCode, errorMessage } from '../core/errors.ts'
import type { Counters } from './counters.ts'
import { type MessageKind, wireOf } from './message.ts'
import type { Placement } from './placement.ts'
import type { Delivery, Handler } from './transport.ts'

export type Answer =
  | { readonly ok: true; readonly body: unknown }
  | { readonly ok: false; readonly code: ErrorCode; readonly message: string }

interface Entry {
  readonly kind: MessageKind
  readonly handler: Handler<TSchema, TSchema>
}

export class Handlers {
  readonly #entries = new Map<string, Entry>()
  readonly #counters: Counters
  readonly #placement: Placement
  readonly #onFault: (kind: string, error: unknown) => void

  /** `onFault` hears of errors that no handler should throw. */
  constructor(counters: Counters, placement: Placement, onFault: (kind: string, error: unknown) => void) {
    this.#counters = counters
    this.#placement = placement
    this.#onFault = onFault
  }

  set<Q extends TSchema, R extends TSchema>(kind: MessageKind<Q, R>, handler: Handler<Q, R>): void {
    this.#entries.set(kind.name, { kind, handler } as unknown as Entry)
  }

  /** Answers a request that came over the wire, on the bulk lane or the other, at once where the handler does. Never throws, never rejects. */
  answer(kindName: string, body: unknown, delivery: Delivery, bulk: boolean): Answer | Promise<Answer> {
    const entry = this.#entries.get(kindName)
    if (!entry) {
      this.#counters.unknownKinds++
      return { ok: false, code: 'unsupported', message: `no handler for ${kindName}` }
    }
    if (entry.kind.bulk !== bulk) {
      this.#counters.wrongLanes++
      const lane = bulk ? 'stream of small messages' : 'block stream'
      return { ok: false, code: 'bad-message', message: `${kindName} belongs on the ${lane}` }
    }
    let message: unknown
    try {
      message = wireOf(entry.kind).request.fromWire(body, this.#placement)
    } catch (error) {
      this.#counters.schemaErrors++
      return { ok: false, code: 'bad-message', message: errorMessage(error) }
    }
    try {
      const reply = entry.handler(message as never, delivery)
      if (!(reply instanceof Promise)) return this.#reply(entry, reply)
      return reply.then(
        (value) => this.#reply(entry, value),
        (error) => this.#failure(entry, error),
      )
    } catch (error) {
      return this.#failure(entry, error)
    }
  }

  /** The same within this host: no wire, errors as they are. */
  async call(kind: MessageKind, message: unknown, delivery: Delivery): Promise<unknown> {
    const entry = this.#entries.get(kind.name)
    if (!entry) throw new ChoraleError('unsupported', `no handler for ${kind.name}`)
    try {
      return await entry.handler(message as never, delivery)
    } catch (error) {
      const { code, message: text } = this.#failure(entry, error)
      throw new ChoraleError(code, text, { cause: error })
    }
  }

  #reply(entry: Entry, value: unknown): Answer {
    try {
      return { ok: true, body: wireOf(entry.kind).reply.toWire(value as never) }
    } catch (error) {
      return this.#failure(entry, error)
    }
  }

  #failure(entry: Entry, error: unknown): Answer & { readonly ok: false } {
    const code = errorCode(error)
    if (code === 'internal') {
      this.#counters.handlerFaults++
      this.#onFault(entry.kind.name, error)
      // What went wrong inside is for our own log, not for the peer.
      return { ok: false, code, message: 'the handler failed' }
    }
    return { ok: false, code, message: errorMessage(error) }
  }
}
