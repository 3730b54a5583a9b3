/**
 * Seeded random streams: xoshiro128** (Blackman and Vigna 2018), seeded through SHA-256. Not for secrets.
 */
import { hash } from 'node:crypto'
import type { Random } from './env.ts'

export function seededRandom(seed: string | number): Random {
  return new Xoshiro128(String(seed))
}

class Xoshiro128 implements Random {
  readonly #seed: string
  #a: number
  #b: number
  #c: number
  #d: number

  constructor(seed: string) {
    this.#seed = seed
    const state = hash('sha256', `chorale random|${seed}`, 'buffer')
    this.#a = state.readInt32LE(0)
    this.#b = state.readInt32LE(4)
    this.#c = state.readInt32LE(8)
    this.#d = state.readInt32LE(12) | 1 // the all-zero state is the one that must not be
  }

  #step(): number {
    const x = Math.imul(this.#b, 5)
    const result = Math.imul((x << 7) | (x >>> 25), 9)
    const t = this.#b << 9
    this.#c ^= this.#a
    this.#d ^= this.#b
    this.#b ^= this.#c
    this.#a ^= this.#d
    this.#c ^= t
    this.#d = (this.#d << 11) | (this.#d >>> 21)
    return result >>> 0
  }

  next(): number {
    return this.#step() * 2 ** -32
  }

  int(below: number): number {
    return Math.floor(this.next() * below)
  }

  bytes(count: number): Uint8Array {
    const out = new Uint8Array(count)
    for (let i = 0; i < count; i++) out[i] = this.#step() >>> 24
    return out
  }

  fork(label: string): Random {
    return new Xoshiro128(`${this.#seed}/${label}`)
  }
}

/** Fisher-Yates on a copy. */
export function shuffled<T>(items: readonly T[], random: Random): T[] {
  const out = items.slice()
  for (let i = out.length - 1; i > 0; i--) {
    const j = random.int(i + 1)
    const swap = out[i] as T
    out[i] = out[j] as T
    out[j] = swap
  }
  return out
}
