import fc from 'fast-check'
import { Type } from 'typebox'
import { expect, test } from 'vitest'
import { hashKey } from '../../../src/core/ids.ts'
import { MAX_REGISTER_BYTES } from '../../../src/core/limits.ts'
import type { RegisterKind } from '../../../src/dht/registers.ts'
import { copyOf, placeOf, RegisterTable } from '../../../src/dht/store/table.ts'
import { type Words, words, wordsKind } from '../../fakes/registers.ts'

const key = hashKey('a key')
const place = placeOf(wordsKind.name, key)

function table(caps?: { registers: number; bytes: number }): RegisterTable {
  const made = new RegisterTable(caps)
  made.define(wordsKind as RegisterKind<unknown>)
  return made
}

const copy = (value: unknown, { ageMs = 0, kind = wordsKind.name, of = key } = {}) => ({ kind, key: of, ageMs, value })

test('tables converge: any order, any duplication', () => {
  const values = fc.array(fc.uniqueArray(fc.string({ maxLength: 3 }), { maxLength: 4 }), { minLength: 1, maxLength: 6 })
  fc.assert(
    fc.property(values, fc.infiniteStream(fc.nat()), fc.infiniteStream(fc.nat()), (lists, left, right) => {
      const tables = [left, right].map((picks) => {
        const held = table()
        for (let i = 0; i < 5; i++)
          held.merge(copy(words(...(lists[picks.next().value % lists.length] ?? []).sort())), i)
        for (const list of lists) held.merge(copy(words(...list.sort())), 9)
        return held.get(place, 10)
      })
      const [one, other] = tables.map((entry) => ({ digest: entry?.digest, value: entry?.value as Words }))
      expect(one!.digest).toBe(other!.digest)
      expect(new Set(one!.value.words)).toEqual(new Set(lists.flat()))
    }),
  )
})

test('what does not change a register is no change: no event, same age', () => {
  const held = table()
  const seen: unknown[] = []
  held.onChange(wordsKind.name, (entry) => seen.push(entry.value))
  held.merge(copy(words('a', 'b')), 1_000)
  const again = held.merge(copy(words('a')), 5_000)
  expect(again).toMatchObject({ accepted: true, changed: false })
  expect(held.get(place, 5_000)?.changedAtMs).toBe(1_000)
  expect(seen).toEqual([words('a', 'b')])
})

test('values are deeply frozen', () => {
  const held = table()
  held.merge(copy({ words: ['a'] }), 0)
  const value = held.get(place, 0)?.value as { words: string[] }
  expect(() => value.words.push('b')).toThrow(TypeError)
})

test.each([
  ['an unknown kind', copy(words(), { kind: 'test/other' }), 'unsupported', 'unknownKind'],
  ['a value against its schema', copy({ words: [1] }), 'bad-message', 'badValue'],
  ['an unknown field', copy({ words: [], more: 1 }), 'bad-message', 'badValue'],
  ['a value that the kind does not admit', copy(words('forbidden')), 'auth', 'notAdmitted'],
  ['a value that is too big', copy(words('x'.repeat(MAX_REGISTER_BYTES))), 'limit', 'tooBig'],
  ['a value that has expired', copy(words('a'), { ageMs: 3_600_000 }), 'bad-message', 'badValue'],
] as const)('refuses and counts %s', (_name, bad, code, counter) => {
  const held = table()
  expect(held.merge(bad, 0)).toMatchObject({ accepted: false, code })
  expect(held.refused[counter]).toBe(1)
  expect(held.size).toBe(0)
})

test('refuses a merge whose result is too big and keeps what it has', () => {
  const held = table()
  const half = (letter: string) => words(letter.repeat(MAX_REGISTER_BYTES / 2))
  held.merge(copy(half('a')), 0)
  expect(held.merge(copy(half('b')), 0)).toMatchObject({ accepted: false, code: 'limit' })
  expect(held.get(place, 0)?.value).toEqual(half('a'))
})

test('a value that dag-cbor cannot hold is refused, not thrown', () => {
  const held = new RegisterTable()
  const any: RegisterKind<unknown> = { name: 'any', schema: Type.Unknown(), merge: (a) => a, expiresAfterMs: 1_000 }
  held.define(any)
  expect(held.merge(copy({ a: () => 1 }, { kind: 'any' }), 0)).toMatchObject({ accepted: false, code: 'bad-message' })
})

test('at a cap it refuses the new and keeps the old, and counts bytes exactly', () => {
  const held = table({ registers: 2, bytes: 60 })
  const [a, b, c] = ['a', 'b', 'c'].map((name) => hashKey(name))
  expect(held.merge(copy(words('1'), { of: a! }), 0).accepted).toBe(true)
  expect(held.merge(copy(words('2'), { of: b! }), 0).accepted).toBe(true)
  expect(held.merge(copy(words('3'), { of: c! }), 0)).toMatchObject({ accepted: false, code: 'limit' })
  expect(held.merge(copy(words('4'), { of: a! }), 0).accepted).toBe(true)
  expect(held.merge(copy(words('x'.repeat(50)), { of: a! }), 0)).toMatchObject({ accepted: false, code: 'limit' })
  expect(held.refused.full).toBe(2)
  expect(held.bytes).toBe([...held.entries()].reduce((sum, entry) => sum + entry.sizeBytes, 0))
  held.drop(placeOf(wordsKind.name, a!))
  held.drop(placeOf(wordsKind.name, b!))
  expect([held.size, held.bytes]).toEqual([0, 0])
})

test('copies expire together, however late they were made', () => {
  const first = table()
  const second = table()
  first.merge(copy(words('a')), 0)
  const entry = first.get(place, 3_000_000)
  second.merge(copyOf(entry!, 3_000_000), 3_000_000)
  for (const held of [first, second]) {
    expect(held.get(place, 3_599_999)).toBeDefined()
    expect(held.get(place, 3_600_000)).toBeUndefined()
    held.expire(3_600_000)
    expect([held.size, held.bytes]).toEqual([0, 0])
  }
})

test('an expired value that nobody swept does not come back through a merge', () => {
  const held = table()
  held.merge(copy(words('old')), 0)
  held.merge(copy(words('new')), 3_700_000)
  expect(held.get(place, 3_700_000)?.value).toEqual(words('new'))
  expect(held.bytes).toBe(held.get(place, 3_700_000)?.sizeBytes)
})
