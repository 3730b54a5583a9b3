/** Judges that cannot fail prove nothing: each is shown rings that are broken in one way. */
import { describe, expect, test } from 'vitest'
import { disputedArcs, judgeRing, outOfOrder } from '../../../sim/checkers.ts'
import { Cluster } from '../../../sim/cluster.ts'
import type { ChordNode } from '../../../src/dht/chord/node.ts'
import type { Contact } from '../../../src/net/contact.ts'

const N = 12
const R = 3

function whole(n = N): { cluster: Cluster; sorted: readonly ChordNode[]; self: (i: number) => Contact } {
  const cluster = new Cluster({ seed: 1, settings: { successors: R } })
  cluster.start(n)
  const sorted = cluster.sorted()
  return { cluster, sorted, self: (i) => sorted[(i + n) % n]!.self }
}

const verdict = (cluster: Cluster) => ({
  ...judgeRing(cluster),
  outOfOrder: outOfOrder(cluster),
  disputed: disputedArcs(cluster),
})
const fine = (members: number) => ({ members, principals: members, stranded: 0, outOfOrder: 0, disputed: 0 })

test.each([1, 2, R + 1, R + 2, N])('a whole ring of %i has nothing wrong', (n) => {
  expect(verdict(whole(n).cluster)).toEqual(fine(n))
})

describe('a ring with one thing wrong', () => {
  test('a list that skips a member: it is no principal', () => {
    const { cluster, sorted, self } = whole()
    sorted[0]!.member.apply({ mode: 'ring', succ: [self(1), self(3), self(4)], prdc: self(-1) })
    expect(verdict(cluster)).toEqual({ ...fine(N), principals: N - 1, outOfOrder: 1 })
  })

  test('a list that skips members around zero', () => {
    const { cluster, sorted, self } = whole()
    sorted[N - 2]!.member.apply({ mode: 'ring', succ: [self(1), self(2), self(3)], prdc: self(-3) })
    expect(verdict(cluster)).toEqual({ ...fine(N), principals: N - 2, outOfOrder: 1 })
  })

  test('a list out of order passes over nearly everybody', () => {
    const { cluster, sorted, self } = whole()
    sorted[0]!.member.apply({ mode: 'ring', succ: [self(2), self(1), self(3)], prdc: self(-1) })
    expect(judgeRing(cluster).principals).toBeLessThan(R + 1)
  })

  test('a short list skips nobody, but is not in order', () => {
    const { cluster, sorted, self } = whole()
    sorted[0]!.member.apply({ mode: 'ring', succ: [self(1)], prdc: self(-1) })
    expect(verdict(cluster)).toEqual({ ...fine(N), outOfOrder: 1 })
  })

  test('an empty list: stranded', () => {
    const { cluster, sorted, self } = whole()
    sorted[0]!.member.apply({ mode: 'ring', succ: [], prdc: self(-1) })
    expect(verdict(cluster)).toEqual({ ...fine(N), stranded: 1, outOfOrder: 1 })
  })

  test("all successors die at once: stranded; their arcs are nobody's", () => {
    const { cluster, sorted } = whole()
    const dead = cluster.nodes.filter((node) => sorted.slice(1, R + 1).includes(node.chord))
    for (const node of dead) cluster.kill(node)
    expect(verdict(cluster)).toMatchObject({ members: N - R, principals: N - R, stranded: 1 })
    expect(outOfOrder(cluster)).toBeGreaterThanOrEqual(R + 1)
  })

  test('one that died and came back is not the one that is listed', () => {
    const { cluster, sorted, self } = whole()
    const node = cluster.nodes.find((other) => other.chord === sorted[5])!
    cluster.kill(node)
    const again = cluster.spawn(node)
    cluster.admit(again)
    again.chord.place({ mode: 'ring', succ: [self(6), self(7), self(8)], prdc: self(4) }, [])
    expect(sorted[5]).toBe(again.chord)
    expect(outOfOrder(cluster)).toBe(R + 1) // three lists and a predecessor name the old one
    expect(judgeRing(cluster).principals).toBe(N - 1) // whoever lists the old one passes over the new one
  })

  test.each([
    ['unknown', undefined, 1],
    ['too far: its arc overlaps another', -3, 2],
    ['the node itself: it claims the whole circle', 0, N - 1],
  ])('a predecessor that is %s', (_what, at, disputed) => {
    const { cluster, sorted, self } = whole()
    sorted[0]!.member.apply({ ...sorted[0]!.member.state, prdc: at === undefined ? undefined : self(at) })
    expect(verdict(cluster)).toEqual({ ...fine(N), outOfOrder: 1, disputed })
  })

  test('two rings side by side: everybody is passed over, and every key has two owners', () => {
    const { cluster, sorted, self } = whole()
    for (let i = 0; i < N; i++) {
      sorted[i]!.member.apply({ mode: 'ring', succ: [self(i + 2), self(i + 4), self(i + 6)], prdc: self(i - 2) })
    }
    expect(verdict(cluster)).toEqual({ members: N, principals: 0, stranded: 0, outOfOrder: N, disputed: N })
  })

  test('a large ring that takes itself for young, and a small one that does not', () => {
    const large = whole()
    large.sorted[0]!.member.apply({ ...large.sorted[0]!.member.state, mode: 'young' })
    expect(outOfOrder(large.cluster)).toBe(1)
    const small = whole(R + 1)
    small.sorted[0]!.member.apply({ ...small.sorted[0]!.member.state, mode: 'ring' })
    expect(outOfOrder(small.cluster)).toBe(1)
  })
})

test('an answer on its way counts as applied', async () => {
  const { cluster, sorted, self } = whole()
  // 0 does not know 1 yet; as soon as 1 has answered, it does, before the answer is there.
  sorted[0]!.member.apply({ mode: 'ring', succ: [self(2), self(3), self(4)], prdc: self(-1) })
  expect(judgeRing(cluster).principals).toBe(N - 1)
  let before = false
  for (let ms = 1; ms < 3000 && !before; ms++) {
    await cluster.schedule.run(ms)
    before = judgeRing(cluster).principals === N && sorted[0]!.member.state.succ[0]!.id === self(2).id
  }
  expect(before).toBe(true)
})
