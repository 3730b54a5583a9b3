/**
 * What one request over libp2p costs: `node bench/rpc.ts [--hosts 100] [--requests 20000] [--json]`. All hosts live in
 * this process, so a request pays for both of its ends on one thread.
 *
 * - sequential: one request after another over one connection of a host that has `hosts` of them, each time a random one
 * - pipelined: 64 requests in flight over one connection
 *
 * `cpuMs` is what a request costs this process, whatever else the machine does.
 */
import { parseArgs } from 'node:util'
import { Type } from 'typebox'
import { silentLogger } from '../src/core/env.ts'
import { systemEnv } from '../src/core/system.ts'
import { type Contact, contactAt } from '../src/net/contact.ts'
import { generateHostKey } from '../src/net/host-key.ts'
import { createLibp2pTransport, type Libp2pTransport } from '../src/net/libp2p.ts'
import { ContactSchema, defineMessage, KeySchema, record } from '../src/net/message.ts'

const { values } = parseArgs({
  options: {
    hosts: { type: 'string', default: '100' },
    requests: { type: 'string', default: '20000' },
    json: { type: 'boolean', default: false },
  },
})
const hostCount = Number(values.hosts)
const requestCount = Number(values.requests)

/** Like a lookup step: a key and where it came from, a few contacts back. */
const Step = defineMessage('bench.step', {
  request: record({ key: KeySchema, from: ContactSchema, ttl: Type.Integer({ minimum: 0, maximum: 128 }) }),
  reply: record({ done: Type.Boolean(), next: Type.Array(ContactSchema, { maxItems: 4 }) }),
})

async function startHost(): Promise<{ host: Libp2pTransport; self: Contact }> {
  const host = await createLibp2pTransport({
    env: systemEnv(silentLogger),
    key: await generateHostKey(),
    listen: { ip: '127.0.0.1', port: 0 },
    network: 'bench',
    incarnation: 1,
  })
  const address = await host.confirmAddress([])
  if (!address) throw new Error('a founder has an address')
  host.handle(Step, (message) => ({ done: true, next: [message.from] }))
  return { host, self: contactAt(address, 0) }
}

interface Cost {
  readonly perSecond: number
  readonly msPerRequest: number
  readonly cpuMs: number
}

async function measure(count: number, run: () => Promise<void>): Promise<Cost> {
  const startMs = performance.now()
  const startCpu = process.cpuUsage()
  await run()
  const ms = performance.now() - startMs
  const { user, system } = process.cpuUsage(startCpu)
  const round = (value: number) => Number(value.toFixed(4))
  return {
    perSecond: Math.round((count / ms) * 1000),
    msPerRequest: round(ms / count),
    cpuMs: round((user + system) / 1000 / count),
  }
}

async function sequential(contacts: readonly Contact[], count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const to = contacts[(i * 7919) % contacts.length] as Contact
    await asker.request(to, Step, { key: to.id, from: self, ttl: 9 })
  }
}

async function pipelined(to: Contact, count: number, width: number): Promise<void> {
  let left = count
  const worker = async () => {
    while (left-- > 0) await asker.request(to, Step, { key: to.id, from: self, ttl: 9 })
  }
  await Promise.all(Array.from({ length: width }, worker))
}

const baseRss = process.memoryUsage.rss()
const { host: asker, self } = await startHost()
const oneHostRss = process.memoryUsage.rss()
const others = []
for (let i = 0; i < hostCount; i++) others.push(await startHost())
const contacts = others.map((other) => other.self)
const one = contacts.slice(0, 1)

const connect = await measure(hostCount, () => sequential(contacts, hostCount))
await sequential(contacts, Math.min(requestCount, 5000)) // warm up the compiler
const result = {
  v: 1,
  type: 'result',
  hosts: hostCount,
  requests: requestCount,
  connect,
  sequential: await measure(requestCount, () => sequential(one, requestCount)),
  sequentialOverMany: await measure(requestCount, () => sequential(contacts, requestCount)),
  pipelined: await measure(requestCount, () => pipelined(one[0] as Contact, requestCount, 64)),
  rssMiB: {
    modules: Math.round(baseRss / 2 ** 20),
    oneHost: Math.round(oneHostRss / 2 ** 20),
    all: Math.round(process.memoryUsage.rss() / 2 ** 20),
  },
}
if (values.json) {
  console.log(JSON.stringify(result))
} else {
  console.log(`${hostCount} hosts, ${requestCount} requests; connect: a new connection and its dial-back, both ends`)
  for (const name of ['connect', 'sequential', 'sequentialOverMany', 'pipelined'] as const) {
    const { perSecond, msPerRequest, cpuMs } = result[name]
    console.log(`${name.padEnd(20)}${perSecond} a second, ${msPerRequest} ms each, ${cpuMs} ms of CPU`)
  }
  console.log(`memory: ${JSON.stringify(result.rssMiB)} MiB`)
}
await Promise.all([asker, ...others.map((other) => other.host)].map((host) => host.stop()))
