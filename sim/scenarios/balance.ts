/**
 * Scenario `balance`: how evenly the jobs service spreads equal tasks over many hosts, and how many messages that takes
 * (PAPERS 4). Hashing alone gives the busiest of n hosts H_n times the mean: 7.5 times for 1,000. The factor is the time
 * from submission until the submitter knows the result, divided by the time that all hosts need together when none rests.
 *
 * What is real: the whole jobs service, registers, messages. What is not: the ring (`OracleOverlay`); a task takes virtual
 * time, the same on hosts of the same speed. Every message counts, of whatever part of the service: a request is one, its
 * answer is another.
 */
import type { Env } from '../../src/core/env.ts'
import type { JobModule, JobView } from '../../src/mapreduce/types.ts'
import { expectedWaves, type FakeExecutorOptions, fakeExecutor, waves } from '../fake-executor.ts'
import { OracleJobs } from '../oracle-jobs.ts'

export interface BalanceOptions {
  nodes: number
  tasks: number
  /** Virtual milliseconds of a task on a host of speed 1. */
  taskMs: number
  seed: number
}

export const BALANCE_DEFAULTS: BalanceOptions = { nodes: 1000, tasks: 100_000, taskMs: 2_000, seed: 1 }

export interface BalanceFigures {
  /** Time from submission to the end / ideal. */
  factor: number
  /** Requests and answers, each a message. */
  messagesPerTask: number
  /** Requests alone. */
  requestsPerTask: number
  idealMs: number
  tookMs: number
  /** Is the value what the tasks come to, each counted once? */
  exact: boolean
  /** By kind. */
  messages: Record<string, number>
  digest: string
}

/** Before the submission, and after the end, so that what is cleared up then counts too. */
const QUIET_MS = 5_000
const REST_MS = 15_000

/** Hosts of speed 1 to `fastest`, evenly. */
export async function runBalance(
  options: BalanceOptions,
  fastest: number,
  onProgress: (line: string) => void = () => {},
): Promise<BalanceFigures> {
  const { nodes, tasks, taskMs, seed } = options
  const jobs = new OracleJobs({ seed })
  const { network, schedule } = jobs
  const module = waves as unknown as JobModule
  const speeds = Array.from({ length: nodes }, (_, i) => 1 + ((fastest - 1) * i) / Math.max(1, nodes - 1))
  for (const speed of speeds) {
    const work: FakeExecutorOptions = { module, taskMs: (_task: number, _env: Env) => taskMs / speed }
    jobs.add(fakeExecutor(work))
  }
  const idealMs = (tasks * taskMs) / speeds.reduce((sum, speed) => sum + speed, 0)
  await schedule.run(QUIET_MS)
  network.sent.clear()

  const startMs = schedule.nowMs
  const submitter = jobs.nodes[nodes >> 1]!.service.jobs
  let last: JobView | undefined
  let endMs = Number.NaN
  const watch = async () => {
    const { id } = await submitter.submit({ module: 'builtin:waves', params: { tasks }, seed })
    for await (const view of submitter.watch(id)) last = view
    endMs = schedule.nowMs
  }
  const watching = watch()
  watching.catch((error) => schedule.fail(error))
  while (Number.isNaN(endMs)) {
    await schedule.run(schedule.nowMs + 5_000)
    const ms = schedule.nowMs - startMs
    const busy = jobs.nodes.filter(({ service }) => service.lend().busy > 0).length
    const done = jobs.nodes.reduce((sum, { service }) => sum + service.lend().tasksDone, 0)
    const sent = [...network.sent.values()].reduce((sum, count) => sum + count, 0)
    onProgress(`${ms} ms of ${idealMs.toFixed(0)}: ${done} tasks run, ${busy} hosts busy, ${sent} messages`)
    if (ms > 20 * idealMs) throw new Error(`the job does not end: ${JSON.stringify(last)}`)
  }
  await schedule.run(schedule.nowMs + REST_MS)
  const messages = Object.fromEntries([...network.sent].sort(([a], [b]) => (a < b ? -1 : 1)))
  const total = Object.values(messages).reduce((sum, count) => sum + count, 0)
  const requests = Object.entries(messages).reduce((sum, [name, n]) => sum + (name.endsWith(' reply') ? 0 : n), 0)
  return {
    factor: round((endMs - startMs) / idealMs),
    messagesPerTask: round(total / tasks),
    requestsPerTask: round(requests / tasks),
    idealMs: Math.round(idealMs),
    tookMs: Math.round(endMs - startMs),
    exact: JSON.stringify(last?.value) === JSON.stringify(expectedWaves(tasks, seed)),
    messages,
    digest: schedule.digest,
  }
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000
}
