/**
 * Part of the scenario `balance`: tasks over the blocks of a stored file, on hosts of equal speed. How many run on a host
 * that keeps a copy of their block? Blocks lie where their keys say, three copies each; reading them costs nothing here, so
 * nothing but the rules of dispatch keeps a task at its block.
 */
import { hashKey } from '../../src/core/ids.ts'
import type { FileSize, JobStore } from '../../src/mapreduce/ports.ts'
import { tasksOfMask } from '../../src/mapreduce/segments.ts'
import type { JobModule, JobView } from '../../src/mapreduce/types.ts'
import { fakeExecutor, waves } from '../fake-executor.ts'
import { OracleJobs } from '../oracle-jobs.ts'

export interface LocalityOptions {
  readonly nodes: number
  /** Of one block each. */
  readonly tasks: number
  /** Virtual milliseconds of a task. */
  readonly taskMs: number
  readonly seed: number
}

export const LOCALITY_DEFAULTS: LocalityOptions = { nodes: 100, tasks: 10_000, taskMs: 2_000, seed: 1 }

export interface LocalityFigures {
  /** Tasks that ran where a copy of their block is / all that ran. */
  readonly localShare: number
  /** Time from submission to the end / ideal. */
  readonly factor: number
}

/** Copies of each block: those of `chorale up`. */
const COPIES = 3
const QUIET_MS = 5_000

const keyOf = (block: number) => hashKey(`block ${block}`)

export async function runLocality(
  { nodes, tasks, taskMs, seed }: LocalityOptions,
  onProgress: (line: string) => void = () => {},
): Promise<LocalityFigures> {
  const size: FileSize = { cid: 'input', bytes: tasks, blocks: tasks }
  const file: JobStore['file'] = async () => ({ ...size, keyOf, read: async () => new Uint8Array(1) })
  const jobs = new OracleJobs({ seed }, { file })
  const { schedule } = jobs
  const input = { as: 'bytes', taskBlocks: 1 } as const
  const module = { ...waves, plan: () => ({ params: { tasks }, tasks, input }) } as unknown as JobModule
  let ran = 0
  let local = 0
  for (let i = 0; i < nodes; i++) {
    const node = jobs.add((env) => {
      const executor = fakeExecutor({ module, taskMs: () => taskMs })(env)
      const { run } = executor
      executor.run = (task, options) => {
        for (const block of tasksOfMask(task.spec, task.segment, task.mask)) {
          ran++
          const holders = node.overlay.replicas(keyOf(block)).slice(0, COPIES)
          if (holders.some(({ peer }) => peer === node.host.peer)) local++
        }
        return run.call(executor, task, options)
      }
      return executor
    })
  }
  await schedule.run(QUIET_MS)
  const startMs = schedule.nowMs
  const submitter = jobs.nodes[nodes >> 1]!.service.jobs
  let last: JobView | undefined
  const watch = async () => {
    const { id } = await submitter.submit({ module: 'builtin:waves', params: {}, seed, input: size.cid })
    for await (const view of submitter.watch(id)) last = view
  }
  let over = false
  watch()
    .catch((error) => schedule.fail(error))
    .finally(() => {
      over = true
    })
  const idealMs = (tasks * taskMs) / nodes
  let endMs = Number.NaN
  while (!over) {
    await schedule.run(schedule.nowMs + 500)
    endMs = schedule.nowMs
    if (endMs - startMs > 20 * idealMs) throw new Error(`the job does not end: ${JSON.stringify(last)}`)
  }
  const share = Math.round((1000 * local) / ran) / 1000
  onProgress(`${ran} tasks over ${tasks} blocks run, ${local} of them at a copy of their block`)
  return { localShare: share, factor: Math.round((1000 * (endMs - startMs)) / idealMs) / 1000 }
}
