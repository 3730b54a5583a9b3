/**
 * `npm run bench -- paid --json`: what it costs a job in time that strangers are paid for it and tested: a pi job through the
 * market with `--verify sample` against the same job free, on the same nodes, in turns. Node 1 submits and lends nothing;
 * `--lenders` of the others lend a core each: one, for of several the market may
 * give a bought job fewer.
 * Both are timed from submission to result; the paid one so includes the match, the signatures and the tests, which node 1 does
 * beside the others. `placedS` is the part of it until all tasks were with suppliers.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { RemoteHost } from '../src/api/client.ts'
import { Cluster } from '../src/cli/cluster.ts'
import { ChoraleError, errorMessage } from '../src/core/errors.ts'
import type { JobView } from '../src/mapreduce/types.ts'
import { quantile, round } from './measure.ts'
import { readOptions } from './options.ts'
import { stopOnSignal } from './stop.ts'

const { numbers, texts, json } = readOptions(
  {
    nodes: { default: 4, min: 2, max: 16 },
    lenders: { default: 1, min: 1, max: 15 },
    seconds: { default: 30, min: 1, max: 3600 },
    runs: { default: 3, min: 1, max: 100 },
    seed: { default: 42, min: 0, max: 2 ** 32 - 1 },
  },
  [],
  { verify: 'sample' },
)
const { nodes, lenders, seconds, runs, seed } = numbers
const stop = stopOnSignal()
const call = { signal: stop.signal }

const POLL_MS = 100
const PATIENCE_MS = 120_000
/** So that what a job costs is no matter of rounding. */
const MAX_COST = '20000'

async function until(what: string, check: () => Promise<boolean>): Promise<void> {
  const giveUpAtMs = performance.now() + PATIENCE_MS
  while (!(await check())) {
    if (performance.now() > giveUpAtMs) throw new ChoraleError('timeout', `not within ${PATIENCE_MS} ms: ${what}`)
    await sleep(POLL_MS, undefined, call)
  }
}

interface Done {
  readonly seconds: number
  readonly value: unknown
}

interface Paid extends Done {
  readonly placedS: number
  readonly settledS: number
  readonly cost: number
  readonly tested: number
  readonly suppliers: number
}

async function end(host: RemoteHost, { id }: JobView, startMs: number): Promise<Done> {
  let last: JobView | undefined
  for await (last of host.jobs.watch(id, call));
  if (last?.state !== 'succeeded') throw new ChoraleError('mismatch', `the job ${last?.state}: ${last?.reason}`)
  return { seconds: (performance.now() - startMs) / 1000, value: last.value }
}

async function free(host: RemoteHost, samples: number): Promise<Done> {
  const startMs = performance.now()
  const job = await host.jobs.submit({ module: 'builtin:pi', params: { samples }, seed }, call)
  return end(host, job, startMs)
}

async function paid(host: RemoteHost, samples: number): Promise<Paid> {
  const startMs = performance.now()
  const request = { module: 'builtin:pi', params: { samples }, seed }
  const job = await host.market.submit({ request, verify: texts.verify, maxCost: MAX_COST }, call)
  const sinceS = () => (performance.now() - startMs) / 1000
  const placing = until('all tasks are with suppliers', async () => {
    return (await host.market.purchase(job.id, call)).state !== 'bidding'
  }).then(sinceS)
  const [done, placedS] = await Promise.all([end(host, job, startMs), placing])
  await until('it is settled', async () => (await host.market.purchase(job.id, call)).state === 'settled')
  const { paid: wages, fees, suppliers } = await host.market.purchase(job.id, call)
  const tested = suppliers.reduce((sum, part) => sum + part.tested, 0)
  return {
    ...done,
    placedS,
    settledS: sinceS(),
    cost: Number(BigInt(wages) + BigInt(fees)) / 1000,
    tested,
    suppliers: suppliers.length,
  }
}

/** All that lend have an offer in the ledger's book. */
async function allOffer(customer: RemoteHost): Promise<void> {
  await until('the suppliers are in the book', async () => {
    const { sells } = await customer.market.book(call)
    return sells.filter(({ isBooked }) => isBooked).length === lenders
  })
}

const median = (values: readonly number[]) =>
  quantile(
    values.toSorted((a, b) => a - b),
    0.5,
  )

try {
  if (lenders >= nodes) throw new ChoraleError('usage', '--lenders is less than --nodes: one submits')
  const onLoss = (index: number, how: number | string) => console.error(`node ${index} ended by itself (${how})`)
  await using cluster = new Cluster({ nodes, signal: stop.signal, onLoss })
  await cluster.start()
  const [customer, ...others] = cluster.hosts as [RemoteHost, ...RemoteHost[]]
  for (const [i, { lending }] of cluster.hosts.entries())
    await lending.set({ cores: 1, paused: i < 1 || i > lenders }, call)
  for (const { lending } of others.slice(0, lenders)) await lending.measure(call)
  const trial = 2 ** 32
  await free(customer, trial) // starts the threads, loads the code
  const samples = Math.round((trial / (await free(customer, trial)).seconds) * seconds)
  const frees: Done[] = []
  const bought: Paid[] = []
  for (let run = 1; run <= runs; run++) {
    await allOffer(customer)
    frees.push(await free(customer, samples))
    await allOffer(customer)
    bought.push(await paid(customer, samples))
    const [one, other] = [frees.at(-1)!, bought.at(-1)!]
    if (JSON.stringify(one.value) !== JSON.stringify(other.value)) throw new ChoraleError('mismatch', 'two results')
    const { placedS, settledS, cost, tested, suppliers } = other
    console.error(
      `run ${run}: free ${round(one.seconds)} s, paid ${round(other.seconds)} s (placed after ${round(placedS)} s, settled after ${round(settledS)} s), ${cost} credits, ${tested} tasks tested, ${suppliers} contracts`,
    )
  }
  const medianOf = <T>(all: readonly T[], of: (one: T) => number) => round(median(all.map(of)))
  const freeS = medianOf(frees, (one) => one.seconds)
  const paidS = medianOf(bought, (one) => one.seconds)
  const overhead = round(paidS / freeS)
  const rest = {
    placedS: medianOf(bought, ({ placedS }) => placedS),
    settledS: medianOf(bought, ({ settledS }) => settledS),
    tested: medianOf(bought, ({ tested }) => tested),
    cost: medianOf(bought, ({ cost }) => cost),
    contracts: medianOf(bought, ({ suppliers }) => suppliers),
  }
  if (json)
    console.log(JSON.stringify({ v: 1, type: 'bench', freeS, paidS, overhead, ...rest, nodes, lenders, samples, runs }))
  else console.log(`free ${freeS} s, paid ${paidS} s: ${overhead} times; placed after ${rest.placedS} s`)
} catch (error) {
  console.error(`bench: ${errorMessage(error)}`)
  process.exitCode = stop.signal.aborted ? 130 : 1
}
