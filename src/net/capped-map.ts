/**
 * A map with a cap for whatever is keyed by something remote: two generations, so that an entry that was used lately
 * stays and the rest go, at a constant cost per call and without a list to keep.
 */
export class CappedMap<K, V> {
  readonly #half: number
  #young = new Map<K, V>()
  #old = new Map<K, V>()

  /** Holds between `cap / 2` and `cap` of the entries used last. */
  constructor(cap: number) {
    this.#half = Math.max(1, Math.floor(cap / 2))
  }

  get size(): number {
    return this.#young.size + this.#old.size
  }

  /** Counts as a use. */
  get(key: K): V | undefined {
    const young = this.#young.get(key)
    if (young !== undefined) return young
    const old = this.#old.get(key)
    if (old === undefined) return undefined
    this.#old.delete(key)
    this.set(key, old)
    return old
  }

  set(key: K, value: V): void {
    this.#old.delete(key)
    if (this.#young.size >= this.#half && !this.#young.has(key)) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(key, value)
  }

  delete(key: K): void {
    this.#young.delete(key)
    this.#old.delete(key)
  }
}
