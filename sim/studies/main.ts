/**
 * `npm run study -- NAME [--seeds 1..20] [--out DIR] [--json] [--quick]`, or `all`: ties `runner/command.ts` to this
 * process. Exit code 2 for wrong usage, 1 when a study failed, 130 when it was interrupted.
 */
import { readFileSync } from 'node:fs'
import { ChoraleError } from '../../src/core/errors.ts'
import { STUDIES } from './registry.ts'
import { run } from './runner/command.ts'

/** npm passes a Ctrl-C on that the terminal has sent already; what arrives together is one. */
const SAME_MS = 300

const interrupt = new AbortController()
let interruptedAtMs = 0
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    const nowMs = performance.now()
    if (interrupt.signal.aborted && nowMs - interruptedAtMs > SAME_MS) process.exit(130)
    if (interrupt.signal.aborted) return
    interruptedAtMs = nowMs
    interrupt.abort(new ChoraleError('interrupted', `stopped by ${signal}`))
  })
}
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0) // the reader has what it wanted
  throw error
})

const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
const { version } = JSON.parse(manifest) as { version: string }

process.exitCode = await run(
  process.argv.slice(2),
  {
    out: (text) => process.stdout.write(text),
    err: (text) => process.stderr.write(text),
    live: process.stderr.isTTY === true,
    width: () => process.stderr.columns || 80,
    now: () => performance.now(),
    signal: interrupt.signal,
    version,
  },
  { url: new URL('./registry.ts', import.meta.url).href, STUDIES },
)
