/** How long the tasks of a job take, as one host has seen it: sizes grants, and says when a task is late. */

const KEPT = 128

export class Durations {
  readonly #kept: number[] = []
  #next = 0
  #meanMs: number | undefined

  /** Weighs the last ones most. Undefined until something has been seen. */
  get meanMs(): number | undefined {
    return this.#meanMs
  }

  add(tookMs: number, tasks: number): void {
    const each = tookMs / tasks
    this.#meanMs = this.#meanMs === undefined ? each : this.#meanMs + (each - this.#meanMs) / 8
    this.#kept[this.#next] = each
    this.#next = (this.#next + 1) % KEPT
  }

  /** The duration that 95 % of the tasks do not exceed, ms. */
  p95Ms(): number | undefined {
    if (this.#kept.length === 0) return undefined
    const sorted = this.#kept.toSorted((a, b) => a - b)
    return sorted[Math.floor(0.95 * (sorted.length - 1))]
  }
}
