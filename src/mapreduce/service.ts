/** The jobs of one host, put together: its parts, their timers, start and stop. */
import { Coordinator } from './coordinator.ts'
import { Forest } from './forest.ts'
import { type HostPorts, type JobCounter, JobsHost } from './host.ts'
import { askAfter, handOverAll } from './inheritance.ts'
import { JobsFacade } from './jobs.ts'
import { LogKeeper } from './log-keeper.ts'
import { LogSender } from './log-sender.ts'
import { jobRecords } from './record.ts'
import { Roots } from './roots.ts'
import { countBits } from './segments.ts'
import { JobStanding } from './survey.ts'
import type { Jobs } from './types.ts'
import { Worker } from './worker.ts'

/** What changes goes up the tree so often. */
const REPORT_MS = 100
const INSPECT_MS = 500
const RENEW_MS = 1_000
/** When nothing is under way. */
const REST_MS = 1_000
/** A peer that is out of reach has so long to renew its grants. */
const SUSPECT_MS = 1_200
/** A job that nobody has spoken of for so long is forgotten. */
const FORGET_MS = 600_000
const STOP_MS = 800

export type JobsServiceOptions = HostPorts

export interface JobsLoad {
  readonly cores: number
  /** At work; more than `cores` while what was begun is finished. */
  readonly busy: number
  /** Tasks that have been begun and are not done. */
  readonly tasksRunning: number
  readonly tasksDone: number
}

export interface JobsService {
  readonly jobs: Jobs
  /** Call before the overlay joins: handlers must stand when the first message comes. */
  start(): void
  /**
   * Hands the queue back to the network and stops, within a second. Call before the overlay leaves. The executor is stopped by
   * whoever made it.
   */
  stop(): Promise<void>
  lend(): JobsLoad
  /**
   * Call when the executor's `cores` have changed, or who is admitted to jobs. Of what this host does no more, what runs is
   * finished, and the rest goes back.
   */
  capacityChanged(): void
  counters(): Readonly<Record<JobCounter | 'reassigned' | 'liveJobs' | 'partialsBytes', number>>
}

/**
 * `executor`: `createThreadExecutor` of executor.ts on a machine; its `cores` is what the host lends, 0 means that it
 * runs nothing. `signer`: the host's key.
 */
export function createJobsService(options: JobsServiceOptions): JobsService {
  const host = new JobsHost(options)
  const now = () => host.now()
  const { clock } = host.env
  const roots = new Roots(host.transport.peer, host.env.random.fork('grants'), now)
  const kind = jobRecords(options.signer)
  const forest = new Forest(host, roots, {
    queued: () => worker.newWork(),
    wants: (peer, { wants: cores = 1, tookMs, mask }, job) => {
      const asker = { cores, restMs: 0, taskMs: tookMs / countBits(mask) }
      return worker.give(peer, asker, [job.id], (other) => other === job)
    },
    progress: (job, summary) => coordinator.progress(job, summary),
    total: (job, total, summary) => void coordinator.total(job, total, summary),
  })
  const logs = new LogSender(host)
  const worker = new Worker(host, roots, logs, () => wake())
  const coordinator = new Coordinator(host, forest, kind)
  const keeper = new LogKeeper(host, kind)
  const jobs = new JobsFacade(host, coordinator, kind)
  let inspectAtMs = 0
  let renewAtMs = 0
  let cancelTimer = () => {}
  let resting = true
  let stopping: Promise<void> | undefined

  host.table.onOpen = (job) => {
    wake()
    void host.assess(job).then(() => worker.newWork())
  }
  host.table.onDrop = (job) => {
    forest.dropJob(job)
    worker.dropJob(job)
    if (host.table.live.size === 0) host.loads.clear()
    logs.dropJob(job)
    coordinator.dropJob(job)
  }

  function wake(): void {
    if (resting && !host.signal.aborted) schedule(REPORT_MS)
  }

  function schedule(ms: number): void {
    cancelTimer()
    resting = ms === REST_MS
    cancelTimer = clock.timer(ms, tick)
  }

  function tick(): void {
    if (host.signal.aborted) return
    const at = now()
    forest.report()
    logs.flush()
    if (at >= inspectAtMs) {
      inspectAtMs = at + INSPECT_MS
      if (roots.expire() > 0) worker.newWork()
      coordinator.inspect()
      keeper.inspect()
      forest.claim()
      forest.inspect()
      worker.greet()
      for (const job of [...host.table.live.values()]) {
        if (job.touchedAtMs + FORGET_MS < at) host.table.drop(job.id)
      }
    }
    if (at >= renewAtMs) {
      renewAtMs = at + RENEW_MS
      worker.renew()
      worker.advertise()
    }
    worker.pump()
    schedule(host.table.live.size > 0 ? REPORT_MS : REST_MS)
  }

  async function shutDown(): Promise<void> {
    const handOver = Promise.allSettled([worker.stop(), handOverAll(host, forest.router)])
    using deadline = clock.deadline(STOP_MS)
    await Promise.race([handOver, new Promise((done) => deadline.signal.addEventListener('abort', done))])
    cancelTimer()
    host.halt()
    coordinator.stop()
    for (const id of [...host.table.live.keys()]) host.table.drop(id)
  }

  return {
    jobs,
    start() {
      host.registers.define(kind)
      forest.start()
      worker.start()
      coordinator.start()
      host.errands.start()
      keeper.start()
      host.handle(JobStanding, ({ job }) => {
        const counts = job === undefined ? { queued: roots.waiting(), running: 0 } : roots.countsOf(job)
        return { cores: host.executor.cores, busy: worker.busy, ...counts }
      })
      host.transport.onPeerDown((peer) => {
        roots.suspect(peer, SUSPECT_MS)
        worker.suspect(peer)
        askAfter(host, peer)
        inspectAtMs = 0
      })
      host.overlay.onChange(() => {
        inspectAtMs = 0
      })
      schedule(REST_MS)
    },
    stop: () => (stopping ??= shutDown()),
    lend() {
      const { busy, tasksRunning, tasksDone } = worker
      return { cores: host.executor.cores, busy, tasksRunning, tasksDone }
    },
    capacityChanged: () => worker.capacityChanged(),
    counters: () => ({
      ...host.counters,
      reassigned: roots.reassigned,
      liveJobs: host.table.live.size,
      partialsBytes: host.table.partialsBytes,
    }),
  }
}
