/**
 * The functions of `Math` that may differ in their last bits between versions of V8, replaced by ones that do not
 * (scripts/math.ts). What is exact by definition (sqrt, floor, imul, ...) stays.
 */
import wasm from './math.wasm'

export function replaceMath(): void {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(wasm))
  const { memory: _, hypot, ...functions } = exports as { [name: string]: (x: number, y: number) => number }
  Object.assign(Math, functions, {
    hypot: (...values: number[]) => {
      let length = 0
      for (const value of values) length = hypot!(length, value)
      return length
    },
  })
}
