import { expect, test } from 'vitest'
import { checkReport } from '../../../../sim/studies/runner/rows.ts'
import { chord, gossiped, kademlia, shapeOf } from '../../../../sim/studies/urdht/overlays.ts'
import { study } from '../../../../sim/studies/urdht.ts'
import { seededRandom } from '../../../../src/core/random.ts'
import { ring } from '../../../../src/vhash/spaces/ring.ts'

const random = () => seededRandom('shapes')

test('in a chain of three every figure is known', () => {
  const nodes = [0, 0.3, 0.6].map((place, at) => ({ at, id: String(at), point: [place] }))
  const [a, b, c] = nodes as [(typeof nodes)[0], (typeof nodes)[0], (typeof nodes)[0]]
  const overlay = { space: ring, nodes, peers: [[b], [c], [a]], next: () => undefined }
  const { delivered, hops, ...rest } = shapeOf(overlay, 300, random())
  expect(rest).toEqual({ meanDegree: 2, maxDegree: 2, diameter: 2, meanPath: 1.5 })
  expect(hops).toBe(0)
  expect(delivered).toBeGreaterThan(0.2) // the lookups that begin at the owner
  expect(delivered).toBeLessThan(0.5)
})

test('Chord and Kademlia deliver every lookup in about as many hops as their papers say', () => {
  const n = 128
  const fingers = shapeOf(chord(n, 1), 500, random())
  expect(fingers.delivered).toBe(1)
  expect(fingers.hops).toBeGreaterThan(Math.log2(n) / 2)
  expect(fingers.hops).toBeLessThan(Math.log2(n) / 2 + 1.5)
  expect(fingers.meanDegree).toBeGreaterThan(2 * Math.log2(n) - 2)
  const buckets = shapeOf(kademlia(n, 1, 3), 500, random())
  expect(buckets.delivered).toBe(1)
  expect(buckets.hops).toBeLessThan(Math.log2(n) / 2)
})

test('gossip fills the tables of a plane: 7 short and 49 long peers, in and out', () => {
  const { meanDegree, diameter, delivered } = shapeOf(
    gossiped('torus2', 120, 1, 10, 'published', 'relative'),
    300,
    random(),
  )
  expect(meanDegree).toBe(2 * (7 + 49))
  expect(diameter).toBe(2)
  expect(delivered).toBeGreaterThan(0.95)
})

test('the report judges what was published', async () => {
  const options = { seeds: [1, 2], quick: true }
  const units = study.units(options).filter(({ overlay }) => overlay === 'Chord')
  const done = []
  for (const unit of units) done.push({ unit, result: await study.run(unit) })
  const report = study.report(done, options)
  expect(() => checkReport('urdht', report)).not.toThrow()
  expect(report.rows.map(({ name }) => name)).toHaveLength(5)
  expect(report.rows.find(({ name }) => name === 'Chord: diameter')).toMatchObject({
    published: 7,
    verdict: 'reproduced',
  })
})
