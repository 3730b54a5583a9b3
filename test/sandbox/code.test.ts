/** What code in a sandbox can see and do (SANDBOX: tests 1 to 10). */
import { describe, expect, test } from 'vitest'
import { decode } from '../../src/core/cbor.ts'
import { levels, MemoryWatch, moduleOf, noBubblewrap, sandboxed } from './sandboxed.ts'

/** The isolate is the same at both levels; what is about its process is tried at both. */
const level = noBubblewrap === undefined ? 'os' : 'process'
const inside = (map: string, top?: string) => sandboxed(moduleOf(map, top), { level })

describe('inside the isolate', () => {
  test('1. constructors of functions reach no process', async () => {
    const { task } = inside(`
      const tries = [() => {}, async () => {}, function* () {}, async function* () {}]
      if (task < 4) return tries[task].constructor('return typeof process + typeof require + typeof globalThis.Buffer')() + ''
      return (() => {}).constructor('return process')()
    `)
    expect(await task(0)).toBe('undefinedundefinedundefined')
    for (const other of [1, 2, 3]) expect(await task(other)).toMatch(/^\[object (Promise|Generator|AsyncGenerator)\]$/)
    await expect(task(4)).rejects.toMatchObject({ code: 'user-code', message: expect.stringContaining('not defined') })
  })

  test('2. a dynamic import rejects, and its rejection reaches nothing', async () => {
    const { task } = inside(
      `if (task === 0) { import('fs').then(() => { found = 'fs' }, (error) => { found = error.constructor.constructor('return typeof process')() }); return 0 }
       return found`,
      `let found = 'nothing yet'`,
    )
    await task(0)
    expect(await task(1)).toBe('undefined')
  })

  test('3. a static import is refused', async () => {
    await expect(inside('return fs.readFileSync', `import fs from 'fs'`).task()).rejects.toMatchObject({
      code: 'user-code',
      message: expect.stringContaining('cannot import fs'),
    })
  })

  test('4. Error.prepareStackTrace is never called', async () => {
    const { task } = inside(`
      let called = 'no'
      try { Error.prepareStackTrace = () => { called = 'yes' } } catch {}
      try { null.x } catch (error) { error.stack }
      return called
    `)
    expect(await task()).toBe('no')
  })

  test('5. there is nothing that differs between hosts or moments', async () => {
    const absent = [
      ...['process', 'require', 'module', 'Buffer', 'fetch', 'setTimeout', 'setImmediate', 'queueMicrotask', 'console'],
      ...[
        'Date',
        'Intl',
        'Temporal',
        'WebAssembly',
        'SharedArrayBuffer',
        'Atomics',
        'WeakRef',
        'performance',
        'crypto',
      ],
      ...['FinalizationRegistry', 'structuredClone', 'TextEncoder', 'TextDecoder', 'eval', 'ShadowRealm', 'gc'],
    ]
    const { task } = inside(
      `return ${JSON.stringify(absent)}.filter((name) => name in globalThis || typeof globalThis[name] !== 'undefined')`,
    )
    expect(await task()).toEqual([])
    const locale = inside(`return [
      'a'.localeCompare, 'a'.toLocaleUpperCase, (1).toLocaleString, [].toLocaleString, ({}).toLocaleString, new Uint8Array(1).toLocaleString,
    ].filter(Boolean).length`)
    expect(await locale.task()).toBe(0)
  })

  test('6. built-in objects cannot be changed, and programs that override what they inherit can', async () => {
    const { task } = inside(`
      const targets = [Object.prototype, Array.prototype, Function.prototype, Math, JSON, Promise.prototype, globalThis,
        Object.getPrototypeOf([].values().map(String)), Object.getPrototypeOf(Iterator.from({ next() {} })), RegExp,
        Object.getPrototypeOf(Uint8Array.prototype), Object.getPrototypeOf(function* () {}), Map.prototype, Error]
      const changed = targets.filter((target) => { try { target.planted = 1 } catch {} return target.planted === 1 })
      try { Object.prototype.toString = () => 'planted' } catch {}
      const own = { toString: null }
      own.toString = () => 'own'
      function Old() {}
      Old.prototype.constructor = Old
      const error = new AggregateError([], 'a'); error.message = 'b'; error.name = 'Mine'
      if ('lastMatch' in RegExp || '$1' in RegExp || Math.pow(2n, 40n) !== 1099511627776n) changed.push('more')
      return [changed.length, String({}), String(own), String(error)]
    `)
    expect(await task()).toEqual([0, '[object Object]', 'own', 'Mine: b'])
  })

  test('long texts are made outside of the isolate, and are the same as short ones', async () => {
    const { executor, spec } = inside(`return '>' + context.input`)
    const input = { cid: 'x', bytes: 1, blocks: 1, as: 'lines', taskBlocks: 1 } as const
    const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
    // With a byte order mark, characters of all lengths, and bytes that are none.
    const some = [0xef, 0xbb, 0xbf, 0x61, ...new TextEncoder().encode('ä€😀'), 0xe2, 0x82, 0x0a, 0xff]
    for (const repeats of [1, 10_000]) {
      const bytes = Uint8Array.from({ length: some.length * repeats }, (_, i) => some[i % some.length]!)
      const run = { spec: { ...(await spec()), input }, segment: 0, mask: 1, inputs: [bytes.slice()] }
      const { partials } = await executor.run(run, { signal: new AbortController().signal })
      expect(decode(partials[0]!.bytes), `${bytes.length} bytes`).toBe(`>${decoder.decode(bytes)}`)
    }
  })

  test('7. results are plain values, or no results', async () => {
    const { task } = inside(`
      const lying = new Uint8Array(4)
      Object.defineProperty(lying, 'length', { value: 1e9 })
      Object.defineProperty(lying, 'byteLength', { value: 1e9 })
      const self = {}; self.self = self
      const results = [() => 1, Promise.resolve(1), { then() {} }, undefined, Symbol('a'), NaN, Infinity, self,
        lying, new Proxy({ a: 1 }, {}), new Proxy({}, { ownKeys() { throw new Error('trap') } })]
      return results[task]
    `)
    for (let bad = 0; bad < 8; bad++)
      await expect(task(bad), `result ${bad}`).rejects.toMatchObject({ code: 'user-code' })
    const bytes = (await task(8).catch(() => new Uint8Array(0))) as unknown as Uint8Array
    expect(bytes.length).toBeLessThanOrEqual(4)
    expect(await task(9)).toEqual({ a: 1 }) // as what it shows
    await expect(task(10)).rejects.toMatchObject({ code: 'user-code' })
  })

  test('the functions of Math that differ between engines are replaced by ones within a few last places of them', async () => {
    const one = [
      'acos',
      'acosh',
      'asin',
      'asinh',
      'atan',
      'atanh',
      'cbrt',
      'cos',
      'cosh',
      'exp',
      'expm1',
      'log',
      'log10',
    ]
    const names = [...one, 'log1p', 'log2', 'sin', 'sinh', 'tan', 'tanh', 'atan2', 'hypot', 'pow']
    const points = [0, -0, 1, -1, 0.7, -3.3, 1e-9, 123.456, 1e300, Infinity, -Infinity, NaN]
    const { task } = inside(`
      const points = [0, -0, 1, -1, 0.7, -3.3, 1e-9, 123.456, 1e300, Infinity, -Infinity, NaN]
      const text = (x) => (Object.is(x, -0) ? '-0' : String(x))
      const names = ${JSON.stringify(names)}.slice(2 * task, 2 * task + 2)
      return names.map((name) => points.map((x) => points.map((y) => text(Math[name](x, y)))))
    `)
    for (let first = 0; first < names.length; first += 2) {
      const theirs = (await task(first / 2)) as string[][][]
      for (const [i, name] of names.slice(first, first + 2).entries()) {
        for (const [j, x] of points.entries()) {
          for (const [k, y] of points.entries()) {
            const here = (Math[name as 'pow'] as (x: number, y: number) => number)(x, y)
            const there = Number(theirs[i]![j]![k])
            const place = `${name}(${x}, ${y})`
            if (!Number.isFinite(here) || here === 0) expect(Object.is(there, here), `${place}: ${there}`).toBe(true)
            else expect(Math.abs(there - here), place).toBeLessThanOrEqual(1e-15 * Math.abs(here))
          }
        }
      }
    }
  })

  test('what a task changes no other sees, and who runs which makes no difference', async () => {
    const code = moduleOf(
      `for (const change of [() => { context.params.n = 1 }, () => { context.seed = 1 }, () => { context.random = null }]) {
         try { change(); return 'changed' } catch {}
       }
       return [task, Math.random()]`,
    ).replace('left + right', '[left[0], left[1] + right[1] * Math.random()]')
    const { executor, spec } = sandboxed(code, { level })
    const signal = new AbortController().signal
    const whole = await executor.run({ spec: await spec(), segment: 0, mask: 0xffff }, { signal })
    const parts = []
    for (const mask of [0x00f0, 0xff0f]) {
      parts.push(...(await executor.run({ spec: await spec(), segment: 0, mask }, { signal })).partials)
    }
    parts.sort((a, b) => a.index - b.index)
    const folded = await executor.fold(
      await spec(),
      parts.map(({ bytes }) => bytes),
    )
    expect(await executor.finish(await spec(), folded)).toEqual([0, expect.any(Number)])
    expect(whole.partials).toEqual([{ level: 1, index: 0, bytes: folded }])
  })

  test('randomness is of the seed and the task, whatever ran before', async () => {
    const code = moduleOf('return [context.seed, Math.random(), Math.random()]')
    const [one, two] = [sandboxed(code, { level }), sandboxed(code, { level })]
    const first = await one.task(3)
    await two.task(9)
    expect(await two.task(3)).toEqual(first)
    expect(await two.task(4)).not.toEqual(first)
  })
})

