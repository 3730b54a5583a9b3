import { expect, test } from 'vitest'
import { exactEdges, scattered, wrongEdges } from '../../../../sim/studies/dgvh/edges.ts'
import { study } from '../../../../sim/studies/dgvh.ts'
import { checkReport } from '../../../../sim/studies/runner/rows.ts'
import { spaceNamed } from '../../../../src/vhash/spaces.ts'

const edges = (...peers: number[][]) => peers.map((each) => new Set(each))

test('wrong edges, counted in every way', () => {
  const exact = edges([1, 2], [0, 2], [0, 1], [])
  expect(wrongEdges(exact, exact)).toEqual({
    degree: 1.5,
    exactDegree: 1.5,
    ownMissing: 0,
    ownExtra: 0,
    eitherMissing: 0,
    eitherExtra: 0,
    mutualWrong: 0,
    symmetric: 1,
  })
  // 0-1 is chosen by 1 alone, 0-2 by nobody, 1-2 by both; 3 chooses 0, which is far.
  expect(wrongEdges(edges([], [0, 2], [1], [0]), exact)).toEqual({
    degree: 1,
    exactDegree: 1.5,
    ownMissing: 3,
    ownExtra: 1,
    eitherMissing: 1,
    eitherExtra: 1,
    mutualWrong: 2,
    symmetric: 0.5,
  })
})

test.each(['torus2', 'cube2'])('one triangulation of all has the edges that each node finds by itself: %s', (name) => {
  const space = spaceNamed(name)
  const nodes = scattered(space, 60, 1)
  const all = exactEdges(space, nodes)
  for (const self of nodes) {
    const others = nodes.filter((node) => node !== self)
    const { neighbours } = space.exact!(
      self.point,
      others.map(({ point }) => point),
    )
    expect(all[self.at], `node ${self.at}`).toEqual(new Set(neighbours.map((i) => others[i]!.at)))
  }
})

test('a small run finds about one wrong edge per node, none after gossip of our choice, and reports it', async () => {
  const options = { seeds: [1, 2], quick: true }
  const units = study.units(options).map((unit) => ({ ...unit, n: Math.min(unit.n, 100) }))
  const done = []
  for (const unit of units) done.push({ unit, result: await study.run(unit) })
  const report = study.report(done, options)
  expect(() => checkReport('dgvh', report)).not.toThrow()
  const row = (name: string) => report.rows.find((each) => each.name.startsWith(name))!
  expect(row('wrong edges, n = 100, torus')).toMatchObject({ published: 99, verdict: 'reproduced' })
  expect(row('our choice').ours).toBeLessThanOrEqual(0.05)
  // Wrong counts would be found out.
  const twice = done.map(({ unit, result }) => ({ unit, result: { ...result, mutualWrong: result.mutualWrong * 2 } }))
  expect(study.report(twice, options).rows[0]).toMatchObject({ verdict: 'differs', why: expect.any(String) })
})
