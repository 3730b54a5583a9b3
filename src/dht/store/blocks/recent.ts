/** How long gets took lately: when to ask a second holder. */

const KEPT = 128
/** Before there is anything to go by, ms. */
const INITIAL_MS = 500
const MIN_MS = 20
const MAX_MS = 2_000
/** The percentile is worked out anew after so many samples. */
const STEP = 8

export class RecentGets {
  readonly #samples: number[] = []
  #next = 0
  #count = 0
  #p95 = INITIAL_MS

  sample(ms: number): void {
    this.#samples[this.#next] = ms
    this.#next = (this.#next + 1) % KEPT
    if (++this.#count % STEP !== 0) return
    const sorted = this.#samples.toSorted((a, b) => a - b)
    const p95 = sorted[Math.floor(sorted.length * 0.95)] ?? INITIAL_MS
    this.#p95 = Math.min(Math.max(p95, MIN_MS), MAX_MS)
  }

  /** Beyond the slowest twentieth of recent gets, ms. */
  p95Ms(): number {
    return this.#p95
  }
}
