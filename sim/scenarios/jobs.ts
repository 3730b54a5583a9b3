/**
 * Scenario `jobs`: many small jobs on hosts that die and come, on the real ring and the real registers. Every job must end
 * with the value that it has where nobody dies. A share of all hosts dies every second without a word, and as many
 * come (`Churn`); beyond that, of some jobs the submitter dies as soon as its submission has been acknowledged, or the
 * owner of the job's key dies while the job is under way. What the value of each job is without churn is
 * found by running the same jobs on as many hosts of which none dies.
 */
import { encode } from '../../src/core/cbor.ts'
import { hashKey } from '../../src/core/ids.ts'
import { seededRandom } from '../../src/core/random.ts'
import { jobKey } from '../../src/mapreduce/spec.ts'
import type { JobModule, JobView } from '../../src/mapreduce/types.ts'
import type { AnyNode } from '../any-cluster.ts'
import { census, countTasks } from '../census.ts'
import { Call, Churn } from '../churn.ts'
import { fakeExecutor } from '../fake-executor.ts'
import { JobsCluster } from '../jobs-cluster.ts'

export interface JobsOptions {
  nodes: number
  jobs: number
  /** Share of the hosts that die, and come, per second. */
  churn: number
  /** Mean virtual milliseconds of a task. */
  taskMs: number
  /** Jobs that are submitted per virtual second. */
  jobsPerSecond: number
  /** `ring`, or a space of VHash. */
  space: string
  seed: number
}

export const JOBS_DEFAULTS: JobsOptions = {
  nodes: 500,
  jobs: 1000,
  churn: 0.005,
  taskMs: 500,
  jobsPerSecond: 5,
  space: 'ring',
  seed: 1,
}

export interface JobsResult {
  jobs: number
  ended: number
  /** Tasks that a value lacks. */
  missing: number
  /** Tasks that a value counts more than once. */
  doubled: number
  /** Jobs whose value has other bytes than in the run without churn. */
  different: number
  tasks: number
  killed: number
  joined: number
  /** Submitters and owners of job keys that were killed on purpose. */
  submittersKilled: number
  ownersKilled: number
  /** Virtual milliseconds from submission to when the end was seen. */
  medianMs: number
  slowestMs: number
  events: number
  digest: string
}

const SETTLE_MS = 5_000
const LOOK_MS = 1_000
/** A job that has not ended so long after the last submission is given up. */
const PATIENCE_MS = 300_000
const MAX_TASKS = 300
/** Of every so many jobs the submitter dies at once, and of every so many the owner of the key dies soon. */
const SUBMITTER_DIES = 10
const OWNER_DIES = 9

interface Request {
  readonly tasks: number
  readonly seed: number
}

interface Watched {
  readonly request: Request
  readonly submittedAtMs: number
  id: string | undefined
  view: JobView | undefined
  endedAtMs: number
  asking: boolean
}

interface Run {
  readonly cluster: JobsCluster
  readonly jobs: readonly Watched[]
  readonly churn: Churn<AnyNode>
  readonly submittersKilled: number
  readonly ownersKilled: number
}

export async function runJobs(
  options: JobsOptions,
  onProgress: (line: string) => void = () => {},
): Promise<JobsResult> {
  const random = seededRandom(`${options.seed}/requests`)
  const requests = Array.from({ length: options.jobs }, (_, i) => {
    // As many small as large ones, by their logarithm.
    return { tasks: Math.ceil(MAX_TASKS ** random.next()), seed: 1 + i }
  })
  const quiet = await run({ ...options, churn: 0 }, requests, (line) => onProgress(`without churn: ${line}`))
  const rough = await run(options, requests, onProgress)
  const { schedule } = rough.cluster
  const counted = { ended: 0, missing: 0, doubled: 0, different: 0 }
  const tookMs: number[] = []
  rough.jobs.forEach(({ view, request, submittedAtMs, endedAtMs }, i) => {
    const expected = quiet.jobs[i]?.view
    if (view) {
      counted.ended++
      tookMs.push(endedAtMs - submittedAtMs)
    }
    const { missing, doubled } = countTasks(view?.value, request.tasks)
    counted.missing += missing
    counted.doubled += doubled
    if (!view || !expected || !sameValue(view, expected)) counted.different++
    schedule.fold(Number.parseInt(hashKey(encode(view?.value ?? null)).slice(0, 8), 16))
  })
  tookMs.sort((a, b) => a - b)
  return {
    jobs: options.jobs,
    ...counted,
    tasks: requests.reduce((sum, { tasks }) => sum + tasks, 0),
    killed: rough.churn.killed,
    joined: rough.churn.joined,
    submittersKilled: rough.submittersKilled,
    ownersKilled: rough.ownersKilled,
    medianMs: Math.round(tookMs[tookMs.length >> 1] ?? 0),
    slowestMs: Math.round(tookMs.at(-1) ?? 0),
    events: schedule.events,
    digest: schedule.digest,
  }
}

