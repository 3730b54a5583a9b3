/**
 * The baseline of @libp2p/kad-dht (TCP, Kademlia, k = 20) for `bench/lookup.ts`: hosts in one process over TCP on
 * loopback with the same transport parts as ours, sequential `getClosestPeers` of random keys from one host. Run by it
 * in a process of its own.
 */
import { randomBytes } from 'node:crypto'
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { identify } from '@libp2p/identify'
import { kadDHT, passthroughMapper } from '@libp2p/kad-dht'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { createLibp2p } from 'libp2p'
import { measure } from '../measure.ts'

/** Earlier hosts that a new one connects to. Queries find the rest and dial them. */
const SEEDS = 8
const SETTLE_MS = 5000

function start() {
  return createLibp2p({
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    // All hosts share one IP; by default it might open five connections per second.
    connectionManager: { inboundConnectionThreshold: 10_000, maxIncomingPendingConnections: 1000 },
    services: {
      identify: identify(),
      ping: ping(),
      dht: kadDHT({ protocol: '/bench/kad/1.0.0', clientMode: false, peerInfoMapper: passthroughMapper }),
    },
  })
}

const [nodes, seconds] = process.argv.slice(2).map(Number) as [number, number]
const hosts: Awaited<ReturnType<typeof start>>[] = []
for (let i = 0; i < nodes; i++) {
  const host = await start()
  const step = Math.max(1, Math.floor(hosts.length / SEEDS))
  for (let seed = 0; seed < hosts.length; seed += step) await host.dial(hosts[seed]?.getMultiaddrs() ?? [])
  hosts.push(host)
}
await new Promise((resolve) => setTimeout(resolve, SETTLE_MS))
const asker = hosts.at(-1) as (typeof hosts)[number]
await asker.services.dht.refreshRoutingTable()
let found = 0
const measured = await measure(seconds, async () => {
  for await (const event of asker.services.dht.getClosestPeers(randomBytes(32)))
    if (event.name === 'FINAL_PEER') found++
})
console.log(JSON.stringify({ ...measured, meanFound: found / measured.count }))
process.exit(0)
