/** Half of an overlay's nodes are replaced, one after the other, while a reader streams a file again and again. */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { compareWithNoise, noiseStream } from '../../bench/store/noise.ts'
import { connectHost } from '../../src/api/client.ts'
import { seeds } from '../nightly.ts'
import { Bench, eventually } from './processes.ts'

const night = seeds(1).length > 1
const NODES = night ? 8 : 4
const FILE_BYTES = night ? 64_000_000 : 2_000_000

async function up(bench: Bench, name: string, first: string | undefined) {
  const entry = first === undefined ? [] : ['--bootstrap', first]
  const home = join(bench.root, name)
  const running = bench.start('up', '--json', '--home', home, '--network', 'replace', '--lend', '0', ...entry)
  const { address, socket } = await running.line('ready')
  return { running, store: connectHost(socket as string).store, address: address as string }
}

test(`${NODES / 2} of ${NODES} nodes replaced under a reader, without one error`, async () => {
  await using bench = new Bench()
  const reader = await up(bench, 'node0', undefined)
  const others = Array.from({ length: NODES - 1 }, (_, i) => up(bench, `node${i + 1}`, reader.address))
  const nodes = [reader, ...(await Promise.all(others))]
  // By a node that goes too, so that the reader has not seen the blocks before.
  const { cid } = await nodes.at(-1)!.store.addFile(noiseStream('file', FILE_BYTES))

  let reads = 0
  let going = true
  const reading = (async () => {
    while (going) {
      expect(await compareWithNoise('file', reader.store.cat(cid))).toBe(FILE_BYTES)
      reads++
    }
  })()
  reading.catch(() => {}) // seen below
  const replacing = (async () => {
    for (let i = NODES - NODES / 2; i < NODES; i++) {
      const before = reads
      await eventually('a whole read between two nodes that go', () => reads > before, 60_000)
      const old = nodes[i]!
      old.running.child.kill('SIGTERM')
      expect((await old.running.ended).code).toBe(0)
      nodes[i] = await up(bench, `new${i}`, reader.address)
    }
    const before = reads
    await eventually('a whole read after all', () => reads > before + 1, 60_000)
  })()
  await Promise.race([replacing, reading])
  going = false
  await Promise.all([replacing, reading])

  const { store } = nodes.at(-1)! // it came last, with nothing
  expect(await compareWithNoise('file', store.cat(cid))).toBe(FILE_BYTES)
  expect(reads).toBeGreaterThan(NODES / 2)
})
