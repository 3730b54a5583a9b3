/**
 * The baseline of hyperdht (UDP, Kademlia, k = 20) for `bench/lookup.ts`: its own test network in one process on
 * loopback, sequential `findPeer` of random keys from the last node. Run by it in a process of its own.
 */
import { randomBytes } from 'node:crypto'
import { createRequire } from 'node:module'
import { measure } from '../measure.ts'

/** What we use of hyperdht, which comes without types. */
interface Query {
  finished(): Promise<void>
  readonly closestNodes: readonly unknown[]
}
interface HyperDHT {
  findPeer(publicKey: Uint8Array): Query
}
type CreateTestnet = (size: number) => Promise<{ nodes: HyperDHT[]; destroy(): Promise<void> }>

const createTestnet = createRequire(import.meta.url)('hyperdht/testnet') as CreateTestnet

const [nodes, seconds] = process.argv.slice(2).map(Number) as [number, number]
const network = await createTestnet(nodes)
const asker = network.nodes.at(-1) as HyperDHT
let found = 0
const measured = await measure(seconds, async () => {
  const query = asker.findPeer(randomBytes(32))
  await query.finished()
  found += query.closestNodes.length
})
console.log(JSON.stringify({ ...measured, meanFound: found / measured.count }))
// Taking the network down politely takes longer than the measurement; the process is all there is of it.
process.exit(0)
