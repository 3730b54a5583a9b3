import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { checkWasm, isWasm } from '../../../src/mapreduce/sandbox/wasm-check.ts'
import { i64, tinyWasm } from './tiny-wasm.ts'

const valid = (bytes: Uint8Array) =>
  (globalThis as unknown as { WebAssembly: { validate(b: Uint8Array): boolean } }).WebAssembly.validate(bytes)
const math = new Uint8Array(readFileSync(new URL('../../../src/mapreduce/sandbox/guest/math.wasm', import.meta.url)))

test('modules that are jobs pass, and large ones that a compiler made', () => {
  for (const module of [tinyWasm(), tinyWasm({ imports: ['env', 'abort'] }), tinyWasm({ memory: [1, 1, 4] }), math]) {
    expect([isWasm(module), valid(module)]).toEqual([true, true])
    expect(() => checkWasm(module)).not.toThrow()
  }
})

const vector = [0xfd, 12, ...Array(16).fill(0)] // v128.const 0
const done = [0x1a, ...i64(0)]
test.each([
  ['another import', { imports: ['env', 'read'] }, 'it imports env.read'],
  [
    'an import of another module',
    { imports: ['wasi_snapshot_preview1', 'fd_write'] },
    'it imports wasi_snapshot_preview1.fd_write',
  ],
  ['shared memory', { memory: [3, 1, 4] }, 'its memory is shared'],
  ['memory of 64 bits', { memory: [4, 1] }, 'its memory is shared or of 64 bits'],
  ['relaxed SIMD', { map: [...vector, ...vector, 0xfd, 0x80, 0x02, ...done] }, 'it has relaxed SIMD'],
  ['atomics', { map: [0x41, 0, 0xfe, 0x10, 2, 0, ...done] }, 'it has the instruction 0xfe'],
  ['what nobody knows yet', { map: [0xfb, 1, ...done] }, 'it has the instruction 0xfb'],
] as const)('%s is refused', (_, options, message) => {
  expect(() => checkWasm(tinyWasm(options as never))).toThrow(
    expect.objectContaining({ code: 'user-code', message: expect.stringContaining(message) }),
  )
})

test('SIMD as such passes', () => {
  const module = tinyWasm({ map: [...vector, ...vector, 0xfd, 0x51, ...done] })
  expect(valid(module)).toBe(true)
  expect(() => checkWasm(module)).not.toThrow()
})

test('what is cut anywhere, or changed in any byte, is refused or read to its end, and never hangs', () => {
  const module = tinyWasm({ imports: ['env', 'abort'] })
  for (let length = 0; length < module.length; length++) {
    try {
      checkWasm(module.subarray(0, length))
    } catch (error) {
      expect(error).toMatchObject({ code: 'user-code' })
    }
  }
  for (let at = 0; at < module.length; at++) {
    for (const value of [0, 0x7f, 0x80, 0xff]) {
      const changed = module.slice()
      changed[at] = value
      try {
        checkWasm(changed)
      } catch (error) {
        expect(error).toMatchObject({ code: 'user-code' })
      }
    }
  }
})
