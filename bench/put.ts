/**
 * `npm run bench -- put --bytes 1GiB --json`: a file of pseudo-random bytes is streamed into a new overlay of real
 * processes, 3 replicas of each block, through the control socket of one node, as `chorale add` does it. The time ends
 * when all three replicas have synced every block; the command itself is acknowledged earlier, by majorities. Against the
 * bytes that one plain libp2p stream carries to another process in the same run, with nothing else on the machine.
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
  const { putMbPerSecond: mbPerSecond, acknowledgedMbPerSecond, maxRssMb, rssMb, blocks } = run
  const rawMbPerSecond = run.rawMbPerSecond.out
  const ratio = round(mbPerSecond / rawMbPerSecond)
  const { bytes, nodes } = numbers
  const more = { acknowledgedMbPerSecond, rssMb, bytes, blocks, nodes }
  if (json) console.log(JSON.stringify({ v: 1, type: 'bench', mbPerSecond, rawMbPerSecond, ratio, maxRssMb, ...more }))
  else {
    console.log(`put   ${mbPerSecond} MB/s on all replicas, ${acknowledgedMbPerSecond} MB/s acknowledged`)
    console.log(`raw   ${rawMbPerSecond} MB/s over one libp2p stream: ratio ${ratio}`)
    console.log(`memory of the nodes at most ${rssMb.join(', ')} MB`)
  }
} catch (error) {
  console.error(`bench: ${errorMessage(error)}`)
  process.exitCode = stop.signal.aborted ? 130 : 1
}
