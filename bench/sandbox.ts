/**
 * `npm run bench -- sandbox --seconds 3 --json`: the kernel of pi in a sandbox of the best level that this machine has,
 * against one thread of plain Node with the same kernel: as JavaScript, and as WebAssembly that AssemblyScript made. They
 * take turns, three each; medians. And how long the first task of a job takes that this process has not run before.
 */
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { silentLogger } from '../src/core/env.ts'
import { systemClock } from '../src/core/system.ts'
import { bundleJob } from '../src/mapreduce/bundle.ts'
import { createSandboxExecutor, type SandboxExecutor } from '../src/mapreduce/sandbox/executor.ts'
import { FAN_IN, type JobSpec, localSpec } from '../src/mapreduce/spec.ts'
import { quantile, round } from './measure.ts'
import { readOptions } from './options.ts'
import { CHUNK, countHits } from './sandbox/kernel.ts'
import { stopOnSignal } from './stop.ts'

const { numbers, json } = readOptions({ seconds: { default: 3, min: 1, max: 600 } })
const TURNS = 3
/** Between two jobs. */
const PAUSE_MS = 2000
const stop = stopOnSignal()
const path = (name: string) => fileURLToPath(new URL(`sandbox/${name}`, import.meta.url))

const median = (values: readonly number[]) =>
  quantile(
    values.toSorted((a, b) => a - b),
    0.5,
  )

function plainPerSecond(): number {
  const start = performance.now()
  let chunks = 0
  while (performance.now() - start < numbers.seconds * 1000) countHits(7, chunks++)
  return (chunks * CHUNK) / ((performance.now() - start) / 1000)
}

function start(code: Uint8Array): SandboxExecutor {
  return createSandboxExecutor({ cores: 1, clock: systemClock, log: silentLogger, codeOf: async () => code })
}

async function specOf(executor: SandboxExecutor, run = 0): Promise<JobSpec> {
  const request = { module: 'kernel', params: {}, seed: 7 }
  return localSpec(request, await executor.plan(request.module, request.params), undefined, run)
}

async function sandboxPerSecond(executor: SandboxExecutor, spec: JobSpec): Promise<number> {
  const begin = performance.now()
  let tasks = 0
  while (performance.now() - begin < numbers.seconds * 1000) {
    await executor.run({ spec, segment: 0, mask: 2 ** FAN_IN - 1 }, { signal: stop.signal })
    tasks += FAN_IN
  }
  return (tasks * CHUNK) / ((performance.now() - begin) / 1000)
}

const { code } = await bundleJob(path('kernel.ts'))
await using ends = new AsyncDisposableStack()
const js = ends.adopt(start(code), (executor) => executor.stop())
const wasm = ends.adopt(start(new Uint8Array(readFileSync(path('kernel.wasm')))), (executor) => executor.stop())
const [jsSpec, wasmSpec] = [await specOf(js), await specOf(wasm)]

// Another job: its own process, in a sandbox that is warm as a node's is that has run others a while ago.
const first: number[] = []
for (let turn = 0; turn < 5; turn++) {
  const spec = await specOf(js, turn + 1)
  await sleep(PAUSE_MS)
  const begin = performance.now()
  await js.run({ spec, segment: 0, mask: 1 }, { signal: stop.signal })
  first.push(performance.now() - begin)
}
const rates = { plain: [] as number[], js: [] as number[], wasm: [] as number[] }
plainPerSecond()
for (let turn = 0; turn < TURNS; turn++) {
  rates.plain.push(plainPerSecond())
  rates.js.push(await sandboxPerSecond(js, jsSpec))
  rates.wasm.push(await sandboxPerSecond(wasm, wasmSpec))
}
const [plain, inJs, inWasm] = [median(rates.plain), median(rates.js), median(rates.wasm)]
const result = {
  level: js.state?.level,
  plainSamplesPerSecond: Math.round(plain),
  jsShare: round(inJs / plain),
  wasmShare: round(inWasm / plain),
  firstTaskMs: round(median(first)),
}
if (json) console.log(JSON.stringify({ v: 1, type: 'bench', ...result }))
else {
  console.log(
    `level ${result.level}: JavaScript ${result.jsShare} and WebAssembly ${result.wasmShare} times plain Node`,
  )
  console.log(`(${Math.round(plain / 1e6)} million samples/s); first task of a job after ${result.firstTaskMs} ms`)
}
