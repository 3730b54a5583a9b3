/** Blocks over a fake ring: what puts, gets and leases promise, against full stores, rot and liars. */
import { afterEach, expect, test } from 'vitest'
import { cidOf } from '../../../../src/dht/cid.ts'
import { BlockExtend, BlockGet, BlockKeep, BlockPut } from '../../../../src/dht/store/blocks/messages.ts'
import { BlockNetwork, type BlockNode, blocksOf } from '../../../fakes/blocks.ts'
import { outcome } from '../../../fakes/registers.ts'

const [block, other] = blocksOf(2) as [ReturnType<typeof blocksOf>[0], ReturnType<typeof blocksOf>[0]]

let network: BlockNetwork
afterEach(() => network.stopAll())

const HOUR_MS = 3_600_000
const count = (node: BlockNode, name: string) => node.blocks.stats.counters[name] ?? Number.NaN
const total = (name: string) => network.nodes.reduce((sum, node) => sum + count(node, name), 0)
const until = <T>(promise: Promise<T>) => network.ring.until(promise)

test.each([1, 2, 3, 8])('a put is at the whole group, and everybody reads it (%i hosts)', async (size) => {
  network = await BlockNetwork.of({ seed: size }, size)
  for (const each of blocksOf(20)) {
    await network.put(network.nodes[0]!, each)
    await network.ring.run(100)
    expect(new Set(network.holders(each.key))).toEqual(new Set(network.group(each.key)))
    for (const node of network.live) expect(await network.get(node, each)).toEqual(each.bytes)
  }
})

test('putting a block again moves no bytes, unless it is so small that asking costs as much', async () => {
  network = await BlockNetwork.of({ seed: 2 }, 6)
  const [large] = blocksOf(1, 32 * 1024) as [ReturnType<typeof blocksOf>[0]]
  const again = async (each: typeof large) => {
    await network.put(network.nodes[0]!, each)
    await network.ring.run(100)
    const before = network.ring.delivered.get(BlockKeep.name)!
    await network.put(network.nodes[0]!, each)
    await network.ring.run(100)
    expect(network.holders(each.key).length).toBe(3)
    return network.ring.delivered.get(BlockKeep.name)! - before
  }
  expect(await again(large)).toBe(0)
  expect(await again(block)).toBe(2)
})

test('one block put many times at once makes few messages, and one copy', async () => {
  network = await BlockNetwork.of({ seed: 2 }, 6)
  const owner = network.group(block.key)[0]!
  await Promise.all(Array.from({ length: 16 }, () => network.put(network.nodes[0]!, block)))
  await network.ring.run(1000)
  const put = { key: block.key, expiresAtMs: 1e6 + HOUR_MS, bytes: block.bytes }
  const puts = Array.from({ length: 256 }, () => put)
  const before = network.ring.delivered.get(BlockKeep.name)!
  const asker = network.nodes[0]!.host.transport
  const { refusals } = await until(asker.request(owner.host.contact, BlockPut, { puts }))
  expect(refusals.filter((each) => each !== null)).toEqual([])
  expect(network.ring.delivered.get(BlockKeep.name)! - before).toBeLessThan(10)
  for (const node of network.group(block.key)) expect(node.store.bytes).toBe(block.bytes.length)
})

test('a publisher that keeps a block itself is not sent it back', async () => {
  network = await BlockNetwork.of({ seed: 2 }, 3)
  const [large] = blocksOf(1, 32 * 1024) as [ReturnType<typeof blocksOf>[0]]
  const [owner, replica] = network.group(large.key) as [BlockNode, BlockNode]
  await network.put(replica, large)
  await network.ring.run(100)
  expect(network.holders(large.key).length).toBe(3)
  expect(network.ring.delivered.get(BlockKeep.name)).toBe(1) // the third; two without asking
  expect(count(owner, 'refusedBad') + count(replica, 'refusedBad')).toBe(0)
})

test('a name of other bytes, or of more than 1 MiB, is refused at home', async () => {
  network = await BlockNetwork.of({ seed: 3 }, 1)
  const { blocks } = network.nodes[0]!
  expect(await outcome(blocks.put(block.cid, other.bytes))).toBe('usage')
  const large = new Uint8Array(1024 * 1024 + 1)
  expect(await outcome(blocks.put(cidOf('raw', large), large))).toBe('usage')
})

