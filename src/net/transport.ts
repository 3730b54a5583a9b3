/**
 * The port between protocols and the network: typed requests to contacts. `net/libp2p.ts` carries it over TCP,
 * `sim/network.ts` over virtual time. Deadlines are the transport's own business: they follow the round-trip times of
 * the peer, so no caller guesses.
 */
import type { Static, TSchema } from 'typebox'
import type { Address, Contact } from './contact.ts'
import type { MessageKind } from './message.ts'
import type { Placement } from './placement.ts'

/** Who asks. */
export interface Sender {
  /** Authenticated peer id. */
  readonly peer: string
  /** The overlay node that asks; absent for leaves and for hosts whose address is not confirmed (yet). */
  readonly contact: Contact | undefined
}

export interface Delivery {
  readonly from: Sender
  /** The slot that the message is for. */
  readonly slot: number
}

export type Handler<Q extends TSchema, R extends TSchema> = (
  message: Static<Q>,
  delivery: Delivery,
) => Static<R> | Promise<Static<R>>

export interface RequestOptions {
  signal?: AbortSignal | undefined
  /** Instead of the deadline that follows the peer's round-trip times; for requests that work long before they answer. */
  timeoutMs?: number | undefined
  /** Which of this host's overlay nodes asks. Default 0. */
  slot?: number | undefined
}

export interface Transport {
  /** This host. `undefined` while it has no confirmed address (a leaf). */
  readonly self: Address | undefined
  readonly peer: string
  /** Of the network that it is of: how the ids of all contacts were derived. */
  readonly placement: Placement
  /**
   * Sends and waits for the reply. Rejects with `timeout`, `unreachable`, `gone` (the address answers, but it is
   * another incarnation), `busy` (limits), `aborted`, or the code that the handler at the other end threw.
   */
  request<Q extends TSchema, R extends TSchema>(
    to: Contact,
    kind: MessageKind<Q, R>,
    message: Static<Q>,
    options?: RequestOptions,
  ): Promise<Static<R>>
  /** One handler per kind. A handler that throws a ChoraleError answers with its code; any other error is `internal`. */
  handle<Q extends TSchema, R extends TSchema>(kind: MessageKind<Q, R>, handler: Handler<Q, R>): void
  /** Smoothed round-trip time to a peer, ms. */
  rtt(peer: string): number | undefined
  /** Is there an open connection? Forwarding prefers those: a new one costs 6-9 ms of CPU (DESIGN 6). */
  connected(peer: string): boolean
  /** A connection closed or could not be made. Returns the removal. */
  onPeerDown(handler: (peer: string) => void): () => void
}
