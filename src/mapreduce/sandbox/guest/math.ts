/**
 * `Math` for a job. The functions that may differ in their last bits between versions of V8 are replaced by ones that do
 * not (scripts/math.ts); what is exact by definition is V8's own, and randomness is the task's. Written out, so that what
 * a later V8 adds is not there.
 */
import { nextRandom } from '../../task-random.ts'
import wasm from './math.wasm'

/** The normal powers of two. */
const LEAST = -1022
const MOST = 1023
const POWERS = new Float64Array(MOST - LEAST + 1)
for (let i = 0, power = 2 ** -1022; i < POWERS.length; i++, power *= 2) POWERS[i] = power

type One = (x: number) => number
type Two = (x: number, y: number) => number

export function replaceMath(): void {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(wasm))
  const one = exports as { readonly [name: string]: One }
  const { atan2, hypot, pow } = exports as { readonly [name: string]: Two }
  const own = Math
  const replaced = {
    E: own.E,
    LN10: own.LN10,
    LN2: own.LN2,
    LOG10E: own.LOG10E,
    LOG2E: own.LOG2E,
    PI: own.PI,
    SQRT1_2: own.SQRT1_2,
    SQRT2: own.SQRT2,
    abs: own.abs,
    acos: one.acos,
    acosh: one.acosh,
    asin: one.asin,
    asinh: one.asinh,
    atan: one.atan,
    atan2,
    atanh: one.atanh,
    cbrt: one.cbrt,
    ceil: own.ceil,
    clz32: own.clz32,
    cos: one.cos,
    cosh: one.cosh,
    exp: one.exp,
    expm1: one.expm1,
    floor: own.floor,
    fround: own.fround,
    hypot: (...values: number[]) => {
      let length = 0
      for (const value of values) length = hypot!(length, value)
      return length
    },
    imul: own.imul,
    log: one.log,
    log10: one.log10,
    log1p: one.log1p,
    log2: one.log2,
    max: own.max,
    min: own.min,
    // `**` becomes a call of this one. Squares and powers of two stand in tight loops, where V8 then inlines them.
    pow: (x: number | bigint, y: number) =>
      typeof x === 'bigint'
        ? (x as bigint) ** (y as unknown as bigint)
        : y === 2
          ? x * x
          : x === 2 && y === (y | 0) && y >= LEAST && y <= MOST
            ? POWERS[y - LEAST]!
            : pow!(x, y),
    random: nextRandom,
    round: own.round,
    sign: own.sign,
    sin: one.sin,
    sinh: one.sinh,
    sqrt: own.sqrt,
    tan: one.tan,
    tanh: one.tanh,
    trunc: own.trunc,
  }
  ;(globalThis as { Math: unknown }).Math = replaced
}
