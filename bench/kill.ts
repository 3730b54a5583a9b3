/**
 * `npm run bench -- kill --nodes 32 --kill 16 --runs 10 --json`: SIGKILL for half of the nodes, at random, spread over a pi
 * job of about half a minute; with `--only wordcount` over a word count of a stored text, of which the network keeps
 * `--replicas` copies: of three, as usual, some blocks would be lost with half of the hosts; with `--space torus2` on VHash
 * instead of the ring. Every run starts new processes and first runs the same job undisturbed, which is what it is compared
 * with: the value to the last bit, and the time. MapReduce (Dean and Ghemawat 2004) lost 5 % of its time
 * when 11.5 % of the workers were killed at once; they were replaced, ours are not.
 */
import { seededRandom } from '../src/core/random.ts'
import { type Disturbed, runDisturbed } from './kill/disturbed.ts'
import { piWorkload, wordcountWorkload } from './kill/workloads.ts'
import { quantile, round } from './measure.ts'
import { readOptions } from './options.ts'
import { stopOnSignal } from './stop.ts'
import { someText } from './text.ts'

const { numbers, json, only, texts } = readOptions(
  {
    nodes: { default: 32, min: 2, max: 64 },
    kill: { default: 16, min: 1, max: 63 },
    runs: { default: 10, min: 1, max: 1000 },
    samples: { default: 9e9, min: 1e3, max: 1e13 },
    bytes: { default: 100e6, min: 1, max: 10e9, bytes: true },
    replicas: { default: 6, min: 1, max: 16 },
    seed: { default: 42, min: 0, max: 2 ** 32 - 1 },
  },
  [],
  { space: 'ring' },
)
const { space } = texts
const { nodes, kill, runs, samples, replicas, seed } = numbers
if (kill >= nodes) {
  console.error(`bench: --kill is less than --nodes: one of ${nodes} has to survive`)
  process.exit(2)
}

const stop = stopOnSignal()
const workload =
  only === 'wordcount' ? wordcountWorkload(() => someText(numbers.bytes), seed) : piWorkload(samples, seed)

interface Row {
  readonly run: number
  readonly exact: boolean
  readonly killed: number
  readonly undisturbedMs: number
  readonly disturbedMs: number
  readonly ratio: number
  readonly reassigned: number
  readonly killedAtMs: readonly number[]
  readonly lost: number
  /** Why there is no result. */
  readonly failure?: string
}

/** The value that every run, disturbed or not, has to come to. */
let expected: string | undefined

function rowOf(run: number, { undisturbed, disturbed, killedAtMs, lost }: Disturbed): Row {
  const [one, other] = [JSON.stringify(undisturbed.value), JSON.stringify(disturbed.value)]
  expected ??= one
  return {
    run,
    exact: one === expected && other === expected,
    killed: killedAtMs.length,
    undisturbedMs: undisturbed.elapsedMs,
    disturbedMs: disturbed.elapsedMs,
    ratio: round(disturbed.elapsedMs / undisturbed.elapsedMs),
    reassigned: disturbed.reassigned,
    killedAtMs,
    lost,
  }
}

const rows: Row[] = []
for (let run = 1; run <= runs && !stop.signal.aborted; run++) {
  const random = seededRandom(`kill ${seed} ${run}`)
  try {
    rows.push(rowOf(run, await runDisturbed({ nodes, kill, workload, space, replicas, random, signal: stop.signal })))
  } catch (error) {
    if (stop.signal.aborted) break
    const none = { killed: 0, undisturbedMs: 0, disturbedMs: 0, ratio: 0, reassigned: 0, killedAtMs: [], lost: 0 }
    rows.push({ run, exact: false, ...none, failure: (error as Error).message })
  }
  const row = rows.at(-1) as Row
  console.error(
    row.failure !== undefined
      ? `run ${run}: ${row.failure}`
      : `run ${run}: ${row.exact ? 'exact' : 'WRONG'}, ${row.killed} killed, ${row.undisturbedMs} ms undisturbed, ${row.disturbedMs} ms disturbed (${row.ratio} x), ${row.reassigned} tasks reassigned`,
  )
}

const exact = rows.filter((row) => row.exact).length
const ratios = rows.filter((row) => row.failure === undefined).map((row) => row.ratio)
ratios.sort((a, b) => a - b)
const summary = { exact, runs: rows.length, medianRatio: quantile(ratios, 0.5), worstRatio: ratios.at(-1) ?? null }
if (json)
  console.log(JSON.stringify({ v: 1, type: 'bench', job: only ?? 'pi', space, nodes, kill, seed, ...summary, rows }))
else
  console.log(
    `${exact} of ${rows.length} exact, time ${summary.medianRatio} x undisturbed (median), ${summary.worstRatio} x (worst)`,
  )
process.exitCode = stop.signal.aborted ? 130 : exact === rows.length ? 0 : 1
