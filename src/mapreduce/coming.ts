/** Errands of others whose parts are on their way, in several messages each. A fold of fewer parts would be a wrong one. */
import { ChoraleError } from '../core/errors.ts'

/** Beyond it new ones are refused: none is dropped for another. */
const MAX_COMING = 32
/** The messages of one errand follow each other at once. */
const FORGET_MS = 15_000

interface Errand {
  readonly parts: Uint8Array[]
  heardAtMs: number
}

export class Coming {
  readonly #errands = new Map<string, Errand>()

  /**
   * Parts `at` and following, of `of`. Returns all of them when these were the last, and undefined before that. What comes
   * twice counts once. Throws `bad-message`, and `busy` when parts before these are missing or there is no room.
   */
  take(name: string, at: number, of: number, parts: readonly Uint8Array[], now: number): Uint8Array[] | undefined {
    if (at + parts.length > of) throw new ChoraleError('bad-message', `an errand of ${of} parts has no more`)
    if (parts.length === of) return [...parts]
    const errand = this.#errands.get(name) ?? this.#open(name, at, now)
    errand.heardAtMs = now
    if (at + parts.length <= errand.parts.length) return undefined
    if (at !== errand.parts.length) throw missing()
    errand.parts.push(...parts)
    if (errand.parts.length < of) return undefined
    this.#errands.delete(name)
    return errand.parts
  }

  #open(name: string, at: number, now: number): Errand {
    if (at !== 0) throw missing()
    for (const [other, { heardAtMs }] of this.#errands) {
      if (heardAtMs + FORGET_MS <= now) this.#errands.delete(other)
    }
    if (this.#errands.size >= MAX_COMING) throw new ChoraleError('busy', 'too many errands are on their way')
    const errand: Errand = { parts: [], heardAtMs: now }
    this.#errands.set(name, errand)
    return errand
  }
}

function missing(): ChoraleError {
  return new ChoraleError('busy', 'parts of the errand before these are not here: begin again')
}
