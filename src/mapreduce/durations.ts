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

/** Before one of a job's tasks has been seen to end. Rather too little: who is said to have much to do is asked by all. */
const UNKNOWN_TASK_MS = 100

/** What a root knows of a host that was given tasks. */
export interface Crew {
  readonly cores: number
  /** How long a task takes on one of them, ms; undefined until one came back. */
  taskMs: number | undefined
}

/** Tasks per millisecond; of one who is not known, as of others. */
export function rateOf(crew: Crew | undefined, { meanMs }: Durations): number {
  return (crew?.cores ?? 1) / Math.max(0.01, crew?.taskMs ?? meanMs ?? UNKNOWN_TASK_MS)
}
