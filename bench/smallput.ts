/**
 * `npm run bench -- smallput --nodes 4 --seconds 10 --json`: blocks of 1 KiB, 64 in flight, put by one node and then got
 * by another, against hyperdht's `immutablePut` and `immutableGet` in the same run, on loopback: in the test network that
 * hyperdht makes by default, of 10 nodes in one process (`hyperdht`), and in networks of as many nodes as ours, in one
 * process (`hyperdhtSameSize`) and with a process each (`hyperdhtApart`). Ours are on the disks of a majority of 3
 * replicas before they count; hyperdht keeps values in memory, at up to 20 nodes: at all of a network so small. With 4
 * nodes our reader holds about three quarters of the blocks itself, more or less as the ids fall (`remoteShare` is the
 * rest); hyperdht's asks others for every value.
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

/** What `createTestnet()` makes. */
const TESTNET_NODES = 10

function child(name: string, nodes: number, ...more: readonly string[]): Rates {
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

const chorale = child('chorale', nodes)
const hyperdht = child('hyperdht', TESTNET_NODES)
const hyperdhtSameSize = child('hyperdht', nodes)
const hyperdhtApart = child('hyperdht', nodes, 'apart')
const ratioTo = ({ putsPerSecond, getsPerSecond }: Rates) => ({
  puts: round(chorale.putsPerSecond / putsPerSecond),
  gets: round(chorale.getsPerSecond / getsPerSecond),
})
const ratio = ratioTo(hyperdht)
const ratioSameSize = ratioTo(hyperdhtSameSize)
const ratioApart = ratioTo(hyperdhtApart)
if (json) {
  const rates = { chorale, hyperdht, hyperdhtSameSize, hyperdhtApart }
  console.log(JSON.stringify({ v: 1, type: 'bench', ...rates, ratio, ratioSameSize, ratioApart, nodes, seconds }))
} else {
  const row = (name: string, { putsPerSecond, getsPerSecond }: Rates, ratio = { puts: 1, gets: 1 }) =>
    console.log(
      `${name.padEnd(42)} ${putsPerSecond} puts/s (ours ${ratio.puts} x)   ${getsPerSecond} gets/s (ours ${ratio.gets} x)`,
    )
  row(`chorale, ${nodes} nodes, a process each`, chorale)
  row(`hyperdht, its test network of ${TESTNET_NODES} nodes`, hyperdht, ratio)
  row(`hyperdht, ${nodes} nodes in one process`, hyperdhtSameSize, ratioSameSize)
  row(`hyperdht, ${nodes} nodes, a process each`, hyperdhtApart, ratioApart)
}
