/**
 * `npm run bench -- lookup --nodes 100 --seconds 10 --json`: sequential lookups of random keys from one of many nodes
 * on loopback, ours against hyperdht's `findPeer` and @libp2p/kad-dht's `getClosestPeers`, one after the other, each in
 * a process of its own. They find the 20 closest nodes, we find the one owner and have it confirm: less work for the
 * question that Chorale asks, so the figures compare what an application waits for, not the same algorithm.
 */
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Measured } from './measure.ts'
import { readOptions } from './options.ts'

const { numbers, json, only } = readOptions({
  nodes: { default: 100, min: 2, max: 1000 },
  seconds: { default: 10, min: 1, max: 600 },
})
const { nodes, seconds } = numbers

function child<T>(name: string): T | undefined {
  if (only !== undefined && only !== name) return undefined
  console.error(`${name}: ${nodes} nodes ...`)
  const file = fileURLToPath(new URL(`lookup/${name}.ts`, import.meta.url))
  const timeout = (300 + 4 * seconds) * 1000
  const out = execFileSync(process.execPath, [file, String(nodes), String(seconds)], {
    stdio: ['ignore', 'pipe', 'inherit'],
    encoding: 'utf8',
    timeout,
    killSignal: 'SIGKILL',
  })
  return JSON.parse(out) as T
}

const baseline = (name: string) => {
  const measured = child<Measured>(name)
  return measured && { lookupsPerSecond: measured.perSecond, p50Ms: measured.p50Ms }
}

/** What `lookup/chorale.ts` prints: p50 and p95 are those of cold lookups, hops too. */
interface ChoraleLookups {
  readonly coldPerSecond: number
  readonly cachedPerSecond: number
  readonly p50Ms: number
  readonly p95Ms: number
  readonly cachedP50Ms: number
  readonly meanHops: number
  /** Answers that were not the true owner. */
  readonly wrong: number
  /** Lookups without an answer by their deadline of five seconds; they count in the times. */
  readonly failed: number
}

const chorale = child<ChoraleLookups>('chorale')
const hyperdht = baseline('hyperdht')
const kadDht = baseline('kad-dht')
const note = 'hyperdht and kad-dht find the 20 closest nodes, Chorale finds the one owner'

if (json) console.log(JSON.stringify({ v: 1, type: 'bench', nodes, seconds, chorale, hyperdht, kadDht, note }))
else {
  const row = (name: string, perSecond: number, p50Ms: number) =>
    console.log(`${name.padEnd(22)} ${perSecond.toFixed(1).padStart(9)} lookups/s   p50 ${p50Ms.toFixed(2)} ms`)
  if (chorale) {
    row('chorale, fingers only', chorale.coldPerSecond, chorale.p50Ms)
    row('chorale, with its cache', chorale.cachedPerSecond, chorale.cachedP50Ms)
  }
  if (hyperdht) row('hyperdht findPeer', hyperdht.lookupsPerSecond, hyperdht.p50Ms)
  if (kadDht) row('kad-dht getClosestPeers', kadDht.lookupsPerSecond, kadDht.p50Ms)
  console.log(note)
}
