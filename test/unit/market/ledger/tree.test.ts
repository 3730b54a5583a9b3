import fc from 'fast-check'
import { expect, test } from 'vitest'
import { hashKey, type Key } from '../../../../src/core/ids.ts'
import { Tree } from '../../../../src/market/ledger/state/tree.ts'

// Few keys, some with long common beginnings, so that branches come and go on every level.
const keys = [0, 1, 2, 3, 4, 5].flatMap((i) => {
  const key = hashKey(`${i}`)
  return [
    key,
    `${key.slice(0, 63)}${key.endsWith('0') ? '1' : '0'}` as Key,
    `${key.slice(0, 1 + i)}${'0'.repeat(63 - i)}` as Key,
  ]
})
const steps = fc.array(fc.tuple(fc.constantFrom(...keys), fc.option(fc.nat(3))), { maxLength: 40 })

const built = (entries: Iterable<readonly [Key, number]>) =>
  [...entries].reduce((tree, [key, value]) => tree.set(key, value), Tree.empty<number>())

test('is a map in the order of its keys, whose older versions stay, and whose root follows from its contents', () => {
  fc.assert(
    fc.property(steps, (steps) => {
      const map = new Map<Key, number>()
      let tree = Tree.empty<number>()
      for (const [key, value] of steps) {
        const [before, root, size] = [[...tree.entries()], tree.root, tree.size]
        const next = value === null ? tree.delete(key) : tree.set(key, value)
        if (value === null) map.delete(key)
        else map.set(key, value)
        expect([[...tree.entries()], tree.root, tree.size]).toEqual([before, root, size])
        tree = next
      }
      expect([...tree.entries()]).toEqual([...map].sort(([a], [b]) => (a < b ? -1 : 1)))
      expect(tree.size).toBe(map.size)
      for (const key of keys) expect(tree.get(key)).toBe(map.get(key))
      expect(tree.root).toBe(built(map).root)
      expect(tree.root).toBe(built([...map].reverse()).root)
    }),
  )
})

test('has another root for other contents', () => {
  fc.assert(
    fc.property(steps, steps, (some, others) => {
      const contents = (steps: typeof some) =>
        built(new Map(steps.flatMap(([key, value]) => (value === null ? [] : [[key, value] as const]))))
      const [a, b] = [contents(some), contents(others)]
      const same = JSON.stringify([...a.entries()]) === JSON.stringify([...b.entries()])
      expect(a.root === b.root).toBe(same)
    }),
  )
})

test('changed keys are those of entries that were set, replaced or deleted since', () => {
  const key = fc.nat(60).map((n) => hashKey(`${n}`))
  const steps = fc.array(fc.record({ key, value: fc.option(fc.nat(3)) }), { maxLength: 60 })
  fc.assert(
    fc.property(steps, steps, (first, second) => {
      const apply = (tree: Tree<number>, changes: typeof first) =>
        changes.reduce((now, { key, value }) => (value === null ? now.delete(key) : now.set(key, value)), tree)
      const before = apply(Tree.empty<number>(), first)
      const after = apply(before, second)
      const touched = new Set(second.map(({ key }) => key))
      const changed = new Set(after.changedSince(before))
      for (const key of changed) expect(touched).toContain(key)
      for (const key of touched) if (before.get(key) !== after.get(key)) expect(changed).toContain(key)
      expect([...after.changedSince(after)]).toEqual([])
    }),
  )
})
