/**
 * How fast foreign code runs here: a fixed small program whose reference operations are counted, in the sandbox. One
 * reference operation is one shift, exclusive or, multiplication or addition of 32-bit integers, each of which needs the one
 * before; the loop around them is not counted. So it says how fast one core does such work, and nothing about memory or
 * floating point.
 */
import { decode } from '../../core/cbor.ts'
import type { Clock, Logger } from '../../core/env.ts'
import { ChoraleError, invariant } from '../../core/errors.ts'
import { localSpec } from '../spec.ts'
import type { SandboxState } from './admission.ts'
import { createSandboxExecutor, engineName } from './executor.ts'

const ROUNDS = 2 ** 25
const OPERATIONS_PER_ROUND = 8
/** Of one run: some 0.1 s on a machine of 2020. */
export const REFERENCE_OPERATIONS = ROUNDS * OPERATIONS_PER_ROUND
/** Counted after one that is not, in which the engine compiles. Of so many the median is not moved by a few that are disturbed. */
const RUNS = 7

/** A job of one task (xorshift32, Marsaglia 2003, whose numbers are multiplied and added up). */
export const REFERENCE_PROGRAM = `
export default {
  name: 'reference',
  plan: () => ({ params: {}, tasks: 1 }),
  map() {
    let x = 1
    let sum = 0
    for (let i = 0; i < ${ROUNDS}; i++) {
      x ^= x << 13
      x ^= x >>> 17
      x ^= x << 5
      sum = (sum + Math.imul(x, 0x9e3779b1)) | 0
    }
    return sum
  },
  reduce: (left) => left,
  finish: (total) => total,
}
`
/** What it gives: a machine that gives something else is broken. */
export const REFERENCE_RESULT = -1_388_572_849

export interface Benchmark {
  /** Of each run, ms. */
  readonly tookMs: readonly number[]
  /** Reference operations of one run. */
  readonly operations: number
  readonly engine: string
  readonly level: SandboxState['level']
}

/** Takes some seconds of one core. Rejects with `config` where foreign code cannot be run, `io`, and `aborted`. */
export async function runBenchmark(
  { clock, log }: { readonly clock: Clock; readonly log: Logger },
  { signal }: { readonly signal: AbortSignal },
): Promise<Benchmark> {
  const code = new TextEncoder().encode(REFERENCE_PROGRAM)
  const executor = createSandboxExecutor({ cores: 1, clock, log, codeOf: async () => code })
  try {
    const { level, why } = await executor.inspect()
    if (level === 'none') throw new ChoraleError('config', `foreign code cannot be run here: ${why}`)
    const request = { module: 'reference', params: {}, seed: 0 }
    const spec = localSpec(request, await executor.plan(request.module, request.params))
    const tookMs: number[] = []
    for (let run = 0; run <= RUNS; run++) {
      const result = await executor.run({ spec, segment: 0, mask: 1 }, { signal })
      const value = decode(result.partials[0]!.bytes)
      invariant(value === REFERENCE_RESULT, `the reference program gave ${String(value)}`)
      if (run > 0) tookMs.push(result.tookMs)
    }
    return { tookMs, operations: REFERENCE_OPERATIONS, engine: await engineName('js'), level }
  } finally {
    await executor.stop()
  }
}
