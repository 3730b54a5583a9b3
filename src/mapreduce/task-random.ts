/**
 * The randomness of a task: xoshiro128** (Blackman and Vigna 2018), begun anew for each task from the job's seed and the
 * number of the task. 32 random bits a call. One stream, for one task runs at a time.
 */

let a = 0
let b = 0
let c = 0
let d = 1

export function nextRandom(): number {
  const x = Math.imul(b, 5)
  const result = Math.imul((x << 7) | (x >>> 25), 9)
  const t = b << 9
  c ^= a
  d ^= b
  b ^= c
  a ^= d
  c ^= t
  d = (d << 11) | (d >>> 21)
  return (result >>> 0) * 2 ** -32
}

/** For what belongs to no task. */
export const NO_TASK = -1

/**
 * `seed`: any whole number of 53 bits. The two halves of the seed and the task go through a permutation of the 128 bits of
 * the state (ten double rounds of ChaCha's quarter round, Bernstein 2008), so no two tasks begin alike.
 */
export function reseed(seed: number, task: number): void {
  a = seed | 0
  b = Math.floor(seed / 2 ** 32) | 0
  c = task | 0
  d = 0x63686f72
  for (let round = 0; round < 20; round++) {
    a = (a + b) | 0
    d = rotated(d ^ a, 16)
    c = (c + d) | 0
    b = rotated(b ^ c, 12)
    a = (a + b) | 0
    d = rotated(d ^ a, 8)
    c = (c + d) | 0
    b = rotated(b ^ c, 7)
  }
  if ((a | b | c | d) === 0) d = 1 // all zeros is the one state that must not be
}

function rotated(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits))
}
