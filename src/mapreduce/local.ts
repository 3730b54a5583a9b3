/**
 * A whole job on this machine, without a network: for writing jobs. Splits, folds and finishes as the overlay does, so
 * the value is the same to the last byte.
 */
import { ChoraleError } from '../core/errors.ts'
import type { Executor } from './ports.ts'
import { childCount, fullMask, segmentCount, taskCount, topLevel } from './segments.ts'
import { encodeSpec, localSpec } from './spec.ts'
import type { JobRequest, Json } from './types.ts'

export interface LocalResult {
  readonly name: string
  readonly value: Json
  readonly tasks: number
  readonly params: JobRequest['params']
}

export interface LocalOptions {
  readonly signal: AbortSignal
  readonly onProgress?: (done: number, total: number) => void
}

/** Rejects as the executor does, and with `aborted`. */
export async function runLocally(
  executor: Executor,
  request: JobRequest,
  { signal, onProgress }: LocalOptions,
): Promise<LocalResult> {
  const spec = localSpec(request, await executor.plan(request.module, request.params))
  const { name, params, tasks } = spec
  encodeSpec(spec) // refuses what the overlay would refuse
  let partials = new Array<Uint8Array>(segmentCount(spec, 1))
  let next = 0
  let done = 0
  const lane = async () => {
    for (let segment = next++; segment < partials.length; segment = next++) {
      const run = { spec, segment, mask: fullMask(spec, 1, segment) }
      const result = await executor.run(run, { signal })
      partials[segment] = result.partials[0]!.bytes
      done += taskCount(spec, 1, segment)
      onProgress?.(done, tasks)
    }
  }
  await Promise.all(Array.from({ length: Math.min(executor.cores, partials.length) }, lane))
  for (let level = 2; level <= topLevel(spec); level++) {
    const folded: Uint8Array[] = []
    for (let index = 0; index < segmentCount(spec, level); index++) {
      if (signal.aborted) throw new ChoraleError('aborted', 'given up')
      const first = index * spec.fanIn
      folded.push(await executor.fold(spec, partials.slice(first, first + childCount(spec, level, index))))
    }
    partials = folded
  }
  return { value: await executor.finish(spec, partials[0]!), name, tasks, params }
}
