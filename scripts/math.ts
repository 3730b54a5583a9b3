/**
 * Makes src/mapreduce/sandbox/guest/math.wasm: the functions of `Math` whose last bits differ between engines, from
 * AssemblyScript's NativeMath (after musl and FreeBSD's msun). The file is committed, because it is part of the engine
 * that jobs name. The compiler is no dependency, for it takes 100 MB and is needed here alone:
 *
 *   npm install --no-save assemblyscript@0.28.20 && node scripts/math.ts
 */
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const ONE = ['acos', 'acosh', 'asin', 'asinh', 'atan', 'atanh', 'cbrt', 'cos', 'cosh', 'exp', 'expm1', 'log', 'log10']
const MORE_OF_ONE = ['log1p', 'log2', 'sin', 'sinh', 'tan', 'tanh']
const TWO = ['atan2', 'hypot', 'pow']

interface Compiler {
  compileString(
    sources: { [name: string]: string },
    options: { [name: string]: unknown },
  ): Promise<{ error: Error | null; binary: Uint8Array | null }>
}

const compiler = 'assemblyscript/asc'
const asc = (await import(compiler)) as Compiler
const source = [
  ...[...ONE, ...MORE_OF_ONE].map((name) => `export function ${name}(x: f64): f64 { return NativeMath.${name}(x) }`),
  ...TWO.map((name) => `export function ${name}(x: f64, y: f64): f64 { return NativeMath.${name}(x, y) }`),
]
const options = { optimizeLevel: 3, shrinkLevel: 0, noAssert: true, runtime: 'stub' }
const { error, binary } = await asc.compileString({ 'math.ts': source.join('\n') }, options)
if (!binary) throw error ?? new Error('nothing was compiled')
writeFileSync(fileURLToPath(new URL('../src/mapreduce/sandbox/guest/math.wasm', import.meta.url)), binary)
