/**
 * Ids on a circle of circumference 1, each a number in [0, 1) to 52 bits: sorted, with an index that finds the place
 * of a point in constant time; or in order one by one, which takes no memory and so can be 20 million.
 */
import type { Random } from '../../../src/core/env.ts'
import type { Key } from '../../../src/core/ids.ts'
import { seededRandom } from '../../../src/core/random.ts'
import { contactAt } from '../../../src/net/contact.ts'

/** Ids from the least to the greatest, then Infinity. */
export interface Ascending {
  next(): number
}

export class Circle {
  readonly #ids: Float64Array
  /** For each bucket of the circle, the first id in it or after it. */
  readonly #first: Int32Array

  /** Sorts `ids` in place, and keeps them. At least one. */
  constructor(ids: Float64Array) {
    this.#ids = ids.sort()
    const buckets = 2 ** Math.ceil(Math.log2(ids.length + 1))
    this.#first = new Int32Array(buckets + 1).fill(ids.length)
    for (let i = ids.length - 1; i >= 0; i--) this.#first[Math.floor(ids[i]! * buckets)] = i
    for (let b = buckets - 1; b >= 0; b--) this.#first[b] = Math.min(this.#first[b]!, this.#first[b + 1]!)
  }

  get size(): number {
    return this.#ids.length
  }

  /** Round and round: `at(size)` is `at(0)`. */
  at(index: number): number {
    return this.#ids[index % this.#ids.length]!
  }

  /** How many ids are below a point of [0, 1); the index of the first that is not, or the size. */
  rank(point: number): number {
    let i = this.#first[Math.floor(point * (this.#first.length - 1))]!
    while (i < this.#ids.length && this.#ids[i]! < point) i++
    return i
  }

  ascending(): Ascending {
    let i = 0
    return { next: () => (i < this.#ids.length ? this.#ids[i++]! : Number.POSITIVE_INFINITY) }
  }

  /** Clockwise from a point to the first id at it or after it. */
  ahead(point: number): number {
    return clockwise(point, this.at(this.rank(point)))
  }
}

/**
 * So many random ids in order, without sorting: n + 1 exponential variables over their sum have the law of the gaps
 * that n uniform ones leave between 0 and 1 (Devroye 1986, V.2). The sum is taken first, so all are drawn twice.
 */
export function randomAscending(count: number, seed: string): Ascending {
  const draw = (random: Random) => -Math.log(1 - random.next())
  const rehearsal = seededRandom(seed)
  let sum = 0
  for (let i = 0; i <= count; i++) sum += draw(rehearsal)
  const random = seededRandom(seed)
  let left = count
  let at = 0
  return {
    next: () => {
      if (left-- <= 0) return Number.POSITIVE_INFINITY
      at += draw(random)
      return at / sum
    },
  }
}

/** From a to b, both in [0, 1). */
export function clockwise(a: number, b: number): number {
  return b >= a ? b - a : b - a + 1
}

/** Uniform in [0, 1), to 52 bits. */
export function randomId(random: Random): number {
  return (random.int(2 ** 26) * 2 ** 26 + random.int(2 ** 26)) * 2 ** -52
}

export function randomIds(count: number, random: Random): Float64Array {
  const ids = new Float64Array(count)
  for (let i = 0; i < count; i++) ids[i] = randomId(random)
  return ids
}

export function randomIp(random: Random): string {
  return [1 + random.int(223), random.int(256), random.int(256), random.int(256)].join('.')
}

/** The id of a port as live nodes derive it under placement `ip-port`. */
export function portId(ip: string, port: number): number {
  return toId(contactAt({ peer: '', ip, port, incarnation: 0 }, 0).id)
}

export function toId(key: Key): number {
  return Number.parseInt(key.slice(0, 13), 16) * 2 ** -52
}
