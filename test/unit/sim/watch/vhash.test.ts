import { expect, test } from 'vitest'
import { runVHash, VHASH_DEFAULTS } from '../../../../sim/scenarios/vhash.ts'
import { cellsOf } from '../../../../sim/watch/cells.ts'
import { Recorder } from '../../../../sim/watch/recorder.ts'
import { HOP, OUTCOMES } from '../../../../sim/watch/run.ts'

const small = { ...VHASH_DEFAULTS, nodes: 30, churn: 0.03, seconds: 5, lookupsPerSecond: 20, lookupsAfterQuiet: 200 }

test.each(['torus2', 'cube2', 'torus3'])('watching a Voronoi overlay changes nothing: %s', async (space) => {
  const recorder = new Recorder('npm run sim -- vhash')
  const seen = await runVHash({ ...small, space }, undefined, recorder)
  recorder.end()
  const alone = await runVHash({ ...small, space })
  expect({ ...seen, eventsPerSecond: 0 }).toEqual({ ...alone, eventsPerSecond: 0 })
  const { run } = recorder
  expect(`${run.shape}${run.dimensions}`).toBe(space)
  expect(run.points.every((point) => point.length === 2 && point.every((x) => x >= 0 && x <= 1))).toBe(true)
  expect(run.counts.at(-1)!.slice(2, 4)).toEqual([seen.killed, seen.lookups + seen.lookupsAfterQuiet])
  // Everybody lists about as many as it has neighbours in the space.
  expect(run.links.filter(([atMs]) => atMs === 0).every(([, , short]) => short.length >= 3)).toBe(true)
})

test('a lookup ends at the node in whose cell the key lies', async () => {
  const recorder = new Recorder('npm run sim -- vhash')
  await runVHash({ ...small, churn: 0, seconds: 10 }, undefined, recorder)
  const { points, lookups } = recorder.run
  const right = lookups.filter(([, , outcome, , , hops]) => OUTCOMES[outcome] === 'right' && hops.length > 0)
  expect(right.length).toBeGreaterThan(100)
  const cells = cellsOf(points, true)
  for (const [, , , asker, [x = 0, y = 0], hops] of right) {
    const holder = cells.findIndex((pieces) => pieces.some((piece) => holds(piece, x, y)))
    const visited = hops.filter((_, at) => at % HOP === 1)
    expect([asker, ...visited]).toContain(holder)
  }
})

function holds(polygon: readonly number[], x: number, y: number): boolean {
  let inside = false
  for (let i = 0, j = polygon.length - 2; i < polygon.length; j = i, i += 2) {
    const [ax, ay, bx, by] = [polygon[i]!, polygon[i + 1]!, polygon[j]!, polygon[j + 1]!]
    if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) inside = !inside
  }
  return inside
}
