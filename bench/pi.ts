/**
 * `npm run bench -- pi --json`: a pi job on two nodes that lend one core each, as real processes, against one thread of
 * plain Node that runs the same kernel. The ideal speed-up is 2 on a machine with two cores that do nothing else. The
 * plain thread runs before and after, and the faster of the two counts; the job is timed from submission to result.
 */
import { Worker } from 'node:worker_threads'
import { Cluster } from '../src/cli/cluster.ts'
import { ChoraleError, errorMessage } from '../src/core/errors.ts'
import { round } from './measure.ts'
import { readOptions } from './options.ts'
import { stopOnSignal } from './stop.ts'

const { numbers, json } = readOptions({
  nodes: { default: 2, min: 1, max: 64 },
  seconds: { default: 25, min: 1, max: 3600 },
  seed: { default: 42, min: 0, max: 2 ** 32 - 1 },
})
const { nodes, seconds, seed } = numbers
/** As many as a task of a long job has. */
const CHUNK = 2 ** 22

const stop = stopOnSignal()

/** One thread of Node with the kernel and nothing around it. */
function plainSamplesPerSecond(forSeconds: number): Promise<number> {
  const kernel = new URL('../jobs/pi.ts', import.meta.url).href
  const code = `
    const { parentPort } = require('node:worker_threads')
    import(${JSON.stringify(kernel)}).then(({ countHits }) => {
      countHits(${seed}, 0, ${CHUNK})
      const start = performance.now()
      let chunks = 0
      while (performance.now() - start < ${forSeconds * 1000}) countHits(${seed}, ++chunks, ${CHUNK})
      parentPort.postMessage((chunks * ${CHUNK}) / ((performance.now() - start) / 1000))
    })`
  const thread = new Worker(code, { eval: true })
  return new Promise((resolve, reject) => {
    thread.once('message', resolve)
    thread.once('error', reject)
  })
}

async function choraleSamplesPerSecond(samples: number): Promise<number> {
  const onLoss = (index: number, how: number | string) => console.error(`node ${index} ended by itself (${how})`)
  await using cluster = new Cluster({ nodes, signal: stop.signal, onLoss })
  await cluster.start()
  const run = async (count: number, jobSeed: number) => {
    const start = performance.now()
    const { id } = await cluster.submit({ module: 'builtin:pi', params: { samples: count }, seed: jobSeed })
    const end = await cluster.follow(id, () => {})
    const value = end.value as { samples?: number } | undefined
    if (value?.samples !== count) throw new ChoraleError('mismatch', `the job ${end.state}: ${end.reason}`)
    return count / ((performance.now() - start) / 1000)
  }
  await run(2 * CHUNK, seed + 1) // starts the threads, loads the code
  return await run(samples, seed)
}

try {
  console.error('one thread of plain Node ...')
  const before = await plainSamplesPerSecond(seconds / 5)
  console.error(`${nodes} nodes of one core each, a job of about ${seconds} s ...`)
  const chorale = await choraleSamplesPerSecond(Math.round(before * Math.min(nodes, 2) * seconds))
  console.error('one thread of plain Node again ...')
  const plain = Math.max(before, await plainSamplesPerSecond(seconds / 5))
  const speedup = round(chorale / plain)
  if (json) {
    const figures = { plainSamplesPerSecond: Math.round(plain), choraleSamplesPerSecond: Math.round(chorale), speedup }
    console.log(JSON.stringify({ v: 1, type: 'bench', ...figures, nodes, seconds }))
  } else {
    const millions = (perSecond: number) => `${round(perSecond / 1e6)} M samples/s`
    console.log(`${millions(chorale)} on ${nodes} nodes, ${millions(plain)} in plain Node: ${speedup} times`)
  }
} catch (error) {
  console.error(`bench: ${errorMessage(error)}`)
  process.exitCode = stop.signal.aborted ? 130 : 1
}
