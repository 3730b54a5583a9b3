/**
 * What a host knows of how far others are: its own network coordinate, moved by every answer whose sender tells its
 * own, and the coordinates that others told. One for all overlay nodes of a host.
 */
import type { Random } from '../core/env.ts'
import { MAX_KNOWN_PEERS } from '../core/limits.ts'
import { CappedMap } from '../net/capped-map.ts'
import type { Transport } from '../net/transport.ts'
import { moved, ORIGIN, predictedMs, type ToldCoordinate, told, understood } from './coordinates.ts'

export class Vicinity {
  readonly #transport: Transport
  readonly #random: Random
  /** What peers told of themselves. */
  readonly #coordinates = new CappedMap<string, ToldCoordinate>(MAX_KNOWN_PEERS)
  /** Peers that answered, a sample of each beside its own: one neighbour that is asked all the time says little. */
  readonly #answered: string[] = []
  #own = ORIGIN
  #told = told(ORIGIN)

  constructor(transport: Transport, random: Random) {
    this.#transport = transport
    this.#random = random
  }

  /** Our own coordinate, to be told. */
  get at(): ToldCoordinate {
    return this.#told
  }

  /** A peer spoke, and told its coordinate. */
  heard(peer: string, at: ToldCoordinate | undefined): void {
    if (at !== undefined && peer !== this.#transport.peer) this.#coordinates.set(peer, at)
  }

  /** A peer answered: where we measured the way to it, that is a sample. */
  answered(peer: string, at: ToldCoordinate | undefined): void {
    if (at === undefined || peer === this.#transport.peer) return
    this.#coordinates.set(peer, at)
    if (!this.#answered.includes(peer)) {
      if (this.#answered.length < MAX_SAMPLED) this.#answered.push(peer)
      else this.#answered[this.#random.int(MAX_SAMPLED)] = peer
    }
    this.#sample(peer)
    this.#sample(this.#answered[this.#random.int(this.#answered.length)]!)
    this.#told = told(this.#own)
  }

  #sample(peer: string): void {
    const at = this.#coordinates.get(peer)
    const rttMs = this.#transport.rtt(peer)
    if (at !== undefined && rttMs !== undefined) this.#own = moved(this.#own, understood(at), rttMs, this.#random)
  }

  /** What a peer told of itself. */
  coordinateOf(peer: string): ToldCoordinate | undefined {
    return this.#coordinates.get(peer)
  }

  /** Predicted round-trip time to a host at a coordinate, ms; undefined while our own is not worth much. */
  predictedMs(at: ToldCoordinate): number | undefined {
    return this.#own.error > USEFUL_ERROR ? undefined : predictedMs(this.#own, understood(at))
  }

  /** Measured round-trip time to a peer, ms; undefined when we never spoke. */
  measuredMs(peer: string): number | undefined {
    return peer === this.#transport.peer ? 0 : this.#transport.rtt(peer)
  }
}

/** So many peers are sampled again and again: a few dozen make good coordinates. */
const MAX_SAMPLED = 32

/** Beyond it a prediction is a guess. */
const USEFUL_ERROR = 0.6
