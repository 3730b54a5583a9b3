import { expect, test } from 'vitest'
import { hashKey } from '../../../src/core/ids.ts'
import { spaceNamed } from '../../../src/vhash/spaces.ts'

test.each([
  ['torus3', 8],
  ['torus3', 60],
  ['torus4', 40],
  ['torus5', 60],
  ['cube3', 60],
  ['cube5', 40],
  ['hyperbolic4', 60],
])('a cell in %s among %i nodes is the same whether they come at once, one by one or in groups', (name, nodes) => {
  const { space, exact } = spaceNamed(name)
  const point = (i: number) => space.pointOf(hashKey(`joined ${name} ${nodes} ${i}`))
  for (let self = 0; self < 3; self++) {
    const others = Array.from({ length: nodes }, (_, i) => point(1000 * self + i + 1))
    const once = exact!(point(1000 * self), others)
    const expected = new Set(once.neighbours.map((i) => others[i]!))
    expect(expected.size).toBeGreaterThan(3)
    for (const group of [1, 7]) {
      let known = others.slice(0, group)
      let cell = exact!(point(1000 * self), known)
      for (let at = group; at < nodes; at += group) {
        known = [...cell.neighbours.map((i) => known[i]!), ...others.slice(at, at + group)]
        cell = cell.joined!(others.slice(at, at + group))
      }
      expect(new Set(cell.neighbours.map((i) => known[i]!)), `groups of ${group}`).toEqual(expected)
    }
  }
})
