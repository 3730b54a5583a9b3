import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { hashKey, type Key } from '../../../../src/core/ids.ts'
import { commitTo, type Opening, opens } from '../../../../src/market/verification/commitment.ts'
import type { WindowName } from '../../../../src/market/verification/nonces.ts'

const name: WindowName = { contract: hashKey('contract'), supplier: hashKey('supplier'), window: 3 }
const secret = hashKey('secret')
const digestsOf = (tasks: number) => Array.from({ length: tasks }, (_, i) => hashKey(`output ${i}`))

/** One bit of a hex digit other than it was. */
function flipped(key: Key, bit: number): Key {
  const at = bit >> 2
  const digit = (Number.parseInt(key[at]!, 16) ^ (1 << (bit & 3))).toString(16)
  return `${key.slice(0, at)}${digit}${key.slice(at + 1)}` as Key
}

const window = fc
  .integer({ min: 1, max: 70 })
  .chain((tasks) => fc.record({ tasks: fc.constant(tasks), position: fc.integer({ min: 0, max: tasks - 1 }) }))
const bit = fc.integer({ min: 0, max: 255 })

test('every position opens', () => {
  for (const tasks of [1, 2, 3, 7, 8, 9, 64, 100]) {
    const { root, count, open } = commitTo(name, digestsOf(tasks), secret)
    expect(count).toBe(tasks)
    for (let position = 0; position < tasks; position++) {
      const opening = open(position)
      expect(opening.digest).toBe(hashKey(`output ${position}`))
      expect(opens(opening, name, root, tasks)).toBe(true)
    }
    expect(() => open(tasks)).toThrow('no position')
  }
  expect(() => commitTo(name, [], secret)).toThrow('at least one task')
})

describe('nothing else does', () => {
  test('a flipped bit anywhere', () => {
    fc.assert(
      fc.property(window, bit, fc.nat(), ({ tasks, position }, bit, which) => {
        const { root, open } = commitTo(name, digestsOf(tasks), secret)
        const opening = open(position)
        const forged: Opening[] = [
          { ...opening, digest: flipped(opening.digest, bit) },
          { ...opening, salt: flipped(opening.salt, bit) },
        ]
        const at = which % Math.max(1, opening.path.length)
        if (opening.path.length > 0) {
          const path = opening.path.map((key, i) => (i === at ? flipped(key, bit) : key))
          forged.push({ ...opening, path }, { ...opening, path: opening.path.slice(1) })
        }
        forged.push({ ...opening, path: [...opening.path, opening.salt] })
        for (const each of forged) expect(opens(each, name, root, tasks)).toBe(false)
        expect(opens(opening, name, flipped(root, bit), tasks)).toBe(false)
      }),
    )
  })

  test('another position, even with the same output', () => {
    const same = Array.from({ length: 40 }, () => hashKey('the same output'))
    const { root, open } = commitTo(name, same, secret)
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 39 }), fc.integer({ min: -1, max: 41 }), (from, to) => {
        expect(opens({ ...open(from), position: to }, name, root, 40)).toBe(from === to)
      }),
    )
    for (const position of [Number.NaN, 0.5, Number.POSITIVE_INFINITY, 2 ** 60]) {
      expect(opens({ ...open(0), position }, name, root, 40)).toBe(false)
    }
    for (const count of [0, 1, 39, 41, 80]) expect(opens(open(39), name, root, count)).toBe(false)
  })

  test('the opening of another window, contract or supplier: nothing can be copied', () => {
    const others: WindowName[] = [
      { ...name, window: 4 },
      { ...name, contract: hashKey('another') },
      { ...name, supplier: hashKey('a copier') },
    ]
    const { root, open } = commitTo(name, digestsOf(9), secret)
    for (const other of others) {
      const theirs = commitTo(other, digestsOf(9), secret)
      expect(theirs.root).not.toBe(root)
      expect(opens(theirs.open(5), name, root, 9)).toBe(false)
      expect(opens(open(5), other, root, 9)).toBe(false)
      expect(opens(open(5), other, theirs.root, 9)).toBe(false)
    }
  })
})

test('what is opened tells nothing of the rest: salts differ, and follow from the secret alone', () => {
  const same = Array.from({ length: 50 }, () => hashKey('yes'))
  const { root, open } = commitTo(name, same, secret)
  const salts = Array.from({ length: 50 }, (_, position) => open(position).salt)
  expect(new Set(salts).size).toBe(50)
  const other = commitTo(name, same, hashKey('another secret'))
  expect(other.root).not.toBe(root) // outputs of which there are two cannot be tried out
  expect(commitTo(name, same, secret).root).toBe(root)
})
