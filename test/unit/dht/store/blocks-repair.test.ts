/** Repair of blocks over a fake ring: copies are counted wherever they are, made where they lack, and moved for nothing else. */
import { afterEach, expect, test } from 'vitest'
import { seededRandom, shuffled } from '../../../../src/core/random.ts'
import { BlockKeep, BlockList, BlockProve, BlockReport } from '../../../../src/dht/store/blocks/messages.ts'
import { BLOCK_REPAIR_PERIOD_MS } from '../../../../src/dht/store/blocks/service.ts'
import { BlockNetwork, type BlockNode, blocksOf } from '../../../fakes/blocks.ts'
import { seeds } from '../../../nightly.ts'

let network: BlockNetwork
afterEach(() => network.stopAll())

/** Long enough for a copy too few to be borne no longer. */
const MENDED_MS = 12 * BLOCK_REPAIR_PERIOD_MS
const total = (name: string) =>
  network.nodes.reduce((sum, { blocks }) => sum + (blocks.stats.counters[name] ?? Number.NaN), 0)
const until = <T>(promise: Promise<T>) => network.ring.until(promise)

async function putAll(blocks: ReturnType<typeof blocksOf>): Promise<void> {
  for (const each of blocks) await network.put(network.nodes[0]!, each)
  await network.ring.run(100)
}

test('a host that dies is replaced after a while, and each copy is made once', async () => {
  network = await BlockNetwork.of({ seed: 1 }, 8)
  const blocks = blocksOf(100)
  await putAll(blocks)
  const victim = network.nodes[3]!
  const lost = victim.store.count
  network.ring.kill(victim.host)
  await network.ring.run(BLOCK_REPAIR_PERIOD_MS)
  expect(total('repairBytes')).toBe(0) // it might come back
  await network.ring.run(MENDED_MS)
  expect(total('repairBytes')).toBe(100 * lost)
  for (const { key } of blocks) expect(network.holders(key).length).toBe(3)
})

test('blocks that have lost most of their copies have a majority again at once, and the rest later', async () => {
  network = await BlockNetwork.of({ seed: 2 }, 8)
  const blocks = blocksOf(50)
  await putAll(blocks)
  const group = network.group(blocks[0]!.key)
  network.ring.kill(group[0]!.host)
  network.ring.kill(group[1]!.host)
  await network.ring.run(10_000)
  for (const { key } of blocks) expect(network.holders(key).length).toBeGreaterThanOrEqual(2)
  expect(network.holders(blocks[0]!.key).length).toBe(2) // those that are gone may come back
  await network.ring.run(BLOCK_REPAIR_PERIOD_MS + MENDED_MS)
  for (const { key } of blocks) expect(network.holders(key).length).toBe(3)
})

test('joiners cost nothing, and copies outside the group count', async () => {
  network = await BlockNetwork.of({ seed: 3 }, 6)
  const blocks = blocksOf(60)
  await putAll(blocks)
  for (let i = 0; i < 6; i++) {
    network.join()
    await network.ring.run(MENDED_MS)
  }
  expect(total('repairBytes')).toBe(0)
  const astray = blocks.filter(({ key }) => network.group(key).some((node) => !node.store.meta(key)))
  expect(astray.length).toBeGreaterThan(20)
  // Once more copies die, the owners count those outside too, and make only what is missing.
  const victim = network.nodes[0]!
  const lost = victim.store.count
  network.ring.kill(victim.host)
  await network.ring.run(MENDED_MS)
  expect(total('repairBytes')).toBe(100 * lost)
  for (const { key } of blocks) expect(network.holders(key).length).toBe(3)
})

test('a host that comes back with its blocks counts again', async () => {
  network = await BlockNetwork.of({ seed: 4 }, 8)
  const blocks = blocksOf(100)
  await putAll(blocks)
  const guest = network.nodes[3]!
  for (let round = 0; round < 4; round++) {
    network.ring.leave(guest.host)
    await network.ring.run(2 * MENDED_MS)
    network.ring.join(guest.host)
    await network.ring.run(2 * MENDED_MS)
  }
  // The first absence may have cost copies; they stayed, so the others cost nothing.
  expect(total('repairBytes')).toBeLessThanOrEqual(100 * guest.store.count)
})

test('a quiet network sends a few small reports, however much is held', async () => {
  network = await BlockNetwork.of({ seed: 5 }, 6)
  await putAll(blocksOf(400))
  await network.ring.run(MENDED_MS)
  const named = network.ring.delivered.get(BlockList.name)
  const before = network.ring.delivered.get(BlockReport.name) ?? 0
  await network.ring.run(16 * BLOCK_REPAIR_PERIOD_MS)
  expect(network.ring.delivered.get(BlockList.name)).toBe(named)
  const perHost = ((network.ring.delivered.get(BlockReport.name) ?? 0) - before) / 6
  expect(perHost).toBeLessThan(16 * 2.5)
})

test('a single difference is found without naming what is equal', async () => {
  network = await BlockNetwork.of({ seed: 6 }, 3)
  const blocks = blocksOf(300)
  await putAll(blocks)
  await network.ring.run(MENDED_MS)
  const before = total('namesSent')
  const [, replica] = network.group(blocks[0]!.key) as [BlockNode, BlockNode]
  replica.store.rot(blocks[0]!.key)
  expect(await network.get(replica, blocks[0]!)).toEqual(blocks[0]!.bytes)
  await network.ring.run(MENDED_MS)
  expect(total('namesSent') - before).toBeLessThan(60)
})

