/** Files over blocks: the CIDs that IPFS gives, ranges, lines, and how much is under way at once. */
import { existsSync, readFileSync } from 'node:fs'
import fc from 'fast-check'
import { exporter } from 'ipfs-unixfs-exporter'
import { importBytes } from 'ipfs-unixfs-importer'
import { fixedSize } from 'ipfs-unixfs-importer/chunker'
import { balanced } from 'ipfs-unixfs-importer/layout'
import { expect, test } from 'vitest'
import { ChoraleError } from '../../../../src/core/errors.ts'
import { PUTS_IN_FLIGHT } from '../../../../src/dht/store/files/block-io.ts'
import { READ_AHEAD_BLOCKS, READ_AHEAD_BYTES } from '../../../../src/dht/store/files/fetch-ahead.ts'
import { Files } from '../../../../src/dht/store/files/files.ts'
import { allOf, bytesOf, each, failure, MemoryIo, patterned, pieces } from '../../../fakes/block-io.ts'

const LEAF = 262_144
const text = (value: string) => new TextEncoder().encode(value)

/** The importer on its own, with the profile spelled out. */
async function reference(bytes: Uint8Array): Promise<string> {
  const blackHole = { put: async <C>(cid: C) => cid }
  const options = {
    cidVersion: 1,
    rawLeaves: true,
    reduceSingleLeafToSelf: true,
    chunker: fixedSize({ chunkSize: LEAF }),
    layout: balanced({ maxChildrenPerNode: 174 }),
  } as const
  return (await importBytes(bytes, blackHole as never, options)).cid.toString()
}

test('hello world has the name that IPFS gives it', async () => {
  const io = new MemoryIo()
  const added = await new Files(io).addFile(each([text('hello'), text(' world')]))
  expect(added.cid.toString()).toBe('bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e')
  expect(added).toMatchObject({ bytes: 11, blocks: 1 })
})

const SIZES = [0, 1, 2, LEAF - 1, LEAF, LEAF + 1, 2 * LEAF, 3 * LEAF + 7, 173 * LEAF, 174 * LEAF, 174 * LEAF + 1]
test.each([...SIZES, 175 * LEAF, 348 * LEAF + 5])(
  'a file of %d bytes has the CID of the importer and reads back',
  async (size) => {
    const io = new MemoryIo()
    const files = new Files(io)
    const bytes = patterned(size)
    const added = await files.addFile(pieces(bytes, [100_000, 7, 300_000, 1_000_000]))
    expect(added.cid.toString()).toBe(await reference(bytes))
    expect(added).toMatchObject({ bytes: size, blocks: io.puts })
    expect(Buffer.from(await bytesOf(files.cat(added.cid))).equals(bytes)).toBe(true)
  },
)

test('what is put can be read by the exporter of IPFS', async () => {
  const io = new MemoryIo()
  const bytes = patterned(3 * LEAF + 1)
  const { cid } = await new Files(io).addFile(pieces(bytes))
  const blockstore = { get: async function* (of: never) { yield await io.get(of) } } // biome-ignore format: one line
  const entry = await exporter(cid, blockstore as never)
  expect(Buffer.concat(await allOf((entry as { content(): AsyncIterable<Uint8Array> }).content())).equals(bytes)).toBe(
    true,
  )
})

test('a range of a file is what slice gives, and asks only for the blocks that it touches', async () => {
  const io = new MemoryIo()
  const files = new Files(io)
  const bytes = patterned(180 * LEAF + 99)
  const { cid } = await files.addFile(pieces(bytes))
  const edges = [
    0,
    1,
    LEAF - 1,
    LEAF,
    LEAF + 1,
    174 * LEAF,
    179 * LEAF,
    bytes.length - 1,
    bytes.length,
    bytes.length + 9,
  ]
  for (const offset of edges) {
    for (const length of [0, 1, LEAF, LEAF + 1]) {
      io.asked.length = 0
      const got = await bytesOf(files.cat(cid, { offset, length }))
      expect(Buffer.from(got).equals(bytes.subarray(offset, offset + length))).toBe(true)
      expect(io.asked.length).toBeLessThanOrEqual(6)
    }
  }
  expect(await failure(allOf(files.cat(cid, { offset: -1 })))).toContain('usage: offset')
  expect(await failure(allOf(files.cat(cid, { length: 0.5 })))).toContain('usage: length')
})

