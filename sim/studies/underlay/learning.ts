/** Coordinates that all nodes learn together from round trips to their peers: Vivaldi, as the live nodes run it. */
import type { Random } from '../../../src/core/env.ts'
import { type Coordinate, moved, ORIGIN, predictedMs, told, understood } from '../../../src/dht/coordinates.ts'

export class Learning {
  readonly #at: Coordinate[]
  readonly #rtt: (a: number, b: number) => number
  readonly #random: Random

  constructor(nodes: number, rtt: (a: number, b: number) => number, random: Random) {
    this.#at = Array.from({ length: nodes }, () => ORIGIN)
    this.#rtt = rtt
    this.#random = random
  }

  /** Every node measures one of its peers. */
  round(peersOf: (node: number) => readonly number[]): void {
    for (let node = 0; node < this.#at.length; node++) {
      const peers = peersOf(node)
      const peer = peers[this.#random.int(peers.length)]
      if (peer === undefined) continue
      // As it is told in messages.
      const other = understood(told(this.#at[peer]!))
      this.#at[node] = moved(this.#at[node]!, other, this.#rtt(node, peer), this.#random)
    }
  }

  predictedMs(a: number, b: number): number {
    return predictedMs(this.#at[a]!, this.#at[b]!)
  }
}

/** |predicted - measured| / measured over all pairs: the median. Pairs at one place (0 ms) have none. */
export function medianError(
  nodes: number,
  predicted: (a: number, b: number) => number,
  rtt: (a: number, b: number) => number,
): number {
  const errors: number[] = []
  for (let a = 0; a < nodes; a++) {
    for (let b = 0; b < a; b++) if (rtt(a, b) > 0) errors.push(Math.abs(predicted(a, b) - rtt(a, b)) / rtt(a, b))
  }
  return errors.sort((x, y) => x - y)[errors.length >> 1]!
}