describe.each(levels)('the process, at level %s', (level) => {
  const tryIt = test.skipIf(level === 'os' && noBubblewrap !== undefined)
  const inside = (map: string) => sandboxed(moduleOf(map), { level })
  const bounded = (map: string) => sandboxed(moduleOf(map), { level, taskMs: 500, heapMb: 64 }).task

  tryIt('8. large results and large errors are cut, and a getter that loops is ended', async () => {
    const { task } = inside(`
      if (task === 0) return 'x'.repeat(32 * 2 ** 20)
      throw new Error('y'.repeat(10 * 2 ** 20))
    `)
    await expect(task(0)).rejects.toMatchObject({ message: expect.stringMatching(/the most is 524288/) })
    const error = await task(1).catch((thrown: Error) => thrown)
    expect((error as Error).message.length).toBeLessThan(3000)
    const looping = bounded(`
      class Looping extends Error { get message() { for (;;); } }
      if (task === 0) throw new Looping()
      return { get x() { for (;;); } }
    `)
    for (const loop of [0, 1]) {
      await expect(looping(loop)).rejects.toMatchObject({ message: expect.stringContaining('longer than') })
    }
  })

  tryIt.each([
    ['a loop', 'for (;;);'],
    ['a storm of microtasks', 'const again = () => Promise.resolve().then(again); again(); for (;;);'],
    ['a catastrophic pattern', `return /^(a+)+$/.test('a'.repeat(60) + 'b')`],
    ['a comparison that never ends', 'return [1, 2, 3].sort(() => { for (;;); })'],
    ['a large power', 'return String(3n ** (10n ** 9n)).length'],
  ])('9. %s is ended, and its process with it', async (_, map) => {
    await expect(bounded(map)()).rejects.toMatchObject({ code: 'user-code' })
  })

  tryIt('9. what never settles and what recurses without end is no result', async () => {
    await expect(bounded('return new Promise(() => {})')()).rejects.toMatchObject({ code: 'user-code' })
    await expect(bounded('const deeper = () => deeper() + 1; return deeper()')()).rejects.toMatchObject({
      code: 'user-code',
    })
  })

  tryIt.each([
    ['arrays', 'const all = []; for (;;) all.push(new Array(1e5).fill(task))'],
    ['maps', 'const all = new Map(); for (let i = 0; ; i++) all.set(i, { i })'],
    ['buffers', 'const all = []; for (;;) all.push(new Uint8Array(2 ** 20).fill(1))'],
    ['strings', `let all = 'x'; for (;;) { all += all; all.charCodeAt(5) }`],
    [
      'deep JSON',
      `let all = '1'; for (;;) { all = '[' + all + ']'.repeat(1e5); try { JSON.parse('['.repeat(1e7) + all) } catch (e) { if (e instanceof RangeError) throw e } }`,
    ],
    ['deep values', 'let all = []; for (let i = 0; i < 1e7; i++) all = [all]; return all'],
  ])('10. a bomb of %s: the process is gone, the memory of this one flat', async (_, map) => {
    const memory = new MemoryWatch()
    await expect(sandboxed(moduleOf(map), { level, taskMs: 20_000, heapMb: 64 }).task()).rejects.toMatchObject({
      code: 'user-code',
      message: expect.stringMatching(/more memory than it may have|Invalid string length/),
    })
    expect(memory.end()).toBeLessThan(64 * 2 ** 20)
  })
})
