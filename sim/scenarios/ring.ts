/**
 * Scenario `ring`: a ring under churn, judged from outside. Lookups run from random members all the time, each compared
 * with the true owner at the moment when its answer arrives. Then churn stops (or half of the members die at once, or a
 * partition heals), the stabilization periods until the ring is ideal are counted, and lookups run again.
 */
import { disputedArcs, judgeRing, outOfOrder } from '../checkers.ts'
import { Churn } from '../churn.ts'
import { Cluster } from '../cluster.ts'
import { type Latency, matrixLatency, readRttMatrix, uniformLatency } from '../latency.ts'
import { LOOKUP_DEADLINE_MS, Lookups } from '../lookups.ts'
import type { Recorder } from '../watch/recorder.ts'
import { ringWorld } from '../watch/worlds.ts'

export interface RingOptions {
  nodes: number
  /** Length of successor lists. */
  r: number
  /** Share of the members that die, and come, per second. */
  churn: number
  /** Virtual seconds of it. */
  seconds: number
  seed: number
  /** Share of the members that die at once when the seconds are over. */
  kill: number
  /** Virtual seconds that the network is cut in two halves for, at the end of the others. */
  partition: number
  lookupsPerSecond: number
  lookupsAfterQuiet: number
  /** File with a matrix of round-trip times; else one-way delays are uniform between 10 and 80 ms. */
  latency?: string | undefined
  loss: number
  duplication: number
  reordering: number
  codec: boolean
  /** Share of the members that freeze for a second or two, per second. */
  pauses: number
  /** Fingers and next hops are chosen by latency. */
  proximity: boolean
}

export const RING_DEFAULTS: RingOptions = {
  nodes: 1000,
  r: 16,
  churn: 0.01,
  seconds: 60,
  seed: 1,
  kill: 0,
  partition: 0,
  lookupsPerSecond: 100,
  lookupsAfterQuiet: 100_000,
  loss: 0,
  duplication: 0,
  reordering: 0,
  codec: false,
  pauses: 0,
  proximity: true,
}

export interface RingResult {
  lookups: number
  wrong: number
  failed: number
  lookupsAfterQuiet: number
  wrongAfterQuiet: number
  failedAfterQuiet: number
  /** Stabilization periods from the end of churn to the ideal ring; null: it was not reached. */
  idealAfterPeriods: number | null
  /** Arcs with no owner or several, at rest. */
  disputed: number
  /** Checks of Zave's invariant on logical state, and how many found it broken. */
  checks: number
  broken: number
  killed: number
  joined: number
  rejected: number
  meanMs: number
  p50Ms: number
  p99Ms: number
  meanHops: number
  events: number
  eventsPerSecond: number
  digest: string
}

const CHECK_EVERY_MS = 10_000
const MAX_QUIET_PERIODS = 60

