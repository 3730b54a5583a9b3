/**
 * A job on real processes of which some are killed on the way, and the same job undisturbed on the same nodes before. Kills are spread over the job's progress, not over a clock, so that a slow machine sees the same.
 */
import { Cluster } from '../../src/cli/cluster.ts'
import type { Random } from '../../src/core/env.ts'
import { ChoraleError } from '../../src/core/errors.ts'
import type { JobRequest, JobView, Json } from '../../src/mapreduce/types.ts'

/** Before the end, so that a kill is never too late to matter. */
const LAST_KILL_AT = 0.95

export interface DisturbedOptions {
  readonly nodes: number
  readonly kill: number
  readonly workload: Workload
  /** What the overlay lives in. Default: the ring. */
  readonly space?: string
  /** Copies of each block. */
  readonly replicas?: number
  /** Chooses the moments and the nodes. */
  readonly random: Random
  readonly signal: AbortSignal
}

export interface Workload {
  /** Brings what the job needs. Resolves with the job, and a small one that loads its code everywhere. */
  prepare(cluster: Cluster): Promise<{ readonly job: JobRequest; readonly small: JobRequest }>
  /** What is compared, of a job's value: it may name what has to be read yet. */
  read(cluster: Cluster, value: Json): Promise<Json>
}

export interface Timed {
  readonly value: Json
  readonly elapsedMs: number
  readonly reassigned: number
}

export interface Disturbed {
  readonly undisturbed: Timed
  readonly disturbed: Timed
  /** Milliseconds after the submission at which nodes were killed. */
  readonly killedAtMs: readonly number[]
  /** Nodes that ended without having been told to. */
  readonly lost: number
}

/** Shares of the job's progress, ascending. */
export function killPlan(count: number, random: Random): number[] {
  return Array.from({ length: count }, () => random.next() * LAST_KILL_AT).sort((a, b) => a - b)
}

/** Everything that it starts is gone when it returns or throws. */
export async function runDisturbed(options: DisturbedOptions): Promise<Disturbed> {
  const { nodes, workload, random, signal } = options
  let lost = 0
  const onLoss = () => {
    lost++
  }
  const { space = 'ring', replicas } = options
  await using cluster = new Cluster({ nodes, signal, onLoss, space, ...(replicas && { replicas }) })
  await cluster.start()
  const { job, small } = await workload.prepare(cluster)
  await run(cluster, workload, small)
  const undisturbed = await run(cluster, workload, job)

  const plan = killPlan(options.kill, random)
  const killedAtMs: number[] = []
  const disturbed = await run(cluster, workload, job, ({ tasks }, elapsedMs) => {
    const progress = tasks.done / Math.max(1, tasks.total)
    while (progress < 1 && killedAtMs.length < plan.length && progress >= (plan[killedAtMs.length] ?? 1)) {
      cluster.kill(1, random)
      killedAtMs.push(Math.round(elapsedMs))
    }
  })
  return { undisturbed, disturbed, killedAtMs, lost }
}

async function run(
  cluster: Cluster,
  workload: Workload,
  job: JobRequest,
  onView: (job: JobView, elapsedMs: number) => void = () => {},
): Promise<Timed> {
  const startMs = performance.now()
  const { id } = await cluster.submit(job)
  const end = await cluster.follow(id, (job) => onView(job, performance.now() - startMs))
  if (end.state !== 'succeeded') throw new ChoraleError('mismatch', `the job ${end.state}: ${end.reason}`)
  const elapsedMs = Math.round(performance.now() - startMs)
  return { value: await workload.read(cluster, end.value ?? null), elapsedMs, reassigned: end.tasks.reassigned }
}
