// The kernel of kernel.ts in AssemblyScript, as a job. Made with version 0.28.20:
//   cp bench/sandbox/kernel.as kernel.ts; npx asc kernel.ts -O3 --noAssert --runtime stub -o bench/sandbox/kernel.wasm
// It has 16 tasks of 2^22 points each.

export function alloc(bytes: i32): usize {
  return heap.alloc(bytes)
}

function packed(pointer: usize, bytes: usize): u64 {
  return (u64(bytes) << 32) | u64(pointer)
}

export function split(pointer: usize, bytes: i32): u64 {
  const out = heap.alloc(4)
  store<u32>(out, 16)
  return packed(out, 4)
}

export function map(pointer: usize, bytes: i32): u64 {
  let a0: i32 = (i32(load<f64>(pointer, 4)) + 1) * 0x9e3779b1
  let a1: i32 = ((load<i32>(pointer) + 1) * 0x85ebca6b) | 1
  let b0: i32 = a0 ^ 0x5bd1e995
  let b1: i32 = (a1 ^ 0x27d4eb2f) | 1
  let hits: i32 = 0
  for (let i = 0; i < 1 << 22; i++) {
    const x: i32 = a0 * 0x9e3779bb
    const y: i32 = b0 * 0x9e3779bb
    a1 ^= a0
    a0 = rotl<i32>(a0, 26) ^ a1 ^ (a1 << 9)
    a1 = rotl<i32>(a1, 13)
    b1 ^= b0
    b0 = rotl<i32>(b0, 26) ^ b1 ^ (b1 << 9)
    b1 = rotl<i32>(b1, 13)
    const u = f64(x) * 4.656612873077393e-10
    const v = f64(y) * 4.656612873077393e-10
    hits += i32(u * u + v * v < 1.0)
  }
  const out = heap.alloc(8)
  store<f64>(out, f64(hits))
  return packed(out, 8)
}

export function reduce(pointer: usize, bytes: i32): u64 {
  const out = heap.alloc(8)
  store<f64>(out, load<f64>(pointer, 4) + load<f64>(pointer, 12))
  return packed(out, 8)
}

/** The number of hits in decimal. */
export function finish(pointer: usize, bytes: i32): u64 {
  let rest = u64(load<f64>(pointer))
  const out = heap.alloc(32)
  let at: usize = 32
  do {
    at--
    store<u8>(out + at, u8(48 + (rest % 10)))
    rest /= 10
  } while (rest > 0)
  return packed(out + at, 32 - at)
}
