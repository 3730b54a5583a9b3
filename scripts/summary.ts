/** Counts of a vitest json report. */

export interface VitestReport {
  readonly testResults: ReadonlyArray<{
    readonly status: string
    readonly assertionResults: ReadonlyArray<{ readonly status: string }>
  }>
}

/** A file that failed without a failed test (it did not load, or a hook threw) counts as one failure. */
export function summary(report: VitestReport | undefined): { passed: number; failed: number } {
  let passed = 0
  let failed = 0
  for (const file of report?.testResults ?? []) {
    const statuses = file.assertionResults.map((test) => test.status)
    const failures = statuses.filter((status) => status === 'failed').length
    passed += statuses.filter((status) => status === 'passed').length
    failed += failures === 0 && file.status === 'failed' ? 1 : failures
  }
  return { passed, failed }
}
