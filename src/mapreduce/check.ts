/**
 * Tries a job's functions against what the overlay relies on: a task gives the same bytes whatever ran before, and `reduce`
 * does not care which neighbours come together first. Sums of floating-point numbers differ in their last digits then;
 * that is no fault, because the segment tree is the same for every run.
 */
import { decode } from '../core/cbor.ts'
import type { Random } from '../core/env.ts'
import { ChoraleError } from '../core/errors.ts'
import type { Executor } from './ports.ts'
import { FAN_IN, type JobSpec, localSpec } from './spec.ts'
import type { JobRequest } from './types.ts'

/** Tasks that are run: some of the first, and the last. */
const TASKS = 8
const TRIES = 12
/** Relative. */
const TOLERANCE = 1e-9

export interface CheckResult {
  readonly name: string
  readonly tasks: number
  /** Tasks that were run, twice each, in two processes and in opposite orders. */
  readonly ran: number
  /** Groups of three results that were reduced in both orders. */
  readonly groups: number
}

/** Rejects with `user-code` and what differs; else as the executor does. */
export async function checkJob(
  executor: Executor,
  request: JobRequest,
  { random, signal }: { random: Random; signal: AbortSignal },
): Promise<CheckResult> {
  const plan = await executor.plan(request.module, request.params)
  const { name, tasks } = plan
  // Two runs, and so two processes: what one keeps from task to task the other has not.
  const [spec, other] = [localSpec(request, plan, 0), localSpec(request, plan, 1)]
  const chosen = [...new Set([...Array(Math.min(tasks, TASKS)).keys(), tasks - 1])]
  const one = async (of: JobSpec, task: number) => {
    const run = { spec: of, segment: Math.floor(task / FAN_IN), mask: 1 << (task % FAN_IN) }
    return (await executor.run(run, { signal })).partials[0]!.bytes
  }
  const again = new Map<number, Uint8Array>()
  for (const task of chosen.toReversed()) again.set(task, await one(other, task))
  const results: Uint8Array[] = []
  for (const task of chosen) {
    const bytes = await one(spec, task)
    if (Buffer.compare(bytes, again.get(task)!) !== 0) {
      const why = 'it depends on something else than its parameters, seed and number'
      throw new ChoraleError('user-code', `task ${task} gave two different results: ${why}`)
    }
    results.push(bytes)
  }
  await executor.finish(spec, await executor.fold(spec, results))
  const groups = results.length < 3 ? 0 : TRIES
  for (let tries = 0; tries < groups; tries++) {
    const [a, b, c] = [0, 1, 2].map(() => results[random.int(results.length)]!) as [Uint8Array, Uint8Array, Uint8Array]
    const left = await executor.fold(spec, [await executor.fold(spec, [a, b]), c])
    const right = await executor.fold(spec, [a, await executor.fold(spec, [b, c])])
    if (isClose(decode(left), decode(right))) continue
    const both = [left, right].map((bytes) => JSON.stringify(decode(bytes)).slice(0, 200))
    throw new ChoraleError(
      'user-code',
      `reduce must be associative, but (a b) c is ${both[0]} and a (b c) is ${both[1]}`,
    )
  }
  return { name, tasks, ran: chosen.length, groups }
}

function isClose(a: unknown, b: unknown): boolean {
  if (typeof a === 'number' && typeof b === 'number') {
    return a === b || Math.abs(a - b) <= TOLERANCE * Math.max(Math.abs(a), Math.abs(b))
  }
  if (a instanceof Uint8Array || b instanceof Uint8Array) {
    return a instanceof Uint8Array && b instanceof Uint8Array && Buffer.compare(a, b) === 0
  }
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return a === b
  const [left, right] = [a, b] as [Record<string, unknown>, Record<string, unknown>]
  const names = Object.keys(left)
  return names.length === Object.keys(right).length && names.every((name) => isClose(left[name], right[name]))
}
