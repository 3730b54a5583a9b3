/**
 * The set of states that the model checker has seen, each with the one it was first reached from: open addressing over
 * typed arrays, so that millions fit. A state is one small number per member; rotations of a state are the same state.
 */

export class StateTable {
  readonly #n: number
  #cells: Int32Array
  #parents: Int32Array
  #slots: Int32Array
  size = 0

  constructor(n: number) {
    this.#n = n
    this.#cells = new Int32Array(n * 2 ** 16)
    this.#parents = new Int32Array(2 ** 16)
    this.#slots = new Int32Array(2 ** 18).fill(-1)
  }

  read(at: number, out: Int32Array): void {
    for (let i = 0; i < this.#n; i++) out[i] = this.#cells[at * this.#n + i]!
  }

  parent(at: number): number {
    return this.#parents[at]!
  }

  /** Adds a state unless it, or a rotation of it, is there. */
  add(codes: Int32Array, parent: number): void {
    const n = this.#n
    let shift = 0
    for (let s = 1; s < n; s++) {
      for (let i = 0; i < n; i++) {
        const difference = codes[(i + s) % n]! - codes[(i + shift) % n]!
        if (difference === 0) continue
        if (difference < 0) shift = s
        break
      }
    }
    const mask = this.#slots.length - 1
    let slot = this.#hash(codes, shift) & mask
    for (;;) {
      const at = this.#slots[slot]!
      if (at < 0) break
      let i = 0
      while (i < n && this.#cells[at * n + i] === codes[(i + shift) % n]) i++
      if (i === n) return
      slot = (slot + 1) & mask
    }
    if ((this.size + 1) * n > this.#cells.length) this.#grow()
    for (let i = 0; i < n; i++) this.#cells[this.size * n + i] = codes[(i + shift) % n]!
    this.#parents[this.size] = parent
    this.#slots[slot] = this.size++
    if (this.size * 2 > this.#slots.length) this.#rehash()
  }

  #hash(codes: Int32Array, shift: number): number {
    let h = 0x811c9dc5
    for (let i = 0; i < this.#n; i++) {
      h = Math.imul(h ^ codes[(i + shift) % this.#n]!, 0x9e3779b1)
      h ^= h >>> 15
    }
    return h >>> 0
  }

  #grow(): void {
    const cells = new Int32Array(this.#cells.length * 2)
    cells.set(this.#cells)
    this.#cells = cells
    const parents = new Int32Array(this.#parents.length * 2)
    parents.set(this.#parents)
    this.#parents = parents
  }

  #rehash(): void {
    const slots = new Int32Array(this.#slots.length * 2).fill(-1)
    const mask = slots.length - 1
    const codes = new Int32Array(this.#n)
    for (let at = 0; at < this.size; at++) {
      this.read(at, codes)
      let slot = this.#hash(codes, 0) & mask
      while (slots[slot]! >= 0) slot = (slot + 1) & mask
      slots[slot] = at
    }
    this.#slots = slots
  }
}