function sameValue(a: JobView, b: JobView): boolean {
  return a.state === 'succeeded' && b.state === 'succeeded' && hashKey(encode(a.value)) === hashKey(encode(b.value))
}

/** Submits the jobs one after the other from hosts at random, and looks at each until it is over. */
async function run(options: JobsOptions, requests: readonly Request[], say: (line: string) => void): Promise<Run> {
  const module = census as unknown as JobModule
  const executor = fakeExecutor({ module, taskMs: (_task, env) => options.taskMs * (0.5 + env.random.next()) })
  const cluster = new JobsCluster({ seed: options.seed, space: options.space, executor })
  const { schedule } = cluster
  const random = cluster.random.fork('jobs')
  cluster.start(options.nodes)
  await schedule.run(SETTLE_MS)
  const churn = new Churn(cluster, options.churn)
  const jobs: Watched[] = []
  const killed = { submitters: 0, owners: 0 }
  const kill = (node: AnyNode | undefined) => {
    if (!node?.host.alive || cluster.nodes.length < options.nodes / 2) return false
    cluster.kill(node)
    void cluster.join().catch(() => {}) // as many come
    return true
  }

  /** A submission that nobody acknowledged is made again elsewhere, as a user would: it is another job then. */
  async function submit(job: Watched, index: number): Promise<void> {
    const node = cluster.pick(random)
    if (!node) return
    const { tasks, seed } = job.request
    const submitted = cluster.service(node).jobs.submit({ module: 'builtin:census', params: { tasks }, seed })
    const { id } = await submitted
    job.id = id
    if (options.churn === 0) return
    if (index % SUBMITTER_DIES === 0 && kill(node)) killed.submitters++
    if (index % OWNER_DIES !== 0) return
    const dies = new Call(() => {
      const owner = cluster.cluster.ownerOf(jobKey(id))
      if (kill(cluster.nodes.find(({ overlay }) => overlay.nodes.includes(owner)))) killed.owners++
    })
    schedule.add(dies, schedule.nowMs + 2_000 * random.next())
  }

  requests.forEach((request, index) => {
    const submittedAtMs = schedule.nowMs + ((index + random.next()) * 1000) / options.jobsPerSecond
    const job: Watched = { request, submittedAtMs, id: undefined, view: undefined, endedAtMs: 0, asking: false }
    jobs.push(job)
    const tries = () => {
      if (job.id !== undefined) return
      void submit(job, index).catch(() => {})
      // The submitter may have died over it, and then nothing comes back.
      schedule.add(new Call(tries), schedule.nowMs + 10_000)
    }
    schedule.add(new Call(tries), submittedAtMs)
  })

  async function look(job: Watched, id: string): Promise<void> {
    const node = cluster.pick(random)
    if (!node) return
    job.asking = true
    const lost = new Call(() => {
      job.asking = false // whoever was asked may be dead
    })
    schedule.add(lost, schedule.nowMs + 15_000)
    const view = await cluster.service(node).jobs.show(id)
    job.asking = false
    if (!view || job.view || !['succeeded', 'failed', 'cancelled'].includes(view.state)) return
    job.view = view
    job.endedAtMs = schedule.nowMs
  }

  const giveUpMs = schedule.nowMs + (options.jobs * 1000) / options.jobsPerSecond + PATIENCE_MS
  for (let looks = 0; schedule.nowMs < giveUpMs && jobs.some(({ view }) => !view); looks++) {
    await schedule.run(schedule.nowMs + LOOK_MS)
    for (const job of jobs) if (job.id !== undefined && !job.view && !job.asking) look(job, job.id).catch(() => {})
    if (looks % 10 !== 0) continue
    const under = jobs.filter(({ id, view }) => id !== undefined && !view).length
    const over = jobs.filter(({ view }) => view).length
    say(`${Math.round(schedule.nowMs / 1000)} s: ${under} jobs under way, ${over} over, ${churn.killed} hosts died`)
  }
  churn.stop()
  return { cluster, jobs, churn, submittersKilled: killed.submitters, ownersKilled: killed.owners }
}
