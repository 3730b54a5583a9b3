/**
 * Scenario `vhash`: a Voronoi overlay of the real nodes under churn, judged from outside. Lookups run from random members
 * all the time, each compared with the true owner at the moment when its answer arrives. Then churn stops (or many die at
 * once, or a partition heals), the periods until every member has its true neighbours are counted, and lookups run again.
 */
import { spaceNamed } from '../../src/vhash/spaces.ts'
import { Churn } from '../churn.ts'
import { type Latency, matrixLatency, readRttMatrix, uniformLatency } from '../latency.ts'
import { LOOKUP_DEADLINE_MS, Lookups } from '../lookups.ts'
import { judgeClaims, misplaced } from '../vhash-checkers.ts'
import { VHashCluster } from '../vhash-cluster.ts'
import type { Recorder } from '../watch/recorder.ts'
import { vhashWorld } from '../watch/worlds.ts'

export interface VHashOptions {
  space: string
  nodes: number
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
}

export const VHASH_DEFAULTS: VHashOptions = {
  space: 'torus2',
  nodes: 500,
  churn: 0.01,
  seconds: 60,
  seed: 1,
  kill: 0,
  partition: 0,
  lookupsPerSecond: 100,
  lookupsAfterQuiet: 20_000,
  loss: 0,
  duplication: 0,
  reordering: 0,
  codec: false,
}

export interface VHashResult {
  lookups: number
  wrong: number
  failed: number
  lookupsAfterQuiet: number
  wrongAfterQuiet: number
  failedAfterQuiet: number
  /** Periods of gossip from the end of churn until every member has its true neighbours; null: they were not reached. */
  idealAfterPeriods: number | null
  /** Random keys at rest that nobody claims, or several, or another than the nearest. */
  disputed: number
  /** Random keys at rest whose owner does not see the true replica group. */
  wrongGroups: number
  /** Means over the members at rest. */
  shortPeers: number
  longPeers: number
  killed: number
  joined: number
  rejected: number
  p50Ms: number
  p99Ms: number
  meanHops: number
  /** Requests of the overlay's own that a member sends per period, lookups apart. */
  messagesPerPeriod: number
  events: number
  eventsPerSecond: number
  digest: string
}

const PERIOD_MS = 1000
const REPLICAS = 3
const TELL_EVERY_MS = 10_000
const MAX_QUIET_PERIODS = 60
/** Random keys that everybody is asked about. */
const CLAIMS = 2000

/** `recorder` keeps what there is to see; it changes nothing. */
export async function runVHash(
  options: VHashOptions,
  onProgress?: (line: string) => void,
  recorder?: Recorder,
): Promise<VHashResult> {
  const latency: Latency = options.latency ? matrixLatency(readRttMatrix(options.latency)) : uniformLatency(10, 80)
  const { seed, loss, duplication, reordering, codec } = options
  const settings = { space: spaceNamed(options.space), replicas: REPLICAS, periodMs: PERIOD_MS }
  const cluster = new VHashCluster({ seed, latency, loss, duplication, reordering, codec, settings })
  const { schedule, network } = cluster
  cluster.start(options.nodes)
  recorder?.follow(vhashWorld(cluster))
  const startedAt = performance.now()
  const busy = new Lookups(cluster, recorder)
  const churn = new Churn(cluster, options.churn)
  const endMs = options.seconds * 1000
  const partitionAtMs = options.partition > 0 ? endMs - options.partition * 1000 : Number.POSITIVE_INFINITY
  recorder?.phase('churn')
  busy.every(1000 / options.lookupsPerSecond, endMs)
  for (let tellAtMs = TELL_EVERY_MS; schedule.nowMs < endMs; ) {
    if (schedule.nowMs >= partitionAtMs && !network.isParted) {
      network.partition((host) => host.number % 2)
      recorder?.phase('cut in two')
    }
    const untilMs = Math.min(endMs, schedule.nowMs + 1000)
    await schedule.run(schedule.nowMs < partitionAtMs ? Math.min(untilMs, partitionAtMs) : untilMs)
    if (schedule.nowMs < tellAtMs) continue
    tellAtMs += TELL_EVERY_MS
    const rate = Math.round((schedule.events / (performance.now() - startedAt)) * 1000)
    onProgress?.(
      `${Math.round(schedule.nowMs / 1000)} s: ${cluster.nodes.length} members, ${misplaced(cluster)} not in place, ` +
        `${busy.done} lookups, ${busy.wrong} wrong, ${busy.failed} failed, ${rate} events/s`,
    )
  }
  churn.stop()
  network.partition(undefined)
  recorder?.phase('healing')
  for (let i = Math.floor(cluster.nodes.length * options.kill); i > 0; i--) cluster.kill(cluster.pick()!)
  let idealAfterPeriods: number | null = null
  for (let period = 0; period <= MAX_QUIET_PERIODS; period++) {
    const wrong = misplaced(cluster)
    schedule.fold(wrong)
    onProgress?.(`${period} periods of quiet: ${wrong} members not in place`)
    if (wrong === 0) {
      idealAfterPeriods = period
      break
    }
    await schedule.run(schedule.nowMs + PERIOD_MS)
  }
  await schedule.run(schedule.nowMs + LOOKUP_DEADLINE_MS) // what was under way ends
  const upkeep = () => (network.sent.get('vhash.gossip') ?? 0) + (network.sent.get('vhash.ping') ?? 0)
  const [upkeepBefore, beforeMs] = [upkeep(), schedule.nowMs]
  const { disputed, groups } = judgeClaims(cluster, cluster.random.fork('claims'), CLAIMS, REPLICAS)
  schedule.fold(disputed)
  schedule.fold(groups)
  recorder?.phase('at rest')
  const quiet = new Lookups(cluster, recorder)
  const quietUntilMs = schedule.nowMs + (options.lookupsAfterQuiet / 10_000) * 1000
  if (options.lookupsAfterQuiet > 0) quiet.every(0.1, quietUntilMs)
  await schedule.run(quietUntilMs + LOOKUP_DEADLINE_MS + 1000)
  const elapsedMs = performance.now() - startedAt
  const sorted = busy.latenciesMs.sort((a, b) => a - b)
  const at = (share: number) => Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0)
  const members = cluster.sorted()
  const mean = (sum: number) => Math.round((sum / Math.max(1, members.length)) * 100) / 100
  const periods = (schedule.nowMs - beforeMs) / PERIOD_MS
  return {
    lookups: busy.done,
    wrong: busy.wrong,
    failed: busy.failed,
    lookupsAfterQuiet: quiet.done,
    wrongAfterQuiet: quiet.wrong,
    failedAfterQuiet: quiet.failed,
    idealAfterPeriods,
    disputed,
    wrongGroups: groups,
    shortPeers: mean(members.reduce((sum, { member }) => sum + member.around.short.length, 0)),
    longPeers: mean(
      members.reduce((sum, { member }) => sum + member.around.known.length - member.around.near.length, 0),
    ),
    killed: churn.killed,
    joined: churn.joined,
    rejected: churn.rejected,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    meanHops: Math.round((busy.hops / Math.max(1, busy.done - busy.failed)) * 100) / 100,
    messagesPerPeriod: mean((upkeep() - upkeepBefore) / periods),
    events: schedule.events,
    eventsPerSecond: Math.round((schedule.events / elapsedMs) * 1000),
    digest: schedule.digest,
  }
}
