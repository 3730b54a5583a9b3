/** Every node of an overlay is killed while files are added: what was acknowledged is there when they are back. */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { compareWithNoise, noiseStream } from '../../bench/store/noise.ts'
import { connectHost, type RemoteHost } from '../../src/api/client.ts'
import type { Random } from '../../src/core/env.ts'
import { seededRandom } from '../../src/core/random.ts'
import { seeds } from '../nightly.ts'
import { Bench, type Running } from './processes.ts'

const rounds = seeds(1)
const NODES = rounds.length > 1 ? 8 : 3
/**
 * A node dies a little after some number of files up to this was acknowledged, by whomever: so that a slow machine sees
 * the same; or after so long, because the last nodes of a dying overlay may have nobody left to acknowledge with.
 */
const MOST_FILES = 30
const LITTLE_MS = 100
const PATIENCE_MS = 4000
const ADDERS_PER_NODE = 2
/** Of one block, of several, and of a root block. */
const SIZES = [1, 1000, 100_000, 700_000]

interface Node {
  readonly running: Running
  readonly host: RemoteHost
  readonly address: string
}

/** An acknowledged file: its bytes follow from its name. */
interface Kept {
  readonly name: string
  readonly bytes: number
  readonly cid: string
}

async function up(bench: Bench, index: number, first: string | undefined): Promise<Node> {
  const entry = first === undefined ? [] : ['--bootstrap', first]
  const home = join(bench.root, `node${index}`)
  const running = bench.start('up', '--json', '--home', home, '--network', 'kills', '--lend', '0', ...entry)
  const { address, socket } = await running.line('ready')
  return { running, host: connectHost(socket as string), address: address as string }
}

async function addUntilKilled(node: Node, name: string, kept: Kept[]): Promise<void> {
  let dead = false
  void node.running.ended.then(() => {
    dead = true
  })
  for (let i = 0; !dead; i++) {
    const file = `${name} ${i}`
    const bytes = SIZES[i % SIZES.length]!
    // What fails was not acknowledged: the node has died, or too many of the others.
    await node.host.store.addFile(noiseStream(file, bytes)).then(
      ({ cid }) => kept.push({ name: file, bytes, cid }),
      () => sleep(10),
    )
  }
}

async function moment(random: Random, kept: readonly Kept[]): Promise<void> {
  const files = 1 + random.int(MOST_FILES)
  for (let waitedMs = 0; kept.length < files && waitedMs < PATIENCE_MS; ) {
    await sleep(5)
    if (kept.length > 0) waitedMs += 5
  }
  await sleep(random.next() * LITTLE_MS)
}

test(`kill -9 of all of ${NODES} nodes while files are added, ${rounds.length} times`, async () => {
  await using bench = new Bench()
  const founder = await up(bench, 0, undefined)
  const others = Array.from({ length: NODES - 1 }, (_, i) => up(bench, i + 1, founder.address))
  let nodes = [founder, ...(await Promise.all(others))]
  const all: Kept[] = []
  for (const round of rounds) {
    const random = seededRandom(`kill everybody ${round}`)
    const kept: Kept[] = []
    const work = nodes.map(async (node, index) => {
      const adders = Array.from({ length: ADDERS_PER_NODE }, (_, adder) =>
        addUntilKilled(node, `${round} ${index} ${adder}`, kept),
      )
      await moment(random, kept)
      node.running.child.kill('SIGKILL')
      await Promise.all([node.running.ended, ...adders])
    })
    await Promise.all(work)
    expect(kept.length).toBeGreaterThan(0)
    all.push(...kept)
    // As they were started at first, and nothing else is done to them.
    nodes = await Promise.all(nodes.map((_, index) => up(bench, index, index === 0 ? undefined : founder.address)))
    for (const [index, { name, bytes, cid }] of (round === rounds.length ? all : kept).entries()) {
      const { host } = nodes[index % NODES]!
      const read = compareWithNoise(name, host.store.cat(cid))
      expect(await read.catch((error) => `${name}, ${cid}: ${error}`)).toBe(bytes)
    }
  }
})
