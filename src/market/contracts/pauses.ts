/** What did not work is tried again after a while, each time a longer one, or when something has changed. */
import type { Env } from '../../core/env.ts'
import type { Key } from '../../core/ids.ts'

const FIRST_MS = 1_000
const LAST_MS = 60_000

export class Pauses {
  readonly #env: Env
  readonly #pauses = new Map<Key, { readonly untilMs: number; readonly lastMs: number }>()

  constructor(env: Env) {
    this.#env = env
  }

  /** Of an allocation. */
  begin(id: Key): void {
    const { clock, random } = this.#env
    const lastMs = Math.min(LAST_MS, 2 * (this.#pauses.get(id)?.lastMs ?? FIRST_MS / 2))
    this.#pauses.set(id, { untilMs: clock.now() + lastMs * (0.5 + random.next()), lastMs })
  }

  holds(id: Key): boolean {
    const pause = this.#pauses.get(id)
    return pause !== undefined && this.#env.clock.now() < pause.untilMs
  }

  end(id: Key): void {
    this.#pauses.delete(id)
  }
}
