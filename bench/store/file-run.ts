/**
 * One file on a new overlay of real processes: added through one node, read back from another, with the memory of every
 * node watched. For `bench/put.ts` and `bench/get.ts`.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { connectHost, type RemoteHost } from '../../src/api/client.ts'
import { Cluster } from '../../src/cli/cluster.ts'
import { ChoraleError } from '../../src/core/errors.ts'
import { findSocket } from '../../src/home.ts'
import { megabytesPerSecond, rawRate, startPeer } from '../bulk/raw.ts'
import { round } from '../measure.ts'
import { watchMemory } from './memory-watch.ts'
import { compareWithNoise, noiseStream } from './noise.ts'

const REPLICAS = 3
const SEED = 'a file'
const POLL_MS = 50
/** For the last copies, which repair makes a minute later when a node was too busy at first. */
const COPIES_PATIENCE_MS = 180_000

export interface FileRunOptions {
  readonly nodes: number
  readonly bytes: number
  readonly rawSeconds: number
  readonly signal: AbortSignal
}

export interface FileRun {
  readonly rawMbPerSecond: { readonly in: number; readonly out: number }
  /** Until the node acknowledged the whole file: a majority of the replicas has synced each block. */
  readonly acknowledgedMbPerSecond: number
  /** Until all replicas have synced every block. */
  readonly putMbPerSecond: number
  readonly getMbPerSecond: number
  /** Share of the file's blocks that the reading node did not hold and fetched. */
  readonly remoteShare: number
  /** The highest resident memory of any node at any time, 10^6 bytes. */
  readonly maxRssMb: number
  readonly rssMb: readonly number[]
  readonly blocks: number
}

export async function runFile(options: FileRunOptions): Promise<FileRun> {
  const { nodes, bytes, signal } = options
  const rawMbPerSecond = await measureRaw(options.rawSeconds)
  const onLoss = (index: number, how: number | string) => console.error(`node ${index} ended by itself (${how})`)
  await using cluster = new Cluster({ nodes, signal, onLoss })
  console.error(`starting ${nodes} nodes ...`)
  await cluster.start()
  const hosts = cluster.nodes.map(({ home }) => connectHost(findSocket(home)))
  const [first, second] = hosts as [RemoteHost, RemoteHost]
  await using memory = watchMemory(cluster.nodes.map(({ pid }) => pid ?? 0))

  console.error(`adding ${bytes} bytes ...`)
  const startMs = performance.now()
  const { cid, blocks } = await first.store.addFile(noiseStream(SEED, bytes), { signal })
  const acknowledgedMs = performance.now() - startMs
  await untilCopied(hosts, blocks * Math.min(REPLICAS, nodes), signal)
  const copiedMs = performance.now() - startMs

  console.error('reading it ...')
  const before = await counter(second, 'remote', signal)
  const readMs = performance.now()
  const came = await compareWithNoise(SEED, second.store.cat(cid, { signal }))
  const getMbPerSecond = megabytesPerSecond(bytes, performance.now() - readMs)
  if (came !== bytes) throw new ChoraleError('mismatch', `${came} bytes came of ${bytes}`)
  const fetched = (await counter(second, 'remote', signal)) - before
  const rssMb = memory.highest().map((rss) => round(rss / 1e6))
  return {
    rawMbPerSecond,
    acknowledgedMbPerSecond: megabytesPerSecond(bytes, acknowledgedMs),
    putMbPerSecond: megabytesPerSecond(bytes, copiedMs),
    getMbPerSecond,
    remoteShare: round(fetched / blocks),
    maxRssMb: Math.max(...rssMb),
    rssMb,
    blocks,
  }
}

async function measureRaw(seconds: number): Promise<FileRun['rawMbPerSecond']> {
  const { child, place } = await startPeer()
  try {
    await rawRate(place.raw, true, seconds / 4) // loads the code
    return { in: await rawRate(place.raw, true, seconds), out: await rawRate(place.raw, false, seconds) }
  } finally {
    child.stdin?.end()
  }
}

/** A store counts a block once it is synced. The overlay is new and all blocks differ, so copies are all there is to count. */
async function untilCopied(hosts: readonly RemoteHost[], copies: number, signal: AbortSignal): Promise<void> {
  const giveUpMs = performance.now() + COPIES_PATIENCE_MS
  for (;;) {
    const stats = await Promise.all(hosts.map((host) => host.store.stat({ signal })))
    const there = stats.reduce((sum, { blocks }) => sum + blocks, 0)
    if (there >= copies) return
    if (performance.now() > giveUpMs) throw new ChoraleError('timeout', `${there} of ${copies} copies are there`)
    await sleep(POLL_MS, undefined, { signal })
  }
}

async function counter(host: RemoteHost, name: string, signal: AbortSignal): Promise<number> {
  return (await host.store.stat({ signal })).counters[name] ?? 0
}
