/**
 * Coordinates cut from a key: equal runs of its hex digits, each a number in [0, 1). Exact in floating point, so the same
 * on every machine; uniform and independent because the digits of a hash are.
 */
import type { Key } from '../../core/ids.ts'

const KEY_DIGITS = 64
/** 52 bits: all of them, and a distance between two, fit into a number exactly. */
const MOST_DIGITS = 13

/** Digits of a key that each coordinate gets. */
export function digitsOf(dimensions: number): number {
  return Math.min(MOST_DIGITS, Math.floor(KEY_DIGITS / dimensions))
}

/** 52 bits each up to 4 dimensions, 48 in 5, at least 16 (in 16). */
export function coordinates(key: Key, dimensions: number): number[] {
  const digits = digitsOf(dimensions)
  const scale = 16 ** -digits
  const out: number[] = []
  for (let i = 0; i < dimensions; i++) out.push(Number.parseInt(key.slice(i * digits, (i + 1) * digits), 16) * scale)
  return out
}
