/**
 * Tries a job's functions against what the overlay relies on: a task gives the same bytes whatever ran before, and `reduce`
 * does not care which neighbours come together first. Sums of floating-point numbers differ in their last digits then;
 * that is no fault, because the segment tree is the same for every run.
 */
import { decode } from '../core/cbor.ts'
import type { Random } from '../core/env.ts'
import { ChoraleError } from '../core/errors.ts'
import { type LocalPorts, planLocally } from './local.ts'
import { firstChild, parentIndex } from './segments.ts'
import { type JobSpec, localSpec } from './spec.ts'
import type { JobRequest } from './types.ts'
import { Work } from './work.ts'

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
  ports: LocalPorts,
  request: JobRequest,
  { random, signal }: { random: Random; signal: AbortSignal },
): Promise<CheckResult> {
  const work = new Work(ports.executor, ports.store)
  // Two runs, and so two processes: what one keeps from task to task the other has not.
  const { plan, spec } = await planLocally(ports, request)
  const other = localSpec(request, plan, spec.input, 1)
  const { name, tasks } = plan
  const chosen = [...new Set([...Array(Math.min(tasks, TASKS)).keys(), tasks - 1])]
  const one = async (of: JobSpec, task: number) => {
    const segment = parentIndex(of, 0, task)
    const run = { spec: of, segment, mask: 1 << (task - firstChild(of, 1, segment)) }
    return (await work.run(run, { signal })).partials[0]!.bytes
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
  await work.after(spec, await work.fold(spec, results, { signal }), { signal })
  const groups = results.length < 3 ? 0 : TRIES
  const opened = await Promise.all(results.map((result) => work.open(spec, result, { signal })))
  const reduce = async (...parts: Array<readonly Uint8Array[]>) =>
    spec.partitions ? ports.executor.merge(spec, parts.flat()) : [await ports.executor.fold(spec, parts.flat())]
  for (let tries = 0; tries < groups; tries++) {
    const [a = [], b = [], c = []] = [0, 1, 2].map(() => opened[random.int(opened.length)])
    const left = (await reduce(await reduce(a, b), c)).map(decode)
    const right = (await reduce(a, await reduce(b, c))).map(decode)
    if (isClose(left, right)) continue
    const both = [left, right].map((values) => JSON.stringify(spec.partitions ? values : values[0]).slice(0, 200))
    const what = spec.partitions ? 'combine' : 'reduce'
    throw new ChoraleError(
      'user-code',
      `${what} must be associative, but (a b) c is ${both[0]} and a (b c) is ${both[1]}`,
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