test('the CID does not depend on the pieces in which a file comes', async () => {
  const bytes = patterned(LEAF + 1000)
  const expected = await reference(bytes)
  const sizes = fc.array(fc.integer({ min: 1, max: 400_000 }), { minLength: 1, maxLength: 5 })
  await fc.assert(
    fc.asyncProperty(sizes, async (list) => {
      const { cid } = await new Files(new MemoryIo()).addFile(pieces(bytes, [...list, 5_000]))
      expect(cid.toString()).toBe(expected)
    }),
    { numRuns: 15 },
  )
})

test('lines are never cut, wherever pieces end', async () => {
  const lengths = fc.array(fc.oneof(fc.nat(100), fc.nat(400_000), fc.constantFrom(0, LEAF - 1, LEAF, LEAF + 1)), {
    minLength: 1,
    maxLength: 12,
  })
  const sizes = fc.array(fc.integer({ min: 1, max: 700_000 }), { minLength: 1, maxLength: 4 })
  await fc.assert(
    fc.asyncProperty(lengths, sizes, fc.boolean(), async (list, cuts, ended) => {
      const body = list.map((length, index) => String.fromCharCode(97 + (index % 26)).repeat(length)).join('\n')
      const bytes = text(ended ? `${body}\n` : body)
      const io = new MemoryIo()
      const files = new Files(io)
      const added = await files.addFile(pieces(bytes, [...cuts, 9_999]), { lines: true })
      const blocks = await allOf(files.cat(added.cid))
      expect(Buffer.concat(blocks).equals(bytes)).toBe(true)
      for (const block of blocks.slice(0, -1)) expect(block.at(-1)).toBe(10)
      // A block beyond a leaf is one line.
      for (const block of blocks) if (block.length > LEAF) expect([-1, block.length - 1]).toContain(block.indexOf(10))
      const whole = await new Files(new MemoryIo()).addFile(each([bytes]), { lines: true })
      expect(whole.cid.toString()).toBe(added.cid.toString())
    }),
    { numRuns: 40 },
  )
})

test('a line may fill a block of 1 MiB, and not a byte more', async () => {
  const block = 1024 * 1024
  const files = new Files(new MemoryIo())
  const fits = Buffer.concat([text('a\nb\n'), Buffer.alloc(block - 1, 'x'), text('\nend')])
  const { cid } = await files.addFile(pieces(fits), { lines: true })
  expect((await allOf(files.cat(cid))).map((part) => part.length)).toEqual([4, block, 3])
  const unended = Buffer.alloc(block, 'x')
  expect((await files.addFile(pieces(unended), { lines: true })).bytes).toBe(block)
  const tooLong = Buffer.concat([text('a\nb\n'), Buffer.alloc(block, 'x'), text('\nend')])
  const told = await failure(files.addFile(pieces(tooLong), { lines: true }))
  expect(told).toBe('usage: line 3 is longer than a block of 1048576 bytes: break it, or add the file without --lines')
})

const shakespeare = new URL('../../../../../shared/data/tinyshakespeare.txt', import.meta.url)
test.skipIf(!existsSync(shakespeare))('tinyshakespeare, plain and by lines', async () => {
  const bytes = readFileSync(shakespeare)
  const files = new Files(new MemoryIo())
  const plain = await files.addFile(pieces(bytes))
  expect(plain.cid.toString()).toBe(await reference(bytes))
  const lines = await files.addFile(pieces(bytes), { lines: true })
  expect(Buffer.concat(await allOf(files.cat(lines.cid))).equals(bytes)).toBe(true)
})

