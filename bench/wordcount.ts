/**
 * `npm run bench -- wordcount --bytes 200MB --json`: a word count over a stored file, on 4 processes on loopback, against
 * one process of plain Node doing the same (wordcount/single.ts), in turns. The overlay is timed from the submission to
 * the value at the submitter; the input is stored before, and what comes out is compared byte by byte. `--only sandbox`:
 * the job runs as a stranger's would, in the sandbox, instead of as one that ships with the package.
 */
import { execFileSync } from 'node:child_process'
import { createReadStream, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Cluster } from '../src/cli/cluster.ts'
import { ChoraleError, errorMessage } from '../src/core/errors.ts'
import { bundleJob } from '../src/job-file.ts'
import { quantile, round } from './measure.ts'
import { readOptions } from './options.ts'
import { stopOnSignal } from './stop.ts'
import { someText, whole } from './text.ts'

const { numbers, json, only } = readOptions({
  bytes: { default: 200_000_000, min: 1, max: 10_000_000_000, bytes: true },
  nodes: { default: 4, min: 1, max: 64 },
  runs: { default: 3, min: 1, max: 100 },
})
const JOB = fileURLToPath(new URL('../jobs/wordcount.ts', import.meta.url))
const SINGLE = fileURLToPath(new URL('wordcount/single.ts', import.meta.url))

const stop = stopOnSignal()

interface Counted {
  readonly seconds: number
  readonly output: string
}

async function overlay(cluster: Cluster, module: string, input: string, seed: number): Promise<Counted> {
  const begin = performance.now()
  const { id } = await cluster.submit({ module, params: {}, seed, input })
  const end = await cluster.follow(id, () => {})
  const seconds = (performance.now() - begin) / 1000
  const { output } = (end.value ?? {}) as { output?: string }
  if (!output) throw new ChoraleError('mismatch', `the job ${end.state}: ${end.reason}`)
  return { seconds, output }
}

async function compare(root: string) {
  const file = join(root, 'input.txt')
  await writeFile(file, someText(numbers.bytes))
  const onLoss = (index: number, how: number | string) => console.error(`node ${index} ended by itself (${how})`)
  await using cluster = new Cluster({ nodes: numbers.nodes, signal: stop.signal, onLoss })
  console.error(`starting ${numbers.nodes} nodes ...`)
  await cluster.start()
  const [{ store }] = cluster.hosts as [(typeof cluster.hosts)[0]]
  const put = async (source: AsyncIterable<Uint8Array>) => (await store.addFile(source, { pin: false })).cid
  async function* code() {
    yield (await bundleJob(JOB)).code
  }
  const module = only === 'sandbox' ? await put(code()) : 'builtin:wordcount'
  const cid = await put(createReadStream(file, { highWaterMark: 1024 * 1024 }))
  console.error('stored; counting ...')
  const single: number[] = []
  const chorale: number[] = []
  let equal = true
  for (let i = 0; i < numbers.runs; i++) {
    const result = join(root, 'single.txt')
    single.push(Number(execFileSync(process.execPath, [SINGLE, file, result], { encoding: 'utf8' })))
    const { seconds, output } = await overlay(cluster, module, cid, i)
    chorale.push(seconds)
    const counted = await whole(store.cat(output))
    equal &&= counted.equals(readFileSync(result))
    console.error(`${round(single.at(-1)!)} s alone, ${round(seconds)} s on ${numbers.nodes} nodes`)
  }
  const [singleSeconds, choraleSeconds] = [single, chorale].map((times) =>
    quantile(
      times.toSorted((a, b) => a - b),
      0.5,
    ),
  )
  return { equal, ratio: round(choraleSeconds! / singleSeconds!), singleSeconds, choraleSeconds }
}

const root = mkdtempSync(join(tmpdir(), 'chorale-bench-'))
try {
  const result = await compare(root)
  if (json) console.log(JSON.stringify({ v: 1, type: 'bench', ...result, runs: numbers.runs }))
  else {
    const { equal, ratio, singleSeconds, choraleSeconds } = result
    console.log(`${choraleSeconds} s against ${singleSeconds} s: ${ratio} x; ${equal ? 'equal' : 'NOT equal'}`)
  }
  if (!result.equal) process.exitCode = 1
} catch (error) {
  console.error(`bench: ${errorMessage(error)}`)
  process.exitCode = stop.signal.aborted ? 130 : 1
} finally {
  rmSync(root, { recursive: true, force: true })
}
