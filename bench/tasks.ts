/**
 * `npm run bench -- tasks --nodes 4 --tasks 10000 --json`: tasks that do nothing, on real processes on loopback: the
 * cost of handing out, running, folding and confirming. Timed from the submission to the result at the submitter;
 * the best of a few runs on the same nodes, after one that loads the job's code everywhere. With `--sandbox` it is a job
 * that somebody wrote (bench/tasks/noop.ts), and runs in the sandbox.
 */
import { fileURLToPath } from 'node:url'
import { Cluster } from '../src/cli/cluster.ts'
import { ChoraleError, errorMessage } from '../src/core/errors.ts'
import { bundleJob } from '../src/mapreduce/bundle.ts'
import { round } from './measure.ts'
import { readOptions } from './options.ts'
import { stopOnSignal } from './stop.ts'

const { numbers, json, flags } = readOptions(
  {
    nodes: { default: 4, min: 1, max: 64 },
    tasks: { default: 10_000, min: 1, max: 2 ** 22 },
    runs: { default: 3, min: 1, max: 100 },
  },
  ['sandbox'],
)
const { nodes, tasks, runs } = numbers

const stop = stopOnSignal()

/** Seconds. */
async function run(cluster: Cluster, module: string, seed: number): Promise<number> {
  const start = performance.now()
  const { id } = await cluster.submit({ module, params: { tasks }, seed })
  const end = await cluster.follow(id, () => {})
  const value = end.value as { tasks?: number } | undefined
  if (value?.tasks !== tasks) throw new ChoraleError('mismatch', `the job ${end.state}: ${end.reason}`)
  return (performance.now() - start) / 1000
}

/** The name of the job's code; that of the sandbox's goes into the overlay. */
async function moduleIn(cluster: Cluster): Promise<string> {
  if (!flags.sandbox) return 'builtin:noop'
  const { code } = await bundleJob(fileURLToPath(new URL('tasks/noop.ts', import.meta.url)))
  const [host] = cluster.hosts
  if (!host) throw new ChoraleError('no-node', 'no node is up')
  const pieces = (async function* () {
    yield code
  })()
  return (await host.store.addFile(pieces, { pin: false, signal: stop.signal })).cid
}

async function measureTasks(): Promise<number[]> {
  const onLoss = (index: number, how: number | string) => console.error(`node ${index} ended by itself (${how})`)
  await using cluster = new Cluster({ nodes, signal: stop.signal, onLoss })
  console.error(`starting ${nodes} nodes ...`)
  await cluster.start()
  const module = await moduleIn(cluster)
  await run(cluster, module, 0)
  const rates: number[] = []
  for (let i = 1; i <= runs; i++) rates.push(round(tasks / (await run(cluster, module, i))))
  return rates
}

try {
  const rates = await measureTasks()
  const tasksPerSecond = Math.max(...rates)
  if (json) console.log(JSON.stringify({ v: 1, type: 'bench', tasksPerSecond, nodes, tasks, ...flags, runs: rates }))
  else console.log(`${tasksPerSecond} tasks/s on ${nodes} nodes, best of ${rates.join(', ')}`)
} catch (error) {
  console.error(`bench: ${errorMessage(error)}`)
  process.exitCode = stop.signal.aborted ? 130 : 1
}