test('puts are many at once, but bounded, and all done when the CID is told', async () => {
  const io = new MemoryIo()
  io.delay = () => 20
  const files = new Files(io)
  const seen: number[] = []
  const bytes = patterned(100 * LEAF)
  const { blocks } = await files.addFile(pieces(bytes, [LEAF]), { onProgress: (at) => seen.push(at.bytes) })
  expect(io.mostPuts).toBe(PUTS_IN_FLIGHT)
  expect(io.blocks.size).toBe(blocks)
  expect(seen).toEqual(Array.from({ length: 100 }, (_, index) => (index + 1) * LEAF))
})

test('a source is read no further than the window of puts, and a signal ends the wait', async () => {
  const io = new MemoryIo()
  io.put = () => new Promise(() => {}) // a network that answers nobody
  const controller = new AbortController()
  let read = 0
  const endless = (async function* () {
    for (;;) {
      read++
      yield patterned(LEAF + read).subarray(0, LEAF)
    }
  })()
  const adding = failure(new Files(io).addFile(endless, { signal: controller.signal }))
  for (let i = 0; i < 200; i++) await new Promise((resolve) => setImmediate(resolve))
  expect(read).toBeLessThanOrEqual(PUTS_IN_FLIGHT + 2)
  expect(read).toBeGreaterThanOrEqual(PUTS_IN_FLIGHT)
  controller.abort(new ChoraleError('aborted', 'enough'))
  expect(await adding).toBe('aborted: enough')
})

test('gets run ahead, in order, and are bounded in blocks and bytes however slow the reader is', async () => {
  const io = new MemoryIo()
  const files = new Files(io)
  const bytes = patterned(400 * LEAF)
  const { cid } = await files.addFile(pieces(bytes, [LEAF]))
  let turn = 0
  io.delay = () => (turn = (turn * 7 + 3) % 11) // answers overtake each other
  const hash: Uint8Array[] = []
  for await (const part of files.cat(cid)) {
    hash.push(part)
    await new Promise((resolve) => setImmediate(resolve))
    io.held -= part.length
  }
  expect(Buffer.concat(hash).equals(bytes)).toBe(true)
  expect(io.mostGets).toBeGreaterThan(16)
  expect(io.mostGets).toBeLessThanOrEqual(READ_AHEAD_BLOCKS)
  expect(io.mostHeld).toBeLessThanOrEqual(READ_AHEAD_BYTES + 2 * LEAF)
})

test('a reader that leaves, and one that gives up, stop the fetching', async () => {
  const io = new MemoryIo()
  const files = new Files(io)
  const { cid } = await files.addFile(pieces(patterned(300 * LEAF), [LEAF]))
  io.asked.length = 0
  for await (const _ of files.cat(cid)) break
  await new Promise((resolve) => setImmediate(resolve))
  expect(io.asked.length).toBeLessThanOrEqual(READ_AHEAD_BLOCKS + 4)
  const controller = new AbortController()
  const reading = (async () => {
    for await (const _ of files.cat(cid, { signal: controller.signal })) controller.abort()
  })()
  expect(await failure(reading)).toBe('aborted: given up')
})

test('a source that fails, a put that fails and a signal end an add, and the source with it', async () => {
  const files = new Files(new MemoryIo())
  const broken = (async function* () {
    yield patterned(LEAF)
    throw new ChoraleError('io', 'the disk went away')
  })()
  expect(await failure(files.addFile(broken))).toBe('io: the disk went away')

  const full = new MemoryIo()
  let left = 5
  const put = full.put.bind(full)
  full.put = (cid, bytes) => (left-- > 0 ? put(cid, bytes) : Promise.reject(new ChoraleError('limit', 'full')))
  let ended = false
  const source = (async function* () {
    try {
      for (let i = 1; ; i++) yield patterned(LEAF + i).subarray(0, LEAF)
    } finally {
      ended = true
    }
  })()
  expect(await failure(new Files(full).addFile(source))).toBe('limit: full')
  expect(ended).toBe(true)

  const controller = new AbortController()
  const silent: AsyncIterable<Uint8Array> = {
    [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}) }), // a terminal where nobody types
  }
  const waiting = failure(files.addFile(silent, { signal: controller.signal }))
  controller.abort()
  expect(await waiting).toBe('aborted: given up')
})
