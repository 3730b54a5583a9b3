/**
 * Round-trip estimator and deadline rule of one peer, after RFC 6298 (Jacobson 1988): srtt and rttvar are smoothed
 * from samples, a deadline is srtt + 4 rttvar within bounds, and it doubles with every time-out until the next answer.
 * Pure and free of allocation: the libp2p adapter and the simulator judge peers by the same rule.
 *
 * A retransmitted question never reuses its number, so Karn's rule (no samples from retransmissions) is met by itself.
 */

export interface RttSettings {
  /** No deadline is shorter, ms: what the scheduling of a loaded machine may add to a round trip. */
  readonly minMs: number
  /** No deadline is longer, ms. */
  readonly maxMs: number
  /** Deadline of a peer that has never answered, ms. */
  readonly initialMs: number
  /** Added to srtt + 4 rttvar, ms: the part of an answer that is the handler's time rather than the network's. */
  readonly marginMs: number
}

/**
 * A dead neighbour on a fast network is found within `minMs`; missing one costs more than suspecting a live one
 * (DESIGN 6), so `initialMs` is 750 ms instead of RFC 6298's second.
 */
export const DEFAULT_RTT: RttSettings = Object.freeze({ minMs: 200, maxMs: 4000, initialMs: 750, marginMs: 20 })

export class RttEstimator {
  readonly #settings: RttSettings
  /** Negative: no sample yet. */
  #srtt = -1
  #rttvar = 0
  /** 2^time-outs since the last answer. */
  #backoff = 1

  constructor(settings: RttSettings = DEFAULT_RTT) {
    this.#settings = settings
  }

  /** An answer came after `ms`. Negative values (a clock that was set back) count as 0. */
  sample(ms: number): void {
    const rtt = Math.max(ms, 0)
    if (this.#srtt < 0) {
      this.#srtt = rtt
      this.#rttvar = rtt / 2
    } else {
      this.#rttvar += (Math.abs(this.#srtt - rtt) - this.#rttvar) / 4
      this.#srtt += (rtt - this.#srtt) / 8
    }
    this.#backoff = 1
  }

  /** A deadline passed without an answer: the next one is twice as long, up to `maxMs`. */
  timedOut(): void {
    if (this.timeoutMs() < this.#settings.maxMs) this.#backoff *= 2
  }

  /** How long to wait for the next answer, ms. */
  timeoutMs(): number {
    const { minMs, maxMs, initialMs, marginMs } = this.#settings
    const expected = this.#srtt < 0 ? initialMs : this.#srtt + 4 * this.#rttvar + marginMs
    const bounded = Math.max(expected, minMs)
    return Math.min(bounded * this.#backoff, maxMs)
  }

  /** Smoothed round-trip time, ms; undefined before the first sample. */
  smoothed(): number | undefined {
    return this.#srtt < 0 ? undefined : this.#srtt
  }
}
