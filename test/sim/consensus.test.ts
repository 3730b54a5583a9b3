/**
 * The consensus of a committee: in every state that four members with one liar can reach within two views, and in random
 * runs with liars, loss, partitions and crashes. The numbers of states and steps are golden: whoever changes the step sees
 * here whether the checker still looks at all that it looked at before. By day, one of the three orders of leaders.
 */
import { expect, test } from 'vitest'
import { CONSENSUS_FAULTS, checkConsensus } from '../../sim/ledger/consensus-model.ts'
import { RUN_DEFAULTS, runConsensus } from '../../sim/ledger/consensus-run.ts'
import { seeds } from '../nightly.ts'

const nightly = seeds(1).length > 1

test.each([
  { leaders: 'an honest one', views: 1, leader: 0, states: 352, transitions: 2502 },
  { leaders: 'the liar', views: 1, leader: 3, states: 331, transitions: 2481 },
  { leaders: 'two honest ones', views: 2, leader: 0, states: 235_355, transitions: 3_257_139 },
  ...(nightly
    ? [
        { leaders: 'an honest one, the liar', views: 2, leader: 2, states: 720_249, transitions: 13_621_209 },
        { leaders: 'the liar, an honest one', views: 2, leader: 3, states: 384_342, transitions: 5_295_179 },
      ]
    : []),
])('led by $leaders: none of $states states is wrong', ({ views, leader, states, transitions }) => {
  expect(checkConsensus({ views, leader })).toMatchObject({ states, transitions, violations: 0, example: undefined })
})

test.each(CONSENSUS_FAULTS)('a planted fault is caught, with the steps that lead there: %s', (fault) => {
  const { violations, example } = checkConsensus({ views: 2, leader: 3, fault })
  expect(violations).toBe(1)
  expect(example?.violation).toMatch(/may be final|twice|to finalize and to nullify/)
  expect(example?.trace.length).toBeGreaterThan(2)
})

test.each([
  [1, 0],
  [4, 1],
  [7, 2],
])('%i members of whom %i lie: one chain, all operations soon after faults, and rest', (members, liars) => {
  let [heights, views, crashes] = [0, 0, 0]
  for (const seed of seeds(members === 7 ? 15 : 30)) {
    const result = runConsensus({ ...RUN_DEFAULTS, seed, members, liars })
    expect(result.violations, `seed ${seed}`).toEqual([])
    heights += result.height
    views += result.view
    crashes += result.crashes
  }
  expect(heights).toBeGreaterThan(100) // or it would show little
  expect(crashes).toBeGreaterThan(50)
  expect(views).toBeGreaterThan(heights)
})

test.each([
  ['a quorum of 2n/3', { quorum: 2 }],
  ['logs that are lost', { forgets: true }],
])('%s is caught within a few seeds', (_, planted) => {
  const caught = Array.from({ length: 60 }, (_, i) => i + 1).some((seed) => {
    return runConsensus({ ...RUN_DEFAULTS, seed, ...planted }).violations.length > 0
  })
  expect(caught).toBe(true)
})
