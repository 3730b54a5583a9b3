/**
 * `npm run bench -- smallput --nodes 4 --seconds 10 --json`: blocks of 1 KiB, 64 in flight, put by one node and then got
 * by another, against hyperdht's `immutablePut` and `immutableGet` in the same run, on networks of the same size on
 * loopback: its own test network, whose nodes are in one process (`hyperdht`), and the same nodes with a process each as
 * ours have (`hyperdhtApart`). Ours are on the disks of a majority of 3 replicas before they count; hyperdht keeps values
 * in memory, on all nodes of so small a network. With 4 nodes our reader holds about three quarters of the blocks itself
 * (`remoteShare` is the rest), hyperdht's asks others for every value.
 */
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { round } from './measure.ts'
import { readOptions } from './options.ts'

const { numbers, json } = readOptions({
  nodes: { default: 4, min: 2, max: 32 },
  seconds: { default: 10, min: 1, max: 600 },
})
const { nodes, seconds } = numbers

interface Rates {
  readonly putsPerSecond: number
  readonly getsPerSecond: number
  readonly remoteShare?: number
}

function child(name: string, ...more: readonly string[]): Rates {
  console.error(`${[name, ...more].join(' ')}: ${nodes} nodes ...`)
  const file = fileURLToPath(new URL(`smallput/${name}.ts`, import.meta.url))
  const out = execFileSync(process.execPath, [file, String(nodes), String(seconds), ...more], {
    stdio: ['ignore', 'pipe', 'inherit'],
    encoding: 'utf8',
    timeout: (120 + 4 * seconds) * 1000,
    killSignal: 'SIGKILL',
  })
  return JSON.parse(out) as Rates
}

const chorale = child('chorale')
const hyperdht = child('hyperdht')
const hyperdhtApart = child('hyperdht', 'apart')
const ratioTo = ({ putsPerSecond, getsPerSecond }: Rates) => ({
  puts: round(chorale.putsPerSecond / putsPerSecond),
  gets: round(chorale.getsPerSecond / getsPerSecond),
})
const ratio = ratioTo(hyperdht)
const ratioApart = ratioTo(hyperdhtApart)
if (json) {
  const result = { chorale, hyperdht, hyperdhtApart, ratio, ratioApart, nodes, seconds }
  console.log(JSON.stringify({ v: 1, type: 'bench', ...result }))
} else {
  const row = (name: string, { putsPerSecond, getsPerSecond }: Rates) =>
    console.log(`${name.padEnd(33)} ${putsPerSecond} puts/s   ${getsPerSecond} gets/s`)
  row('chorale, a process per node', chorale)
  row('hyperdht, its own test network', hyperdht)
  row('hyperdht, a process per node', hyperdhtApart)
  console.log(`ratio ${ratio.puts} and ${ratio.gets}; a process each ${ratioApart.puts} and ${ratioApart.gets}`)
}