test('hosts refuse keys that are not theirs, and bytes that are not the key', async () => {
  network = await BlockNetwork.of({ seed: 4 }, 8)
  const asker = network.nodes[0]!.host.transport
  const outsider = network.outsider(block.key)
  const owner = network.group(block.key)[0]!
  const put = { key: block.key, expiresAtMs: 1e6 + HOUR_MS, bytes: block.bytes }
  const { refusals } = await until(asker.request(outsider.host.contact, BlockPut, { puts: [put] }))
  expect(refusals).toMatchObject([{ code: 'not-owner' }])
  const copies = [{ ...put, publisher: 'somebody' }]
  expect(await until(asker.request(outsider.host.contact, BlockKeep, { copies }))).toEqual({ kept: ['not-mine'] })
  const wrong = [{ ...copies[0]!, bytes: other.bytes }]
  expect(await until(asker.request(owner.host.contact, BlockKeep, { copies: wrong }))).toEqual({ kept: ['bad'] })
  const eternal = [{ ...copies[0]!, expiresAtMs: Number.MAX_SAFE_INTEGER }]
  expect(await until(asker.request(owner.host.contact, BlockKeep, { copies: eternal }))).toEqual({ kept: ['bad'] })
  expect(network.holders(block.key)).toEqual([])
  expect(count(owner, 'refusedBad')).toBe(2)
  expect(count(outsider, 'refusedForeign')).toBe(1)
})

test('what nobody has is not found, soon', async () => {
  network = await BlockNetwork.of({ seed: 5 }, 6)
  await network.ring.run(10_000)
  const get = network.get(network.nodes[0]!, block)
  expect(await outcome(get)).toBe('not-found')
  await expect(get).rejects.toThrow(`nobody here has ${block.cid}: `)
})

test('a joiner owns at once, and reads do not fail while it has nothing', async () => {
  network = await BlockNetwork.of({ seed: 6 }, 5)
  const blocks = blocksOf(40)
  for (const each of blocks) await network.put(network.nodes[0]!, each)
  for (let i = 0; i < 12; i++) {
    network.join()
    const reads = blocks.map((each) => network.nodes[i]!.blocks.get(each.cid))
    expect(await until(Promise.all(reads))).toEqual(blocks.map(({ bytes }) => bytes))
  }
})

test('a put survives the owner that dies right after it', async () => {
  network = await BlockNetwork.of({ seed: 7 }, 9)
  for (const each of blocksOf(10)) {
    await network.put(network.live[0]!, each)
    network.ring.kill(network.group(each.key)[0]!.host)
    expect(await network.get(network.live[0]!, each)).toEqual(each.bytes)
    network.join()
    await network.ring.run(10_000)
  }
})

test('a slow holder is not waited for: a second one is asked', async () => {
  network = await BlockNetwork.of({ seed: 8 }, 6)
  const reader = network.outsider(block.key)
  const warm = blocksOf(40, 100, 'warm')
  for (const each of [...warm, block]) await network.put(network.nodes[0]!, each)
  for (const each of warm) await network.get(reader, each)
  const [owner] = network.group(block.key) as [BlockNode]
  owner.host.handlers.set(BlockGet.name, (() => new Promise(() => {})) as never)
  const startedMs = reader.host.env.clock.now()
  expect(await network.get(reader, block)).toEqual(block.bytes)
  expect(reader.host.env.clock.now() - startedMs).toBeLessThan(300)
  expect(count(reader, 'hedged')).toBeGreaterThan(0)
})

test('many who ask at once share one get', async () => {
  network = await BlockNetwork.of({ seed: 9 }, 8)
  await network.put(network.nodes[0]!, block)
  const reader = network.outsider(block.key)
  await until(Promise.all(Array.from({ length: 20 }, () => reader.blocks.get(block.cid))))
  expect(total('served')).toBe(1)
  await network.get(reader, block)
  expect(total('served')).toBe(1)
  expect(count(reader, 'cached')).toBe(1)
})

test('liars with wrong bytes are passed over, counted, and asked last', async () => {
  network = await BlockNetwork.of({ seed: 10 }, 8)
  const blocks = blocksOf(30)
  for (const each of blocks) await network.put(network.nodes[0]!, each)
  const [liar] = network.group(blocks[0]!.key) as [BlockNode]
  const copy = { expiresAtMs: 1e9, publisher: 'x', bytes: other.bytes }
  liar.host.handlers.set(BlockGet.name, (({ key }: { key: string }) => ({
    copy: { ...copy, key },
    ask: [],
    hot: false,
    settled: true,
  })) as never)
  const reader = network.outsider(blocks[0]!.key)
  for (const each of blocks) expect(await network.get(reader, each)).toEqual(each.bytes)
  expect(count(reader, 'badBlocks')).toBe(1)
})

test('a rotten copy is found on read, and fetched again', async () => {
  network = await BlockNetwork.of({ seed: 11 }, 6)
  await network.put(network.nodes[0]!, block)
  await network.ring.run(100)
  const [owner, replica] = network.group(block.key) as [BlockNode, BlockNode]
  owner.store.rot(block.key)
  expect(await network.get(owner, block)).toEqual(block.bytes)
  expect(owner.store.meta(block.key)).toBeDefined()
  replica.store.rot(block.key)
  const insist = { key: block.key, insist: true }
  const reply = await until(owner.host.transport.request(replica.host.contact, BlockGet, insist))
  expect(reply.copy).toBeUndefined()
  await network.ring.run(1_000)
  expect(replica.store.meta(block.key)).toBeDefined()
  expect(count(owner, 'rotten') + count(replica, 'rotten')).toBe(2)
})

