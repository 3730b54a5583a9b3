/**
 * Chorale's own part of `bench/lookup.ts`: hosts in one process over real TCP on loopback, r = 4, with their usual
 * maintenance going on, sequential lookups of random keys from one host. Cold: by fingers and successors only. Every
 * answer is compared with the true owner. Run by `bench/lookup.ts` in a process of its own.
 */
import { randomBytes } from 'node:crypto'
import { silentLogger } from '../../src/core/env.ts'
import { errorMessage } from '../../src/core/errors.ts'
import { hashKey, type Key } from '../../src/core/ids.ts'
import { systemEnv } from '../../src/core/system.ts'
import { ChordHost } from '../../src/dht/chord/host.ts'
import { generateHostKey } from '../../src/net/host-key.ts'
import { createLibp2pTransport } from '../../src/net/libp2p.ts'
import { networkId } from '../../src/net/network-id.ts'
import { measure } from '../measure.ts'

const SETTINGS = { successors: 4, replicas: 3 }
const RING_PATIENCE_MS = 120_000
/** One finger is refreshed per period of a second, and a ring of 100 has about seven that differ. */
const FINGERS_MS = 15_000

const network = networkId({ name: 'bench', placement: 'ip-port', ...SETTINGS })
const env = systemEnv(silentLogger)

async function startHost(bootstrap: string | undefined): Promise<ChordHost> {
  const key = await generateHostKey()
  const listen = { ip: '127.0.0.1', port: 0 }
  const transport = await createLibp2pTransport({ env, key, listen, network, incarnation: 1 })
  const seeds = bootstrap === undefined ? [] : [await transport.resolve(bootstrap)]
  await transport.confirmAddress(seeds)
  const host = new ChordHost({ env, transport, settings: SETTINGS })
  await host.join(seeds)
  return host
}

const idOf = (host: ChordHost): Key => host.self?.id as Key
const [nodes, seconds] = process.argv.slice(2).map(Number) as [number, number]

const founder = await startHost(undefined)
const hosts = [founder]
while (hosts.length < nodes) hosts.push(await startHost(`127.0.0.1:${founder.self?.port}`))

const ids = hosts.map(idOf).sort()
const ownerOf = (key: Key): Key | undefined => ids.find((id) => id >= key) ?? ids[0]
const isRound = () =>
  hosts.every(({ nodes: [node] }) => {
    const next = ids[(ids.indexOf(node?.self.id as Key) + 1) % ids.length]
    return node?.member.state.succ[0]?.id === next
  })
for (let waitedMs = 0; !isRound(); waitedMs += 100) {
  if (waitedMs > RING_PATIENCE_MS) throw new Error('the ring did not close')
  await env.clock.sleep(100)
}
await env.clock.sleep(FINGERS_MS)

const asker = hosts.at(-1) as ChordHost
let wrong = 0
let failed = 0
let asked = 0
let hops = 0
const lookup = (noCache: boolean) => async () => {
  const key = hashKey(randomBytes(32))
  asked++
  try {
    const route = await asker.lookup(key, { noCache })
    hops += route.hops
    if (route.owner.id !== ownerOf(key)) wrong++
  } catch (error) {
    failed++
    console.error(`lookup ${asked} failed: ${errorMessage(error)}`)
  }
}
const cold = await measure(seconds, lookup(true))
const meanHops = Math.round((hops / asked) * 100) / 100
const cached = await measure(seconds, lookup(false))
console.log(
  JSON.stringify({
    coldPerSecond: cold.perSecond,
    cachedPerSecond: cached.perSecond,
    p50Ms: cold.p50Ms,
    p95Ms: cold.p95Ms,
    cachedP50Ms: cached.p50Ms,
    meanHops,
    wrong,
    failed,
  }),
)
process.exit(0)
