/**
 * The randomness of a task: xoshiro128** (Blackman and Vigna 2018), begun anew for each task from the job's seed and the
 * number of the task, through splitmix32. 32 random bits a call. One stream, for one task runs at a time.
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

/** `seed`: any whole number of 53 bits; `task` -1: for what belongs to no task. */
export function reseed(seed: number, task: number): void {
  let state = 0
  const mix = (value: number) => {
    state = (state + value + 0x9e3779b9) | 0
    let z = state ^ (state >>> 16)
    z = Math.imul(z, 0x21f0aaad)
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97)
    return (z ^ (z >>> 15)) | 0
  }
  state = mix(Math.floor(seed / 2 ** 32) | 0)
  state ^= mix(seed | 0)
  state ^= mix(task | 0)
  a = mix(1)
  b = mix(2)
  c = mix(3)
  d = mix(4) | 1 // all zeros is the one state that must not be
}
