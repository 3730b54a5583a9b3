/**
 * Runs every check: types, lint, all tests. All three run whatever the others say, so that one run shows everything.
 * The last line is `N passed, N failed`, taken from the report that vitest writes; the exit code is 0 only when types
 * and lint are clean, no test failed and at least one ran.
 */
import { spawnSync } from 'node:child_process'
import { readFileSync, rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { summary, type VitestReport } from './summary.ts'

const REPORT = '.test-report/vitest.json'
const root = fileURLToPath(new URL('..', import.meta.url))

function run(command: string, args: readonly string[]): boolean {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit' })
  if (error) console.error(`${command}: ${error.message}`)
  else if (status !== 0) console.error(`${command} ended with exit code ${status}`)
  return status === 0
}

function readReport(): VitestReport | undefined {
  try {
    return JSON.parse(readFileSync(`${root}/${REPORT}`, 'utf8')) as VitestReport
  } catch {
    return undefined
  }
}

rmSync(`${root}/.test-report`, { recursive: true, force: true })
// The page that plays runs back is for browsers: other globals, so other settings.
const types = [[], ['-p', 'sim/watch/page']].map((of) => run('tsc', ['--noEmit', ...of])).every((clean) => clean)
const lint = run('biome', ['check', '--error-on-warnings'])
const tests = run('vitest', [
  'run',
  '--reporter=default',
  '--reporter=json',
  `--outputFile.json=${REPORT}`,
  ...process.argv.slice(2),
])
const { passed, failed } = summary(readReport())
console.log(`types ${types ? 'clean' : 'FAILED'}, lint ${lint ? 'clean' : 'FAILED'}`)
console.log(`${passed} passed, ${failed} failed`)
process.exitCode = types && lint && tests && failed === 0 && passed > 0 ? 0 : 1
