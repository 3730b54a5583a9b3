// The kernel of kernel.ts in AssemblyScript, as a job. Made with version 0.28.20:
//   cp bench/sandbox/kernel.as kernel.ts; npx asc kernel.ts -O3 --noAssert --runtime stub --enable simd -o bench/sandbox/kernel.wasm
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

// Four pairs of generators side by side, as who writes WebAssembly for speed would have them. In integers: a point is in
// the circle when x^2 + y^2 < 2^62, and else its two upper bits are 1.
export function map(pointer: usize, bytes: i32): u64 {
  const seed: i32 = (i32(load<f64>(pointer, 4)) + 1) * 0x9e3779b1
  const task: i32 = ((load<i32>(pointer) + 1) * 0x85ebca6b) | 1
  let a0 = i32x4.add(i32x4.splat(seed), i32x4(0, 0x3c6ef372, 0x1b873593, 0x7feb352d))
  let a1 = v128.xor(i32x4.splat(task), i32x4(0, 0x165667b2, 0x68bc21ea, 0x02e1b212))
  let b0 = v128.xor(a0, i32x4.splat(0x5bd1e995))
  let b1 = v128.or(v128.xor(a1, i32x4.splat(0x27d4eb2f)), i32x4.splat(1))
  const factor = i32x4.splat(0x9e3779bb)
  let out0 = i64x2.splat(0)
  let out1 = i64x2.splat(0)
  for (let i = 0; i < 1 << 20; i++) {
    const x = i32x4.mul(a0, factor)
    const y = i32x4.mul(b0, factor)
    a1 = v128.xor(a1, a0)
    a0 = v128.xor(v128.xor(rotated(a0, 26), a1), i32x4.shl(a1, 9))
    a1 = rotated(a1, 13)
    b1 = v128.xor(b1, b0)
    b0 = v128.xor(v128.xor(rotated(b0, 26), b1), i32x4.shl(b1, 9))
    b1 = rotated(b1, 13)
    out0 = i64x2.add(out0, i64x2.shr_u(i64x2.add(i64x2.extmul_low_i32x4_s(x, x), i64x2.extmul_low_i32x4_s(y, y)), 62))
    out1 = i64x2.add(out1, i64x2.shr_u(i64x2.add(i64x2.extmul_high_i32x4_s(x, x), i64x2.extmul_high_i32x4_s(y, y)), 62))
  }
  const sum = i64x2.sub(i64x2.splat(1 << 21), i64x2.add(out0, out1))
  const out = heap.alloc(8)
  store<f64>(out, f64(i64x2.extract_lane(sum, 0) + i64x2.extract_lane(sum, 1)))
  return packed(out, 8)
}

// @ts-ignore: decorator
@inline
function rotated(x: v128, by: i32): v128 {
  return v128.or(i32x4.shl(x, by), i32x4.shr_u(x, 32 - by))
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