test('full stores refuse politely, and say so', async () => {
  network = await BlockNetwork.of({ seed: 12 }, 3, { capacityBytes: 1000, publisherQuotaBytes: 1e9 })
  const results: string[] = []
  for (const each of blocksOf(15)) results.push(await outcome(network.put(network.nodes[0]!, each)))
  expect(results).toEqual([...Array(10).fill('done'), ...Array(5).fill('limit')])
  expect(total('refusedFull')).toBeGreaterThanOrEqual(10)
  for (const node of network.nodes) {
    expect(node.blocks.stats.full).toBe(true)
    expect(node.store.bytes).toBeLessThanOrEqual(1000)
  }
})

test('one full host of three does not stand in the way', async () => {
  network = await BlockNetwork.of({ seed: 13 }, 2)
  const full = network.join({ capacityBytes: 50 })
  await network.ring.run(10)
  await network.put(network.nodes[0]!, block)
  expect(full.store.count).toBe(0)
  expect(network.holders(block.key).length).toBe(2)
})

test('a publisher keeps to its quota, and others are not hindered', async () => {
  network = await BlockNetwork.of({ seed: 14 }, 3, { publisherQuotaBytes: 500 })
  const results: string[] = []
  for (const each of blocksOf(7)) results.push(await outcome(network.put(network.nodes[0]!, each)))
  expect(results).toEqual([...Array(5).fill('done'), 'limit', 'limit'])
  expect(total('refusedQuota')).toBeGreaterThanOrEqual(2)
  await network.put(network.nodes[1]!, other)
  await network.put(network.nodes[0]!, blocksOf(1)[0]!) // what is there already costs nothing
  const { publisher } = network.nodes[0]!.store.meta(other.key)!
  expect(publisher).toBe(network.nodes[0]!.host.transport.peer)
})

test('leases end, and are extended everywhere', async () => {
  network = await BlockNetwork.of({ seed: 15 }, 6, { repairPeriodMs: 600_000 })
  await network.put(network.nodes[0]!, block, 2 * HOUR_MS)
  await network.put(network.nodes[0]!, other, 2 * HOUR_MS)
  await network.ring.run(HOUR_MS)
  expect(await until(network.nodes[1]!.blocks.extend([block.cid], { leaseMs: 10 * HOUR_MS }))).toEqual([])
  await network.ring.run(4 * HOUR_MS)
  expect(network.holders(block.key).length).toBe(3)
  expect(network.holders(other.key)).toEqual([])
  expect(total('expired')).toBe(3)
  expect(await network.get(network.nodes[2]!, block)).toEqual(block.bytes)
  const gone = await until(network.nodes[1]!.blocks.extend([block.cid, other.cid]))
  expect(gone.map(String)).toEqual([String(other.cid)])
})

test('a replica that missed an extension hears of it', async () => {
  network = await BlockNetwork.of({ seed: 16 }, 3, { repairPeriodMs: 60_000 })
  await network.put(network.nodes[0]!, block, 2 * HOUR_MS)
  await network.ring.run(100)
  const [owner, replica, last] = network.group(block.key) as [BlockNode, BlockNode, BlockNode]
  const later = owner.store.meta(block.key)!.expiresAtMs + 2 * HOUR_MS
  const message = { items: [{ key: block.key, expiresAtMs: later }], spread: false }
  await until(owner.host.transport.request(last.host.contact, BlockExtend, message))
  expect(replica.store.meta(block.key)!.expiresAtMs).toBeLessThan(later)
  await network.ring.run(10 * 60_000)
  for (const node of [owner, replica, last]) expect(node.store.meta(block.key)!.expiresAtMs).toBe(later)
})

test('stat names the holders', async () => {
  network = await BlockNetwork.of({ seed: 17 }, 6)
  await network.put(network.nodes[0]!, block)
  await network.ring.run(100)
  const [owner, replica] = network.group(block.key) as [BlockNode, BlockNode]
  await replica.store.delete(block.key)
  const stat = await until(network.nodes[0]!.blocks.stat(block.cid))
  expect(stat).toMatchObject({ sizeBytes: 100, wanted: 3 })
  expect(stat.holders.map(({ holds }) => holds)).toEqual([true, false, true])
  expect(stat.holders[0]).toMatchObject({ role: 'owner', peer: owner.host.transport.peer })
  expect((await until(network.nodes[0]!.blocks.stat(other.cid))).sizeBytes).toBeUndefined()
})

test('a get that is given up ends at once', async () => {
  network = await BlockNetwork.of({ seed: 18 }, 4)
  const controller = new AbortController()
  const get = outcome(network.nodes[0]!.blocks.get(block.cid, { signal: controller.signal }))
  controller.abort()
  expect(await until(get)).toBe('aborted')
})
