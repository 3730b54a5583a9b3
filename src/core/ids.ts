/**
 * Keys and ids: 256-bit numbers on a circle. A `Key` is held as 64 lower-case hex digits, because strings of one
 * length compare like the numbers they stand for, work as Map keys, and cost no allocation (bigint does).
 */
import { hash } from 'node:crypto'

declare const keyBrand: unique symbol
/** 64 lower-case hex digits: an unsigned 256-bit number, most significant digit first. */
export type Key = string & { readonly [keyBrand]: true }

export const KEY_BITS = 256

/** SHA-256 of text (as UTF-8) or bytes. */
export function hashKey(data: string | Uint8Array): Key {
  return hash('sha256', data) as Key
}

export function keyFromBytes(bytes: Uint8Array): Key {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex') as Key
}

export function keyFromBigint(value: bigint): Key {
  return BigInt.asUintN(KEY_BITS, value).toString(16).padStart(64, '0') as Key
}

export function keyToBigint(key: Key): bigint {
  return BigInt(`0x${key}`)
}

/**
 * Is x strictly inside the arc that runs clockwise from a to b? (Zave 2017.) With a = b the arc is the whole circle but
 * for a.
 */
export function between(a: string, x: string, b: string): boolean {
  return a < b ? a < x && x < b : a < x || x < b
}

/** Is x in (a, b], the arc that a Chord node b with predecessor a owns? With a = b it is the whole circle. */
export function inArc(a: string, x: string, b: string): boolean {
  return x === b || between(a, x, b)
}

/** key + 2^exponent mod 2^256. */
export function plusPowerOfTwo(key: Key, exponent: number): Key {
  return keyFromBigint(keyToBigint(key) + (1n << BigInt(exponent)))
}

/** Clockwise distance from a to b as a share of the circle, in [0, 1), to 52 bits. */
export function arcShare(a: Key, b: Key): number {
  const from = Number.parseInt(a.slice(0, 13), 16)
  const to = Number.parseInt(b.slice(0, 13), 16)
  const share = (to - from) / 2 ** 52
  return share < 0 ? share + 1 : share
}
