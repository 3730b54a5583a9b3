import { expect, test } from 'vitest'
import { summary, type VitestReport } from '../../scripts/summary.ts'

const file = (status: string, ...tests: string[]): VitestReport['testResults'][number] => ({
  status,
  assertionResults: tests.map((test) => ({ status: test })),
})

test.each([
  ['no report', undefined, { passed: 0, failed: 0 }],
  ['no files', { testResults: [] }, { passed: 0, failed: 0 }],
  ['all pass', { testResults: [file('passed', 'passed', 'passed')] }, { passed: 2, failed: 0 }],
  ['skipped tests count as neither', { testResults: [file('passed', 'passed', 'skipped')] }, { passed: 1, failed: 0 }],
  [
    'one fails',
    { testResults: [file('failed', 'passed', 'failed'), file('passed', 'passed')] },
    { passed: 2, failed: 1 },
  ],
  ['a file that does not load', { testResults: [file('failed')] }, { passed: 0, failed: 1 }],
  ['a hook that throws', { testResults: [file('failed', 'passed')] }, { passed: 1, failed: 1 }],
])('%s', (_, report, expected) => {
  expect(summary(report)).toEqual(expected)
})
