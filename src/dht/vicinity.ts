/**
 * What a host knows of how far others are: its own network coordinate, moved by every answer whose sender tells its
 * own, and the coordinates that others told. One for all overlay nodes of a host.
 */
import type { Random } from '../core/env.ts'
import { MAX_KNOWN_PEERS } from '../core/limits.ts'
import { CappedMap } from '../net/capped-map.ts'
import type { Transport } from '../net/transport.ts'
import { type Coordinate, moved, ORIGIN, predictedMs, type ToldCoordinate, told, understood } from './coordinates.ts'

/** So many peers are sampled again and again: a few dozen make good coordinates. */
const MAX_SAMPLED = 32
/** Beyond it a prediction is a guess. */
const USEFUL_ERROR = 0.6
/** Share of the latest sample in what is usual. */
const USUAL_GAIN = 0.05

interface Known {
  readonly peer: string
  told: ToldCoordinate
  at: Coordinate
  /** Is it one of those that are sampled? */
  sampled: boolean
}

export class Vicinity {
  readonly #transport: Transport
  readonly #random: Random
  /** What peers told of themselves. */
  readonly #known = new CappedMap<string, Known>(MAX_KNOWN_PEERS)
  /** Peers that answered. Every answer gives a sample of any of them: one that is asked all the time says little. */
  readonly #answered: Known[] = []
  #own = ORIGIN
  #told: ToldCoordinate | undefined
  #usualMs = 0

  constructor(transport: Transport, random: Random) {
    this.#transport = transport
    this.#random = random
  }

  /** Our own coordinate, to be told. */
  get at(): ToldCoordinate {
    return (this.#told ??= told(this.#own))
  }

  /** What a round trip usually takes, ms; 0 as long as none was measured. */
  get usualMs(): number {
    return this.#usualMs
  }

  /** A peer spoke, and told its coordinate. */
  heard(peer: string, at: ToldCoordinate | undefined): void {
    this.#learn(peer, at)
  }

  #learn(peer: string, at: ToldCoordinate | undefined): Known | undefined {
    if (at === undefined || peer === this.#transport.peer) return undefined
    let known = this.#known.get(peer)
    if (known === undefined) this.#known.set(peer, (known = { peer, told: at, at: understood(at), sampled: false }))
    else if (known.told !== at) {
      known.told = at
      known.at = understood(at)
    }
    return known
  }

  /** A peer answered: a sample, of it or of another that answered before and whose way was measured. */
  answered(peer: string, at: ToldCoordinate | undefined): void {
    const known = this.#learn(peer, at)
    if (known === undefined) return
    if (!known.sampled) {
      known.sampled = true
      if (this.#answered.length < MAX_SAMPLED) this.#answered.push(known)
      else {
        const place = this.#random.int(MAX_SAMPLED)
        this.#answered[place]!.sampled = false
        this.#answered[place] = known
      }
    }
    const other = this.#answered[this.#random.int(this.#answered.length)]!
    const rttMs = this.#transport.rtt(other.peer)
    if (rttMs === undefined) return
    this.#usualMs += (rttMs - this.#usualMs) * (this.#usualMs === 0 ? 1 : USUAL_GAIN)
    this.#own = moved(this.#own, other.at, rttMs, this.#random)
    this.#told = undefined
  }

  /** What a peer told of itself. */
  coordinateOf(peer: string): ToldCoordinate | undefined {
    return this.#known.get(peer)?.told
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
