/**
 * `npm run bench -- tasks --nodes 4 --tasks 10000 --json`: tasks that do nothing, on real processes on loopback: the
 * cost of handing out, running, folding and confirming. Timed from the submission to the result at the submitter;
 * the best of a few runs on the same nodes, after one that loads the job's code everywhere.
 */
import { Cluster } from '../src/cli/cluster.ts'
import { ChoraleError, errorMessage } from '../src/core/errors.ts'
import { round } from './measure.ts'
import { readOptions } from './options.ts'
import { stopOnSignal } from './stop.ts'

const { numbers, json } = readOptions({
  nodes: { default: 4, min: 1, max: 64 },
  tasks: { default: 10_000, min: 1, max: 2 ** 22 },
  runs: { default: 3, min: 1, max: 100 },
})
const { nodes, tasks, runs } = numbers

const stop = stopOnSignal()

/** Seconds. */
async function run(cluster: Cluster, seed: number): Promise<number> {
  const start = performance.now()
  const { id } = await cluster.submit({ module: 'builtin:noop', params: { tasks }, seed })
  const end = await cluster.follow(id, () => {})
  const value = end.value as { tasks?: number } | undefined
  if (value?.tasks !== tasks) throw new ChoraleError('mismatch', `the job ${end.state}: ${end.reason}`)
  return (performance.now() - start) / 1000
}

async function measureTasks(): Promise<number[]> {
  const onLoss = (index: number, how: number | string) => console.error(`node ${index} ended by itself (${how})`)
  await using cluster = new Cluster({ nodes, signal: stop.signal, onLoss })
  console.error(`starting ${nodes} nodes ...`)
  await cluster.start()
  await run(cluster, 0)
  const rates: number[] = []
  for (let i = 1; i <= runs; i++) rates.push(round(tasks / (await run(cluster, i))))
  return rates
}

try {
  const rates = await measureTasks()
  const tasksPerSecond = Math.max(...rates)
  if (json) console.log(JSON.stringify({ v: 1, type: 'bench', tasksPerSecond, nodes, tasks, runs: rates }))
  else console.log(`${tasksPerSecond} tasks/s on ${nodes} nodes, best of ${rates.join(', ')}`)
} catch (error) {
  console.error(`bench: ${errorMessage(error)}`)
  process.exitCode = stop.signal.aborted ? 130 : 1
}
