/**
 * hyperdht's part of `bench/smallput.ts`. One node puts with `immutablePut`, which keeps values in memory and syncs
 * nothing; another gets with `immutableGet`.
 *
 *   hyperdht.ts NODES SECONDS            its own test network, in one process
 *   hyperdht.ts NODES SECONDS apart      the same nodes, but a process each, as ours are; this one puts
 *   hyperdht.ts member PORT              another; it gets the values whose hashes it is told, and prints how fast
 */
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { blockOf, type Child, inFlight, parentLines, type Rate, startChild } from './in-flight.ts'

/** What we use of hyperdht, which comes without types. */
interface HyperDHT {
  fullyBootstrapped(): Promise<void>
  address(): { readonly port: number }
  immutablePut(value: Uint8Array): Promise<{ readonly hash: Uint8Array }>
  immutableGet(hash: Uint8Array): Promise<{ readonly value: Uint8Array } | null>
}
type Constructor = new (options: object) => HyperDHT
type CreateTestnet = (size: number) => Promise<{ nodes: HyperDHT[] }>

const require = createRequire(import.meta.url)
const DHT = require('hyperdht') as Constructor
const createTestnet = require('hyperdht/testnet') as CreateTestnet
const HOST = '127.0.0.1'

interface Told {
  /** In hexadecimal. */
  readonly hashes: readonly string[]
  readonly seconds: number
}

const file = fileURLToPath(import.meta.url)
const [role, argument, apart] = process.argv.slice(2) as [string, string, string | undefined]
if (role === 'member') await beMember(Number(argument))
else if (apart === 'apart') await measureApart(Number(role), Number(argument))
else await measureTogether(Number(role), Number(argument))
// Taking the network down politely takes longer than the measurement; the process is all there is of it.
process.exit(0)

async function start(bootstrapPort: number | undefined): Promise<HyperDHT> {
  const bootstrap = bootstrapPort === undefined ? [] : [{ host: HOST, port: bootstrapPort }]
  const node = new DHT({ ephemeral: false, firewalled: false, bootstrap, host: HOST })
  await node.fullyBootstrapped()
  return node
}

async function putAll(node: HyperDHT, seconds: number): Promise<{ puts: Rate; hashes: string[] }> {
  const hashes: string[] = []
  const put = async (index: number) => {
    const { hash } = await node.immutablePut(blockOf(index))
    hashes.push(Buffer.from(hash).toString('hex'))
  }
  return { puts: await inFlight(seconds, put, Number.POSITIVE_INFINITY), hashes }
}

function getAll(node: HyperDHT, { hashes, seconds }: Told): Promise<Rate> {
  const targets = hashes.map((hash) => Buffer.from(hash, 'hex'))
  const get = async (index: number) => {
    if (!(await node.immutableGet(targets[index]!))) throw new Error(`hyperdht has lost value ${index}`)
  }
  return inFlight(seconds, get, targets.length)
}

function print(puts: Rate, gets: Rate): void {
  console.log(JSON.stringify({ putsPerSecond: puts.perSecond, getsPerSecond: gets.perSecond }))
}

async function measureTogether(nodes: number, seconds: number): Promise<void> {
  const network = await createTestnet(nodes)
  const { puts, hashes } = await putAll(network.nodes[0]!, seconds)
  print(puts, await getAll(network.nodes.at(-1)!, { hashes, seconds }))
}

async function beMember(bootstrapPort: number): Promise<void> {
  const node = await start(bootstrapPort)
  console.log(JSON.stringify(node.address().port))
  for await (const told of parentLines<Told>()) console.log(JSON.stringify(await getAll(node, told)))
}

async function measureApart(nodes: number, seconds: number): Promise<void> {
  const writer = await start(undefined)
  const members: Child<unknown>[] = []
  for (let i = 1; i < nodes; i++) {
    const member = startChild<unknown>(file, 'member', `${writer.address().port}`)
    members.push(member)
    await member.next()
  }
  const { puts, hashes } = await putAll(writer, seconds)
  const reader = members.at(-1)!
  reader.tell({ hashes, seconds } satisfies Told)
  print(puts, (await reader.next()) as Rate)
  await Promise.all(members.map((member) => member.end()))
}
