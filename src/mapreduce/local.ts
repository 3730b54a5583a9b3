/**
 * A whole job on this machine, without a network: for writing jobs. Splits, folds and finishes as the overlay does, so
 * the value is the same to the last byte.
 */
import { ChoraleError } from '../core/errors.ts'
import type { Executor, JobPlan, JobStore, RunNotes } from './ports.ts'
import { childCount, firstChild, fullMask, segmentCount, tasksOf, topLevel } from './segments.ts'
import { encodeSpec, type JobSpec, localSpec, stageSpec, tasksBefore, tasksInAll } from './spec.ts'
import type { JobRequest, Json } from './types.ts'
import { Work } from './work.ts'

export interface LocalResult {
  readonly name: string
  readonly value: Json
  /** Of all passes. */
  readonly tasks: number
  readonly params: JobRequest['params']
  /** What all partials of the last pass come to; its digest is the job's. */
  readonly total: Uint8Array
}

export interface LocalOptions {
  readonly signal: AbortSignal
  /** `done`: tasks, and parts of those that tell how far they are. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined
  readonly onLog?: RunNotes['log'] | undefined
}

/** Where a job runs without an overlay. */
export interface LocalPorts {
  readonly executor: Executor
  readonly store: JobStore
}

/** Rejects as the executor and the store do, and with `aborted`. */
export async function runLocally(ports: LocalPorts, request: JobRequest, options: LocalOptions): Promise<LocalResult> {
  return runSpec(ports, (await planLocally(ports, request)).spec, options)
}

/** The same for a job whose spec is known. */
export async function runSpec(ports: LocalPorts, spec: JobSpec, options: LocalOptions): Promise<LocalResult> {
  const work = new Work(ports.executor, ports.store)
  for (let pass = spec; ; ) {
    const total = await runPass(work, spec, pass, ports.executor.cores, options)
    const after = await work.after(pass, total, options)
    if ('value' in after) {
      const { name, params } = spec
      return { value: after.value, name, tasks: tasksInAll(spec, pass.stage), params, total }
    }
    pass = stageSpec(spec, after.stage)
    encodeSpec(pass)
  }
}

/** `run`: other runs of the same have processes of their own. */
export async function planLocally(
  { executor, store }: LocalPorts,
  request: JobRequest,
  run = 0,
): Promise<{ plan: JobPlan; spec: JobSpec }> {
  const file = request.input === undefined ? undefined : await store.file(request.input)
  const input = file && { cid: file.cid, bytes: file.bytes, blocks: file.blocks }
  const plan = await executor.plan(request.module, request.params, input)
  const spec = localSpec(request, plan, input, run)
  encodeSpec(spec) // refuses what the overlay would refuse
  return { plan, spec }
}

/** The total of one pass. */
async function runPass(
  work: Work,
  job: JobSpec,
  spec: JobSpec,
  cores: number,
  { signal, onProgress, onLog }: LocalOptions,
): Promise<Uint8Array> {
  let partials = new Array<Uint8Array>(segmentCount(spec, 1))
  let next = 0
  let done = tasksBefore(job, spec.stage)
  const shares = new Map<number, number>()
  const tell = () => {
    onProgress?.(
      [...shares.values()].reduce((sum, share) => sum + share, done),
      tasksInAll(job, spec.stage),
    )
  }
  const notes: RunNotes = {
    log: (task, text) => onLog?.(task, text),
    progress(task, share) {
      shares.set(task, share)
      tell()
    },
  }
  const lane = async () => {
    for (let segment = next++; segment < partials.length; segment = next++) {
      const result = await work.run({ spec, segment, mask: fullMask(spec, 1, segment) }, { signal, notes })
      partials[segment] = result.partials[0]!.bytes
      const { first, end } = tasksOf(spec, 1, segment)
      for (let task = first; task < end; task++) shares.delete(task)
      done += end - first
      tell()
    }
  }
  await Promise.all(Array.from({ length: Math.min(cores, partials.length) }, lane))
  for (let level = 2; level <= topLevel(spec); level++) {
    const folded: Uint8Array[] = []
    for (let index = 0; index < segmentCount(spec, level); index++) {
      if (signal.aborted) throw new ChoraleError('aborted', 'given up')
      const first = firstChild(spec, level, index)
      folded.push(await work.fold(spec, partials.slice(first, first + childCount(spec, level, index)), { signal }))
    }
    partials = folded
  }
  return partials[0]!
}
