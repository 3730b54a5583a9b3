/**
 * hyperdht's part of `bench/smallput.ts`: nodes as its own test network makes them, but a process each, as ours are. One
 * puts with `immutablePut`, which keeps values in memory and syncs nothing; another gets with `immutableGet`.
 *
 *   hyperdht.ts NODES SECONDS      this process is the one that puts
 *   hyperdht.ts member PORT        another; it gets the values whose hashes it is told, and prints how fast
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

const DHT = createRequire(import.meta.url)('hyperdht') as Constructor
const HOST = '127.0.0.1'

interface Told {
  /** In hexadecimal. */
  readonly hashes: readonly string[]
  readonly seconds: number
}

const file = fileURLToPath(import.meta.url)
const [role, argument] = process.argv.slice(2) as [string, string]
if (role === 'member') await beMember(Number(argument))
else await measurePuts(Number(role), Number(argument))
process.exit(0)

async function start(bootstrapPort: number | undefined): Promise<HyperDHT> {
  const bootstrap = bootstrapPort === undefined ? [] : [{ host: HOST, port: bootstrapPort }]
  const node = new DHT({ ephemeral: false, firewalled: false, bootstrap, host: HOST })
  await node.fullyBootstrapped()
  return node
}

async function beMember(bootstrapPort: number): Promise<void> {
  const node = await start(bootstrapPort)
  console.log(JSON.stringify(node.address().port))
  for await (const { hashes, seconds } of parentLines<Told>()) {
    const targets = hashes.map((hash) => Buffer.from(hash, 'hex'))
    const get = async (index: number) => {
      if (!(await node.immutableGet(targets[index]!))) throw new Error(`hyperdht has lost value ${index}`)
    }
    console.log(JSON.stringify(await inFlight(seconds, get, targets.length)))
  }
}

async function measurePuts(nodes: number, seconds: number): Promise<void> {
  const writer = await start(undefined)
  const members: Child<unknown>[] = []
  for (let i = 1; i < nodes; i++) {
    const member = startChild<unknown>(file, 'member', `${writer.address().port}`)
    members.push(member)
    await member.next()
  }
  const hashes: string[] = []
  const put = async (index: number) => {
    const { hash } = await writer.immutablePut(blockOf(index))
    hashes.push(Buffer.from(hash).toString('hex'))
  }
  const puts = await inFlight(seconds, put, Number.POSITIVE_INFINITY)
  const reader = members.at(-1)!
  reader.tell({ hashes, seconds } satisfies Told)
  const gets = (await reader.next()) as Rate
  console.log(JSON.stringify({ putsPerSecond: puts.perSecond, getsPerSecond: gets.perSecond }))
  await Promise.all(members.map((member) => member.end()))
}
