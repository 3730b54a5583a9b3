/**
 * What became of two members by a step, by their local states before: open addressing over one typed array, a step in 16
 * bytes beside each other, for the model checker asks a hundred million times.
 */

/** Numbers per step: what was done by whom, to whom, and the local states of both after it. */
const STRIDE = 4
/** Instead of a local state: the step is not taken. */
const NONE = -1

export class PairTable {
  #cells = new Int32Array(STRIDE * 2 ** 12)
  #size = 0
  /** Of the step that was found last: the asker's local state after it, and the other's. */
  i = NONE
  j = NONE

  /** Is the step known? `act` is not 0. Then `i` and `j` are what became of both; `i` is negative if it is not taken. */
  find(act: number, codeJ: number): boolean {
    const cells = this.#cells
    const at = this.#slot(act, codeJ)
    if (cells[at] === 0) return false
    this.i = cells[at + 2]!
    this.j = cells[at + 3]!
    return true
  }

  /** Only what `find` does not know. */
  add(act: number, codeJ: number, after: readonly [number, number] | undefined): void {
    if (++this.#size * 2 * STRIDE > this.#cells.length) this.#grow()
    this.i = after?.[0] ?? NONE
    this.j = after?.[1] ?? NONE
    this.#put(act, codeJ, this.i, this.j)
  }

  #put(act: number, codeJ: number, i: number, j: number): void {
    const at = this.#slot(act, codeJ)
    this.#cells[at] = act
    this.#cells[at + 1] = codeJ
    this.#cells[at + 2] = i
    this.#cells[at + 3] = j
  }

  /** Where the step is, or the free place for it. */
  #slot(act: number, codeJ: number): number {
    const cells = this.#cells
    const mask = cells.length - 1
    let h = Math.imul(act, 0x9e3779b1) ^ Math.imul(codeJ, 0x85ebca6b)
    h ^= h >>> 15
    let at = (Math.imul(h, 0x2c1b3c6d) >>> 3) * STRIDE
    for (at &= mask; cells[at] !== 0 && (cells[at] !== act || cells[at + 1] !== codeJ); ) at = (at + STRIDE) & mask
    return at
  }

  #grow(): void {
    const before = this.#cells
    this.#cells = new Int32Array(before.length * 2)
    for (let at = 0; at < before.length; at += STRIDE) {
      if (before[at] !== 0) this.#put(before[at]!, before[at + 1]!, before[at + 2]!, before[at + 3]!)
    }
  }
}
