/**
 * The rules of the ring in every state that a small ring can reach (`sim/model.ts`). The numbers of states and steps are
 * golden: whoever changes a rule sees here whether the checker still looks at all that it looked at before.
 */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { checkModel, FAULTS } from '../../sim/model.ts'

test.each([
  { ids: 2, r: 1, states: 2, transitions: 5 },
  { ids: 3, r: 1, states: 29, transitions: 152 },
  { ids: 3, r: 2, states: 5, transitions: 31 },
  { ids: 4, r: 1, states: 4091, transitions: 30_391 },
  { ids: 4, r: 2, states: 5421, transitions: 44_022 },
])('$ids ids, r = $r: none of $states states is wrong', ({ ids, r, states, transitions }) => {
  expect(checkModel({ ids, r })).toMatchObject({ states, transitions, violations: 0, example: undefined })
})

/** In a process of its own: it computes for a minute or two without a pause, and a test's worker must answer meanwhile. */
test('5 ids, r = 2: both modes, both transitions, restarts; no state is wrong', async ({ signal }) => {
  const main = fileURLToPath(new URL('../../sim/main.ts', import.meta.url))
  const args = [main, 'model', '--ids', '5', '--r', '2', '--json', '--quiet']
  const { stdout } = await promisify(execFile)(process.execPath, args, { signal })
  expect(JSON.parse(stdout)).toMatchObject({
    states: 9_083_498,
    transitions: 96_901_934,
    violations: 0,
    modes: { ring: 1_492_947, young: 34_024, mixed: 7_556_527 },
  })
}, 600_000)

test.each(FAULTS)('a planted fault is caught, with the steps that lead there: %s', (fault) => {
  const { violations, example } = checkModel({ ids: 5, r: 2, fault })
  expect(violations).toBe(1)
  expect(example?.violation).toMatch(/principals|no live entry|lost each other|at rest/)
  expect(example?.trace.length).toBeGreaterThan(3)
})
