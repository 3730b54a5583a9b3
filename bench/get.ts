/**
 * `npm run bench -- get --bytes 1GiB --json`: a file of pseudo-random bytes is added through one node of a new overlay
 * of real processes, as `bench/put.ts` does it, and then read through the control socket of another, as `chorale cat`
 * does it, every byte compared. With 4 nodes and 3 replicas a node holds about three quarters of the blocks and fetches
 * the rest (`remoteShare`); no cache of blocks is warm, as the node has read nothing yet. The system's cache of files may
 * be: nothing empties it. Against one plain libp2p stream in the same run.
 */
import { errorMessage } from '../src/core/errors.ts'
import { round } from './measure.ts'
import { readOptions } from './options.ts'
import { stopOnSignal } from './stop.ts'
import { runFile } from './store/file-run.ts'

const { numbers, json } = readOptions({
  bytes: { default: 1024 ** 3, min: 1, max: 2 ** 40, bytes: true },
  nodes: { default: 4, min: 2, max: 64 },
  rawSeconds: { default: 4, min: 1, max: 60 },
})

const stop = stopOnSignal()

try {
  const run = await runFile({ ...numbers, signal: stop.signal })
  const { getMbPerSecond: mbPerSecond, remoteShare, maxRssMb, rssMb, blocks } = run
  const rawMbPerSecond = run.rawMbPerSecond.in
  const ratio = round(mbPerSecond / rawMbPerSecond)
  const { bytes, nodes } = numbers
  const more = { remoteShare, rssMb, bytes, blocks, nodes }
  if (json) console.log(JSON.stringify({ v: 1, type: 'bench', mbPerSecond, rawMbPerSecond, ratio, maxRssMb, ...more }))
  else {
    console.log(`get   ${mbPerSecond} MB/s, ${round(remoteShare * 100)} % of the blocks from other nodes`)
    console.log(`raw   ${rawMbPerSecond} MB/s over one libp2p stream: ratio ${ratio}`)
    console.log(`memory of the nodes at most ${rssMb.join(', ')} MB`)
  }
} catch (error) {
  console.error(`bench: ${errorMessage(error)}`)
  process.exitCode = stop.signal.aborted ? 130 : 1
}