/** `recorder` keeps what there is to see; it changes nothing. */
export async function runRing(
  options: RingOptions,
  onProgress?: (line: string) => void,
  recorder?: Recorder,
): Promise<RingResult> {
  const latency: Latency = options.latency ? matrixLatency(readRttMatrix(options.latency)) : uniformLatency(10, 80)
  const { seed, loss, duplication, reordering, codec } = options
  const cluster = new Cluster({
    seed,
    latency,
    loss,
    duplication,
    reordering,
    codec,
    settings: { successors: options.r, periodMs: PERIOD_MS, proximity: options.proximity },
  })
  const { schedule } = cluster
  cluster.start(options.nodes)
  recorder?.follow(ringWorld(cluster))
  const startedAt = performance.now()

  const busy = new Lookups(cluster, recorder)
  const churn = new Churn(cluster, options.churn)
  let checks = 0
  let broken = 0
  const check = () => {
    const verdict = judgeRing(cluster)
    checks++
    if (verdict.stranded > 0 || verdict.principals < Math.min(options.r + 1, verdict.members)) broken++
    schedule.fold(verdict.principals)
    return verdict
  }
  const random = cluster.random.fork('pauses')
  const endMs = options.seconds * 1000
  const freezeSome = () => {
    for (let due = options.pauses * cluster.nodes.length; random.next() < due; due--) {
      cluster.pick(random)?.host.pause(1000 + 1000 * random.next())
    }
  }
  recorder?.phase('churn')
  busy.every(1000 / options.lookupsPerSecond, endMs)
  for (let nextCheck = CHECK_EVERY_MS; schedule.nowMs < endMs; ) {
    const partitionAt = endMs - options.partition * 1000
    if (options.partition > 0 && schedule.nowMs >= partitionAt && !cluster.network.isParted) {
      cluster.network.partition((host) => host.number % 2)
      recorder?.phase('cut in two')
    }
    let until = Math.min(endMs, schedule.nowMs + 1000)
    if (options.partition > 0 && schedule.nowMs < partitionAt) until = Math.min(until, partitionAt)
    await schedule.run(until)
    if (options.pauses > 0) freezeSome() // once per second
    if (schedule.nowMs >= nextCheck && (options.partition === 0 || schedule.nowMs < partitionAt)) {
      nextCheck += CHECK_EVERY_MS
      const verdict = check()
      const rate = Math.round((schedule.events / (performance.now() - startedAt)) * 1000)
      onProgress?.(
        `${(schedule.nowMs / 1000).toFixed(0)} s: ${verdict.members} members, ${verdict.principals} principals, ` +
          `${busy.done} lookups, ${busy.wrong} wrong, ${busy.failed} failed, ${rate} events/s`,
      )
    }
  }
  churn.stop()
  cluster.network.partition(undefined)
  recorder?.phase('healing')
  if (options.kill > 0) {
    const count = Math.floor(cluster.nodes.length * options.kill)
    for (let i = 0; i < count; i++) cluster.kill(cluster.pick()!)
  }
  let idealAfterPeriods: number | null = null
  for (let period = 0; period <= MAX_QUIET_PERIODS; period++) {
    const wrong = outOfOrder(cluster)
    onProgress?.(`${period} periods of quiet: ${wrong} members not in order`)
    if (wrong === 0) {
      idealAfterPeriods = period
      break
    }
    await schedule.run(schedule.nowMs + PERIOD_MS)
  }
  await schedule.run(schedule.nowMs + LOOKUP_DEADLINE_MS) // what was under way ends
  const verdict = check()
  onProgress?.(`at rest: ${verdict.members} members, ${verdict.principals} principals`)
  recorder?.phase('at rest')
  const quiet = new Lookups(cluster, recorder)
  const quietUntil = schedule.nowMs + (options.lookupsAfterQuiet / 10_000) * 1000
  if (options.lookupsAfterQuiet > 0) quiet.every(0.1, quietUntil)
  await schedule.run(quietUntil + LOOKUP_DEADLINE_MS + 1000)
  const elapsedMs = performance.now() - startedAt
  const sorted = busy.latenciesMs.sort((a, b) => a - b)
  const at = (share: number) => Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0)
  return {
    lookups: busy.done,
    wrong: busy.wrong,
    failed: busy.failed,
    lookupsAfterQuiet: quiet.done,
    wrongAfterQuiet: quiet.wrong,
    failedAfterQuiet: quiet.failed,
    idealAfterPeriods,
    disputed: cluster.sorted().length <= 2000 ? disputedArcs(cluster) : outOfOrder(cluster),
    checks,
    broken,
    killed: churn.killed,
    joined: churn.joined,
    rejected: churn.rejected,
    meanMs: Math.round(sorted.reduce((sum, ms) => sum + ms, 0) / Math.max(1, sorted.length)),
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    meanHops: Math.round((busy.hops / Math.max(1, busy.done - busy.failed)) * 100) / 100,
    events: schedule.events,
    eventsPerSecond: Math.round((schedule.events / elapsedMs) * 1000),
    digest: schedule.digest,
  }
}

const PERIOD_MS = 1000