test('who needs room drops only what enough others have', async () => {
  network = await BlockNetwork.of({ seed: 7 }, 4, { publisherQuotaBytes: 1e9 })
  const small = network.join({ capacityBytes: 5000, publisherQuotaBytes: 1e9 })
  await network.ring.run(10)
  const blocks = blocksOf(70)
  await putAll(blocks)
  const before = small.store.count
  expect(before).toBeGreaterThan(30)
  for (let i = 0; i < 8; i++) network.join()
  await network.ring.run(MENDED_MS)
  await putAll(blocksOf(60, 100, 'more'))
  await network.ring.run(2 * MENDED_MS)
  expect(total('released')).toBeGreaterThan(0)
  expect(small.store.bytes).toBeLessThanOrEqual(0.85 * 5000)
  for (const { key } of blocks) expect(network.holders(key).length).toBeGreaterThanOrEqual(3)
})

test('who claims to have what it has not is caught, and its copies are made elsewhere', async () => {
  network = await BlockNetwork.of({ seed: 8 }, 8)
  const liar = network.nodes[2]!
  // It says that it keeps what it gets, and reports it, and throws it away.
  const blocks = blocksOf(60)
  await putAll(blocks)
  await network.ring.run(MENDED_MS)
  for (const { key } of [...liar.store.entries()]) await liar.store.delete(key)
  liar.host.handlers.set(BlockKeep.name, (({ copies }: { copies: unknown[] }) => ({
    kept: copies.map(() => 'kept'),
  })) as never)
  liar.host.handlers.set(BlockProve.name, (() => ({ proof: '0'.repeat(64) })) as never)
  await network.ring.run(20 * BLOCK_REPAIR_PERIOD_MS)
  expect(total('liars')).toBeGreaterThan(0)
  for (const { key } of blocks) {
    const others = network.holders(key).filter((node) => node !== liar)
    expect(others.length).toBeGreaterThanOrEqual(2)
  }
})

test('repair keeps to its bytes per second', async () => {
  const [rate, burst, sizeBytes, stepMs] = [400, 4000, 1000, 10_000]
  const options = { repairBytesPerSecond: rate, repairBurstBytes: burst, patienceMs: 1000 }
  network = await BlockNetwork.of({ seed: 9 }, 6, options)
  const blocks = blocksOf(300, sizeBytes)
  await putAll(blocks)
  network.ring.kill(network.nodes[0]!.host)
  const sent: number[][] = []
  for (let ms = 0; ms < MENDED_MS; ms += stepMs) {
    await network.ring.run(stepMs)
    sent.push(network.live.map(({ blocks }) => blocks.stats.counters.repairBytes!))
  }
  // What is sent at last may be paid for afterwards: a message of 16 blocks.
  const atOnce = burst + 16 * sizeBytes
  const excess = sent.flatMap((before, from) =>
    sent.slice(from + 1).flatMap((after, steps) => {
      const most = atOnce + (rate * (steps + 1) * stepMs) / 1000
      return after.map((bytes, host) => bytes - before[host]! - most)
    }),
  )
  expect(Math.max(...excess)).toBeLessThanOrEqual(0)
  // The bound was felt: somebody had more to send than goes at once, and all of it has come.
  expect(Math.max(...sent[0]!)).toBeLessThanOrEqual(atOnce + (rate * stepMs) / 1000)
  expect(Math.max(...sent.at(-1)!)).toBeGreaterThan(2 * atOnce)
  for (const { key } of blocks) expect(network.holders(key).length).toBe(3)
})

test('who leaves politely sees that others have what it has', async () => {
  network = await BlockNetwork.of({ seed: 10 }, 1)
  const blocks = blocksOf(30)
  await putAll(blocks)
  const [first] = network.nodes as [BlockNode]
  network.join()
  await network.ring.run(50)
  await until(first.blocks.stop())
  network.ring.leave(first.host)
  await network.ring.run(10)
  network.ring.kill(first.host)
  for (const each of blocks) expect(await network.get(network.live[0]!, each)).toEqual(each.bytes)
})

const waves = 'a minority of every group dies again and again: nothing is lost (seed %i)'
test.each(seeds(3))(waves, async (seed) => {
  network = await BlockNetwork.of({ seed, viewLagMs: 800, loss: 0.01 }, 12)
  const random = seededRandom(seed)
  const blocks = blocksOf(60, 100, `wave ${seed}`)
  const put = ({ cid, bytes }: (typeof blocks)[0]) => network.nodes[random.int(12)]!.blocks.put(cid, bytes)
  // Again where messages were lost: a put waits long for each.
  await until(Promise.all(blocks.map((block) => put(block).catch(() => put(block)))))
  let failed = 0
  for (let wave = 0; wave < 8; wave++) {
    const doomed: BlockNode[] = []
    for (const node of shuffled(network.live, random)) {
      const spared = blocks.every(
        ({ key }) => network.holders(key).filter((holder) => holder !== node && !doomed.includes(holder)).length >= 2,
      )
      if (spared) doomed.push(node)
    }
    expect(doomed.length).toBeGreaterThan(0)
    for (const node of doomed) network.ring.kill(node.host)
    for (let i = network.live.length; i < 12; i++) network.join()
    // At once, while those who are left tell the new owners what they have, a few may not be found; soon all are.
    const read = ({ cid }: (typeof blocks)[0]) => network.live[random.int(12)]!.blocks.get(cid)
    const early = await until(Promise.allSettled(blocks.map(read)))
    failed += early.filter(({ status }) => status === 'rejected').length
    await network.ring.run(20_000)
    const bytes = await until(Promise.all(blocks.map(read)))
    for (const [index, block] of blocks.entries()) expect(bytes[index]).toEqual(block.bytes)
    await network.ring.run(MENDED_MS)
  }
  expect(failed).toBeLessThan(0.05 * 8 * blocks.length)
  for (const { key } of blocks) expect(network.holders(key).length).toBeGreaterThanOrEqual(3)
})
