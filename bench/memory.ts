/**
 * `npm run bench -- memory --nodes 32 --json`: resident memory of idle nodes of an overlay of real processes, as the
 * system counts it (RSS, in 10^6 bytes; pages of the executable that all of them share count for each), and what it is
 * made of: each part is the whole process when it has come so far. The first nodes of the overlay find no compiled code
 * and keep their sources and the compiler; those are the highest. The parts are measured with compiled code, as a node
 * has it from its second start on.
 */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { connectHost } from '../src/api/client.ts'
import { Cluster } from '../src/cli/cluster.ts'
import { ChoraleError, errorMessage } from '../src/core/errors.ts'
import { findSocket } from '../src/home.ts'
import type { HostStatus } from '../src/node.ts'
import { quantile, round } from './measure.ts'
import { readOptions } from './options.ts'
import { stopOnSignal } from './stop.ts'

/** So long no neighbour of any node changes, and V8 has given back what starting took. */
const QUIET_MS = 20_000
const POLL_MS = 4_000
const QUIET_PATIENCE_MS = 300_000

const { numbers, json } = readOptions({ nodes: { default: 32, min: 1, max: 64 } })
const { nodes } = numbers

const stop = stopOnSignal()
const { signal } = stop

/** Megabytes of a Node that runs these lines and then does nothing. */
async function memoryOf(code: string): Promise<number> {
  const report = `setTimeout(() => console.log(process.memoryUsage.rss()), ${QUIET_MS})`
  // The flag is what `up` sets for itself.
  const args = ['--semi-space-growth-factor=1', '--input-type=module', '--eval', `${code};${report}`]
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    signal,
  })
  const ended = new Promise<void>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (exitCode) => (exitCode === 0 ? resolve() : reject(new Error(`node exited with ${exitCode}`))))
  })
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (more: string) => {
    text += more
  })
  await ended
  return Number(text) / 1e6
}

/** All that `chorale up` loads. */
function loadAll(): string {
  const modules = ['cli/program.ts', 'node.ts', 'api/server.ts']
  const urls = modules.map((path) => JSON.stringify(new URL(`../src/${path}`, import.meta.url)))
  return urls.map((url) => `await import(${url})`).join(';')
}

/** Megabytes of each node of a new overlay that has come to rest. */
async function memoryOfOverlay(size: number, quietMs: number): Promise<number[]> {
  const onLoss = (index: number, how: number | string) => console.error(`node ${index} ended by itself (${how})`)
  await using cluster = new Cluster({ nodes: size, signal, onLoss })
  await cluster.start()
  const hosts = cluster.nodes.map(({ home }) => connectHost(findSocket(home)))
  const look = () => Promise.all(hosts.map((host) => host.status({ signal })))
  let shape = ''
  let quietForMs = 0
  for (let waitedMs = 0; waitedMs <= QUIET_PATIENCE_MS; waitedMs += POLL_MS) {
    const views = await look()
    const now = JSON.stringify(views.map(neighboursOf))
    quietForMs = now === shape ? quietForMs + POLL_MS : 0
    shape = now
    if (quietForMs >= quietMs) return views.map(({ memoryBytes }) => memoryBytes.rss / 1e6)
    await sleep(POLL_MS, undefined, { signal })
  }
  throw new ChoraleError('timeout', `the ring did not come to rest within ${QUIET_PATIENCE_MS / 1000} s`)
}

function neighboursOf({ ring }: HostStatus): unknown {
  const lists =
    ring.overlay === 'chord'
      ? ring.nodes.map(({ predecessor, successors }) => [predecessor, ...successors])
      : ring.nodes.map(({ short }) => short)
  return lists.map((list) => list.map((peer) => peer?.id))
}

const cache = mkdtempSync(join(tmpdir(), 'chorale-bench-'))
try {
  process.env.NODE_COMPILE_CACHE = cache
  console.error('the parts ...')
  await memoryOfOverlay(1, 0) // fills the cache
  const bareNodeMB = round(await memoryOf(''))
  const modulesMB = round(await memoryOf(loadAll()))
  const [alone = Number.NaN] = await memoryOfOverlay(1, QUIET_MS)
  const hostAloneMB = round(alone)
  console.error(`starting ${nodes} nodes ...`)
  const rss = (await memoryOfOverlay(nodes, QUIET_MS)).sort((a, b) => a - b)
  const rssMedianMB = round(quantile(rss, 0.5))
  const rssMaxMB = round(Math.max(...rss))
  const parts = { bareNodeMB, modulesMB, hostAloneMB, overlayMB: rssMedianMB }
  if (json) console.log(JSON.stringify({ v: 1, type: 'bench', nodes, rssMedianMB, rssMaxMB, parts }))
  else {
    console.log(`${rssMedianMB} MB a node (median), ${rssMaxMB} MB at most, ${nodes} idle nodes`)
    console.log(
      `bare Node ${bareNodeMB} MB, with our code ${modulesMB} MB, a host alone ${hostAloneMB} MB, in the overlay ${rssMedianMB} MB`,
    )
  }
} catch (error) {
  console.error(`bench: ${errorMessage(error)}`)
  process.exitCode = signal.aborted ? 130 : 1
} finally {
  rmSync(cache, { recursive: true, force: true })
}
