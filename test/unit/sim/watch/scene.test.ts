import { expect, test } from 'vitest'
import type { Lookup } from '../../../../sim/watch/run.ts'
import { LinkHistory, sceneAt } from '../../../../sim/watch/scene.ts'
import { madeUp } from './world.ts'

const FLASH_MS = 1000
const LINGER_MS = 400

test.each([
  [0, [0, 1], [], [], 'churn'],
  [1999, [0, 1], [], [], 'churn'],
  [2000, [0, 1, 2], [[2, 0]], [], 'churn'],
  [2500, [0, 1, 2], [[2, 0.5]], [], 'churn'],
  [3000, [0, 1, 2], [], [], 'churn'],
  [5000, [0, 2], [], [[1, 0]], 'churn'],
  [5900, [0, 2], [], [[1, 0.9]], 'churn'],
  [6000, [0, 2], [], [], 'rest'],
])('members, who has just come and who has just died, at %d ms', (timeMs, members, joined, died, phase) => {
  const scene = sceneAt(madeUp('ring'), timeMs, FLASH_MS, LINGER_MS)
  expect(scene.members).toEqual(members)
  expect(scene.joined.map(({ node, age }) => [node, age])).toEqual(joined)
  expect(scene.died.map(({ node, age }) => [node, age])).toEqual(died)
  expect(scene.phase).toBe(phase)
  expect(scene.counts.slice(1, 3)).toEqual([timeMs < 2000 ? 0 : 1, timeMs < 5000 ? 0 : 1])
})

/** From 0 to 1, then lost on its way to 2, then there, and the answer a while later. */
const found: Lookup = [1000, 1900, 1, 0, [0.4], [0, 1, 0, 100, 1, 2, 100, -1, 1, 2, 500, 600]]
/** Its asker dies before there is an answer. */
const orphan: Lookup = [1000, -1, 0, 1, [0.4], [1, 2, 0, 200]]

test.each([
  [999, undefined],
  [1000, { moves: [[0, 1, 0, false]], age: 0 }],
  [1050, { moves: [[0, 1, 0.5, false]], age: 0 }],
  [
    1130,
    {
      moves: [
        [0, 1, 1, false],
        [1, 2, 0.25, true],
      ],
      age: 0,
    },
  ],
  [
    1400,
    {
      moves: [
        [0, 1, 1, false],
        [1, 2, 0.5, true],
      ],
      age: 0,
    },
  ],
  [
    1900,
    {
      moves: [
        [0, 1, 1, false],
        [1, 2, 0.5, true],
        [1, 2, 1, false],
      ],
      age: 0,
    },
  ],
  [
    2100,
    {
      moves: [
        [0, 1, 1, false],
        [1, 2, 0.5, true],
        [1, 2, 1, false],
      ],
      age: 0.5,
    },
  ],
  [2300, undefined],
])('a lookup moves hop by hop, and fades when it is over: at %d ms', (timeMs, wanted) => {
  const [seen] = sceneAt(madeUp('ring', { lookups: [found] }), timeMs, FLASH_MS, LINGER_MS).lookups
  const shown = seen && {
    moves: seen.moves.map(({ from, to, done, lost }) => [from, to, done, lost]),
    age: seen.age,
  }
  expect(shown).toEqual(wanted)
})

test('a lookup whose asker has died is gone a while after its last message', () => {
  const seenAt = (timeMs: number) =>
    sceneAt(madeUp('ring', { lookups: [orphan] }), timeMs, FLASH_MS, LINGER_MS).lookups.length
  expect([1000, 1500, 1600, 1601, 5000].map(seenAt)).toEqual([1, 1, 1, 0, 0])
})

test('links are those of the last look before', () => {
  const links = new LinkHistory(madeUp('ring').links)
  expect([0, 2999, 3000, 9000].map((timeMs) => links.at(0, timeMs)?.[2])).toEqual([[1], [1], [2], [2]])
  expect(links.at(1, 9000)).toBeUndefined()
})
