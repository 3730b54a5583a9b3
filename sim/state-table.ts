/**
 * The set of states that the model checker has seen, each with the one it was first reached from. A state is one small
 * number per member, 0 for one that is down; some member is up in all of them. Rotations of a state are the same state.
 *
 * Open addressing over typed arrays, so that millions fit. The states themselves are in the slots: a step looks at one
 * place in memory, and most of the checker's time is waiting for that.
 */

/** Numbers of members are below this. */
const NUMBERS = 2 ** 16

export class StateTable {
  readonly #n: number
  /** In the order in which they were added. */
  #states: Uint16Array
  #parents: Int32Array
  /** The same states by their hashes. Of a free slot the last number is 0, of a state never: see `#turn`. */
  #slots: Uint16Array
  #slotCount = 2 ** 16
  /** The state in question, twice, so that each of its rotations is in one piece. */
  readonly #turned: Uint16Array
  size = 0

  constructor(n: number) {
    this.#n = n
    this.#states = new Uint16Array(n * 2 ** 16)
    this.#parents = new Int32Array(2 ** 16)
    this.#slots = new Uint16Array(n * this.#slotCount)
    this.#turned = new Uint16Array(2 * n)
  }

  read(at: number, out: Int32Array): void {
    for (let i = 0; i < this.#n; i++) out[i] = this.#states[at * this.#n + i]!
  }

  parent(at: number): number {
    return this.#parents[at]!
  }

  /** Adds a state unless it, or a rotation of it, is there. */
  add(codes: Int32Array, parent: number): void {
    const n = this.#n
    const shift = this.#turn(codes)
    if (!this.#put(this.#turned, shift)) return
    if ((this.size + 1) * n > this.#states.length) this.#grow()
    for (let i = 0; i < n; i++) this.#states[this.size * n + i] = this.#turned[shift + i]!
    this.#parents[this.size++] = parent
    if (this.size * 5 > this.#slotCount * 3) this.#rehash()
  }

  /** Where in `#turned` the least rotation is. It begins with the longest row of zeros, so it does not end with one. */
  #turn(codes: Int32Array): number {
    const n = this.#n
    const turned = this.#turned
    for (let i = 0; i < n; i++) {
      const code = codes[i]!
      if (code >= NUMBERS) throw new RangeError(`${code} local states are too many for the table`)
      turned[i] = turned[i + n] = code
    }
    let shift = 0
    for (let s = 1; s < n; s++) {
      let i = 0
      while (i < n && turned[s + i] === turned[shift + i]) i++
      if (i < n && turned[s + i]! < turned[shift + i]!) shift = s
    }
    return shift
  }

  /** Takes a slot for the state that is at `from` there. False: it has one. */
  #put(states: Uint16Array, from: number): boolean {
    const n = this.#n
    const slots = this.#slots
    const mask = this.#slotCount - 1
    let h = 0x811c9dc5
    for (let i = 0; i < n; i++) {
      h = Math.imul(h ^ states[from + i]!, 0x9e3779b1)
      h ^= h >>> 15
    }
    for (let slot = h & mask; ; slot = (slot + 1) & mask) {
      const at = slot * n
      let i = n - 1
      if (slots[at + i] === 0) {
        for (; i >= 0; i--) slots[at + i] = states[from + i]!
        return true
      }
      while (i >= 0 && slots[at + i] === states[from + i]) i--
      if (i < 0) return false
    }
  }

  #grow(): void {
    const states = new Uint16Array(this.#states.length * 2)
    states.set(this.#states)
    this.#states = states
    const parents = new Int32Array(this.#parents.length * 2)
    parents.set(this.#parents)
    this.#parents = parents
  }

  #rehash(): void {
    this.#slotCount *= 2
    this.#slots = new Uint16Array(this.#n * this.#slotCount)
    for (let at = 0; at < this.size; at++) this.#put(this.#states, at * this.#n)
  }
}
