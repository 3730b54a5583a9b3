/**
 * Scenario `ledger-latency`: how long an operation takes to be final where hosts are as far apart as PlanetLab's were: from its
 * submission to its receipt, as clients at members of the committee and at hosts without a seat see it. Nobody lies and
 * nothing is lost; computing and disks take no time, so this is what distance costs. Bytes are those of requests.
 */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { ChoraleError } from '../../src/core/errors.ts'
import { seededRandom, shuffled } from '../../src/core/random.ts'
import { encodeRequest } from '../../src/net/message.ts'
import { matrixLatency, readRttMatrix } from '../latency.ts'
import { LedgerCluster } from '../ledger/ledger-cluster.ts'

export interface LedgerLatencyOptions {
  members: number
  /** Hosts without a seat. */
  others: number
  ops: number
  /** Submitted per virtual second, half of them at members. */
  opsPerSecond: number
  seed: number
  /** Round-trip times in ms. */
  latency?: string
}

export const LEDGER_LATENCY_DEFAULTS: LedgerLatencyOptions = {
  members: 31,
  others: 9,
  ops: 200,
  opsPerSecond: 5,
  seed: 1,
}

export interface LedgerLatencyResult {
  ops: number
  finalized: number
  /** Virtual milliseconds, at members and at others. */
  p50Ms: number
  p95Ms: number
  othersP50Ms: number
  othersP95Ms: number
  blocks: number
  views: number
  /** Requests about the ledger, and their bytes, from the first submission to the last receipt. */
  messages: number
  bytes: number
  messagesPerBlock: number
  bytesPerBlock: number
  /** Of a pair of hosts, half of the pairs. */
  medianRttMs: number
}

const FILE = 'planetlab-490-rtt-ms.tsv.gz'
const SETTLE_MS = 10_000
const PATIENCE_MS = 60_000

/** The file of PlanetLab's times; undefined: it is not here. */
export function planetlabFile(): string | undefined {
  const folder = process.env.CHORALE_DATA || fileURLToPath(new URL('../../../shared/data', import.meta.url))
  return existsSync(`${folder}/${FILE}`) ? `${folder}/${FILE}` : undefined
}

export async function runLedgerLatency(
  options: LedgerLatencyOptions,
  onProgress?: (line: string) => void,
): Promise<LedgerLatencyResult> {
  const { members, others, ops, opsPerSecond, seed } = options
  if (members % 3 !== 1) throw new ChoraleError('usage', `--members ${members}: a committee has 1, 4, 7, ... seats`)
  const file = options.latency ?? planetlabFile()
  if (file === undefined) {
    throw new ChoraleError(
      'usage',
      `${FILE} is not here: set CHORALE_DATA to its folder, or name a matrix with --latency`,
    )
  }
  const matrix = readRttMatrix(file)
  const random = seededRandom(`ledger latency ${seed}`)
  const hosts = members + others
  const sites = shuffled(
    Array.from({ length: Math.max(matrix.size, hosts) }, (_, row) => row),
    random,
  )
  const between = matrixLatency(matrix)
  const latency = (from: number, to: number) => between(sites[from] ?? from, sites[to] ?? to, random)
  const cluster = new LedgerCluster({ seed, hosts, bankers: members, latency })
  await cluster.run(SETTLE_MS)

  let messages = 0
  let bytes = 0
  cluster.cluster.network.onSend = ({ kind, message }) => {
    if (!kind.name.startsWith('ledger/')) return
    messages++
    bytes += encodeRequest(kind, message as never).length
  }
  const before = cluster.ledger(0).status()
  const atMembers: number[] = []
  const atOthers: number[] = []
  const submit = async (index: number) => {
    const isOther = others > 0 && index % 2 === 1
    const number = isOther ? members + random.int(others) : random.int(members)
    const operation = cluster.operation(`user ${index}`, 0, { kind: 'open' })
    const startMs = cluster.schedule.nowMs
    const { result } = await cluster.submit(number, operation, PATIENCE_MS)
    if (result !== 'applied') throw new ChoraleError('internal', `an opening came to '${result}'`)
    const times = isOther ? atOthers : atMembers
    times.push(cluster.schedule.nowMs - startMs)
    if ((atMembers.length + atOthers.length) % 50 === 0)
      onProgress?.(`${atMembers.length + atOthers.length} of ${ops} final`)
  }
  const submitted: Promise<unknown>[] = []
  for (let index = 0; index < ops; index++) {
    submitted.push(submit(index).catch((error) => onProgress?.(`operation ${index}: ${error.message}`)))
    // Exponential pauses: they come when they come.
    await cluster.run((-Math.log(1 - random.next()) * 1000) / opsPerSecond)
  }
  await cluster.schedule.until(Promise.all(submitted))
  const after = cluster.ledger(0).status()
  const blocks = after.height - before.height
  return {
    ops,
    finalized: atMembers.length + atOthers.length,
    p50Ms: quantile(atMembers, 0.5),
    p95Ms: quantile(atMembers, 0.95),
    othersP50Ms: quantile(atOthers, 0.5),
    othersP95Ms: quantile(atOthers, 0.95),
    blocks,
    views: after.view - before.view,
    messages,
    bytes,
    messagesPerBlock: Math.round(messages / blocks),
    bytesPerBlock: Math.round(bytes / blocks),
    medianRttMs: quantile(
      sites
        .slice(0, hosts)
        .flatMap((a, i) =>
          sites.slice(0, i).map((b) => matrix.rttMs[(a % matrix.size) * matrix.size + (b % matrix.size)]!),
        ),
      0.5,
    ),
  }
}

function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return Math.round(sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN)
}
