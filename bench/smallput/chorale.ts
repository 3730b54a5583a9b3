/**
 * Chorale's own part of `bench/smallput.ts`: hosts with disk stores, a process each, 3 replicas. One puts blocks through
 * the library, and another, which has put nothing, gets them. Everything is on the disk before it counts.
 *
 *   chorale.ts NODES SECONDS       this process is the one that puts
 *   chorale.ts member HOME ADDR    another; it gets as many blocks as it is told, and prints how fast
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { cidOf } from '../../src/dht/cid.ts'
import { type Host, startHost } from '../../src/node.ts'
import { round } from '../measure.ts'
import { blockOf, type Child, inFlight, parentLines, type Rate, startChild } from './in-flight.ts'

interface Gets extends Rate {
  /** Share of the blocks that the reader did not hold itself. */
  readonly remoteShare: number
}

interface Told {
  readonly blocks: number
  readonly seconds: number
}

const file = fileURLToPath(import.meta.url)
const [role, ...rest] = process.argv.slice(2) as [string, ...string[]]
if (role === 'member') await beMember(rest[0] as string, rest[1])
else await measurePuts(Number(role), Number(rest[0]))
process.exit(0)

function start(home: string, bootstrap: string | undefined): Promise<Host> {
  const seeds = bootstrap === undefined ? [] : [bootstrap]
  return startHost({ home, listen: { ip: '127.0.0.1', port: 0 }, bootstrap: seeds, network: 'bench', lendCores: 0 })
}

function addressOf(host: Host): string {
  const { address } = host.status()
  if (!address) throw new Error('a host on loopback has an address')
  return `${address.ip}:${address.port}`
}

async function beMember(home: string, bootstrap: string | undefined): Promise<void> {
  const host = await start(home, bootstrap)
  console.log(JSON.stringify(addressOf(host)))
  for await (const { blocks, seconds } of parentLines<Told>()) {
    const cids = Array.from({ length: blocks }, (_, index) => cidOf('raw', blockOf(index)))
    const rate = await inFlight(seconds, async (index) => void (await host.blocks.get(cids[index]!)), blocks)
    const remote = host.storeStat().counters.remote ?? 0
    console.log(JSON.stringify({ ...rate, remoteShare: round(remote / rate.count) } satisfies Gets))
  }
}

async function measurePuts(nodes: number, seconds: number): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), 'chorale-bench-'))
  const members: Child<unknown>[] = []
  try {
    const writer = await start(join(root, 'node0'), undefined)
    for (let i = 1; i < nodes; i++) {
      const member = startChild<unknown>(file, 'member', join(root, `node${i}`), addressOf(writer))
      members.push(member)
      await member.next()
    }
    while (writer.status().ring.nodes[0]?.sizeEstimate !== nodes && nodes <= 5) await sleep(50)
    const put = async (index: number) => {
      const bytes = blockOf(index)
      await writer.blocks.put(cidOf('raw', bytes), bytes)
    }
    const puts = await inFlight(seconds, put, Number.POSITIVE_INFINITY)
    const reader = members.at(-1)!
    reader.tell({ blocks: puts.count, seconds } satisfies Told)
    const gets = (await reader.next()) as Gets
    const { remoteShare } = gets
    console.log(JSON.stringify({ putsPerSecond: puts.perSecond, getsPerSecond: gets.perSecond, remoteShare }))
  } finally {
    await Promise.all(members.map((member) => member.end()))
    rmSync(root, { recursive: true, force: true })
  }
}
