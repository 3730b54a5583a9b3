/** Pairs of keyed jobs: no value is lost in silence, and what cannot be kept is told with its key. */
import { describe, expect, test } from 'vitest'
import { decode, encode } from '../../../src/core/cbor.ts'
import { type Emitted, emitted, merged, type Written, written } from '../../../src/mapreduce/pairs.ts'
import type { Json, KeyedModule } from '../../../src/mapreduce/types.ts'

type Pair = readonly [key: string, value: unknown]

const keyed: KeyedModule = {
  combine: (a, b) => (a as number) + (b as number),
  partition: () => 0,
  write: (key, value) => `${key} ${String(value)}\n`,
}
const forgetful: KeyedModule = { ...keyed, combine: () => undefined as never }

/** The runs of the only partition. */
function runs(pairs: readonly Pair[], module = keyed): Uint8Array[] {
  const bytes = emitted(module, 1, {}, (emit) => {
    for (const [key, value] of pairs) emit(key, value as Json)
  })
  return (decode(bytes) as Emitted)[0]!
}

describe('combine that gives nothing', () => {
  const why = /combine must give a value.*"a"/

  test.each([2, 3])('among %i pairs of a task', (count) => {
    const pairs = Array.from({ length: count }, (_, i): Pair => ['a', i])
    expect(() => runs(pairs, forgetful)).toThrow(why)
  })

  test.each([2, 3])('among %i runs of a partition', (count) => {
    const all = Array.from({ length: count }, (_, i) => encode(['a', i]))
    expect(() => written(forgetful, all)).toThrow(why)
    expect(() => merged(forgetful, all)).toThrow(why)
  })
})

test('values that are null, false or 0 are values', () => {
  const list: KeyedModule = { ...keyed, combine: (a, b) => [a, b].flat() as Json, write: (_, value) => String(value) }
  const pairs: Pair[] = [null, false, 0, ''].map((value) => ['a', value])
  const { pieces } = decode(written(list, runs(pairs, list))) as Written
  expect(Buffer.concat(pieces).toString()).toBe(String([null, false, 0, '']))
})

test('a NaN in an array has the same bits whatever the machine', () => {
  const odd = new Float64Array(new Uint8Array([1, 2, 3, 4, 5, 6, 0xf8, 0xff]).buffer)
  expect(odd[0]).toBeNaN()
  expect(runs([['a', odd]])).toEqual(runs([['a', new Float64Array([Number.NaN])]]))
})

test.each([
  ['NaN', { x: [1, Number.NaN] }, 'the value of the key "b" cannot be kept: it gave, at .x[1], NaN'],
  ['a Set', { x: new Set() }, 'the value of the key "b" cannot be kept: it gave, at .x, a Set'],
  ['a promise', Promise.resolve(1), 'the functions of a job must not be async'],
])('what cannot be kept is told with its key: %s', (_, value, why) => {
  expect(() => runs([['a', 1], ['b', value], ['c', 2]])).toThrow(why) // biome-ignore format: pairs
})
