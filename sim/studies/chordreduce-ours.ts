/**
 * The same work on Chorale: the real jobs service in virtual time, over hosts with one core each. A job of 1,000 equal
 * tasks stands for the samples; what a task takes is the published time of one worker, divided. The first ring of
 * `speedUp` knows its members (`oracle-overlay.ts`); under churn it is the real ring with the real registers, whose hosts die without
 * a word. The value lists its tasks, so that one that is missing or counted twice shows.
 */
import type { JobModule, JobView } from '../../src/mapreduce/types.ts'
import type { AnyNode } from '../any-cluster.ts'
import { census, countTasks } from '../census.ts'
import { Churn } from '../churn.ts'
import { fakeExecutor } from '../fake-executor.ts'
import { JobsCluster } from '../jobs-cluster.ts'
import { OracleJobs } from '../oracle-jobs.ts'

export interface OurRun {
  /** From submission until a host that watches knows the result. */
  readonly seconds: number
  /** Tasks that the value lacks, and those that it counts more than once. */
  readonly missing: number
  readonly doubled: number
  /** Hosts that died meanwhile. */
  readonly died: number
}

export interface OurWork {
  readonly workers: number
  readonly tasks: number
  /** Of all tasks together, on one host. */
  readonly seconds: number
  readonly seed: number
}

const SETTLE_MS = 5_000
const STEP_MS = 50
/** Beyond so many times the ideal time something is wrong. */
const PATIENCE = 20

const module = census as unknown as JobModule

export async function speedUp({ workers, tasks, seconds, seed }: OurWork): Promise<OurRun> {
  const jobs = new OracleJobs({ seed })
  const { schedule } = jobs
  const taskMs = (seconds * 1000) / tasks
  for (let i = 0; i < workers; i++) jobs.add(fakeExecutor({ module, taskMs: () => taskMs }))
  await schedule.run(SETTLE_MS)
  const submitter = jobs.nodes[0]!.service.jobs
  const startMs = schedule.nowMs
  const giveUpMs = startMs + PATIENCE * 1000 * (seconds / workers + 10)
  let last: JobView | undefined
  let endMs: number | undefined
  const watch = async () => {
    const { id } = await submitter.submit({ module: 'builtin:census', params: { tasks }, seed })
    for await (const view of submitter.watch(id)) last = view
    endMs = schedule.nowMs
  }
  watch().catch((error) => schedule.fail(error))
  while (endMs === undefined && schedule.nowMs < giveUpMs) await schedule.run(schedule.nowMs + 1000)
  return judged(last, endMs, startMs, tasks, 0)
}

/** `share` of the hosts die per second, and as many come. */
export async function underChurn({ workers, tasks, seconds, seed }: OurWork, share: number): Promise<OurRun> {
  const taskMs = (seconds * 1000) / tasks
  const cluster = new JobsCluster({ seed, executor: fakeExecutor({ module, taskMs: () => taskMs }) })
  const { schedule } = cluster
  cluster.start(workers)
  await schedule.run(SETTLE_MS)
  const submitter = cluster.pick()!
  const startMs = schedule.nowMs
  const giveUpMs = startMs + PATIENCE * 1000 * (seconds / workers + 10)
  let id: string | undefined
  cluster
    .service(submitter)
    .jobs.submit({ module: 'builtin:census', params: { tasks }, seed })
    .then(
      (job) => (id = job.id),
      (error) => schedule.fail(error),
    )
  while (id === undefined) await schedule.run(schedule.nowMs + STEP_MS)
  // A job that was never acknowledged would be another after it is submitted again.
  const churn = new Churn(cluster, share)
  let last: JobView | undefined
  let endMs: number | undefined
  let asked: AnyNode | undefined
  while (endMs === undefined && schedule.nowMs < giveUpMs) {
    await schedule.run(schedule.nowMs + STEP_MS)
    if (asked?.host.alive) continue
    const node = submitter.host.alive ? submitter : cluster.pick()
    if (!node) continue
    asked = node
    const forget = () => {
      if (asked === node) asked = undefined
    }
    const watch = async () => {
      for await (const view of cluster.service(node).jobs.watch(id!)) last = view
      if (last && ['succeeded', 'failed', 'cancelled'].includes(last.state)) endMs ??= schedule.nowMs
    }
    watch().then(forget, forget)
  }
  churn.stop()
  return judged(last, endMs, startMs, tasks, churn.killed)
}

function judged(
  last: JobView | undefined,
  endMs: number | undefined,
  startMs: number,
  tasks: number,
  died: number,
): OurRun {
  if (endMs === undefined || last?.state !== 'succeeded') throw new Error(`the job does not end: ${last?.state}`)
  return { seconds: (endMs - startMs) / 1000, ...countTasks(last.value, tasks), died }
}
