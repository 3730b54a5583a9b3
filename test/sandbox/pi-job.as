// The job of wasm.test.ts: pi by Monte Carlo, in AssemblyScript. Made with version 0.28.20:
//   cp test/sandbox/pi-job.as pi.ts; npx asc pi.ts -O3 --noAssert --runtime stub -o test/sandbox/pi-job.wasm
// Parameters: {"tasks":N}; each task has 2^22 points.

export function alloc(bytes: i32): usize {
  return heap.alloc(bytes)
}

function packed(pointer: usize, bytes: usize): u64 {
  return (u64(bytes) << 32) | u64(pointer)
}

/** The digits after the first colon. */
export function split(pointer: usize, bytes: i32): u64 {
  let tasks: u32 = 0
  let seen = false
  for (let i = 0; i < bytes; i++) {
    const code = load<u8>(pointer + i)
    if (code == 58) seen = true
    else if (seen && code >= 48 && code <= 57) tasks = tasks * 10 + (code - 48)
  }
  if (tasks == 0) unreachable()
  const out = heap.alloc(4)
  store<u32>(out, tasks)
  return packed(out, 4)
}

export function map(pointer: usize, bytes: i32): u64 {
  const seed = u32(load<f64>(pointer, 4))
  let a: u32 = (load<u32>(pointer) + 1) * 0x9e3779b1 + seed
  let b: u32 = a ^ 0x85ebca6b
  let hits: u64 = 0
  for (let i = 0; i < 1 << 22; i++) {
    const x = f64(i32(a * 0x9e3779bb)) * 4.656612873077393e-10
    b ^= a
    a = rotl<u32>(a, 26) ^ b ^ (b << 9)
    b = rotl<u32>(b, 13)
    const y = f64(i32(a * 0x9e3779bb)) * 4.656612873077393e-10
    b ^= a
    a = rotl<u32>(a, 26) ^ b ^ (b << 9)
    b = rotl<u32>(b, 13)
    hits += u64(x * x + y * y < 1.0)
  }
  const out = heap.alloc(16)
  store<u64>(out, hits)
  store<u64>(out, 1 << 22, 8)
  return packed(out, 16)
}

export function reduce(pointer: usize, bytes: i32): u64 {
  const left = pointer + 4
  const right = left + load<u32>(pointer)
  const out = heap.alloc(16)
  store<u64>(out, load<u64>(left) + load<u64>(right))
  store<u64>(out, load<u64>(left, 8) + load<u64>(right, 8), 8)
  return packed(out, 16)
}

function digits(pointer: usize, value: u64): usize {
  let length: usize = 1
  for (let rest = value; rest >= 10; rest /= 10) length++
  let left = value
  for (let i = length; i > 0; i--) {
    store<u8>(pointer + i - 1, u8(48 + (left % 10)))
    left /= 10
  }
  return pointer + length
}

/** [hits,points] */
export function finish(pointer: usize, bytes: i32): u64 {
  const out = heap.alloc(64)
  store<u8>(out, 91)
  let at = digits(out + 1, load<u64>(pointer))
  store<u8>(at, 44)
  at = digits(at + 1, load<u64>(pointer, 8))
  store<u8>(at, 93)
  return packed(out, at + 1 - out)
}
