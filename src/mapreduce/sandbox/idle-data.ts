/**
 * How much data (as RLIMIT_DATA counts it) a runner has that does nothing: V8 reserves much more than it uses, and how
 * much differs between machines. Measured once per process; a job's limit is set above it.
 */
import { readFileSync } from 'node:fs'
import type { Clock, Logger } from '../../core/env.ts'
import { ChoraleError } from '../../core/errors.ts'
import { Child } from './child.ts'
import { commandOf, type RunnerFiles } from './command.ts'
import type { Prelude } from './prelude.ts'

const NOTHING = new TextEncoder().encode(
  'const f = () => 0; export default { name: "", plan: f, map: f, reduce: f, finish: f }',
)

let measured: Promise<number | undefined> | undefined

/** Kilobytes; undefined where the system does not say. */
export function idleDataKb(
  files: RunnerFiles,
  prelude: Prelude,
  env: { clock: Clock; log: Logger },
): Promise<number | undefined> {
  measured ??= measure(files, prelude, env).catch((error: unknown) => {
    measured = undefined // another time the machine may be less busy
    throw error
  })
  return measured
}

async function measure(
  files: RunnerFiles,
  { code }: Prelude,
  { clock, log }: { clock: Clock; log: Logger },
): Promise<number | undefined> {
  if (process.platform !== 'linux') return undefined
  const limits = { heapMb: 64, cpuSeconds: 60, dataMb: 0 }
  const child = new Child(commandOf('process', files, limits, undefined), clock, log)
  try {
    await child.up
    await child.request({ op: 'start', heapMb: limits.heapMb }, code, { timeoutMs: 10_000 })
    await child.request({ op: 'load', stacks: false }, NOTHING, { timeoutMs: 10_000 })
    const kilobytes = /VmData:\s+(\d+) kB/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1]
    return kilobytes === undefined ? undefined : Number(kilobytes)
  } finally {
    child.kill(new ChoraleError('aborted', 'it has been measured'))
    await child.gone
  }
}
