import { expect, test } from 'vitest'
import { nextSteps } from '../../../src/cli/demo.ts'

const CLONE = { npm_lifecycle_event: 'demo', npm_package_name: 'chorale' }

test('in a clone, what to try next is said in words that work there', () => {
  const steps = nextSteps(CLONE, { what: 'pi', churned: false })
  expect(steps).toMatch(/^ {2}npm run demo -- --churn 0\.3 +kill some of the nodes/)
  expect(steps).toMatch(/\n {2}npm run demo -- --nodes \d/)
  expect(steps).toMatch(/\n {2}bin\/chorale\.js up -d .* then bin\/chorale\.js job submit builtin:pi/)
  expect(steps).not.toMatch(/(^|\s)chorale /)
})

test.each([
  {},
  { npm_lifecycle_event: 'npx', npm_package_name: 'chorale' },
  { npm_lifecycle_event: 'demo', npm_package_name: 'something-else' },
])('elsewhere the command is chorale: %j', (variables) => {
  const steps = nextSteps(variables, { what: 'pi', churned: false }).split('\n')
  expect(steps.map((step) => step.trim().split(/ {2,}/)[0])).toEqual([
    'chorale demo --churn 0.3',
    expect.stringMatching(/^chorale demo --nodes [2-8]$/),
    'chorale up -d',
  ])
})

test('after churn, churn is not what to try next', () => {
  expect(nextSteps(CLONE, { what: 'pi', churned: true })).not.toContain('--churn')
  const off = nextSteps(CLONE, { what: 'pi', churned: false, space: 'torus3' }).split('\n')
  expect(off.every((step) => step.includes('--space torus3'))).toBe(true)
})
